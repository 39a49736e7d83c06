package bosh_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// site is a listener with the handler at /bosh.
type site struct {
	*rig
	ln   *listentest.Listener
	stop context.CancelCauseFunc
	done chan error
}

func newSite(t testing.TB) *site { return newSiteWith(t, httpd.Defaults()) }

func newSiteWith(t testing.TB, o httpd.Options) *site {
	s := &site{rig: newServer(t), ln: listentest.NewListener(), done: make(chan error, 1)}
	server := httpd.New(httpd.Host{Handlers: map[string]http.Handler{"bosh": s.handler}, Domains: s.backend})
	o.RequestHandlers = map[string]string{"/bosh": "bosh"}
	var ctx context.Context
	ctx, s.stop = context.WithCancelCause(context.Background())
	go func() { s.done <- server.Listen(ctx, s.ln, o) }()
	return s
}

func (s *site) end() {
	s.t.Helper()
	s.stop(errTest)
	if err := <-s.done; err != errTest {
		s.t.Errorf("Listen: got %v, want %v", err, errTest)
	}
}

// line is a connection.
type line struct {
	t  testing.TB
	c  net.Conn
	in *bufio.Reader
}

func (s *site) dial() *line {
	c := s.ln.Dial()
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Hour))
	return &line{s.t, c, bufio.NewReader(c)}
}

func (l *line) send(path, body string) {
	_, _ = io.WriteString(l.c, "POST "+path+" HTTP/1.1\r\nHost: a.test\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
}

// read returns the next answer; its status is 0 if there is none.
func (l *line) read() reply {
	a, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return reply{}
	}
	b, err := io.ReadAll(a.Body)
	if err != nil {
		l.t.Error(err)
	}
	return reply{a.StatusCode, a.Header, string(b)}
}

// With httpd, sessions are those of the listener, whose end tells the clients and waits.
func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		one, two := s.dial(), s.dial()
		one.send("/bosh/", creation("ver='1.6'"))
		a := one.read()
		a.has(t, "<stream:features ")
		c := &client{s.rig, a.attributes()["sid"], ridBefore}
		one.send("/bosh", c.next("", ""))
		synctest.Wait()
		s.stop(errTest)
		one.read().has(t, "<system-shutdown ")
		s.end()
		two.send("/bosh", c.next("", ""))
		if got := two.read(); got.status != 0 {
			t.Errorf("got %+v from a listener that has ended", got)
		}
	})
}

// A listener that ends does not wait for clients that are away for longer than its grace
// time, and what was for them was not delivered.
func TestListenerAndClientsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := httpd.Defaults()
		o.Grace = 2 * time.Second
		s := newSiteWith(t, o)
		x := s.dial()
		x.send("/bosh", creation("ver='1.6'"))
		s.authenticateOn(x.read()).bind()
		s.backend.deliver(t, "missed")
		synctest.Wait()
		began := time.Now()
		s.end()
		if took := time.Since(began); took != o.Grace {
			t.Errorf("it took %v, want %v", took, o.Grace)
		}
		if got := s.backend.kept(); !strings.Contains(got, "missed") {
			t.Errorf("%q was not delivered, want what the client has missed", got)
		}
	})
}

// Nothing is below the path.
func TestPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		l := s.dial()
		l.send("/bosh/more", creation("ver='1.6'"))
		if a := l.read(); a.status != http.StatusNotFound {
			t.Errorf("got %d, want 404", a.status)
		}
		s.end()
	})
}

// A client whose connection is cut while a request is held is noticed, gets what it
// missed when it asks again, and has not got it before.
func TestConnectionIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		c, _ := s.login()
		request := c.next("", "")
		l := s.dial()
		l.send("/bosh", request)
		synctest.Wait()
		_ = l.c.Close()
		synctest.Wait()
		s.backend.deliver(t, "one")
		time.Sleep(20 * time.Second)
		l = s.dial()
		l.send("/bosh", request)
		l.read().has(t, "one")
		time.Sleep(31 * time.Second)
		s.backend.deliver(t, "two")
		l.send("/bosh", c.next("", ""))
		l.read().ends(t, "item-not-found")
		s.rig.end()
		s.end()
	})
}

// Bodies that are too large are not read to their end, whatever is said of their size.
func TestLargeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		for _, size := range []string{"1000000000", "100000"} {
			l := s.dial()
			_, _ = io.WriteString(l.c, "POST /bosh HTTP/1.1\r\nHost: a.test\r\nContent-Length: "+size+"\r\n\r\n"+creation("ver='1.6'")[:50])
			go func() {
				for range 100_000 / 50 {
					if _, err := io.WriteString(l.c, strings.Repeat(" ", 50)); err != nil {
						return
					}
				}
			}()
			l.read().ends(t, "bad-request") // there is no start tag
		}
		l := s.dial()
		_, _ = io.WriteString(l.c, "POST /bosh HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000000\r\n\r\n"+strings.TrimSuffix(creation("ver='1.6'"), "</body>"))
		_, _ = io.WriteString(l.c, strings.Repeat("<message/>", 1000))
		l.read().ends(t, "policy-violation")
		s.end()
	})
}
