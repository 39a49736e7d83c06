package httpd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// Bodies that nobody reads have an end as those have that somebody does.
func TestUnreadBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Defaults()
		o.RequestHandlers = map[string]string{"/there": "refuse"}
		r := newRig(t, o, map[string]http.Handler{"refuse": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no", http.StatusForbidden)
		})})
		defer r.end()
		for name, request := range map[string]string{
			"refused":               "POST /there HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nabc",
			"no handler":            "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nabc",
			"no handler, chunked":   "POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
			"malformed Host":        "POST /there HTTP/1.1\r\nHost: a..test\r\nContent-Length: 1000\r\n\r\nabc",
			"PRI":                   "PRI * HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nabc",
			"OPTIONS of the server": "OPTIONS * HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nabc",
			"unknown expectation":   "POST /there HTTP/1.1\r\nHost: a.test\r\nExpect: x\r\nContent-Length: 1000\r\n\r\nabc",
			"expectation":           "POST /x HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\nabc",
			"CONNECT":               "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nabc",
		} {
			conn := r.ln.Dial()
			began := time.Now()
			_, _ = io.WriteString(conn, request)
			_ = conn.SetReadDeadline(time.Now().Add(time.Hour))
			_, _ = io.ReadAll(conn)
			if most := o.HeaderTimeout + o.BodyTimeout; time.Since(began) > most+time.Second {
				t.Errorf("%s: the connection was closed after %v, want at most %v", name, time.Since(began), most)
			}
			_ = conn.Close()
		}
	})
}

// What follows a body that may have two ends is not taken for a request, whether there is
// a handler for the first one or not.
func TestSmuggling(t *testing.T) {
	const second = "GET /there/smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
	for _, c := range []struct{ name, first, body string }{
		{"length and chunks", "Content-Length: 50\r\nTransfer-Encoding: chunked", "0\r\n\r\n"},
		{"chunks and length", "Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"},
		{"continued line", "Content-Length: 5\r\nTransfer-Encoding:\r\n chunked", "0\r\n\r\n"},
		{"case", "Content-Length: 5\r\nTransfer-Encoding: Chunked", "0\r\n\r\n"},
		{"two lengths", "Content-Length: 0\r\nContent-Length: 5", ""},
		{"list of lengths", "Content-Length: 0, 5", ""},
		{"unknown encoding", "Content-Length: 0\r\nTransfer-Encoding: xchunked", ""},
		{"list of encodings", "Content-Length: 0\r\nTransfer-Encoding: chunked, identity", "0\r\n\r\n"},
		{"vertical tab", "Content-Length: 0\r\nTransfer-Encoding: \vchunked", "0\r\n\r\n"},
		{"space before the colon", "Content-Length : 5", ""},
		{"line without a colon", "Content-Length", ""},
		{"carriage return alone", "X-A: b\rContent-Length: 5", ""},
		{"NUL", "X-A: b\x00\r\nContent-Length: 0", ""},
		{"chunk of a wrong size", "Transfer-Encoding: chunked", "-1\r\n\r\n"},
		{"chunk with too much", "Transfer-Encoding: chunked", "1\r\nab\r\n0\r\n\r\n"},
	} {
		for _, to := range []string{"POST /there", "POST /elsewhere", "OPTIONS *"} {
			t.Run(c.name+" "+to, func(t *testing.T) {
				var paths []string
				o := Defaults()
				o.RequestHandlers, o.IdleTimeout = map[string]string{"/there": "note"}, time.Second
				r := newRig(t, o, map[string]http.Handler{"note": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.ReadAll(r.Body)
					paths = append(paths, InfoOf(r).Rest)
				})})
				conn := r.ln.Dial()
				go func() { // the server may close before all is written
					_, _ = io.WriteString(conn, to+" HTTP/1.1\r\nHost: a.test\r\n"+c.first+"\r\n\r\n"+c.body+second)
				}()
				_, _ = io.ReadAll(conn)
				_ = conn.Close()
				r.end()
				if len(paths) > 1 || len(paths) == 1 && paths[0] != "" {
					t.Errorf("got requests for %q, want the first alone, or none", paths)
				}
			})
		}
	}
}

// A header and a body have a time for the whole, not for each piece.
func TestTrickles(t *testing.T) {
	for name, c := range map[string]struct {
		first, piece string
		want         time.Duration
	}{
		"header":              {"GET /there HTTP/1.1\r\n", "X-A: b\r\n", 30 * time.Second},
		"line":                {"GET /", "a", 30 * time.Second},
		"body":                {"POST /there HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n", "a", time.Minute},
		"body for nobody":     {"POST /elsewhere HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n", "a", time.Minute},
		"chunks":              {"POST /there HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", time.Minute},
		"size of a chunk":     {"POST /there HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1;", "a", time.Minute},
		"fields after a body": {"POST /there HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X-A: b\r\n", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Defaults()
				o.RequestHandlers = map[string]string{"/there": "read"}
				r := newRig(t, o, map[string]http.Handler{"read": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.ReadAll(r.Body); err != nil {
						panic(http.ErrAbortHandler)
					}
				})})
				defer r.end()
				conn := r.ln.Dial()
				defer conn.Close()
				began := time.Now()
				_, err := io.WriteString(conn, c.first)
				for err == nil && time.Since(began) < time.Hour {
					time.Sleep(5 * time.Second)
					_, err = io.WriteString(conn, c.piece)
				}
				if took := time.Since(began); took > c.want+10*time.Second {
					t.Errorf("the connection was closed after %v, want %v", took, c.want)
				}
			})
		})
	}
}

// Paths lead to one handler, however they are written.
func TestPathTricks(t *testing.T) {
	o := Defaults()
	o.RequestHandlers = map[string]string{"/open": "tell", "/open/closed": "closed"}
	r := newRig(t, o, map[string]http.Handler{
		"tell":   http.HandlerFunc(tell),
		"closed": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "closed", http.StatusForbidden) }),
	})
	defer r.end()
	for path, want := range map[string]int{
		"/open/x":                     200,
		"/open/closed":                403,
		"/open//closed":               403,
		"/open/./closed":              403,
		"/open/%2e/closed":            403,
		"/open/x/../closed":           403,
		"/open/x/%2E%2e/closed":       403,
		"/open/x/.%2e/closed":         403,
		"/./open/closed/":             403,
		"//open/closed":               403,
		"/open/closed/x/..":           403,
		"/open/clos%65d":              403,
		"http://a.test/open/closed":   403,
		"http://a.test//open//closed": 403,
		"/open/closed/..":             200,
		"/open/closed/../../open/":    200,
		"/open/%252e%252e/closed":     200, // decoded once
		`/open/x\..\closed`:           200, // no separator
		"/open/..;/closed":            200, // nor that
		"/open/closed;x":              200,
		"/open/CLOSED":                200,
		"/open/closed%20":             200,
		"/open%2fclosed":              404,
		"/open/x%2f..%2fclosed":       404,
		"/open/closed%00":             404,
		"/open/..":                    404,
		"/open/../..//../etc/passwd":  404,
		"/%2e%2e/%2e%2e/etc/passwd":   404,
		"/open/%":                     400,
		"/open/%zz":                   400,
		"*":                           404,
		"open/closed":                 400,
	} {
		if status, body := r.get(path, "Host: a.test"); status != want {
			t.Errorf("%s: got %d %q, want %d", path, status, body, want)
		}
	}
}

// Nothing that a client says beside the path is in the log, whatever becomes of the
// request; and nobody writes lines of his own.
func TestSecretsInTheLog(t *testing.T) {
	var out bytes.Buffer
	o := Defaults()
	o.RequestHandlers, o.HeaderTimeout = map[string]string{"/there": "tell", "/panic": "panic"}, time.Second
	s := New(Host{
		Handlers: map[string]http.Handler{
			"tell":  http.HandlerFunc(tell),
			"panic": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); panic("trouble") }),
		},
		Domains: domains{}, Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	r := &rig{t: t, ln: listentest.NewListener(), done: make(chan error, 1)}
	ctx, stop := context.WithCancelCause(context.Background())
	r.stop = stop
	go func() { r.done <- s.Listen(ctx, r.ln, o) }()
	const secret = "Host: a.test\r\nAuthorization: Bearer hush\r\nCookie: hush\r\nReferer: http://hush/\r\nContent-Length: 4\r\n\r\nhush"
	for _, line := range []string{
		"GET /there?access_token=hush HTTP/1.1", "POST /there?a;b=hush HTTP/1.1", "POST /panic?token=hush HTTP/1.1", "POST /nowhere?token=hush HTTP/1.1",
		"POST /there?%zz=hush HTTP/1.1", "POST /there?hush HTTP/9.9", "PO ST /there?hush HTTP/1.1", "POST http://a.test/there?hush HTTP/1.1",
		"POST http://ana:hush@a.test/there HTTP/1.1", "GET /%0d%0alevel=ERROR%1b[2J HTTP/1.1",
	} {
		r.raw(line + "\r\n" + secret)
	}
	r.end()
	log := out.String()
	if strings.Contains(log, "hush") {
		t.Errorf("the log has secrets:\n%s", log)
	}
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "time=") || strings.Contains(line, "\x1b") {
			t.Errorf("the log has the line %q", line)
		}
	}
	if !strings.Contains(log, "path=/nowhere ") {
		t.Errorf("got the log\n%s\nwant the requests in it", log)
	}
}
