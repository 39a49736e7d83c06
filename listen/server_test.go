package listen_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

func TestShutdownDrains(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added 127.0.0.1:5222, added 127.0.0.1:3478", one, dgram)
		old := w.net.dial(t, oneAddr, "hello")
		w.apply("updated 127.0.0.1:5222, kept 127.0.0.1:3478", one+", greeting: hi", dgram)
		c := w.net.dial(t, oneAddr, "hi")
		result := make(chan error, 1)
		go func() { result <- w.server.Shutdown(t.Context()) }()
		time.Sleep(time.Hour)
		if len(result) > 0 {
			t.Fatal("Shutdown did not wait for the sessions")
		}
		if w.net.bound(oneAddr) {
			t.Error("the socket is open")
		}
		alive(t, old)
		alive(t, c)
		old.Close()
		c.Close()
		if err := <-result; err != nil {
			t.Errorf("Shutdown: got %v, want nil", err)
		}
		if w.net.bound(dgramAddr) || len(w.server.Stats()) > 0 {
			t.Error("something is left of the server")
		}
		if _, err := w.server.Apply(t.Context(), w.config(one)); !errors.Is(err, listen.ErrServerClosed) {
			t.Errorf("Apply: got %v, want ErrServerClosed", err)
		}
	})
}

func TestShutdownCuts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added 127.0.0.1:5222, added 127.0.0.1:5223", one, two)
		c, removed := w.net.dial(t, oneAddr, "hello"), w.net.dial(t, twoAddr, "hello")
		w.apply("kept 127.0.0.1:5222, removed 127.0.0.1:5223", one)
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, cause)
		defer cancel()
		began := time.Now()
		if err := w.server.Shutdown(ctx); err != cause {
			t.Errorf("Shutdown: got %v, want the cause of the context", err)
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("Shutdown took %v, want 10s", d)
		}
		for _, c := range []*listentest.Client{c, removed} {
			if got := c.ExpectEOF(); got != "bye" {
				t.Errorf("last words: got %q, want %q", got, "bye")
			}
		}
	})
}

func TestShutdownOfNothing(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		if err := w.server.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: got %v, want nil", err)
		}
	}
}

// A module that returns is started again, less and less often, and at first
// quickly again after it has been healthy.
func TestSupervision(t *testing.T) {
	failed := errors.New("out of luck")
	tests := map[string]func(run int) error{
		"error": func(int) error { return failed },
		"panic": func(int) error { panic(failed) },
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.echo.fail = func(run int) error {
					switch {
					case run == 8: // serves for a minute
						time.Sleep(time.Minute)
					case run > 10:
						return nil
					}
					return fail(run)
				}
				w.apply("added "+oneAddr, one)
				waiting := listentest.NewClient(t, w.net.socket(t, oneAddr).stream.Dial())
				synctest.Wait()
				if got := w.stats(oneAddr); got.State != listen.Restarting || got.Restarts != 1 {
					t.Errorf("got %+v, want it restarting", got)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				starts := w.echo.starts()
				want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 61, 2, 4}
				if len(starts) != len(want)+1 {
					t.Fatalf("got %d starts, want %d", len(starts), len(want)+1)
				}
				for i, s := range want {
					if got := starts[i+1].Sub(starts[i]); got != s*time.Second {
						t.Errorf("start %d: got it after %v, want %ds", i+1, got, s)
					}
				}
				if got := w.stats(oneAddr); got.State != listen.Running || got.Restarts != int64(len(want)) {
					t.Errorf("got %+v, want it running after %d restarts", got, len(want))
				}
				waiting.Expect("hello") // was kept all the time
				alive(t, waiting)
				if log := w.log.String(); !strings.Contains(log, "out of luck") || (name == "panic") != strings.Contains(log, "stack=") {
					t.Errorf("log: got %s, want the reason, and a stack for a panic", log)
				}
			})
		})
	}
}

// Reloads do not wait for a module that is about to be restarted.
func TestReloadDuringRestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.echo.fail = func(run int) error {
			if run < 3 {
				return errors.New("not yet")
			}
			return nil
		}
		w.apply("added "+oneAddr, one)
		time.Sleep(1500 * time.Millisecond) // within the second pause
		w.apply("updated "+oneAddr, "port: 5222, ip: 127.0.0.1, module: other")
		w.net.dial(t, oneAddr, "hello")
		time.Sleep(time.Hour)
		if got := len(w.echo.starts()); got != 2 {
			t.Errorf("the old version was started %d times, want 2", got)
		}
	})
}

func TestPacketSupervision(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+dgramAddr, dgram)
		w.ask(dgramAddr, "hello")
		// The deadline makes the module return; the next run is not to inherit it.
		_ = w.net.socket(t, dgramAddr).packet.SetReadDeadline(time.Now())
		synctest.Wait()
		if got := w.stats(dgramAddr); got.State != listen.Restarting {
			t.Errorf("got %+v, want it restarting", got)
		}
		time.Sleep(time.Second)
		w.ask(dgramAddr, "hello")
		w.apply("updated "+dgramAddr, dgram+", greeting: hi")
		_ = w.net.socket(t, dgramAddr).packet.SetReadDeadline(time.Now())
		time.Sleep(2 * time.Second)
		w.ask(dgramAddr, "hi") // a restart has the options of the last update
	})
}

// A socket that somebody else has closed is opened again by the next reload.
func TestLostSocket(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+oneAddr, one)
		c := w.net.dial(t, oneAddr, "hello")
		s := w.net.socket(t, oneAddr)
		_ = boundStream{s.stream, s}.Close()
		synctest.Wait()
		if got := w.stats(oneAddr); got.State != listen.Lost {
			t.Errorf("got %+v, want it lost", got)
		}
		alive(t, c)
		w.apply("restarted "+oneAddr, one)
		w.net.dial(t, oneAddr, "hello")
		alive(t, c)
	})
}

// emfile is a listener whose process is out of descriptors now and then.
type emfile struct {
	net.Listener
	errors int
}

func (l *emfile) Accept() (net.Conn, error) {
	if l.errors > 0 {
		l.errors--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestOutOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := listentest.NewListener()
		w := newWorld(t, func(o *listen.ServerOptions) {
			o.Bind = func(context.Context, string, string, listen.SocketOptions) (net.Listener, net.PacketConn, error) {
				return &emfile{ln, 100}, nil, nil
			}
		})
		defer w.stop()
		w.apply("added "+oneAddr, one)
		time.Sleep(2 * time.Minute)
		c := listentest.NewClient(t, ln.Dial())
		c.Expect("hello")
		if log := w.log.String(); !strings.Contains(log, "too many open files") || strings.Count(log, "\n") > 120 {
			t.Errorf("log: got %s, want the error, and not too often", log)
		}
		if got := w.stats(oneAddr); got.Restarts != 0 || got.State != listen.Running {
			t.Errorf("got %+v, want it running as if nothing had happened", got)
		}
	})
}

// With tls: true the module gets connections that do TLS, and nobody waits for
// the handshake of another.
func TestTLSFromTheFirstByte(t *testing.T) {
	cert, pool := listentest.Certificate(t, "example.org")
	inWorld(t, func(t *testing.T, w *world) {
		_, err := w.server.Apply(t.Context(), &listen.Config{Entries: []listen.Entry{{
			Module: "echo", Network: "tcp4", Address: oneAddr, Options: defaults(),
			TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		stream := w.net.socket(t, oneAddr).stream
		mute := stream.Dial()
		c := listentest.NewClient(t, stream.Dial())
		c.StartTLS(&tls.Config{ServerName: "example.org", RootCAs: pool})
		c.Expect("hello 198.51.100.1:49153\n")
		alive(t, c)
		_ = mute.Close()
		synctest.Wait()
		if got := w.stats(oneAddr); got.HandshakeFailures != 1 || got.Active != 1 || got.BytesIn < 100 {
			t.Errorf("got %+v, want one failed handshake and the bytes of the other", got)
		}
	})
}

func TestProxiedListener(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+oneAddr, one+", use_proxy_protocol: true, proxy_protocol_from: [198.51.100.0/24]")
		stream := w.net.socket(t, oneAddr).stream
		c := listentest.NewClient(t, stream.Dial())
		c.Send("PROXY TCP4 203.0.113.7 192.0.2.1 49152 5222\r\n")
		c.Expect("hello 203.0.113.7:49152\n")
		bad := listentest.NewClient(t, stream.Dial())
		bad.Send("<stream:stream>")
		bad.ExpectEOF()
		stranger := listentest.NewClient(t, stream.DialFrom(netip.MustParseAddrPort("203.0.113.1:1")))
		stranger.Expect("hello 203.0.113.1:1\n")
		if got := w.stats(oneAddr); got.Accepted != 3 || got.Active != 2 || got.Rejected["proxy_header"] != 1 {
			t.Errorf("got %+v, want three accepted and one of them rejected", got)
		}
		// Without the option, what the proxy sends is the client's.
		w.apply("updated "+oneAddr, one)
		plain := listentest.NewClient(t, stream.Dial())
		plain.Expect("hello 198.51.100.1:")
	})
}

func TestStats(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+oneAddr, one)
		c := w.net.dial(t, oneAddr, "hello")
		c.Send("12345")
		c.Expect("12345")
		synctest.Wait()
		got := w.stats(oneAddr)
		want := listen.Stats{Module: "echo", Network: "tcp4", Address: oneAddr, Bound: oneAddr, Accepted: 1, Active: 1, BytesIn: 5,
			BytesOut: int64(len("hello 198.51.100.1:49152\n12345"))}
		for reason, n := range got.Rejected {
			if n != 0 {
				t.Errorf("rejected for %s: got %d, want none", reason, n)
			}
		}
		if len(got.Rejected) != 3 {
			t.Errorf("reasons: got %v, want all of them", got.Rejected)
		}
		got.Rejected = nil
		if gotText, wantText := describe(got), describe(want); gotText != wantText {
			t.Errorf("got  %s\nwant %s", gotText, wantText)
		}
	})
}

func describe(s listen.Stats) string {
	var b bytes.Buffer
	for _, v := range []any{s.Module, s.Network, s.Address, s.Bound, s.State, s.Backlog, s.Drains, s.Restarts, s.Accepted, s.Active, s.HandshakeFailures, s.Panics, s.BytesIn, s.BytesOut} {
		b.WriteString(strings.TrimSpace(strings.Join(strings.Fields(fmt.Sprint(v)), " ")) + "; ")
	}
	return b.String()
}

// An inherited socket is used in place of a new one, and given back by a
// configuration that fails.
func TestInheritedSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byAddress := listentest.NewListenerAt(netip.MustParseAddrPort(oneAddr))
		byName := listentest.NewListenerAt(netip.MustParseAddrPort("10.0.0.1:1"))
		packet := listentest.NewPacketConnAt(netip.MustParseAddrPort(dgramAddr))
		unused := listentest.NewListenerAt(netip.MustParseAddrPort("10.0.0.2:2"))
		w := newWorld(t, func(o *listen.ServerOptions) {
			o.Inherit = []listen.Inherited{
				{Name: "other", Listener: byName}, {Name: "echo", Listener: byAddress}, {PacketConn: packet}, {Name: "nobody", Listener: unused},
			}
		})
		w.net.refused[twoAddr] = syscall.EADDRINUSE
		if _, err := w.server.Apply(t.Context(), w.config(one, two, dgram)); err == nil {
			t.Fatal("got no error")
		}
		w.apply("added 127.0.0.1:5300, added 127.0.0.1:5222, added 127.0.0.1:3478", "port: 5300, ip: 127.0.0.1, module: other", one, dgram)
		for _, ln := range []*listentest.Listener{byAddress, byName} {
			c := listentest.NewClient(t, ln.Dial())
			c.Expect("hello")
		}
		if len(w.net.asked) != 1 {
			t.Errorf("sockets opened: got %v, want only the refused one", w.net.asked)
		}
		if log := w.log.String(); !strings.Contains(log, "name=nobody address=10.0.0.2:2") {
			t.Errorf("log: got %s, want the socket that is not used", log)
		}
		w.stop()
		for _, ln := range []*listentest.Listener{byAddress, byName, unused} {
			if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Shutdown: got %v, want the socket closed", err)
			}
		}
	})
}

// Ten thousand clients that say nothing are ended by a shutdown within the
// grace period of the module.
func TestShutdownOfManySilentClients(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const clients = 10_000
		w.apply("added "+oneAddr, one)
		stream := w.net.socket(t, oneAddr).stream
		var conns []net.Conn
		for range clients {
			conns = append(conns, stream.Dial())
		}
		synctest.Wait()
		if got := w.stats(oneAddr).Active; got != clients {
			t.Errorf("active: got %d, want %d", got, clients)
		}
		w.stop()
		for _, c := range conns {
			if b, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(b), "bye") {
				t.Fatalf("got %q, %v, want the goodbye", b, err)
			}
		}
	})
}
