package offline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const juliet = "juliet@a.test"

// XEP-0160, section 2, steps 3 to 5.
func TestKeepAndDeliver(t *testing.T) {
	memory := new(Memory)
	s := newService(memory, Defaults())
	for _, text := range []string{"1", "2", "3"} {
		keepIt(t, s, message(t, juliet, text))
	}
	keepIt(t, s, message(t, "nurse@a.test", "4"))
	wantIdle(t, s)

	a := comes(t, s, juliet)
	wantIDs(t, "first session", a, "1 2 3")
	if err := a.collect(t.Context(), s); err != nil {
		t.Error(err)
	}
	wantIDs(t, "the same again", a, "1 2 3")
	wantIDs(t, "another one", comes(t, s, juliet), "")
	wantCount(t, memory, juliet, 3)

	a.arrive(s, 2)
	wantCount(t, memory, juliet, 1)
	s.Lost(a.user, a)
	wantIdle(t, s)
	b := comes(t, s, juliet)
	wantIDs(t, "after the first one was lost", b, "3")
	b.arrive(s, 1)
	wantCount(t, memory, juliet, 0)
	wantCount(t, memory, "nurse@a.test", 1)
	s.Lost(b.user, b)
	wantIdle(t, s)
	wantIDs(t, "in the end", comes(t, s, juliet), "")
}

func TestOffered(t *testing.T) {
	memory := new(Memory)
	s := New(Config{Store: memory})
	if s.Offered("a.test") {
		t.Error("is offered before it has options")
	}
	if got := keepIt(t, s, message(t, juliet, "1")).String(); got != "service-unavailable" {
		t.Errorf("got %s, want service-unavailable", got)
	}
	o := Defaults()
	s.Configure(stanza.PerHost[*Options]{Value: &o, Hosts: map[string]*Options{"b.test": nil}})
	if !s.Offered("a.test") || s.Offered("b.test") {
		t.Errorf("a.test: got %t, want true; b.test: got %t, want false", s.Offered("a.test"), s.Offered("b.test"))
	}
	keepIt(t, s, message(t, juliet, "1"))
	s.Configure(stanza.PerHost[*Options]{})
	wantIDs(t, "switched off", comes(t, s, juliet), "")
	s.Configure(stanza.PerHost[*Options]{Value: &o})
	wantIDs(t, "switched on again", comes(t, s, juliet), "1")
}

// A session whose queue is full gets the rest later, in order.
func TestSendRefuses(t *testing.T) {
	s := newService(new(Memory), Defaults())
	var want []string
	for i := range 2*pageSize + pageSize/2 {
		want = append(want, fmt.Sprint(i))
		keepIt(t, s, message(t, juliet, fmt.Sprint(i)))
	}
	a := newSession(t, juliet)
	a.room = pageSize + 1
	if err := a.collect(t.Context(), s); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
	wantIDs(t, "until it was full", a, strings.Join(want[:pageSize+1], " "))
	a.arrive(s, 3)
	a.room = -1
	if err := a.collect(t.Context(), s); err != nil {
		t.Error(err)
	}
	wantIDs(t, "in all", a, strings.Join(want[3:], " "))
	a.arrive(s, len(a.got))
	wantIdle(t, s)
}

// Detached sessions hold the copies that done gives them.
func TestDetached(t *testing.T) {
	memory := new(Memory)
	s := newService(memory, Defaults())
	a, b := newSession(t, juliet), newSession(t, juliet)
	one := keepIt(t, s, message(t, juliet, "1"), a)
	two := keepIt(t, s, message(t, juliet, "2"), a, b)
	keepIt(t, s, message(t, juliet, "3"))
	passing := func(what, want string) {
		t.Helper()
		c := comes(t, s, juliet)
		wantIDs(t, what, c, want)
		s.Lost(c.user, c)
	}
	passing("a third session", "3")
	s.Lost(b.user, b)
	passing("while one of two has it", "3")
	s.Lost(a.user, a)
	passing("when all are lost", "1 2 3")

	// A session that was thought lost acknowledges after all.
	s.Arrived(a.user, []uint64{one.kept.Kept, two.kept.Kept})
	wantCount(t, memory, juliet, 1)
	wantIDs(t, "the rest", comes(t, s, juliet), "3")
}

// A session may lose some of what it holds.
func TestLostInPart(t *testing.T) {
	s := newService(new(Memory), Defaults())
	a := newSession(t, juliet)
	one := keepIt(t, s, message(t, juliet, "1"), a)
	two := keepIt(t, s, message(t, juliet, "2"), a)
	if b := newSession(t, juliet); !s.Holds(a.user, a) || s.Holds(b.user, b) || s.Holds(jid(t, "nurse@a.test"), a) {
		t.Error("the session that was handed messages does not hold them, or another one does")
	}
	s.Lost(a.user, a, two.kept.Kept, two.kept.Kept+1)
	b := comes(t, s, juliet)
	wantIDs(t, "another one", b, "2")
	s.Arrived(b.user, []uint64{two.kept.Kept})
	s.Arrived(a.user, []uint64{one.kept.Kept})
	if s.Holds(a.user, a) {
		t.Error("the session holds what has arrived")
	}
	s.Lost(a.user, a)
	wantIdle(t, s)
}

// done may say that a session has not taken the copy.
func TestLostWithinDone(t *testing.T) {
	s := newService(new(Memory), Defaults())
	a := newSession(t, juliet)
	s.Keep(t.Context(), message(t, juliet, "1"), []stanza.Sink{a}, func(*stanza.Stanza, error) { s.Lost(a.user, a) })
	wantIdle(t, s)
	wantIDs(t, "another one", comes(t, s, juliet), "1")
}

// Deliver waits for calls of Keep that have begun, not for later ones.
func TestDeliverWaitsForKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var adds []func()
		w := &wrapper{Memory: new(Memory), add: func(do func()) { adds = append(adds, do) }}
		s := newService(w, Defaults())
		ignore := func(*stanza.Stanza, error) {}
		s.Keep(t.Context(), message(t, juliet, "1"), nil, ignore)

		a := newSession(t, juliet)
		ended := make(chan error)
		go func() { ended <- a.collect(t.Context(), s) }()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("did not wait: %v", err)
		default:
		}
		s.Keep(t.Context(), message(t, juliet, "2"), nil, ignore)
		w.list = func() error { s.Keep(t.Context(), message(t, juliet, "3"), nil, ignore); return nil }
		adds[0]()
		synctest.Wait()
		// It waits for those that have begun when the store has shown its page.
		adds[1]()
		adds[2]()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wantIDs(t, "what was there", a, "1")
		w.list = nil
		wantIDs(t, "the next time", comes(t, s, juliet), "2 3")
	})
}

// What the store shows before Keep has said who holds it is left alone.
func TestShownBeforeDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shown := make(chan func(uint64, error), 1)
		w := &late{Memory: new(Memory), dones: shown}
		s := newService(w, Defaults())
		a, b := newSession(t, juliet), newSession(t, juliet)
		w.before = func() {
			s.Keep(t.Context(), message(t, juliet, "1"), []stanza.Sink{a}, func(*stanza.Stanza, error) {})
		}
		ended := make(chan error)
		go func() { ended <- b.collect(t.Context(), s) }()
		synctest.Wait()
		(<-shown)(1, nil)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wantIDs(t, "another session", b, "")
	})
}

// late is a store that shows messages before it calls done.
type late struct {
	*Memory
	before func() // in List, before it reads
	dones  chan func(uint64, error)
}

func (l *late) Add(ctx context.Context, user stanza.JID, xml string, limits Limits, done func(uint64, error)) {
	l.Memory.Add(ctx, user, xml, limits, func(uint64, error) {})
	l.dones <- done
}

func (l *late) List(ctx context.Context, user stanza.JID, after uint64, limits Limits) ([]Message, bool, error) {
	l.before()
	return l.Memory.List(ctx, user, after, limits)
}

// A message that arrives and leaves the store while another session looks at
// the page that shows it is not handed out again.
func TestArrivedWhileListed(t *testing.T) {
	memory := new(Memory)
	w := &wrapper{Memory: memory}
	s := newService(w, Defaults())
	keepIt(t, s, message(t, juliet, "1"))
	keepIt(t, s, message(t, juliet, "2"))
	a := newSession(t, juliet)
	a.room = 1
	_ = a.collect(t.Context(), s)
	b := newSession(t, juliet)
	err := s.Deliver(t.Context(), b.user, b, func(m *stanza.Stanza) error {
		if len(a.got) > 0 { // a has got both, while b is sent the second one
			s.Arrived(a.user, keys(append(a.got, m)))
		}
		return b.Deliver(m)
	})
	if err != nil {
		t.Error(err)
	}
	wantIDs(t, "the other one", b, "2")
	wantCount(t, memory, juliet, 0)

	keepIt(t, s, message(t, juliet, "3"))
	keepIt(t, s, message(t, juliet, "4"))
	b.got = nil
	err = s.Deliver(t.Context(), b.user, b, func(m *stanza.Stanza) error {
		if m.ID == "3" { // the page shows 4 still
			s.Arrived(a.user, []uint64{m.Kept, m.Kept + 1})
		}
		return b.Deliver(m)
	})
	if err != nil {
		t.Error(err)
	}
	wantIDs(t, "the other one", b, "3")
	s.Lost(b.user, b)
	wantIdle(t, s)
}

// Two sessions that come at once do not share a message.
func TestOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(new(Memory), Defaults())
		for i := range 3 {
			keepIt(t, s, message(t, juliet, fmt.Sprint(i)))
		}
		a, b := newSession(t, juliet), newSession(t, juliet)
		gate := make(chan struct{})
		ended := make(chan error, 2)
		go func() {
			ended <- s.Deliver(t.Context(), a.user, a, func(m *stanza.Stanza) error {
				<-gate
				return a.Deliver(m)
			})
		}()
		synctest.Wait()
		go func() { ended <- b.collect(t.Context(), s) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.collect(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		close(gate)
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		wantIDs(t, "the first one", a, "0 1 2")
		wantIDs(t, "the second one", b, "")
	})
}

func TestUnreadableMessage(t *testing.T) {
	memory, log := new(Memory), new(recorder)
	s := New(Config{Store: memory, Log: slog.New(log)})
	o := Defaults()
	s.Configure(stanza.PerHost[*Options]{Value: &o})
	keepIt(t, s, message(t, juliet, "1"))
	for _, xml := range []string{"", "<message", "<letter xmlns='jabber:client'/>"} {
		memory.Add(t.Context(), jid(t, juliet), xml, Limits{}, func(uint64, error) {})
	}
	keepIt(t, s, message(t, juliet, "2"))
	a := comes(t, s, juliet)
	wantIDs(t, "the others", a, "1 2")
	if len(log.lines) != 3 {
		t.Errorf("got log lines %q, want one for each of 3 messages", log.lines)
	}
	s.Lost(a.user, a)
	wantIdle(t, s)
}

func TestStoreFails(t *testing.T) {
	broken := errors.New("disk is gone")
	memory, log := new(Memory), new(recorder)
	w := &wrapper{Memory: memory}
	s := New(Config{Store: w, Log: slog.New(log)})
	o := Defaults()
	s.Configure(stanza.PerHost[*Options]{Value: &o})
	keepIt(t, s, message(t, juliet, "1"))
	keepIt(t, s, message(t, juliet, "2"))

	w.list = func() error { return broken }
	if err := newSession(t, juliet).collect(t.Context(), s); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	wantIdle(t, s)
	w.list = nil

	// What has arrived is not handed out again, and removed as soon as it can be.
	a := comes(t, s, juliet)
	w.delete = func() error { return broken }
	a.arrive(s, 1)
	a.arrive(s, 1)
	s.Lost(a.user, a)
	wantIDs(t, "another one", comes(t, s, juliet), "")
	wantCount(t, memory, juliet, 2)
	if len(log.lines) == 0 {
		t.Error("the log has nothing of it")
	}
	w.delete = nil
	wantIDs(t, "and another one", comes(t, s, juliet), "")
	wantCount(t, memory, juliet, 0)
	wantIdle(t, s)
}

func TestKeepFails(t *testing.T) {
	s := newService(new(Memory), Defaults())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Keep(ctx, message(t, juliet, "1"), []stanza.Sink{newSession(t, juliet)}, func(kept *stanza.Stanza, err error) {
		if kept != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, %v, want %v", kept, err, context.Canceled)
		}
	})
	wantIdle(t, s)
}

func TestRemove(t *testing.T) {
	memory := new(Memory)
	s := newService(memory, Defaults())
	keepIt(t, s, message(t, juliet, "1"))
	keepIt(t, s, message(t, "nurse@a.test", "2"))
	a := comes(t, s, juliet)
	if err := s.Remove(t.Context(), jid(t, juliet)); err != nil {
		t.Fatal(err)
	}
	wantCount(t, memory, juliet, 0)
	wantCount(t, memory, "nurse@a.test", 1)
	wantIdle(t, s)
	keepIt(t, s, message(t, juliet, "3"))
	a.arrive(s, 1)
	wantIDs(t, "the next account of this name", comes(t, s, juliet), "3")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Remove(ctx, jid(t, juliet)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	wantIDs(t, "after a removal that failed", comes(t, s, juliet), "")
}
