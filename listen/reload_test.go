package listen_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// inWorld runs a test in a bubble, and ends its server.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		f(t, w)
	})
}

const (
	one   = "port: 5222, ip: 127.0.0.1, module: echo"
	two   = "port: 5223, ip: 127.0.0.1, module: echo"
	wild  = "port: 5222, ip: 0.0.0.0, module: echo"
	dgram = "port: 3478, ip: 127.0.0.1, transport: udp, module: pong"

	oneAddr   = "127.0.0.1:5222"
	twoAddr   = "127.0.0.1:5223"
	wildAddr  = "0.0.0.0:5222"
	dgramAddr = "127.0.0.1:3478"
)

func TestFirstApply(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added 127.0.0.1:5222, added 127.0.0.1:5223, added 127.0.0.1:3478", one, two, dgram)
		alive(t, w.net.dial(t, oneAddr, "hello"))
		alive(t, w.net.dial(t, twoAddr, "hello"))
		if !strings.Contains(w.log.String(), "msg=listening listener=127.0.0.1:5222 module=echo") {
			t.Errorf("log: got %s, want a line for the listener", w.log)
		}
	})
}

func TestReloadKeeps(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+oneAddr, one)
		c := w.net.dial(t, oneAddr, "hello")
		w.apply("kept "+oneAddr, one)
		alive(t, c)
		if got := len(w.echo.starts()); got != 1 {
			t.Errorf("the module was started %d times, want once", got)
		}
	})
}

func TestReloadAdds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+oneAddr, one)
		c := w.net.dial(t, oneAddr, "hello")
		w.apply("added 127.0.0.1:5223, kept 127.0.0.1:5222", two, one)
		alive(t, c)
		alive(t, w.net.dial(t, twoAddr, "hello"))
		if got := w.server.Stats(); got[0].Address != twoAddr || got[1].Address != oneAddr {
			t.Errorf("statistics are not in the order of the file: %+v", got)
		}
	})
}

// Sessions of the old options live on, and new ones have the new options.
func TestReloadUpdates(t *testing.T) {
	tests := map[string]string{
		"options":        one + ", greeting: hi",
		"socket options": one + ", greeting: hi, accept_interval: 1",
		"the module":     "port: 5222, ip: 127.0.0.1, module: other, greeting: hi",
	}
	for name, changed := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.apply("added "+oneAddr, one)
				before := w.net.dial(t, oneAddr, "hello")
				w.apply("updated "+oneAddr, changed)
				after := w.net.dial(t, oneAddr, "hi")
				time.Sleep(24 * time.Hour)
				alive(t, before)
				alive(t, after)
				if got := w.stats(oneAddr); got.Drains != 1 || got.Active != 2 || got.State != listen.Running {
					t.Errorf("got %+v, want one version that drains and two sessions", got)
				}
				before.Close()
				synctest.Wait()
				if got := w.stats(oneAddr); got.Drains != 0 || got.Active != 1 {
					t.Errorf("got %+v, want no version that drains", got)
				}
				if n := len(w.net.asked); n != 1 {
					t.Errorf("sockets opened: got %d, want 1", n)
				}
			})
		})
	}
}

// A removed listener takes nobody in, and its sessions have the grace period.
func TestReloadRemoves(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added 127.0.0.1:5222, added 127.0.0.1:5223", one, two)
		stays, goes := w.net.dial(t, oneAddr, "hello"), w.net.dial(t, twoAddr, "hello")
		w.apply("kept 127.0.0.1:5222, removed 127.0.0.1:5223", one)
		if w.net.bound(twoAddr) {
			t.Error("the socket is still open")
		}
		if got := w.stats(twoAddr); got.State != listen.Draining || got.Active != 1 {
			t.Errorf("got %+v, want a session that drains", got)
		}
		time.Sleep(time.Minute - time.Second)
		alive(t, goes)
		time.Sleep(time.Second)
		if got := goes.ExpectEOF(); got != "bye" {
			t.Errorf("last words: got %q, want %q", got, "bye")
		}
		alive(t, stays)
		synctest.Wait()
		if n := len(w.server.Stats()); n != 1 {
			t.Errorf("listeners in the statistics: got %d, want 1", n)
		}
	})
}

func TestReloadRemovesWhatIsIdle(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+oneAddr, one)
		w.apply("removed " + oneAddr)
		synctest.Wait()
		if n := len(w.server.Stats()); n != 0 {
			t.Errorf("listeners in the statistics: got %d, want none", n)
		}
		w.apply("added "+oneAddr, one)
		w.net.dial(t, oneAddr, "hello")
	})
}

// A configuration with sockets that cannot be had changes nothing, and each of
// them is reported with its position.
func TestFailedReload(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added 127.0.0.1:5222, added 127.0.0.1:3478", one, dgram)
		c := w.net.dial(t, oneAddr, "hello")
		w.net.refused["127.0.0.1:80"] = syscall.EACCES
		w.net.refused["192.0.2.1:5300"] = syscall.EADDRNOTAVAIL
		steps, err := w.server.Apply(t.Context(), w.config(
			one+", greeting: changed",
			"port: 80, ip: 127.0.0.1, module: echo",
			two,
			"port: 5300, ip: 192.0.2.1, module: echo",
			// dgram is gone
		))
		if steps != nil {
			t.Errorf("steps: got %v, want none", steps)
		}
		for _, want := range []string{"test.yml:5:5: listen[1]:", "permission denied", "CAP_NET_BIND_SERVICE", "test.yml:7:5: listen[3]:", "no interface has this address"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error: got %v, want it to contain %q", err, want)
			}
		}
		var e *listen.Error
		if !errors.As(err, &e) || e.Line != 5 || !errors.Is(err, syscall.EACCES) || !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("error: got %#v, want a listen.Error for line 5 and the causes", err)
		}
		if w.net.bound(twoAddr) {
			t.Error("a socket of the failed configuration is open")
		}
		alive(t, c)
		w.net.dial(t, oneAddr, "hello")
		if !w.net.bound(dgramAddr) {
			t.Error("a listener that was to go is gone")
		}
		if got := fmt.Sprint(w.used); got != "[m2]" {
			t.Errorf("sections: got %v, want the first configuration alone", got)
		}
	})
}

func TestFailedStart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.net.refused[twoAddr] = syscall.EADDRINUSE
		_, err := w.server.Apply(t.Context(), w.config(one, two))
		if err == nil || !strings.Contains(err.Error(), "another program or listener has this address") {
			t.Errorf("got %v, want the remedy", err)
		}
		if w.net.bound(oneAddr) || len(w.echo.starts()) > 0 || len(w.server.Stats()) > 0 {
			t.Error("the server has half started")
		}
		delete(w.net.refused, twoAddr)
		w.apply("added 127.0.0.1:5222, added 127.0.0.1:5223", one, two)
	})
}

// An address that overlaps with one that goes away takes its place.
func TestReloadOverlaps(t *testing.T) {
	for _, tt := range []struct{ before, beforeAddr, after, afterAddr string }{
		{wild, wildAddr, one, oneAddr},
		{one, oneAddr, wild, wildAddr},
	} {
		t.Run(tt.beforeAddr+" to "+tt.afterAddr, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.apply("added "+tt.beforeAddr, tt.before)
				c := w.net.dial(t, tt.beforeAddr, "hello")
				w.apply("added "+tt.afterAddr+", removed "+tt.beforeAddr, tt.after)
				alive(t, c)
				w.net.dial(t, tt.afterAddr, "hello")
			})
		})
		t.Run(tt.beforeAddr+" to "+tt.afterAddr+" fails", func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.apply("added "+tt.beforeAddr, tt.before)
				c := w.net.dial(t, tt.beforeAddr, "hello")
				w.net.refused[tt.afterAddr] = syscall.EADDRNOTAVAIL
				if _, err := w.server.Apply(t.Context(), w.config(tt.after)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
					t.Errorf("got %v, want EADDRNOTAVAIL", err)
				}
				alive(t, c)
				alive(t, w.net.dial(t, tt.beforeAddr, "hello"))
				if got := len(w.echo.starts()); got != 1 {
					t.Errorf("the module was started %d times, want once", got)
				}
			})
		})
	}
}

// A wildcard IPv6 address leaves IPv4 to another listener when there is one. For
// that it needs another socket, and its sessions are none the wiser.
func TestReloadChangesFamilies(t *testing.T) {
	const six, sixAddr = "port: 5222, ip: '::', module: echo", "[::]:5222"
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+sixAddr, six)
		first := w.net.dial(t, sixAddr, "hello")
		w.apply("restarted "+sixAddr+", added "+wildAddr, six, wild)
		time.Sleep(2 * time.Minute) // past the grace period
		second := w.net.dial(t, sixAddr, "hello")
		w.apply("restarted "+sixAddr+", removed "+wildAddr, six)
		time.Sleep(2 * time.Minute)
		alive(t, first)
		alive(t, second)
		alive(t, w.net.dial(t, sixAddr, "hello"))
		w.net.refused[wildAddr] = syscall.EADDRINUSE
		if _, err := w.server.Apply(t.Context(), w.config(six, wild)); err == nil {
			t.Error("got no error")
		}
		alive(t, first)
		alive(t, w.net.dial(t, sixAddr, "hello"))
	})
}

// An overlap is not tried while other sockets fail: the old one stays open.
func TestReloadOverlapsLast(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+wildAddr, wild)
		socket := w.net.socket(t, wildAddr)
		w.net.refused[twoAddr] = syscall.EADDRNOTAVAIL
		if _, err := w.server.Apply(t.Context(), w.config(one, two)); err == nil {
			t.Error("got no error")
		}
		if w.net.socket(t, wildAddr) != socket {
			t.Error("the old socket was closed")
		}
	})
}

// The worst case: neither the new address nor the old one can be had.
func TestReloadOverlapLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apply("added "+wildAddr, wild)
		c := w.net.dial(t, wildAddr, "hello")
		w.net.refused[oneAddr], w.net.refused[wildAddr] = syscall.EADDRNOTAVAIL, syscall.EADDRINUSE
		_, err := w.server.Apply(t.Context(), w.config(one))
		if err == nil || !strings.Contains(err.Error(), "the listener on 0.0.0.0:5222 is lost") {
			t.Errorf("got %v, want to hear of the lost listener", err)
		}
		alive(t, c)
		if got := w.stats(wildAddr); got.State != listen.Lost || got.Active != 1 {
			t.Errorf("got %+v, want it lost, with a session", got)
		}
		clear(w.net.refused)
		w.apply("restarted "+wildAddr, wild)
		alive(t, w.net.dial(t, wildAddr, "hello"))
		time.Sleep(2 * time.Minute) // past the grace period
		alive(t, c)
	})
}

func TestReloadOverlapsDatagrams(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const wild, wildAddr = "port: 3478, ip: 0.0.0.0, transport: udp, module: pong", "0.0.0.0:3478"
		w.apply("added "+wildAddr, wild)
		w.ask(wildAddr, "hello")
		w.net.refused[dgramAddr] = syscall.EADDRNOTAVAIL
		if _, err := w.server.Apply(t.Context(), w.config(dgram)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("got %v, want EADDRNOTAVAIL", err)
		}
		w.ask(wildAddr, "hello") // again, on another socket
		delete(w.net.refused, dgramAddr)
		w.apply("added "+dgramAddr+", removed "+wildAddr, dgram)
		w.ask(dgramAddr, "hello")
	})
}

// ask sends a datagram and expects the answer.
func (w *world) ask(address, want string) {
	w.t.Helper()
	synctest.Wait() // Apply does not wait for a listener that restarts
	c := w.net.socket(w.t, address).packet.Dial()
	defer c.Close()
	_, _ = c.Write([]byte("?"))
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil || string(buf[:n]) != want {
		w.t.Errorf("answer of %s: got %q, %v, want %q", address, buf[:n], err, want)
	}
}

func TestReloadDatagrams(t *testing.T) {
	changed := dgram + ", greeting: hi"
	t.Run("update", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.apply("added "+dgramAddr, dgram)
			w.ask(dgramAddr, "hello")
			w.apply("updated "+dgramAddr, changed)
			w.ask(dgramAddr, "hi")
			if w.pong.runs != 1 || len(w.pong.updates) != 1 {
				t.Errorf("got %d runs and %d updates, want one of each", w.pong.runs, len(w.pong.updates))
			}
		})
	})
	t.Run("restart", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.pong.refuse = fmt.Errorf("realm: %w", errors.ErrUnsupported)
			w.apply("added "+dgramAddr, dgram)
			w.ask(dgramAddr, "hello")
			w.apply("restarted "+dgramAddr, changed)
			w.ask(dgramAddr, "hi")
			if w.pong.runs != 2 || len(w.net.asked) != 1 {
				t.Errorf("got %d runs on %d sockets, want 2 on one", w.pong.runs, len(w.net.asked))
			}
			if got := w.stats(dgramAddr); got.Restarts != 0 || got.State != listen.Running {
				t.Errorf("got %+v, want no unexpected restart", got)
			}
		})
	})
	t.Run("refused", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.apply("added "+dgramAddr, dgram)
			w.ask(dgramAddr, "hello")
			w.pong.refuse = errors.New("no")
			steps, err := w.server.Apply(t.Context(), w.config(changed))
			if err == nil || steps[0].Err != w.pong.refuse || steps[0].Change != listen.Kept {
				t.Errorf("got %v, %+v, want the refusal", err, steps)
			}
			w.ask(dgramAddr, "hello")
			w.pong.refuse = nil
			w.apply("updated "+dgramAddr, changed) // is tried again
			w.ask(dgramAddr, "hi")
		})
	})
	t.Run("remove", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.apply("added "+dgramAddr, dgram)
			w.ask(dgramAddr, "hello")
			w.apply("removed " + dgramAddr)
			synctest.Wait()
			if w.net.bound(dgramAddr) || len(w.server.Stats()) > 0 {
				t.Error("the socket is still open")
			}
		})
	})
}

// Sections get their values when the sockets are open, before the listeners
// begin.
func TestSectionsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		var seen []string
		w.echo.fail = func(int) error {
			seen = append(seen, fmt.Sprint(w.used, len(w.net.asked)))
			return nil
		}
		w.apply("added "+oneAddr, one)
		synctest.Wait()
		if got := fmt.Sprint(seen); got != "[[m1] 1]" {
			t.Errorf("the module saw %s, want the section's value and an open socket", got)
		}
	})
}

// While listeners change, every client that connects is served.
func TestReloadLosesNobody(t *testing.T) {
	w := newWorld(t)
	defer w.stop()
	w.apply("added "+oneAddr, one)
	stream := w.net.socket(t, oneAddr).stream
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := stream.Dial()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				if _, err := io.ReadFull(c, make([]byte, 6)); err != nil {
					t.Errorf("a client was not served: %v", err)
				}
				_ = c.Close()
			}
		})
	}
	for i := range 200 {
		w.apply("updated "+oneAddr, fmt.Sprintf("%s, greeting: hello%d", one, i))
		_ = w.server.Stats()
	}
	close(stop)
	clients.Wait()
}

// Entries need not come from a file.
func TestEntriesMadeByHand(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		entry := listen.Entry{Module: "echo", Network: "tcp4", Address: oneAddr, Options: options{Greeting: "hi"}}
		apply := func(want string, e listen.Entry) {
			t.Helper()
			steps, err := w.server.Apply(t.Context(), &listen.Config{Entries: []listen.Entry{e}})
			if err != nil {
				t.Fatal(err)
			}
			w.check(steps, want)
		}
		apply("added "+oneAddr, entry)
		w.net.dial(t, oneAddr, "hi")
		apply("kept "+oneAddr, entry)
		entry.Options = options{Greeting: "ho"}
		apply("updated "+oneAddr, entry)
		w.net.dial(t, oneAddr, "ho")

		for want, e := range map[string]listen.Entry{
			"no module \"nothing\"":     {Module: "nothing", Network: "tcp4", Address: twoAddr},
			"does not serve sockets":    {Module: "echo", Network: "udp4", Address: twoAddr},
			"neither an address nor a ": {Module: "echo", Network: "tcp4", Address: twoAddr, Socket: listen.SocketOptions{ProxyFrom: []string{"x"}}},
		} {
			if _, err := w.server.Apply(t.Context(), &listen.Config{Entries: []listen.Entry{e}}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		alive(t, w.net.dial(t, oneAddr, "ho"))
	})
}

// Bind may not answer with the wrong kind of socket.
func TestBindWithoutSocket(t *testing.T) {
	w := newWorld(t, func(o *listen.ServerOptions) {
		o.Bind = func(context.Context, string, string, listen.SocketOptions) (net.Listener, net.PacketConn, error) {
			return nil, listentest.NewPacketConn(), nil
		}
	})
	if _, err := w.server.Apply(t.Context(), w.config(one)); err == nil || !strings.Contains(err.Error(), "no socket was given") {
		t.Errorf("got %v, want an error", err)
	}
	w.stop()
}
