package shaper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipe returns a shaped connection and its peer.
func pipe(t *testing.T, r Rate) (*Conn, net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	c := NewConn(a, r)
	t.Cleanup(func() {
		c.Close()
		b.Close()
	})
	return c, b
}

// send writes n bytes in a goroutine, which ends with the test.
func send(t *testing.T, c net.Conn, n int) {
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.Write(make([]byte, n)) })
	t.Cleanup(func() {
		c.Close()
		wg.Wait()
	})
}

// indebted returns a connection whose next read waits for d, with data to read.
func indebted(t *testing.T, d time.Duration) (*Conn, net.Conn) {
	t.Helper()
	c, peer := pipe(t, Rate{1000, 1000})
	send(t, peer, 4096)
	c.bucket.Take(1000 + int(d/time.Millisecond))
	return c, peer
}

// readAt reads once and returns when the read ended, after start.
func readAt(c net.Conn, start time.Time) (n int, at time.Duration, err error) {
	n, err = c.Read(make([]byte, 4096))
	return n, time.Since(start), err
}

func TestConnTimes(t *testing.T) {
	type read struct {
		n  int
		at time.Duration
	}
	const ms = time.Millisecond
	tests := []struct {
		name string
		rate Rate
		send int
		want []read
	}{
		{"unlimited", Rate{}, 10000, []read{{4096, 0}, {4096, 0}, {1808, 0}}},
		{"below the burst", Rate{1000, 5000}, 4500, []read{{4096, 0}, {404, 0}}},
		{"burst, then chunks at the rate", Rate{1000, 1000}, 4000,
			[]read{{1000, 0}, {512, 0}, {512, 512 * ms}, {512, 1024 * ms}, {512, 1536 * ms}, {512, 2048 * ms}, {440, 2560 * ms}}},
		{"tiny burst", Rate{100, 10}, 30, []read{{10, 0}, {10, 0}, {10, 100 * ms}}},
		{"large rate, chunks of a tenth of a second", Rate{20000, 4096}, 12000,
			[]read{{4096, 0}, {2000, 0}, {2000, 100 * ms}, {2000, 200 * ms}, {1904, 300 * ms}}},
		{"a byte a second", Rate{1, 1}, 4, []read{{1, 0}, {1, 0}, {1, time.Second}, {1, 2 * time.Second}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, peer := pipe(t, tt.rate)
				send(t, peer, tt.send)
				start := time.Now()
				var got []read
				for range tt.want {
					n, at, err := readAt(c, start)
					if err != nil {
						t.Fatalf("after %v: %v", got, err)
					}
					got = append(got, read{n, at})
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got  %v\nwant %v", got, tt.want)
				}
			})
		})
	}
}

// TestConnPausesAfterRead wants that what came in is handed over first and only
// then reading stops.
func TestConnPausesAfterRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(t, Rate{100, 300})
		start := time.Now()
		buf := make([]byte, 300)
		for i, want := range []time.Duration{0, 0, 3 * time.Second, 6 * time.Second} {
			send(t, peer, 300)
			if _, err := io.ReadFull(c, buf); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != want {
				t.Errorf("message %d: got it after %v, want %v", i, got, want)
			}
		}
	})
}

// TestConnRateOverTime reads for a virtual hour with buffers of all sizes.
func TestConnRateOverTime(t *testing.T) {
	for _, size := range []int{1, 100, 4096, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rate, burst = 50, 200
				c, peer := pipe(t, Rate{rate, burst})
				var wg sync.WaitGroup
				wg.Go(func() { _, _ = io.Copy(peer, endless{}) })
				start, total, buf := time.Now(), 0, make([]byte, size)
				for time.Since(start) < time.Hour {
					n, err := c.Read(buf)
					if err != nil {
						t.Fatal(err)
					}
					total += n
					// One read may begin while there is no credit left, and each
					// is at most the burst.
					if most := burst + burst + int(rate*time.Since(start)/time.Second) + 1; total > most {
						t.Fatalf("after %v: got %d bytes, want at most %d", time.Since(start), total, most)
					}
				}
				if least := 3600 * rate; total < least {
					t.Errorf("in an hour: got %d bytes, want at least %d", total, least)
				}
				c.Close()
				wg.Wait()
			})
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestConnSetRateWhileWaiting(t *testing.T) {
	tests := []struct {
		name string
		rate Rate
		want time.Duration // of the read, which had 10 s to wait and waited for 2
	}{
		{"unlimited", Rate{}, 2 * time.Second},
		{"faster", Rate{4000, 10000}, 4 * time.Second},
		{"slower", Rate{500, 8000}, 18 * time.Second},
		{"much slower: no debt above the burst", Rate{1, 3}, 5 * time.Second},
		{"the same", Rate{1000, 1000}, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := indebted(t, 10*time.Second)
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, at, err := readAt(c, start); err != nil || at != tt.want {
						t.Errorf("got the read after %v, %v, want %v", at, err, tt.want)
					}
				})
				time.Sleep(2 * time.Second)
				c.SetRate(tt.rate)
				wg.Wait()
			})
		})
	}
}

// TestConnSetRateWhileReading limits a connection whose reader waits for the
// peer: what that read brings counts.
func TestConnSetRateWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(t, Rate{})
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, want := range []time.Duration{0, 500 * time.Millisecond} {
				if _, at, err := readAt(c, start); err != nil || at != want {
					t.Errorf("got a read after %v, %v, want %v", at, err, want)
				}
			}
		})
		synctest.Wait()
		c.SetRate(Rate{1000, 1000})
		for _, n := range []int{1500, 10} {
			if _, err := peer.Write(make([]byte, n)); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
	})
}

func TestConnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := indebted(t, time.Hour)
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if n, at, err := readAt(c, start); n != 0 || at != time.Second || !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("got %d bytes after %v, %v, want 0 after 1s, %v", n, at, err, io.ErrClosedPipe)
				}
			})
		}
		time.Sleep(time.Second)
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		wg.Wait()
		if _, _, err := readAt(c, start); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("closed: got %v, want %v", err, io.ErrClosedPipe)
		}
	})
}

func TestConnDeadline(t *testing.T) {
	set := map[string]func(net.Conn, time.Time) error{
		"SetDeadline": net.Conn.SetDeadline, "SetReadDeadline": net.Conn.SetReadDeadline,
	}
	tests := []struct {
		name          string
		before, while time.Duration // deadlines from the start; 0: none, -1: not set
		want          time.Duration
		timeout       bool
	}{
		{"before the pause ends", 3 * time.Second, -1, 3 * time.Second, true},
		{"after the pause ends", 11 * time.Second, -1, 10 * time.Second, false},
		{"in the past", -time.Second, -1, 0, true},
		{"set while waiting", 0, 3 * time.Second, 3 * time.Second, true},
		{"set while waiting, in the past", 0, time.Second, 2 * time.Second, true},
		{"brought forward", 9 * time.Second, 3 * time.Second, 3 * time.Second, true},
		{"put off", 3 * time.Second, 9 * time.Second, 9 * time.Second, true},
		{"taken away", 3 * time.Second, 0, 10 * time.Second, false},
	}
	for name, set := range set {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, _ := indebted(t, 10*time.Second)
					start := time.Now()
					at := func(d time.Duration) time.Time {
						if d == 0 {
							return time.Time{}
						}
						return start.Add(d)
					}
					if err := set(c, at(tt.before)); err != nil {
						t.Fatal(err)
					}
					var wg sync.WaitGroup
					wg.Go(func() { checkRead(t, c, start, tt.want, tt.timeout) })
					time.Sleep(2 * time.Second)
					if tt.while != -1 {
						if err := set(c, at(tt.while)); err != nil {
							t.Error(err)
						}
					}
					wg.Wait()
					// Nothing was lost: without the deadline the read goes on.
					if err := set(c, time.Time{}); err != nil {
						t.Fatal(err)
					}
					if n, _, err := readAt(c, start); n == 0 || err != nil {
						t.Errorf("afterwards: got %d bytes, %v, want some", n, err)
					}
				})
			})
		}
	}
}

func checkRead(t *testing.T, c net.Conn, start time.Time, want time.Duration, timeout bool) {
	n, at, err := readAt(c, start)
	if at != want {
		t.Errorf("got the read after %v, want %v", at, want)
	}
	if !timeout {
		if n == 0 || err != nil {
			t.Errorf("got %d bytes, %v, want some", n, err)
		}
		return
	}
	var ne net.Error
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("got %d bytes, %v, want 0, %v", n, err, os.ErrDeadlineExceeded)
	}
}

// TestConnWriteDeadline wants that it does not concern reads.
func TestConnWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := indebted(t, 10*time.Second)
		if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		checkRead(t, c, time.Now(), 10*time.Second, false)
	})
}

// refusing has no deadlines.
type refusing struct{ net.Conn }

func (refusing) SetDeadline(time.Time) error     { return errors.ErrUnsupported }
func (refusing) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

func TestConnDeadlineRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(t, Rate{1000, 1000})
		c.Conn = refusing{c.Conn}
		if err := c.SetDeadline(time.Now()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("SetDeadline: got %v, want %v", err, errors.ErrUnsupported)
		}
		if err := c.SetReadDeadline(time.Now()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("SetReadDeadline: got %v, want %v", err, errors.ErrUnsupported)
		}
		c.bucket.Take(2000)
		send(t, peer, 10)
		checkRead(t, c, time.Now(), time.Second, false)
	})
}

// TestConnWrites wants that writes are neither limited nor held up by a read
// that waits.
func TestConnWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := indebted(t, time.Hour)
		var wg sync.WaitGroup
		wg.Go(func() { _, _, _ = readAt(c, time.Now()) })
		wg.Go(func() { _, _ = io.CopyN(io.Discard, peer, 1<<20) })
		start := time.Now()
		if n, err := c.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil || time.Since(start) != 0 {
			t.Errorf("got %d, %v after %v, want everything at once", n, err, time.Since(start))
		}
		c.Close()
		wg.Wait()
	})
}

// TestConnReaders wants the rate to hold for several readers together, but for
// a chunk each.
func TestConnReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, readers = 100, 4
		c, peer := pipe(t, Rate{rate, rate})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(peer, endless{}) })
		var total atomic.Int64
		for range readers {
			wg.Go(func() {
				for buf := make([]byte, 1000); ; {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					total.Add(int64(n))
				}
			})
		}
		const seconds = 1000
		time.Sleep(seconds * time.Second)
		c.Close()
		wg.Wait()
		if got, least, most := total.Load(), int64(seconds*rate), int64((seconds+1+readers)*rate); got < least || got > most {
			t.Errorf("got %d bytes, want %d to %d", got, least, most)
		}
	})
}

// TestConnIdle wants an idle connection to hold no goroutine, and a read that
// need not wait no memory.
func TestConnIdle(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 100 {
		c, _ := pipe(t, Rate{1000, 1000})
		c.SetRate(Rate{2000, 1000})
		if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if c.wake != nil {
			t.Fatal("a connection that never waited holds a channel")
		}
	}
	if got := runtime.NumGoroutine(); got > before {
		t.Errorf("got %d goroutines, want %d", got, before)
	}
}

// source is a connection from which anything can be read.
type source struct{ net.Conn }

func (source) Read(p []byte) (int, error) { return len(p), nil }

func TestConnAllocs(t *testing.T) {
	buf := make([]byte, 100)
	for _, r := range []Rate{{}, {1 << 40, 1 << 31}} {
		c := NewConn(source{}, r)
		got := testing.AllocsPerRun(100, func() { _, _ = c.Read(buf) })
		if got != 0 {
			t.Errorf("%v: got %v allocations, want 0", r, got)
		}
	}
}

// TestConnReadErrors wants bytes that come with an error to arrive and count.
func TestConnReadErrors(t *testing.T) {
	for _, r := range []Rate{{}, {1000, 1000}} {
		c := NewConn(failing{}, r)
		n, err := c.Read(make([]byte, 10))
		if n != 5 || !errors.Is(err, io.EOF) {
			t.Errorf("%v: got %d, %v, want 5, %v", r, n, err, io.EOF)
		}
	}
}

type failing struct{ net.Conn }

func (failing) Read(p []byte) (int, error) { return copy(p, "bytes"), io.EOF }

// TestConnData wants what is read to be what was written.
func TestConnData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(t, Rate{700, 900})
		want := make([]byte, 10000)
		for i := range want {
			want[i] = byte(i * i >> 3)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = peer.Write(want)
			peer.Close()
		})
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v, want the %d that were written", len(got), err, len(want))
		}
		wg.Wait()
	})
}

func BenchmarkRead(b *testing.B) {
	buf := make([]byte, 4096)
	for name, c := range map[string]net.Conn{
		"bare":      source{},
		"unlimited": NewConn(source{}, Rate{}),
		"limited":   NewConn(source{}, Rate{1 << 60, 1 << 31}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.Read(buf)
			}
		})
	}
}

// WaitCredit waits as a read does before it reads.
func TestWaitCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		c := NewConn(a, Rate{BytesPerSecond: 100})
		defer c.Close()
		go b.Write(make([]byte, 100))
		if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c.bucket.Take(200)
		if err := c.WaitCredit(); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("waited %v for 200 bytes at 100 bytes/s, want 2s", got)
		}
		c.bucket.Take(200)
		c.SetReadDeadline(time.Now().Add(time.Second))
		if err := c.WaitCredit(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want %v", err, os.ErrDeadlineExceeded)
		}
		c.SetRate(Rate{})
		if err := c.WaitCredit(); err != nil {
			t.Errorf("unlimited: %v", err)
		}
	})
}
