package netserve_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

var errStop = errors.New("stopped by the test")

// echo is a handler whose sessions end with their peers, and say goodbye when
// the context is cancelled.
func echo(ctx context.Context, c net.Conn) error {
	defer context.AfterFunc(ctx, func() {
		_, _ = io.WriteString(c, "goodbye")
		_ = c.Close()
	})()
	_, err := io.Copy(c, c)
	return err
}

// deaf is a handler that takes no notice of the context.
func deaf(_ context.Context, c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// start runs Serve and returns a channel with its result.
func start(ctx context.Context, ln net.Listener, h netserve.Handler, c netserve.Config) <-chan error {
	result := make(chan error, 1)
	go func() { result <- netserve.Serve(ctx, ln, h, c) }()
	return result
}

func running(result <-chan error) bool {
	synctest.Wait()
	return len(result) == 0
}

func TestClosedListenerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := listentest.NewListener()
		result := start(t.Context(), ln, echo, netserve.Config{})
		c := listentest.NewClient(t, ln.Dial())
		c.Send("one")
		c.Expect("one")

		_ = ln.Close()
		time.Sleep(time.Hour)
		if !running(result) {
			t.Fatal("Serve returned with a session open")
		}
		c.Send("two") // sessions live on
		c.Expect("two")
		c.Close()
		if err := <-result; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
	})
}

func TestCancelSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := listentest.NewListener()
		ctx, cancel := context.WithCancelCause(t.Context())
		result := start(ctx, ln, echo, netserve.Config{Grace: time.Minute})
		c := listentest.NewClient(t, ln.Dial())
		c.Send("one")
		c.Expect("one")
		began := time.Now()
		cancel(errStop)
		if got := c.ExpectEOF(); got != "goodbye" {
			t.Errorf("last words: got %q, want %q", got, "goodbye")
		}
		if err := <-result; err != errStop {
			t.Errorf("Serve: got %v, want the cause of the context", err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("Serve waited %v with no session left", d)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("listener: got %v, want it closed", err)
		}
	})
}

func TestCancelCutsAfterGrace(t *testing.T) {
	tests := map[string]struct {
		drain bool // the listener was closed first
		grace time.Duration
	}{
		"accepting":         {false, 5 * time.Second},
		"draining":          {true, 5 * time.Second},
		"no grace at all":   {false, 0},
		"draining, no more": {true, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln := listentest.NewListener()
				ctx, cancel := context.WithCancelCause(t.Context())
				result := start(ctx, ln, deaf, netserve.Config{Grace: tt.grace})
				for range 3 {
					listentest.NewClient(t, ln.Dial())
				}
				if !running(result) {
					t.Fatal("Serve returned early")
				}
				if tt.drain {
					_ = ln.Close()
				}
				began := time.Now()
				cancel(errStop)
				if err := <-result; err != errStop {
					t.Errorf("Serve: got %v, want the cause of the context", err)
				}
				if d := time.Since(began); d != tt.grace {
					t.Errorf("Serve returned after %v, want %v", d, tt.grace)
				}
			})
		})
	}
}

// stubborn is a connection whose Close waits for a peer that does not read, as
// that of TLS does.
type stubborn struct{ net.Conn }

func (s stubborn) NetConn() net.Conn { return s.Conn }
func (s stubborn) Close() error {
	_ = s.Conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = s.Conn.Write(make([]byte, 2*listentest.BufferSize))
	return s.Conn.Close()
}

type stubbornListener struct{ net.Listener }

func (l stubbornListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stubborn{c}, nil
}

func TestCutDoesNotWaitForCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := listentest.NewListener()
		ctx, cancel := context.WithCancelCause(t.Context())
		result := start(ctx, stubbornListener{ln}, deaf, netserve.Config{Grace: time.Second})
		for range 100 {
			ln.Dial()
		}
		synctest.Wait()
		began := time.Now()
		cancel(errStop)
		<-result
		if d := time.Since(began); d != time.Second {
			t.Errorf("Serve returned after %v, want the grace period", d)
		}
	})
}

// failing is a listener whose Accept fails a few times first.
type failing struct {
	net.Listener
	err  error
	left int

	mu    sync.Mutex
	times []time.Time // of the calls
}

func (f *failing) Accept() (net.Conn, error) {
	f.mu.Lock()
	f.times = append(f.times, time.Now())
	fail := f.left > 0
	f.left--
	f.mu.Unlock()
	if fail {
		return nil, f.err
	}
	return f.Listener.Accept()
}

func (f *failing) calls() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.times
}

func TestAcceptErrors(t *testing.T) {
	opError := func(err error) error {
		return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
	tests := map[string]error{
		"too many open files":    opError(syscall.EMFILE),
		"table full":             opError(syscall.ENFILE),
		"no memory":              opError(syscall.ENOBUFS),
		"peer was gone":          opError(syscall.ECONNABORTED),
		"firewall":               opError(syscall.EPERM),
		"deadline":               os.ErrDeadlineExceeded,
		"of an unknown listener": errors.New("something"),
	}
	for name, err := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := listentest.NewListener()
				ln := &failing{Listener: mem, err: err, left: 12}
				result := start(t.Context(), ln, echo, netserve.Config{})
				c := listentest.NewClient(t, mem.Dial())
				c.Send("still here")
				c.Expect("still here")
				want := []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000}
				times := ln.calls()
				for i, ms := range want {
					if got := times[i+1].Sub(times[i]); got != ms*time.Millisecond {
						t.Errorf("pause %d: got %v, want %v ms", i, got, int(ms))
					}
				}
				c.Close()
				_ = mem.Close()
				if err := <-result; err != nil {
					t.Errorf("Serve: got %v, want nil", err)
				}
			})
		})
	}
}

func TestCancelDuringBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &failing{Listener: listentest.NewListener(), err: syscall.EMFILE, left: 1 << 30}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errStop)
		defer cancel()
		if err := netserve.Serve(ctx, ln, echo, netserve.Config{}); err != errStop {
			t.Errorf("Serve: got %v, want the cause of the context", err)
		}
		if got, most := len(ln.calls()), 3700; got > most {
			t.Errorf("got %d calls of Accept in an hour, want %d at most", got, most)
		}
	})
}

// counted is a connection with counters.
type counted struct {
	net.Conn
	panics, handshakes *atomic.Int32
}

func (c counted) CountPanic()            { c.panics.Add(1) }
func (c counted) CountHandshakeFailure() { c.handshakes.Add(1) }

type countedListener struct {
	net.Listener
	panics, handshakes atomic.Int32
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stubborn{counted{c, &l.panics, &l.handshakes}}, nil
}

func TestPanicEndsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		mem := listentest.NewListener()
		ln := &countedListener{Listener: mem}
		handler := func(ctx context.Context, c net.Conn) error {
			var b [1]byte
			if _, err := c.Read(b[:]); err != nil {
				return err
			}
			if b[0] == 'p' {
				var nothing *listentest.Conn
				nothing.LocalAddr()
			}
			return echo(ctx, c)
		}
		result := start(t.Context(), ln, handler, netserve.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
		good := listentest.NewClient(t, mem.Dial())
		good.Send("e")
		bad := listentest.NewClient(t, mem.Dial())
		bad.Send("p")
		bad.ExpectEOF()
		good.Send("fine")
		good.Expect("fine")
		good.Close()
		_ = mem.Close()
		if err := <-result; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
		if got := ln.panics.Load(); got != 1 {
			t.Errorf("panics counted: got %d, want 1", got)
		}
		for _, want := range []string{"level=ERROR", "panicked", "peer=198.51.100.1:49153", "nil pointer dereference", "TestPanicEndsOneConnection"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log: got %s, want it to contain %q", log.String(), want)
			}
		}
	})
}

func TestFailuresAreLoggedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ln := listentest.NewListener()
		failed := errors.New("no such luck")
		result := start(t.Context(), ln, func(context.Context, net.Conn) error { return failed },
			netserve.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 100 {
			ln.Dial()
		}
		synctest.Wait()
		time.Sleep(time.Second)
		ln.Dial()
		ln.Dial()
		synctest.Wait()
		_ = ln.Close()
		<-result
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 12 {
			t.Fatalf("got %d lines, want 10, one a second later and one at the end:\n%s", len(lines), log.String())
		}
		for i, want := range map[int]string{0: "err=\"no such luck\"", 1: "peer=198.51.100.1:", 10: "suppressed=90", 11: "suppressed=1"} {
			if !strings.Contains(lines[i], want) {
				t.Errorf("line %d: got %q, want it to contain %q", i, lines[i], want)
			}
		}
	})
}

func TestGoodbyesAreNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ln := listentest.NewListener()
		ctx, cancel := context.WithCancelCause(t.Context())
		handler := func(ctx context.Context, c net.Conn) error {
			<-ctx.Done()
			return errors.New("cancelled")
		}
		result := start(ctx, ln, handler, netserve.Config{Grace: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))})
		ln.Dial()
		synctest.Wait()
		cancel(errStop)
		<-result
		if log.Len() > 0 {
			t.Errorf("got %s, want no log of sessions that end because the server ends", log.String())
		}
	})
}

// Clients that connect and say nothing are no burden once their time is up.
func TestSilentConnectionsEnd(t *testing.T) {
	const clients = 10_000
	synctest.Test(t, func(t *testing.T) {
		ln := listentest.NewListener()
		var ended atomic.Int32
		handler := func(_ context.Context, c net.Conn) error {
			defer ended.Add(1)
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
			_, err := c.Read(make([]byte, 1))
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want the deadline", err)
			}
			return nil
		}
		result := start(t.Context(), ln, handler, netserve.Config{})
		for range clients {
			ln.Dial()
		}
		time.Sleep(2*time.Minute - 1)
		synctest.Wait()
		if got := ended.Load(); got != 0 {
			t.Errorf("ended before the deadline: got %d, want 0", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := ended.Load(); got != clients {
			t.Errorf("ended at the deadline: got %d, want %d", got, clients)
		}
		_ = ln.Close()
		<-result
	})
}
