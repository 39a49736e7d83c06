package stun

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// anyWorkload is what all of them are.
type anyWorkload interface {
	Run(context.Context, *Target) (meter.Result, error)
}

// needsBatches skips a test of what only works on Linux.
func needsBatches(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("datagrams in batches are for Linux")
	}
}

const (
	shortWarm = 10 * time.Millisecond
	short     = 50 * time.Millisecond
)

func smallBinding() Binding {
	return Binding{Sockets: 3, Window: 4, Warm: shortWarm, Duration: short}
}

func smallRelay() Relay {
	return Relay{Clients: 3, Window: 4, Size: 200, Warm: shortWarm, Duration: short}
}

func TestWorkloads(t *testing.T) {
	needsBatches(t)
	paced := smallBinding()
	paced.Rate = 1000
	tcp := smallBinding()
	tcp.TCP = true
	one := tcp
	one.Window = 1
	odd, tiny, send, slow := smallRelay(), smallRelay(), smallRelay(), smallRelay()
	odd.Size, tiny.Size, send.Send, send.Size, slow.Rate = 1001, 0, true, 33, 500
	for _, c := range []struct {
		name string
		w    anyWorkload
		unit string
	}{
		{"binding", smallBinding(), answers},
		{"paced", paced, answers},
		{"TCP", tcp, answers},
		{"TCP, one at a time", one, answers},
		{"relay", smallRelay(), "round trips"},
		{"odd size", odd, "round trips"},
		{"smallest", tiny, "round trips"},
		{"indications", send, "round trips"},
		{"relay, paced", slow, "round trips"},
		{"allocations", Allocations{AtATime: 3, Warm: shortWarm, Duration: short}, "allocations"},
		{"idle allocations", IdleAllocations{Clients: 70}, "idle allocations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := startFake(t, new(fake))
			target.PID = os.Getpid()
			r, err := c.w.Run(t.Context(), target)
			if err != nil || r.Faults != (meter.Faults{}) || r.Unanswered != 0 || r.Count == 0 || r.Unit != c.unit {
				t.Errorf("got %+v, %v; want some %s and no faults", r, err, c.unit)
			}
			if r.RSSAfter == 0 || r.P50 > r.P99 || r.P99 > r.Max {
				t.Errorf("got %+v, want the memory, and latencies in order", r)
			}
		})
	}
}

func TestPaceIsKept(t *testing.T) {
	needsBatches(t)
	w := smallBinding()
	w.Rate = 500
	f := new(fake)
	r, err := w.Run(t.Context(), startFake(t, f))
	most := w.Rate*(w.Warm+w.Duration).Seconds() + 1 + w.Rate*r.Seconds
	n, _ := f.seen()
	if err != nil || float64(n) > most || r.Settings["rate"] != "500" || r.Settings["pacer_late_p99_ms"] == "" {
		t.Errorf("got %d requests with %v, %v; want at most %v", n, r.Settings, err, most)
	}
}

func TestIdleAllocationsAreThereTogether(t *testing.T) {
	f := new(fake)
	r, err := IdleAllocations{Clients: 70}.Run(t.Context(), startFake(t, f))
	if _, most := f.seen(); err != nil || r.Count != 70 || most != 70 {
		t.Errorf("got %d, at most %d at a time, %v; want 70", r.Count, most, err)
	}
}

// once does something with message 50, and passes all others on.
func once(do func(m []byte) [][]byte) func(int, []byte) [][]byte {
	return func(n int, m []byte) [][]byte {
		if n == 50 {
			return do(m)
		}
		return [][]byte{m}
	}
}

func flip(at int) func([]byte) [][]byte {
	return func(m []byte) [][]byte {
		i := at
		if i < 0 {
			i += len(m)
		}
		m[i] ^= 1
		return [][]byte{m}
	}
}

func TestFaultsAreFound(t *testing.T) {
	needsBatches(t)
	lose := func([]byte) [][]byte { return nil }
	twice := func(m []byte) [][]byte { return [][]byte{m, m} }
	tcp := smallBinding()
	tcp.TCP, tcp.Sockets = true, 1
	send := smallRelay()
	send.Send = true
	for _, c := range []struct {
		name string
		w    anyWorkload
		do   func([]byte) [][]byte
		want meter.Faults
	}{
		{"binding lost", smallBinding(), lose, meter.Faults{Lost: 1}},
		{"binding twice", smallBinding(), twice, meter.Faults{Duplicate: 1}},
		{"binding with another port", smallBinding(), flip(27), meter.Faults{Corrupt: 1}},
		{"binding of another socket", smallBinding(), flip(11), meter.Faults{Corrupt: 1}},
		{"binding cut", smallBinding(), func(m []byte) [][]byte { return [][]byte{m[:31]} }, meter.Faults{Corrupt: 1}},
		{"TCP cut", tcp, func([]byte) [][]byte { return [][]byte{nil} }, meter.Faults{Broken: 1, Lost: 4}},
		{"TCP with another address", tcp, flip(-1), meter.Faults{Corrupt: 1}},
		{"relay lost", smallRelay(), lose, meter.Faults{Lost: 1}},
		{"relay twice", smallRelay(), twice, meter.Faults{Duplicate: 1}},
		{"relay, last byte", smallRelay(), flip(-1), meter.Faults{Corrupt: 1}},
		{"relay, other client", smallRelay(), flip(channelHeader + 7), meter.Faults{Corrupt: 1}},
		{"relay, other channel", smallRelay(), flip(1), meter.Faults{Corrupt: 1}},
		{"indication, other peer", send, flip(headerLength + 7), meter.Faults{Corrupt: 1}},
		{"indication lost", send, lose, meter.Faults{Lost: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r meter.Result
			var err error
			var done atomic.Bool
			do := once(func(m []byte) [][]byte {
				done.Store(true)
				return c.do(m)
			})
			// A run that the system has held up may not get that far.
			for range 50 {
				f := new(fake)
				if _, ok := c.w.(Binding); ok {
					f.binding = do
				} else {
					f.relayed = do
				}
				target := startFake(t, f)
				target.Timeout = 200 * time.Millisecond
				if r, err = c.w.Run(t.Context(), target); done.Load() {
					break
				}
			}
			if err != nil || r.Faults != c.want {
				t.Errorf("got %+v of %d, %v; want %+v", r.Faults, r.Count, err, c.want)
			}
		})
	}
}

func TestLossIsAllowed(t *testing.T) {
	needsBatches(t)
	target := startFake(t, &fake{binding: once(func([]byte) [][]byte { return nil })})
	target.Timeout, target.Loss = 200*time.Millisecond, 0.5
	r, err := smallBinding().Run(t.Context(), target)
	if err != nil || r.Faults.Sum() != 0 || r.Unanswered != 1 {
		t.Errorf("got %+v and %d unanswered, %v; want one, and no fault", r.Faults, r.Unanswered, err)
	}
}

// TestStrayAnswers has a server answer requests for channels three times.
func TestStrayAnswers(t *testing.T) {
	needsBatches(t)
	r, err := smallRelay().Run(t.Context(), startFake(t, &fake{again: 2}))
	if err != nil || r.Count == 0 || r.Faults != (meter.Faults{}) {
		t.Errorf("got %d, %+v, %v; want some and no faults", r.Count, r.Faults, err)
	}
}

func TestRefusals(t *testing.T) {
	needsBatches(t)
	for _, w := range []anyWorkload{smallRelay(), Allocations{AtATime: 1}, IdleAllocations{Clients: 3}} {
		_, err := w.Run(t.Context(), startFake(t, &fake{refuse: 486}))
		if r := (*refusal)(nil); !errors.As(err, &r) || r.code != 486 || !strings.Contains(err.Error(), "486") {
			t.Errorf("%T: got %v, want error 486", w, err)
		}
		target := startFake(t, new(fake))
		target.Password = "wrong"
		if _, err := w.Run(t.Context(), target); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%T: got %v, want error 401", w, err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	needsBatches(t)
	target := startFake(t, &fake{binding: func(int, []byte) [][]byte { return nil }})
	target.Timeout = 50 * time.Millisecond
	if _, err := smallBinding().Run(t.Context(), target); !errors.Is(err, errNoAnswer) {
		t.Errorf("got %v, want %v", err, errNoAnswer)
	}
}

func TestContextEndsEverything(t *testing.T) {
	needsBatches(t)
	errEnough := errors.New("enough")
	tcp := smallBinding()
	tcp.TCP, tcp.Duration = true, time.Hour
	long, relay := smallBinding(), smallRelay()
	long.Duration, relay.Duration = time.Hour, time.Hour
	for _, w := range []anyWorkload{
		long, tcp, relay, Allocations{AtATime: 2, Duration: time.Hour}, IdleAllocations{Clients: 3, Settle: time.Hour},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(short, func() { cancel(errEnough) })
		if _, err := w.Run(ctx, startFake(t, new(fake))); !errors.Is(err, errEnough) {
			t.Errorf("%T: got %v, want %v", w, err, errEnough)
		}
		timer.Stop()
	}
}

func TestWhatCannotBe(t *testing.T) {
	target := startFake(t, new(fake))
	rate := smallBinding()
	rate.TCP, rate.Rate = true, 5
	for _, w := range []anyWorkload{
		Binding{Window: 1}, Binding{Sockets: 1}, rate, Relay{Window: 1}, Relay{Clients: 1}, Relay{Clients: 1, Window: 1, Size: maxSize + 1}, Allocations{},
	} {
		if _, err := w.Run(t.Context(), target); err == nil {
			t.Errorf("%+v: want an error", w)
		}
	}
	if n, ok := meter.Descriptors(0); ok {
		if _, err := (IdleAllocations{Clients: n}).Run(t.Context(), target); !errors.Is(err, crowd.ErrNoRoom) {
			t.Errorf("got %v, want %v", err, crowd.ErrNoRoom)
		}
	}
}

// TestEndlessAnswer has a server that announces more than it may.
func TestEndlessAnswer(t *testing.T) {
	tcp := smallBinding()
	tcp.TCP, tcp.Sockets = true, 1
	r, err := tcp.Run(t.Context(), startFake(t, &fake{binding: once(func(m []byte) [][]byte {
		m[2], m[3] = 0xFF, 0xFC
		return [][]byte{m}
	})}))
	if err != nil || r.Faults.Broken != 1 {
		t.Errorf("got %+v, %v; want a broken connection", r.Faults, err)
	}
}

func TestWindow(t *testing.T) {
	w := newWindow(2)
	check := func(what string, slot int, sequence uint32, want verdict) {
		t.Helper()
		if _, got := w.answer(slot, sequence); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	first, one := w.take(10)
	check("what was sent", first, one, onTime)
	check("again", first, one, duplicate)
	check("never sent", first, one+1, corrupt)
	check("no such slot", 2, 1, corrupt)
	check("below 0", -1, 1, corrupt)
	check("nothing", first, 0, corrupt)
	second, two := w.take(20)
	check("one before", second, two-1, duplicate)
	if n := w.expire(20); n != 0 || w.pending() != 1 {
		t.Errorf("got %d lost and %d under way, want 0 and 1", n, w.pending())
	}
	if n := w.expire(21); n != 1 || w.pending() != 0 {
		t.Errorf("got %d lost and %d under way, want 1 and 0", n, w.pending())
	}
	check("too late", second, two, late)
	check("one before, after losses", second, two-1, late)
	third, three := w.take(30)
	w.untake(third)
	check("not sent after all", third, three, corrupt)
	if len(w.free) != 2 {
		t.Errorf("got %d free slots, want 2", len(w.free))
	}
}

// TestAttributes has lengths that lie.
func TestAttributes(t *testing.T) {
	m := newRequest(bindingSuccess).add(attrRealm, []byte("abc")).addUint32(attrLifetime, math.MaxUint32)
	if v, ok := attribute(m, attrRealm); !ok || string(v) != "abc" || !isMessage(m) {
		t.Errorf("got %q, %v", v, ok)
	}
	if v, ok := attribute(m, attrLifetime); !ok || len(v) != 4 {
		t.Errorf("got %x, %v", v, ok)
	}
	if _, ok := attribute(m, attrNonce); ok {
		t.Error("got an attribute that is not there")
	}
	for n := range m {
		if isMessage(m[:n]) {
			t.Errorf("%d bytes of a message are taken for a whole one", n)
		}
		if n >= headerLength {
			attribute(m[:n], attrNonce) // must not look beyond
		}
	}
	if a := address([]byte{0, 2, 0, 0, 0, 0, 0, 0}); a.IsValid() {
		t.Errorf("got %v of another family", a)
	}
}

func TestClientsHaveOwnAddresses(t *testing.T) {
	var p ports
	seen := make(map[string]bool)
	for range 2 * numPorts {
		a := p.next()
		if seen[a.String()] || !a.IP.IsLoopback() || a.Port < firstPort || a.Port >= firstPort+numPorts {
			t.Fatalf("got %v, want one that was not there yet, on loopback", a)
		}
		seen[a.String()] = true
	}
}

func TestExchangesDoNotAllocate(t *testing.T) {
	text := newPayload(200)
	peer := netip.MustParseAddrPort("127.0.0.1:9")
	b := make([]byte, 1000)
	for _, e := range []exchange{&binding{own: peer}, &channelData{text}, newIndication(text, peer)} {
		if n := testing.AllocsPerRun(100, func() { e.read(b[:e.write(b, 1, 2)]) }); n != 0 {
			t.Errorf("%T: got %v allocations, want 0", e, n)
		}
	}
}
