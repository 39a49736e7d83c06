package httpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
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
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sock"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// parkRig has a handler that echoes bodies, at /slow after 3 s, and takes over what comes
// to /take.
type parkRig struct {
	*rig
	mu sync.Mutex
	l  *listener // nil before the first request
}

func newParkRig(t testing.TB, o Options, wrap func(net.Listener) net.Listener) *parkRig {
	p := &parkRig{}
	p.rig = newRigOn(t, o, map[string]http.Handler{"echo": http.HandlerFunc(p.echo)}, wrap)
	return p
}

func plain(ln net.Listener) net.Listener { return ln }

func (p *parkRig) echo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.l = r.Context().Value(infoKey{}).(*served).l
	p.mu.Unlock()
	b, _ := io.ReadAll(r.Body)
	switch InfoOf(r).Rest {
	case "slow":
		time.Sleep(3 * time.Second)
	case "take":
		p.take(w)
		return
	}
	fmt.Fprintf(w, "%s %s %s", InfoOf(r).Client, InfoOf(r).Rest, b)
}

// take tells the type of the connection, and echoes what comes.
func (p *parkRig) take(w http.ResponseWriter) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.t.Error(err)
		return
	}
	defer c.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\n\r\n%T\n", c)
	_ = rw.Flush()
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, line)
	}
}

// parked returns how many connections are, when everything waits.
func (p *parkRig) parked() int {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l == nil {
		return 0
	}
	p.l.parking.mu.Lock()
	defer p.l.parking.mu.Unlock()
	return len(p.l.parking.spots)
}

const (
	get   = "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n"
	slow  = "GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n"
	post  = "POST /b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"
	old   = "GET /a HTTP/1.0\r\nHost: a.test\r\n\r\n"
	alive = "GET /a HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n"
)

// Requests on one connection get their answers, however they come.
func TestParked(t *testing.T) {
	const long = 10 * time.Second
	for _, c := range []struct {
		name   string
		steps  []any // what is sent, a pause, or how many are parked then
		bodies string
	}{
		{"right away", []any{get, 0, get, 0}, "a /a "},
		{"after parking", []any{get, long, 1, get, 0, long, 1, post, 0, long, 1}, "a /a /b abc"},
		{"before parking", []any{get, linger / 2, 0, get, linger / 2, 0, get}, "a /a /a "},
		{"at the moment", []any{get, linger, get, linger, get, linger, get}, "a /a /a /a "},
		{"pipelined", []any{get + post + get, long, 1}, "a /b abc/a "},
		{"pipelined after parking", []any{get, long, 1, get + post, long, 1, get}, "a /a /b abc/a "},
		{"pipelined and a piece", []any{get + post[:9], long, 0, post[9:], long, 1, get}, "a /b abc/a "},
		{"pipelined and few bytes", []any{get + "GE", long, 0, get[2:], long, 1}, "a /a "},
		{"a byte while a request is served", []any{slow, time.Second, "G", long, 0, get[1:], long, 1, get}, "slow /a /a "},
		{"few bytes while a request is served", []any{slow, time.Second, "GET", long, 0, get[3:], long, 1}, "slow /a "},
		{"a request while one is served", []any{slow, time.Second, get, long, 1}, "slow /a "},
		{"bytes in pieces", []any{get, "G", long, 0, "E", long, "T", long, get[3:], long, 1}, "a /a "},
		{"bytes in pieces after parking", []any{get, long, 1, "G", time.Second, 0, "E", time.Second, "T", time.Second, get[3:], long, 1}, "a /a "},
		{"body in pieces", []any{get, long, 1, post[:len(post)-2], long, 0, post[len(post)-2:], long, 1}, "a /b abc"},
		{"HTTP/1.0", []any{old, long, 0}, "a "},
		{"HTTP/1.0 with keep-alive", []any{alive, long, 1, alive, long, 1, old, long, 0}, "a /a /a "},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newParkRig(t, Defaults(), plain)
				defer r.end()
				conn := r.ln.DialFrom(netip.MustParseAddrPort("198.51.100.7:5000"))
				got := make(chan string)
				go func() { got <- bodies(conn) }()
				for i, s := range c.steps {
					switch s := s.(type) {
					case string:
						_, _ = io.WriteString(conn, s)
					case time.Duration:
						time.Sleep(s)
					case int:
						if n := r.parked(); n != s {
							t.Errorf("step %d: %d are parked, want %d", i, n, s)
						}
					}
				}
				time.Sleep(long)
				_ = conn.(*listentest.Conn).CloseWrite()
				want := "198.51.100.7 " + strings.ReplaceAll(c.bodies, "/", "198.51.100.7 ")
				if b := <-got; b != want {
					t.Errorf("got %q, want %q", b, want)
				}
				if n := r.parked(); n != 0 {
					t.Errorf("%d are parked after the client has gone", n)
				}
				_ = conn.Close()
			})
		})
	}
}

// bodies returns those of all answers until the connection ends.
func bodies(conn net.Conn) string {
	var all strings.Builder
	in := bufio.NewReader(conn)
	for {
		a, err := http.ReadResponse(in, nil)
		if err != nil {
			return all.String()
		}
		_, _ = io.Copy(&all, a.Body)
	}
}

// A request that comes just when its connection is let go of is not lost.
func TestParkingRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newParkRig(t, Defaults(), plain)
		defer r.end()
		var clients sync.WaitGroup
		for i := range 100 {
			clients.Go(func() {
				conn := r.ln.Dial()
				defer conn.Close()
				in := bufio.NewReader(conn)
				for n := range 20 {
					go func() { _, _ = io.WriteString(conn, get[:i%6]); _, _ = io.WriteString(conn, get[i%6:]) }()
					a, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Errorf("connection %d, request %d: %v", i, n, err)
						return
					}
					_, _ = io.Copy(io.Discard, a.Body)
					time.Sleep(linger)
				}
			})
		}
		clients.Wait()
	})
}

// Parked connections end with the idle timeout, the client and the listener, of which
// none waits for them.
func TestParkedEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(r *parkRig, clients []net.Conn)
		took time.Duration
	}{
		{"idle", func(*parkRig, []net.Conn) {}, 110 * time.Second},
		{"client", func(_ *parkRig, clients []net.Conn) {
			for _, c := range clients {
				_ = c.Close()
			}
		}, 0},
		{"context", func(r *parkRig, _ []net.Conn) { r.stop(errEnd) }, 0},
		{"socket", func(r *parkRig, _ []net.Conn) { _ = r.ln.Close() }, 0},
		{"context, with a request under way", func(r *parkRig, clients []net.Conn) {
			_, _ = io.WriteString(clients[0], slow)
			synctest.Wait()
			r.stop(errEnd)
		}, 3 * time.Second},
		{"socket, with a request under way", func(r *parkRig, clients []net.Conn) {
			_, _ = io.WriteString(clients[0], slow)
			synctest.Wait()
			_ = r.ln.Close()
		}, 3 * time.Second},
		{"context, with requests on their way", func(r *parkRig, clients []net.Conn) {
			for _, c := range clients {
				go func() { _, _ = io.WriteString(c, get) }()
			}
			r.stop(errEnd)
		}, 0},
		{"socket, at the moment of parking", func(r *parkRig, clients []net.Conn) {
			for _, c := range clients {
				_, _ = io.WriteString(c, get)
			}
			time.Sleep(linger)
			_ = r.ln.Close()
		}, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newParkRig(t, Defaults(), plain)
				var clients []net.Conn
				var reading sync.WaitGroup
				for range 50 {
					conn := r.ln.Dial()
					clients = append(clients, conn)
					_, _ = io.WriteString(conn, get)
					reading.Go(func() { _, _ = io.Copy(io.Discard, conn) })
				}
				time.Sleep(10 * time.Second)
				if n := r.parked(); n != len(clients) {
					t.Errorf("%d are parked, want %d", n, len(clients))
				}
				began := time.Now()
				c.end(r, clients)
				reading.Wait()
				if took := time.Since(began).Round(time.Second); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if n := r.parked(); n != 0 {
					t.Errorf("%d are parked afterwards", n)
				}
				r.stop(errEnd)
				<-r.done
				for _, c := range clients {
					_ = c.Close()
				}
			})
		})
	}
}

// A handler that takes over a connection gets the one that was accepted.
func TestTakeAfterParking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newParkRig(t, Defaults(), plain)
		defer r.end()
		conn := r.ln.Dial()
		defer conn.Close()
		in := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, get)
		if a, err := http.ReadResponse(in, nil); err != nil {
			t.Fatal(err)
		} else {
			_, _ = io.Copy(io.Discard, a.Body)
		}
		time.Sleep(10 * time.Second)
		_, _ = io.WriteString(conn, "GET /take HTTP/1.1\r\nHost: a.test\r\n\r\nearly\n")
		if a, err := http.ReadResponse(in, nil); err != nil || a.StatusCode != 101 {
			t.Fatalf("got %v, %v, want 101", a, err)
		}
		for _, want := range []string{"*listentest.Conn\n", "early\n", "late\n"} {
			if want == "late\n" {
				time.Sleep(10 * time.Minute) // no deadline of ours is left
				_, _ = io.WriteString(conn, want)
			}
			if got, err := in.ReadString('\n'); got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
	})
}

// What a proxy says of a connection stays, and the connection counts as open, while it is
// parked.
func TestParkedBehindProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m sock.Meter
		conns, over := make(chan net.Conn), make(chan struct{})
		var pump *sock.Pump
		r := newParkRig(t, Defaults(), func(ln net.Listener) net.Listener {
			tuning := sock.Tuning{Proxied: true, Proxies: sock.Proxies{netip.MustParsePrefix("198.51.100.0/24")}}
			pump = sock.StartPump(ln, &m, conns, tuning, slog.New(slog.DiscardHandler), func(bool) { close(over) })
			return sock.NewLease(conns, over, ln.Addr())
		})
		conn := r.ln.Dial()
		defer conn.Close()
		in := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, "PROXY TCP4 203.0.113.9 192.0.2.1 1000 80\r\n")
		for range 3 {
			_, _ = io.WriteString(conn, post)
			a, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := io.ReadAll(a.Body); string(b) != "203.0.113.9 b abc" {
				t.Errorf("got %q, want the client's address", b)
			}
			time.Sleep(10 * time.Second)
			if n := r.parked(); n != 1 {
				t.Errorf("%d are parked, want 1", n)
			}
			if n := m.Counts().Active; n != 1 {
				t.Errorf("%d connections are open, want 1", n)
			}
		}
		if got, want := m.Counts().BytesIn, int64(3*len(post)); got != want {
			t.Errorf("%d bytes have come, want %d", got, want)
		}
		r.end()
		pump.Stop()
		if n := m.Counts().Active; n != 0 {
			t.Errorf("%d connections are open at the end", n)
		}
	})
}

// Connections with TLS stay with net/http.
func TestTLSIsNotParked(t *testing.T) {
	cert, pool := listentest.Certificate(t, "a.test")
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"netserve":   func(ln net.Listener) net.Listener { return netserve.NewTLSListener(ln, config) },
		"crypto/tls": func(ln net.Listener) net.Listener { return tls.NewListener(ln, config) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newParkRig(t, Defaults(), wrap)
				defer r.end()
				conn := tls.Client(r.ln.Dial(), &tls.Config{RootCAs: pool, ServerName: "a.test", Time: time.Now})
				defer conn.Close()
				in := bufio.NewReader(conn)
				for range 2 {
					_, _ = io.WriteString(conn, get)
					a, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, a.Body)
					time.Sleep(10 * time.Second)
					if n := r.parked(); n != 0 {
						t.Errorf("%d are parked, want none", n)
					}
				}
			})
		})
	}
}

// Sockets of all kinds come back with what was sent, and end in time.
func TestParking(t *testing.T) {
	dir, err := os.MkdirTemp("", "httpd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var m sock.Meter
	for name, counted := range map[string]bool{"plain": false, "counted": true} {
		for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(dir, name), "memory": ""} {
			t.Run(network+" "+name, func(t *testing.T) {
				p := newParking(&net.TCPAddr{})
				park := func(until time.Time) net.Conn {
					client, server := pair(t, network, address)
					if counted {
						server = m.Count(server)
					}
					p.park(server, until)
					return client
				}
				client := park(time.Now().Add(time.Hour))
				_, _ = io.WriteString(client, "hello")
				back, err := p.Accept()
				if err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 5)
				if _, err := io.ReadFull(back, b); err != nil || string(b) != "hello" {
					t.Errorf("got %q, %v, want hello", b, err)
				}
				_ = back.Close()
				for end, client := range map[string]net.Conn{"too late": park(time.Now()), "closed": park(time.Time{})} {
					if end == "closed" {
						_ = p.Close()
					}
					if n, err := client.Read(b); n != 0 || err == nil {
						t.Errorf("%s: got %d bytes, %v, want an error", end, n, err)
					}
				}
				afterwards := park(time.Time{})
				if n, err := afterwards.Read(b); n != 0 || err == nil {
					t.Errorf("parked after the end: got %d bytes, %v, want an error", n, err)
				}
				if _, err := p.Accept(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept after the end: got %v, want %v", err, net.ErrClosed)
				}
				p.waiting.Wait()
			})
		}
	}
	if n := m.Counts().Active; n != 0 {
		t.Errorf("%d connections are open at the end", n)
	}
}

// pair returns the two ends of a connection.
func pair(t *testing.T, network, address string) (client, server net.Conn) {
	if network == "memory" {
		client, server = listentest.NewConn(netip.MustParseAddrPort("198.51.100.7:5000"), netip.MustParseAddrPort("192.0.2.1:80"))
	} else {
		ln, err := net.Listen(network, address)
		if err != nil {
			t.Skip(err)
		}
		defer ln.Close()
		if client, err = (&net.Dialer{}).DialContext(context.Background(), network, ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if server, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, server
}
