package httpd

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// holder is a handler that holds requests. Their path says how long: at /1m a minute.
// /never waits for the end of the client, /mute does not answer, /panic panics.
type holder struct {
	t     testing.TB
	mu    sync.Mutex
	held  int
	plain int // that could not be held
	gone  int
}

func (h *holder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest := InfoOf(r).Rest
	b := make([]byte, 3)
	if rest != "unread" {
		b, _ = io.ReadAll(r.Body)
	}
	fields := make(http.Header)
	if rest == "last" {
		fields.Set("Connection", "close")
	}
	wait, _ := time.ParseDuration(rest)
	held := Hold(w, r, func(q *Held) {
		h.count(&h.gone, q.Gone())
		switch {
		case q.Gone():
			if err := q.Answer(http.StatusOK, fields, nil); err == nil {
				h.t.Error("an answer to nobody was written")
			}
		case rest == "panic":
			panic("held")
		case rest != "mute":
			if err := q.Answer(http.StatusAccepted, fields, append([]byte("held "), b...)); err != nil {
				h.t.Error(err)
			}
		}
	})
	h.count(&h.held, held != nil)
	h.count(&h.plain, held == nil)
	switch {
	case held == nil:
		_, _ = io.WriteString(w, "plain")
	case rest == "never":
	case wait == 0:
		held.Wake()
		held.Wake()
	default:
		go func() {
			time.Sleep(wait)
			held.Wake()
		}()
	}
}

func (h *holder) count(n *int, yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if yes {
		*n++
	}
}

func ask(path, fields, body string) string {
	return "POST /" + path + " HTTP/1.1\r\nHost: a.test\r\n" + fields + "\r\n" + body
}

// Held requests are answered like all others, and the next ones are, too.
func TestHold(t *testing.T) {
	const length, long = "Content-Length: 3\r\n", 10 * time.Minute
	minute := ask("1m", length, "abc")
	for _, c := range []struct {
		name        string
		steps       []any // what is sent, and pauses
		bodies      string
		held, plain int
		closed      bool // by the server
	}{
		{"without a body", []any{ask("1m", "", "")}, "held ", 1, 0, true},
		{"with a body", []any{minute}, "held abc", 1, 0, true},
		{"at once", []any{ask("0s", length, "abc")}, "held abc", 1, 0, true},
		{"one after the other", []any{minute, 61 * time.Second, minute}, "held abcheld abc", 2, 0, true},
		{"after parking", []any{minute, 90 * time.Second, minute}, "held abcheld abc", 2, 0, true},
		{"pipelined", []any{minute + minute + ask("0s", "", "")}, "held abcheld abcheld ", 3, 0, true},
		{"pipelined meanwhile", []any{minute, time.Second, ask("0s", length, "abc")}, "held abcheld abc", 2, 0, true},
		{"a byte meanwhile", []any{minute, time.Second, minute[:1], 62 * time.Second, minute[1:]}, "held abcheld abc", 2, 0, true},
		{"at the moment", []any{minute, time.Minute, minute, time.Minute, minute}, "held abcheld abcheld abc", 3, 0, true},
		{"Connection: close", []any{ask("1m", "Connection: close\r\n", "")}, "plain", 0, 1, true},
		{"HTTP/1.0", []any{"GET /1m HTTP/1.0\r\nHost: a.test\r\n\r\n"}, "plain", 0, 1, true},
		{"HEAD", []any{"HEAD /1m HTTP/1.1\r\nHost: a.test\r\n\r\n"}, "", 0, 1, true},
		{"chunked", []any{ask("1m", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n")}, "plain", 0, 1, true},
		{"body that was not read", []any{ask("unread", length, "abc")}, "plain", 0, 1, true},
		{"answer that closes", []any{ask("last", "", "")}, "held ", 1, 0, true},
		{"no answer", []any{ask("mute", "", "")}, "", 1, 0, true},
		{"panic", []any{ask("panic", "", "")}, "", 1, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &holder{t: t}
				r := newRig(t, Defaults(), map[string]http.Handler{"hold": h})
				defer r.end()
				conn := r.ln.Dial()
				defer conn.Close()
				got := make(chan string)
				go func() {
					in := bufio.NewReader(conn)
					var all strings.Builder
					for {
						var to *http.Request
						if c.name == "HEAD" {
							to = &http.Request{Method: http.MethodHead}
						}
						a, err := http.ReadResponse(in, to)
						if err != nil {
							break
						}
						_, _ = io.Copy(&all, a.Body)
					}
					got <- all.String()
				}()
				for _, s := range c.steps {
					switch s := s.(type) {
					case string:
						_, _ = io.WriteString(conn, s)
					case time.Duration:
						time.Sleep(s)
					}
				}
				if b := <-got; b != c.bodies {
					t.Errorf("got %q, want %q", b, c.bodies)
				}
				if h.held != c.held || h.plain != c.plain || h.gone != 0 {
					t.Errorf("%d were held, %d not, %d had no client; want %d, %d and none", h.held, h.plain, h.gone, c.held, c.plain)
				}
			})
		})
	}
}

// What is held ends with the client and with the listener, which waits for it as long as
// for any request.
func TestHeldEnd(t *testing.T) {
	for _, c := range []struct {
		name, path string
		end        func(r *rig, clients []net.Conn)
		took       time.Duration
		gone       bool
	}{
		{"client", "never", func(_ *rig, clients []net.Conn) {
			for _, c := range clients {
				_ = c.Close()
			}
		}, 0, true},
		{"context", "never", func(r *rig, _ []net.Conn) { r.stop(errEnd) }, 5 * time.Second, true},
		{"context, and an answer in time", "13s", func(r *rig, _ []net.Conn) { r.stop(errEnd) }, 3 * time.Second, false},
		{"context, with the next request here", "never", func(r *rig, clients []net.Conn) {
			for _, c := range clients {
				_, _ = io.WriteString(c, ask("never", "", ""))
			}
			r.stop(errEnd)
		}, 5 * time.Second, true},
		{"socket", "1m", func(r *rig, _ []net.Conn) { _ = r.ln.Close() }, 50 * time.Second, false},
		{"socket, then context", "never", func(r *rig, _ []net.Conn) {
			_ = r.ln.Close()
			time.Sleep(time.Minute)
			r.stop(errEnd)
		}, 65 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &holder{t: t}
				r := newRig(t, Defaults(), map[string]http.Handler{"hold": h})
				var clients []net.Conn
				var reading sync.WaitGroup
				for range 20 {
					conn := r.ln.Dial()
					defer conn.Close()
					clients = append(clients, conn)
					_, _ = io.WriteString(conn, ask(c.path, "", ""))
					reading.Go(func() { _, _ = io.Copy(io.Discard, conn) })
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if h.held != len(clients) {
					t.Errorf("%d are held, want %d", h.held, len(clients))
				}
				began := time.Now()
				c.end(r, clients)
				reading.Wait()
				if took := time.Since(began).Round(time.Second); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				synctest.Wait()
				if (h.gone == len(clients)) != c.gone || h.gone > 0 && !c.gone {
					t.Errorf("%d have heard that nobody is there, of %d; want them: %t", h.gone, len(clients), c.gone)
				}
				r.stop(errEnd)
				<-r.done
			})
		})
	}
}

// An answer has the fields of the configuration, and its line in the log.
func TestHeldAnswer(t *testing.T) {
	var out bytes.Buffer
	ln := listentest.NewListener()
	o := Defaults()
	o.RequestHandlers = map[string]string{"/": "hold"}
	o.CustomHeaders = map[string]string{"x-custom": "yes"}
	s := New(Host{Handlers: map[string]http.Handler{"hold": &holder{t: t}}, Domains: domains{}, Log: slog.New(slog.NewTextHandler(&out, nil))})
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Listen(ctx, ln, o) }()
	conn := ln.DialFrom(netip.MustParseAddrPort("198.51.100.7:5000"))
	defer conn.Close()
	_, _ = io.WriteString(conn, ask("0s?token=secret", "User-Agent: test\r\nContent-Length: 3\r\n", "abc"))
	a := answerOn(conn)
	if a == nil {
		t.Fatal("no answer")
	}
	if a.StatusCode != 202 || a.Header.Get("X-Custom") != "yes" || a.Header.Get("Date") == "" || a.ContentLength != 8 || a.Close {
		t.Errorf("got %+v", a)
	}
	stop(errEnd)
	<-done
	line := out.String()
	for _, want := range []string{"method=POST", "host=a.test", "path=/0s ", "status=202", "bytes=8", "peer=198.51.100.7", "agent=test"} {
		if !strings.Contains(line, want) {
			t.Errorf("got %q, want %q in it", line, want)
		}
	}
	if strings.Count(line, "msg=request") != 1 || strings.Contains(line, "secret") {
		t.Errorf("got %q, want one line without the query", line)
	}
}

// A client that does not read loses the connection.
func TestHeldSendTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		r := newRig(t, Defaults(), map[string]http.Handler{"much": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			Hold(w, r, func(h *Held) { failed <- h.Answer(200, make(http.Header), make([]byte, 1<<20)) }).Wake()
		})})
		defer r.end()
		conn := r.ln.Dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, ask("", "", ""))
		began := time.Now()
		err := <-failed
		if took := time.Since(began); err == nil || took != 15*time.Second {
			t.Errorf("got %v after %v, want an error after 15 s", err, took)
		}
	})
}

// Nobody but a Server holds requests.
func TestHoldElsewhere(t *testing.T) {
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if h := Hold(&recorder{header: make(http.Header)}, r, nil); h != nil {
		t.Errorf("got %v, want nil", h)
	}
}
