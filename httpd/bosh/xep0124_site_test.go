package bosh_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// xepTables tries rows: on loopback those that need no time to pass, else in memory.
func xepTables(t *testing.T, loopback bool, rows []xepRow) {
	var s *httptest.Server
	if loopback {
		s = xepOnLoopback(t)
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if loopback {
				r := xepClients(t, s)
				defer r.hangUp()
				row.try(r)
				return
			}
			synctest.Test(t, func(t *testing.T) {
				r, end := xepInMemory(t, bosh.Defaults())
				defer end()
				row.try(r)
			})
		})
	}
}

var errXEPEnd = errors.New("the test ends")

// xepUsers are ana and bo, whose password is anchor.
type xepUsers struct{}

func (xepUsers) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if user.Local() != "ana" && user.Local() != "bo" || password != "anchor" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

const xepDomain = "a.test"

// xepDomains are those of the listener.
type xepDomains struct{ c2s.Domains }

func (xepDomains) Default() string { return xepDomain }

// newXEPHandler is the handler with a c2s behind it, which is on for one of two domains.
func newXEPHandler(t testing.TB, o bosh.Options) (*bosh.Handler, c2s.Domains) {
	t.Helper()
	ho := host.Defaults()
	ho.Hosts = []string{xepDomain, "off.test"}
	h, err := host.New(host.Config{Options: ho})
	if err != nil {
		t.Fatal(err)
	}
	clients := c2s.New(c2s.Host{Domains: h.Local, Router: h.Local, Session: h.Local, IQ: h.IQ, Password: xepUsers{}})
	co := c2s.Defaults()
	co.AllowPlainWithoutTLS = true
	handler := bosh.New(bosh.Host{Serve: func(ctx context.Context, t stanza.Transport) error { return clients.ServeTransport(ctx, t, co) }})
	handler.Configure(stanza.PerHost[*bosh.Options]{Hosts: map[string]*bosh.Options{xepDomain: &o}})
	return handler, h.Local
}

// xepInMemory is a listener of the program in a bubble.
func xepInMemory(t testing.TB, o bosh.Options) (r *xepRig, end func()) {
	t.Helper()
	handler, domains := newXEPHandler(t, o)
	ln := listentest.NewListener()
	s := httpd.New(httpd.Host{Handlers: map[string]http.Handler{"mod_bosh": handler}, Domains: xepDomains{domains}})
	ho := httpd.Defaults()
	ho.RequestHandlers = map[string]string{"/bosh": "mod_bosh"}
	ctx, stop := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Listen(ctx, ln, ho) }()
	r = &xepRig{t: t, dial: ln.Dial, domain: xepDomain, path: "/bosh", settle: synctest.Wait, sleep: time.Sleep, patience: time.Hour}
	return r, func() {
		stop(errXEPEnd)
		if err := <-done; err != errXEPEnd {
			t.Errorf("Listen: got %v, want %v", err, errXEPEnd)
		}
		r.hangUp()
	}
}

// xepOnLoopback is the handler in the server of somebody else, until the test ends.
func xepOnLoopback(t *testing.T) *httptest.Server {
	t.Helper()
	handler, _ := newXEPHandler(t, bosh.Defaults())
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		if err := handler.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: got %v", err)
		}
		s.Close()
	})
	return s
}

// xepClients is a rig for a server on loopback.
func xepClients(t testing.TB, s *httptest.Server) *xepRig {
	r := &xepRig{t: t, domain: xepDomain, path: "/", settle: func() {}, patience: 20 * time.Second}
	r.sleep = func(time.Duration) { t.Fatal("no row on loopback lets time pass") }
	r.dial = func() net.Conn {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if s.TLS != nil {
			roots := x509.NewCertPool()
			roots.AddCert(s.Certificate())
			return tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "example.com"})
		}
		return c
	}
	return r
}
