package component

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// echoing connects a component that answers each message with one of its own, and
// returns where the answers go.
func echoing(b *testing.B, r *rig) {
	b.Helper()
	c := r.connect("bot.test")
	_ = c.conn.SetDeadline(time.Time{})
	answer := []byte(message("bot.test", "ana@house.test/boat", "a1b2c3"))
	var answers []byte
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := c.conn.Read(buf)
			if err != nil {
				return
			}
			answers = answers[:0]
			for range bytes.Count(buf[:n], []byte("</message>")) { // there is one at a time, so none is cut in two
				answers = append(answers, answer...)
			}
			if _, err := c.conn.Write(answers); err != nil {
				return
			}
		}
	}()
	b.Cleanup(c.Close)
}

// BenchmarkEcho measures the round trip of a message through a component: from
// Deliver of its domain to Router.Route.
func BenchmarkEcho(b *testing.B) {
	arrived := make(chan struct{}, 1)
	r := start(b, func(r *rig) {
		r.router.onRoute = func(*stanza.Stanza) error { arrived <- struct{}{}; return nil }
	})
	echoing(b, r)
	sink := r.router.sink("bot.test")
	st, _ := stanza.Parse(message("ana@house.test/boat", "bot.test", "a1b2c3"))
	b.ReportAllocs()
	for b.Loop() {
		if err := sink.Deliver(st); err != nil {
			b.Fatal(err)
		}
		<-arrived
	}
}

// BenchmarkStanzas measures messages both ways when there are many of them: what
// client streams measure for one message between two of them.
func BenchmarkStanzas(b *testing.B) {
	for _, members := range []int{1, 3} {
		b.Run(fmt.Sprint("members=", members), func(b *testing.B) { benchmarkStanzas(b, members) })
	}
}

func benchmarkStanzas(b *testing.B, members int) {
	const batch = 100
	r := start(b, func(r *rig) {
		r.router.onRoute = func(st *stanza.Stanza) error { return r.router.sink("bot.test").Deliver(st) }
	})
	body := strings.Repeat("x", 100)
	from := r.connect("one.test").conn
	var all []net.Conn
	for range members {
		all = append(all, r.connect("bot.test").conn)
	}
	text := []byte(strings.Repeat("<message from='a@one.test' to='bot.test'><body>"+body+"</body></message>", batch))
	answers := make(chan error)
	for _, c := range all {
		_ = c.SetDeadline(time.Time{})
		go func() {
			answer := make([]byte, len(text))
			for {
				_, err := io.ReadFull(c, answer)
				answers <- err
				if err != nil {
					return
				}
			}
		}()
	}
	_ = from.SetDeadline(time.Time{})
	b.ReportAllocs()
	b.SetBytes(int64(len(text) / batch))
	b.ResetTimer()
	for range (b.N + batch - 1) / batch {
		if _, err := from.Write(text); err != nil {
			b.Fatal(err)
		}
		if err := <-answers; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	for _, c := range all {
		_ = c.Close()
		<-answers
	}
}

// Sharing senders among members costs no memory, and what it costs of the time is
// little beside the rest.
func BenchmarkPick(b *testing.B) {
	srv := New(Host{})
	st, _ := stanza.Parse(message("ana@house.test/boat", "bot.test", "a1b2c3"))
	for _, n := range []int{1, 3, 10} {
		var members []*seat
		for range n {
			members = append(members, &seat{g: &group{srv: srv}, x: &stream{salt: rand.Uint64()}})
		}
		b.Run(fmt.Sprint("members=", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pick(members, st)
			}
		})
	}
}

// Deliver does no more than queue.
func TestDeliverAllocs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.MaxFSMQueue, r.o.MaxQueueBytes = 0, 0 })
		first, second := r.connect("bot.test"), r.connect("bot.test")
		for i := range 10 {
			r.stall(user(i), "bot.test")
		}
		st, _ := stanza.Parse(message("ana@house.test/boat", "bot.test", "a1b2c3"))
		sink := r.router.sink("bot.test")
		got := testing.AllocsPerRun(5000, func() {
			if err := sink.Deliver(st); err != nil {
				t.Fatal(err)
			}
		})
		if got > 0 {
			t.Errorf("Deliver: got %v allocations, want none", got)
		}
		first.Close()
		second.Close()
	})
}
