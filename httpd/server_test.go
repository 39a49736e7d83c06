package httpd

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// Requests that different programs read differently are refused, and so is what has no
// end.
func TestHostileRequests(t *testing.T) {
	o := Defaults()
	o.MaxHeaderBytes, o.MaxBody, o.HeaderTimeout = 4096, 1000, time.Second
	r := newRig(t, o, map[string]http.Handler{"read": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		fmt.Fprintf(w, "%d", len(b))
	})})
	defer r.end()
	const post = "POST / HTTP/1.1\r\nHost: a.test\r\n"
	for _, c := range []struct {
		name, request string
		want          int // 0: no answer
	}{
		{"usual", post + "Content-Length: 3\r\n\r\nabc", 200},
		{"chunked", post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200},
		{"two lengths", post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
		{"negative length", post + "Content-Length: -3\r\n\r\nabc", 400},
		{"length with a sign", post + "Content-Length: +3\r\n\r\nabc", 400},
		{"unknown encoding", post + "Transfer-Encoding: xchunked\r\n\r\n", 501},
		{"two encodings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501},
		{"continued line", post + "X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n", 200}, // read as RFC 9112, section 5.2, allows
		{"space before the colon", post + "Content-Length : 3\r\n\r\nabc", 400},
		{"bad chunk", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 413},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", 400},
		{"endless header", "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: " + strings.Repeat("a", 20_000) + "\r\n\r\n", 431},
		{"many fields", "GET / HTTP/1.1\r\nHost: a.test\r\n" + strings.Repeat("X-A: a\r\n", 3000) + "\r\n", 431},
		{"long body", post + "Content-Length: 1001\r\n\r\n" + strings.Repeat("a", 1001), 413},
		{"1 GB declared", post + "Content-Length: 1000000000\r\n\r\n" + strings.Repeat("a", 1001), 413},
		{"no HTTP", "\x16\x03\x01\x02\x00", 0},
		{"OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", 200},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	} {
		a := r.raw(c.request)
		got := 0
		if a != nil {
			got = a.StatusCode
		}
		if got != c.want && !(c.want == 0 && got >= 400) {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

// Who is slow loses the connection; who waits for an answer does not.
func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Defaults(), map[string]http.Handler{"wait": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				http.Error(w, "slow", http.StatusRequestTimeout)
				return
			}
			select {
			case <-time.After(10 * time.Minute):
			case <-r.Context().Done():
				return
			}
			_, _ = io.WriteString(w, "waited")
		})})
		defer r.end()
		for _, c := range []struct {
			name, sent string
			took       time.Duration
			answer     string
		}{
			{"nothing", "", 30 * time.Second, ""},
			{"half a header", "GET / HTTP/1.1\r\nHost: a.", 30 * time.Second, ""},
			{"half a body", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nab", time.Minute, "slow\n"},
			{"waiting", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nab", 10 * time.Minute, "waited"},
			{"waiting without a body", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 10 * time.Minute, "waited"},
		} {
			conn := r.ln.Dial()
			_, _ = io.WriteString(conn, c.sent)
			began := time.Now()
			a := answerOn(conn)
			body := ""
			if a != nil {
				b, _ := io.ReadAll(a.Body)
				body = string(b)
			}
			if took := time.Since(began).Round(time.Second); took != c.took || body != c.answer {
				t.Errorf("%s: got %q after %v, want %q after %v", c.name, body, took, c.answer, c.took)
			}
			_ = conn.Close()
		}
		idle := r.ln.Dial()
		began := time.Now()
		_, _ = io.WriteString(idle, "GET /%00 HTTP/1.1\r\nHost: a.test\r\n\r\n")
		_, _ = io.ReadAll(idle)
		if took := time.Since(began).Round(time.Second); took != 2*time.Minute {
			t.Errorf("an idle connection was closed after %v, want 2 min", took)
		}
	})
}

// A client that does not read loses the connection.
func TestSendTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed error
		r := newRig(t, Defaults(), map[string]http.Handler{"much": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for failed == nil {
				_, failed = w.Write(make([]byte, 1<<16))
			}
		})})
		conn := r.ln.Dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		began := time.Now()
		time.Sleep(time.Second)
		r.ln.Close()
		if err := <-r.done; err != nil || failed == nil {
			t.Errorf("Listen: got %v and %v for the handler, want nil and an error", err, failed)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the handler was stopped after %v, want some 15 s", took)
		}
	})
}

func TestCustomHeaders(t *testing.T) {
	o := Defaults()
	o.CustomHeaders = map[string]string{"x-own": "ours", "Strict-Transport-Security": "max-age=1"}
	o.RequestHandlers = map[string]string{"/a": "tell", "/none": "silent"}
	r := newRig(t, o, map[string]http.Handler{"tell": http.HandlerFunc(tell), "silent": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	defer r.end()
	for path, status := range map[string]int{"/a": 200, "/none": 200, "/missing": 404} {
		a := r.raw("GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if a.StatusCode != status || len(a.Header["X-Own"]) != 1 || a.Header.Get("X-Own") != "ours" || a.Header.Get("Strict-Transport-Security") != "max-age=1" {
			t.Errorf("%s: got %d %v", path, a.StatusCode, a.Header)
		}
	}
}

func TestValidate(t *testing.T) {
	s := New(Host{Handlers: map[string]http.Handler{"tell": http.HandlerFunc(tell)}})
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"header name", func(o *Options) { o.CustomHeaders = map[string]string{"a b": "c"} }, `custom_headers: "a b"`},
		{"header value", func(o *Options) { o.CustomHeaders = map[string]string{"a": "b\r\nc: d"} }, "custom_headers: a: "},
		{"alias", func(o *Options) { o.HostsAlias = map[string]string{"[": "a.test"} }, `hosts_alias: "["`},
		{"same path", func(o *Options) { o.RequestHandlers = map[string]string{"/a": "tell", "a/": "tell"} }, "are the same path"},
		{"unknown handler", func(o *Options) { o.RequestHandlers = map[string]string{"/a": "tel"} }, `there is no handler "tel"; there are tell`},
		{"no path", func(o *Options) { o.RequestHandlers = map[string]string{"/\x00": "tell"} }, "is no path"},
	} {
		o := s.Defaults()
		c.change(&o)
		err := s.Listen(t.Context(), listentest.NewListener(), o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if got := s.Defaults().HandlerNames(); len(got) != 1 || got[0] != "tell" {
		t.Errorf("handler names: got %v, want [tell]", got)
	}
}

// A handler that panics costs its request.
func TestPanic(t *testing.T) {
	o := Defaults()
	o.RequestHandlers = map[string]string{"/early": "early", "/late": "late", "/ok": "tell"}
	r := newRig(t, o, map[string]http.Handler{
		"early": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("early") }),
		"late": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half")
			panic("late")
		}),
		"tell": http.HandlerFunc(tell),
	})
	defer r.end()
	if status, body := r.get("/early", "Host: a.test"); status != 500 || strings.Contains(body, "early") {
		t.Errorf("before an answer: got %d %q, want a page of 500", status, body)
	}
	if a := r.raw("GET /late HTTP/1.1\r\nHost: a.test\r\n\r\n"); a != nil {
		if b, err := io.ReadAll(a.Body); err == nil {
			t.Errorf("within an answer: got %q as a whole", b)
		}
	}
	if status, _ := r.get("/ok", "Host: a.test"); status != 200 {
		t.Errorf("afterwards: got %d, want 200", status)
	}
}

// What runs on its own is waited for, and hears of the end.
func TestGo(t *testing.T) {
	var causes []error
	var mu sync.Mutex
	session := func(ctx context.Context, c net.Conn) {
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		<-ctx.Done()
		mu.Lock()
		defer mu.Unlock()
		causes = append(causes, context.Cause(ctx))
	}
	r := newRig(t, Defaults(), map[string]http.Handler{"session": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		Go(r, func(ctx context.Context) { session(ctx, c) }, func() { t.Error("it is cut, want that not before the time is over") })
		Go(r, func(context.Context) { panic("session") }, func() {})
	})})
	for range 3 {
		if a := r.raw("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"); a == nil || a.StatusCode != 101 {
			t.Fatalf("got %v, want 101", a)
		}
	}
	r.end()
	if len(causes) != 3 || causes[0] != errEnd {
		t.Errorf("got %v, want %v three times", causes, errEnd)
	}
	// Without a Server it runs at once, and longer than the request.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	ran := false
	Go(req, func(ctx context.Context) { ran = ctx.Done() == nil }, nil)
	if !ran {
		t.Error("without a Server: it did not run, or with the context of the request")
	}
}

// What runs on its own and does not end by itself is cut when the grace time is over.
func TestGoIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cuts atomic.Int32
		r := newRig(t, Defaults(), map[string]http.Handler{"session": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cut := make(chan struct{})
			Go(r, func(ctx context.Context) { <-ctx.Done(); <-cut }, func() { cuts.Add(1); close(cut) })
			Go(r, func(ctx context.Context) { <-ctx.Done(); time.Sleep(4 * time.Second) }, func() { t.Error("one that ends in time is cut") })
			Go(r, func(context.Context) {}, func() { t.Error("one that has ended is cut") })
		})})
		for range 3 {
			r.get("/", "Host: a.test")
		}
		began := time.Now()
		r.end()
		if took := time.Since(began).Round(time.Second); took != 5*time.Second || cuts.Load() != 3 {
			t.Errorf("it took %v and cut %d, want 5 s and 3", took, cuts.Load())
		}
	})
}

// A socket that is closed waits for what is under way.
func TestDrain(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	r := newRig(t, Defaults(), map[string]http.Handler{"slow": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "done")
	})})
	got := make(chan string)
	go func() {
		_, body := r.get("/", "Host: a.test")
		got <- body
	}()
	<-begun
	_ = r.ln.Close()
	select {
	case err := <-r.done:
		t.Fatalf("Listen ended with a request under way: %v", err)
	default:
	}
	close(finish)
	if body := <-got; body != "done" {
		t.Errorf("got %q, want done", body)
	}
	if err := <-r.done; err != nil {
		t.Errorf("Listen: got %v, want nil", err)
	}
}

// The end does not wait for longer than the grace time for handlers that mind their
// context.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Defaults(), map[string]http.Handler{"poll": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })})
		conn := r.ln.Dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		synctest.Wait()
		began := time.Now()
		r.end()
		if took := time.Since(began).Round(time.Second); took != 5*time.Second {
			t.Errorf("it took %v, want 5 s", took)
		}
	})
}

// HTTP/2 is there over TLS, of both kinds of listeners.
func TestTLS(t *testing.T) {
	cert, pool := listentest.Certificate(t, "a.test")
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	for name, wrap := range map[string]func(net.Listener, *tls.Config) net.Listener{"netserve": netserve.NewTLSListener, "crypto/tls": tls.NewListener} {
		for proto, h2 := range map[string]bool{"HTTP/2.0": true, "HTTP/1.1": false} {
			t.Run(name+" "+proto, func(t *testing.T) {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				o := Defaults()
				o.RequestHandlers = map[string]string{"/": "tell"}
				ctx, stop := context.WithCancelCause(context.Background())
				done := make(chan error, 1)
				s := New(Host{Handlers: map[string]http.Handler{"tell": http.HandlerFunc(tell)}, Domains: domains{}})
				go func() { done <- s.Listen(ctx, wrap(ln, config), o) }()
				transport := &http.Transport{ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "a.test"}}
				a, err := (&http.Client{Transport: transport}).Get("https://" + ln.Addr().String() + "/x")
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(a.Body)
				_ = a.Body.Close()
				if a.Proto != proto || string(body) != "a.test 127.0.0.1 secure / x " {
					t.Errorf("got %s %q", a.Proto, body)
				}
				transport.CloseIdleConnections()
				stop(errEnd)
				if err := <-done; err != errEnd {
					t.Errorf("Listen: got %v, want %v", err, errEnd)
				}
			})
		}
	}
}

func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "httpd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		trusted []netip.Prefix
		want    string
	}{
		{nil, "a.test none secure /  "},
		{[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "a.test 203.0.113.9 plain /  "},
	} {
		o := Defaults()
		o.TrustedProxies, o.RequestHandlers = c.trusted, map[string]string{"/": "tell"}
		l, err := New(Host{Handlers: map[string]http.Handler{"tell": http.HandlerFunc(tell)}, Domains: domains{}}).newListener(t.Context(), ln, o)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/", nil)
		r.RemoteAddr = "@"
		r.Header = http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"http"}}
		w := &recorder{header: make(http.Header)}
		l.ServeHTTP(w, r)
		if got := w.String(); got != c.want {
			t.Errorf("trusted %v: got %q, want %q", c.trusted, got, c.want)
		}
	}
	_ = ln.Close()
}

type recorder struct {
	bytes.Buffer
	header http.Header
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}

// The log has no queries and no credentials.
func TestAccessLog(t *testing.T) {
	var out bytes.Buffer
	ln := listentest.NewListener()
	o := Defaults()
	o.RequestHandlers = map[string]string{"/": "tell"}
	s := New(Host{Handlers: map[string]http.Handler{"tell": http.HandlerFunc(tell)}, Domains: domains{}, Log: slog.New(slog.NewTextHandler(&out, nil))})
	ctx, stop := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Listen(ctx, ln, o) }()
	r := &rig{t: t, ln: ln}
	r.get("/a?token=secret", "Host: b.test", "Authorization: Basic c2VjcmV0", "User-Agent: "+strings.Repeat("x", 1000))
	stop(errEnd)
	<-done
	line := out.String()
	for _, want := range []string{"method=GET", "host=b.test", "path=/a ", "status=200", "peer=198.51.100.7", "agent=xxx"} {
		if !strings.Contains(line, want) {
			t.Errorf("got %q, want %q in it", line, want)
		}
	}
	if strings.Contains(line, "secret") || strings.Contains(line, "c2VjcmV0") || len(line) > 600 {
		t.Errorf("got %q: it tells too much", line)
	}
}

func BenchmarkServe(b *testing.B) {
	o := Defaults()
	o.RequestHandlers = map[string]string{"/api": "none", "/": "none"}
	l, err := New(Host{Handlers: map[string]http.Handler{"none": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) })}, Domains: domains{}}).
		newListener(b.Context(), listentest.NewListener(), o)
	if err != nil {
		b.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://a.test/api/x", nil)
	r.RemoteAddr = "198.51.100.7:5000"
	w := &recorder{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		l.ServeHTTP(w, r)
	}
}
