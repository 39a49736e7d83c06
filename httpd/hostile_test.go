package httpd

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
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
			"refused":             "POST /there HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nabc",
			"no handler":          "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nabc",
			"no handler, chunked": "POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
			"malformed Host":      "POST /there HTTP/1.1\r\nHost: a..test\r\nContent-Length: 1000\r\n\r\nabc",
			"PRI":                 "PRI * HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nabc",
		} {
			conn := r.ln.Dial()
			began := time.Now()
			_, _ = io.WriteString(conn, request)
			_ = conn.SetReadDeadline(time.Now().Add(time.Hour))
			_, _ = io.ReadAll(conn)
			if took := time.Since(began); took > o.BodyTimeout+time.Second {
				t.Errorf("%s: the connection was closed after %v, want at most %v", name, took, o.BodyTimeout)
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
		for _, path := range []string{"/there", "/elsewhere"} {
			t.Run(c.name+" "+path, func(t *testing.T) {
				var paths []string
				o := Defaults()
				o.RequestHandlers, o.IdleTimeout = map[string]string{"/there": "note"}, time.Second
				r := newRig(t, o, map[string]http.Handler{"note": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.ReadAll(r.Body)
					paths = append(paths, InfoOf(r).Rest)
				})})
				conn := r.ln.Dial()
				go func() { // the server may close before all is written
					_, _ = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: a.test\r\n"+c.first+"\r\n\r\n"+c.body+second)
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
