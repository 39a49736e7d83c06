package bosh_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMethods(t *testing.T) {
	r := newRig(t, bosh.Defaults())
	defer r.end()
	for _, c := range []struct {
		method string
		want   int
		fields map[string]string
	}{
		{http.MethodGet, http.StatusOK, map[string]string{"Content-Type": "text/html; charset=utf-8", "Access-Control-Allow-Origin": "*"}},
		{http.MethodHead, http.StatusOK, map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{http.MethodOptions, http.StatusOK, map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
			"Access-Control-Allow-Headers": "Content-Type", "Access-Control-Max-Age": "86400", "Access-Control-Allow-Credentials": "",
		}},
		{http.MethodPost, http.StatusBadRequest, map[string]string{"Access-Control-Allow-Origin": "*"}},
		{http.MethodPut, http.StatusMethodNotAllowed, map[string]string{"Allow": "GET, HEAD, POST, OPTIONS"}},
		{http.MethodDelete, http.StatusMethodNotAllowed, nil},
	} {
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, httptest.NewRequest(c.method, "/bosh", nil))
		if w.Code != c.want {
			t.Errorf("%s: got %d, want %d", c.method, w.Code, c.want)
		}
		for name, want := range c.fields {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", c.method, name, got, want)
			}
		}
	}
}

// Requests are not taken compressed.
func TestContentEncoding(t *testing.T) {
	r := newRig(t, bosh.Defaults())
	defer r.end()
	if a := r.do(t.Context(), creation(""), "Content-Encoding", "gzip"); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("got %d, want 415", a.status)
	}
}

// Answers have the content type that the client wants, and nothing in them is run by a
// browser.
func TestContentType(t *testing.T) {
	for _, c := range []struct{ content, want string }{
		{"", "text/xml; charset=utf-8"},
		{"content='text/xml; charset=utf-8'", "text/xml; charset=utf-8"},
		{"content='text/html'", "text/html"},
		{"content='Text/Plain;Charset=UTF-8'", "text/plain; charset=UTF-8"},
	} {
		bubble(t, c.content, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			p := r.start(creation("ver='1.6' " + c.content))
			s := <-r.streams
			_ = s.Header(stanza.Header{}, batch("<f/>"))
			a := p.wait()
			for name, want := range map[string]string{
				"Content-Type": c.want, "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
				"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store", "Content-Length": strconv.Itoa(len(a.text)),
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("got %s %q, want %q", name, got, want)
				}
			}
			_ = s.end()
		})
	}
}

// Large answers are compressed for those who take that.
func TestGzip(t *testing.T) {
	large := "<a>" + strings.Repeat("x", 5000) + "</a>"
	for _, c := range []struct {
		name, accept, payload string
		want                  bool
	}{
		{"large", "gzip, deflate, br", large, true},
		{"small", "gzip", "<a/>", false},
		{"not accepted", "", large, false},
		{"refused", "gzip;q=0, deflate", large, false},
		{"refused with digits", "gzip; q=0.000", large, false},
		{"weighed", "br;q=1.0, gzip;q=0.8", large, true},
		{"anything", "*", large, true},
		{"anything but", "gzip;q=0, *", large, false},
		{"nothing", "*;q=0", large, false},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("")
			got := make(chan reply, 1)
			go func() { got <- r.do(context.Background(), x.next("", ""), "Accept-Encoding", c.accept) }()
			if err := s.Write(batch(c.payload)); err != nil {
				t.Error(err)
			}
			a := <-got
			if zipped := a.header.Get("Content-Encoding") == "gzip"; zipped != c.want {
				t.Errorf("compressed: got %t, want %t", zipped, c.want)
			}
			if n := a.header.Get("Content-Length"); n != strconv.Itoa(len(a.text)) {
				t.Errorf("got Content-Length %s, want %d", n, len(a.text))
			}
			if c.want {
				z, err := gzip.NewReader(bytes.NewReader([]byte(a.text)))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(z)
				if err != nil {
					t.Error(err)
				}
				a.text = string(b)
			}
			a.is(t, withBody(c.payload))
			_ = s.end()
		})
	}
}

// The size of a compressed answer does not tell how well its stanzas compress together.
func TestGzipSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		x, s := r.open("")
		go func() { _ = s.Write(batch("<a>" + strings.Repeat("x", 5000) + "</a>")) }()
		request := x.next("", "")
		sizes := make(map[int]bool)
		for range 15 { // the same answer
			sizes[len(r.do(context.Background(), request, "Accept-Encoding", "gzip").text)] = true
		}
		if len(sizes) < 3 {
			t.Errorf("got %d sizes of 15 answers, want more", len(sizes))
		}
		_ = s.end()
	})
}

// A request that is cut off is none: the client sends it again.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		request := c.next("", message)
		for _, n := range []int{10, len(request) / 2, len(request) - 1} {
			body := io.MultiReader(strings.NewReader(request[:n]), iotest.ErrReader(io.ErrUnexpectedEOF))
			r.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/bosh", body))
		}
		p := r.start(request)
		if in, err := s.Read(); err != nil || in.Stanza == nil {
			t.Errorf("got %+v, %v, want the message", in, err)
		}
		_ = s.end()
		p.wait()
	})
}

// A session that began encrypted is not gone on with in the clear, and not ended either.
// See XEP-0124, section 19.1.
func TestSecureSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		do := func(body string, secure bool) reply {
			q := httptest.NewRequest(http.MethodPost, "/bosh", strings.NewReader(body))
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, httpd.WithInfo(q, httpd.Info{Secure: secure, Client: netip.MustParseAddr("2001:db8::1")}))
			return reply{w.Code, w.Header(), w.Body.String()}
		}
		created := make(chan reply, 1)
		go func() { created <- do(creation("ver='1.6'"), true) }()
		s := <-r.streams
		if p := s.Peer(); !p.Secure || p.Addr != netip.MustParseAddrPort("[2001:db8::1]:0") {
			t.Errorf("got %+v, want an encrypted one at 2001:db8::1", p)
		}
		_ = s.Header(stanza.Header{}, batch("<f/>"))
		c := &client{r, (<-created).attributes()["sid"], ridBefore}
		request := c.next("", message)
		if a := do(request, false); a.status != http.StatusForbidden || a.text != "" || a.header.Get("Connection") != "close" {
			t.Errorf("got %+v, want 403 and nothing else", a)
		}
		go do(request, true)
		_, _ = s.Open()
		if _, err := s.Read(); err != nil {
			t.Errorf("Read: %v", err)
		}
		_ = s.end()
	})
}

// New options are those of new sessions.
func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("wait='60'")
		r.handler.Configure(stanza.PerHost[*bosh.Options]{})
		r.post(creation("ver='1.6'")).ends(t, "host-unknown")
		p := c.send("", message)
		if _, err := s.Read(); err != nil {
			t.Errorf("an old session: %v", err)
		}
		_ = s.end()
		p.wait()
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		c, _ := r.open("")
		p := c.send("", "")
		synctest.Wait()
		r.end()
		p.wait().has(t, "condition='remote-stream-error'", "<system-shutdown ")
		r.post(creation("ver='1.6'")).ends(t, "system-shutdown")
	})
}

// Whoever does not end in time is cut.
func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bosh.New(bosh.Host{Serve: func(_ context.Context, s stanza.Transport) error {
			_, _ = s.Open()
			_ = s.Header(stanza.Header{}, batch("<f/>"))
			_, err := s.Read()
			return err
		}})
		r := &rig{t: t, handler: h}
		c := &client{r, r.post(creation("ver='1.6'")).attributes()["sid"], ridBefore}
		p := c.send("", "")
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(context.Background(), 5*time.Second, errTest)
		defer cancel()
		if err := h.Shutdown(ctx); !errors.Is(err, errTest) {
			t.Errorf("got %v, want %v", err, errTest)
		}
		p.wait().ends(t, "system-shutdown")
	})
}

// There is a bound for the sessions of a client that does not log in, and for those of
// all such clients.
func TestYoungSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan bool, 1)
		h := bosh.New(bosh.Host{Serve: func(ctx context.Context, s stanza.Transport) error {
			_, _ = s.Open()
			_ = s.Header(stanza.Header{}, batch("<f/>"))
			if <-open {
				_, _ = s.Open() // as after a login
			}
			<-ctx.Done()
			return s.Close(nil)
		}})
		r := &rig{t: t, handler: h}
		for i := range 1000 {
			open <- i < 10
			p := r.start(creation("ver='1.6'"))
			if i < 10 {
				c := &client{r, p.wait().attributes()["sid"], ridBefore}
				c.start(c.next("xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", ""))
				synctest.Wait()
				continue
			}
			p.wait().has(t, "<f/>")
		}
		for range 10 { // in place of those that have logged in
			open <- false
			r.post(creation("ver='1.6'")).has(t, "<f/>")
		}
		r.post(creation("ver='1.6'")).ends(t, "policy-violation")
		r.end()
	})
}

// A session counts for as long as it is served, also once its client is rid of it.
func TestYoungSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan bool)
		r := &rig{t: t, handler: bosh.New(bosh.Host{Serve: func(_ context.Context, s stanza.Transport) error {
			_, _ = s.Open()
			_ = s.Header(stanza.Header{}, batch("<f/>"))
			<-ended // as a password that is looked up
			return s.Close(nil)
		}})}
		for range 1000 {
			c := &client{r, r.post(creation("ver='1.6'")).attributes()["sid"], ridBefore}
			c.rid += 100
			c.ask("", "").ends(t, "item-not-found")
		}
		a := r.post(creation("ver='1.6'"))
		close(ended)
		synctest.Wait()
		a.ends(t, "policy-violation")
		r.post(creation("ver='1.6'")).has(t, "<f/>")
		r.end()
	})
}

// The addresses of one network of IPv6 are those of one client.
func TestYoungSessionsOfNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, handler: bosh.New(bosh.Host{Serve: func(ctx context.Context, s stanza.Transport) error {
			_, _ = s.Open()
			_ = s.Header(stanza.Header{}, batch("<f/>"))
			<-ctx.Done()
			return s.Close(nil)
		}})}
		from := func(addr string) reply {
			q := httptest.NewRequest(http.MethodPost, "/bosh", strings.NewReader(creation("ver='1.6'")))
			q.RemoteAddr = "[" + addr + "]:5000"
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, q)
			return reply{w.Code, w.Header(), w.Body.String()}
		}
		for i := range 1000 {
			from(fmt.Sprintf("2001:db8::%x", i)).has(t, "<f/>")
		}
		from("2001:db8::ffff:1").ends(t, "policy-violation")
		from("2001:db8:0:1::1").has(t, "<f/>")
		from("::ffff:192.0.2.1").has(t, "<f/>")
		r.end()
	})
}
