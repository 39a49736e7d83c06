package s2s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// TestOutgoingCertificate checks which certificate we show.
func TestOutgoingCertificate(t *testing.T) {
	here, _ := listentest.Certificate(t, "here.test")
	also, _ := listentest.Certificate(t, "also.test")
	there, pool := listentest.Certificate(t, "there.test")
	byName := func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		switch {
		case h.ServerName != "here.test":
			return nil, errors.New("asked for " + h.ServerName)
		case h.SupportsCertificate(&tls.Certificate{Certificate: also.Certificate, PrivateKey: also.PrivateKey}) == nil:
			return nil, errors.New("supports a certificate for another name")
		}
		h.ServerName = ""
		return &here, h.SupportsCertificate(&here)
	}
	tests := []struct {
		name string
		tls  *tls.Config
		want string // the name in it, "" for none
	}{
		{"none", nil, ""},
		{"one", &tls.Config{Certificates: []tls.Certificate{here}}, "here.test"},
		{"one for another name", &tls.Config{Certificates: []tls.Certificate{also}}, "also.test"},
		{"by domain", &tls.Config{Certificates: []tls.Certificate{also, here}}, "here.test"},
		{"GetCertificate", &tls.Config{GetCertificate: byName}, "here.test"},
		{"GetCertificate has none", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}, ""},
		{"GetClientCertificate", &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &here, nil }}, "here.test"},
		{"GetConfigForClient", &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if h.ServerName != "here.test" {
				return nil, nil
			}
			return &tls.Config{Certificates: []tls.Certificate{here}, RootCAs: pool}, nil
		}}, "here.test"},
	}
	for _, tt := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+" "+tls.VersionName(version), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := outStart(t, func(r *outRig) { r.set.TLS = tt.tls })
					r.send("1")
					p := r.peer().startTLS(&tls.Config{Certificates: []tls.Certificate{there}, ClientAuth: tls.RequestClientCert, MaxVersion: version})
					got := ""
					if list := p.Conn().(*tls.Conn).ConnectionState().PeerCertificates; len(list) > 0 {
						got = list[0].DNSNames[0]
					}
					if got != tt.want {
						t.Errorf("got a certificate for %q, want %q", got, tt.want)
					}
					p.open(outExternal, outDialback)
					if tt.want == "" {
						p.Expect("<db:result ")
					} else {
						p.Expect(outAuth)
					}
					p.Close()
				})
			})
		}
	}
}

// TestOutgoingUnprovenBothWays checks that a server which has proved nothing may not
// send on a stream of ours where dialback proves nothing either.
func TestOutgoingUnprovenBothWays(t *testing.T) {
	here, _ := listentest.Certificate(t, "here.test")
	there, _ := listentest.Certificate(t, "there.test")
	config := &tls.Config{Certificates: []tls.Certificate{there}, ClientAuth: tls.RequestClientCert}
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outWithTLS(x509.NewCertPool(), here))
		r.send("1")
		p := r.peer().startTLS(config).open(outExternal, outDialback, outBidi)
		if got := p.Expect(outAuth); strings.Contains(got, "bidi") {
			t.Errorf("got %s, want no bidi with SASL", got)
		}
		p.Send(outSASLError)
		p.Expect("<bidi xmlns='urn:xmpp:bidi'/><db:result ")
		p.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outWithTLS(x509.NewCertPool()), func(r *outRig) { r.set.DialbackAccess.Value = nil })
		r.send("1")
		p := r.peer().startTLS(config).open(outDialback, outBidi)
		if got := p.Expect("<db:result "); strings.Contains(got, "bidi") {
			t.Errorf("got %s, want no bidi with a server that dialback does not prove", got)
		}
		p.Close()
	})
}

// TestOutgoingAbsoluteNames checks that names are not looked for in the domains of
// the system.
func TestOutgoingAbsoluteNames(t *testing.T) {
	refused := errors.New("no DNS here")
	system := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, refused }}
	r := (&Host{Resolver: system}).resolver()
	_, _, srv := r.LookupSRV(t.Context(), "xmpp-server", "tcp", "there.test")
	_, ip := r.LookupNetIP(t.Context(), "ip4", "there.test")
	for want, err := range map[string]error{"_xmpp-server._tcp.there.test.": srv, "there.test.": ip} {
		var e *net.DNSError
		if !errors.As(err, &e) || !strings.HasPrefix(e.Name, strings.TrimSuffix(want, ".")) {
			t.Errorf("got %v, want an error for %s", err, want)
		}
	}
	if _, ok := (&Host{}).resolver().(absolute); !ok {
		t.Error("the system's resolver is not asked for absolute names")
	}
}
