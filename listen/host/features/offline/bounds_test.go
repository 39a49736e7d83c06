package offline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// XEP-0160, section 2, step 3.
func TestLimit(t *testing.T) {
	memory := new(Memory)
	s := newService(memory, Options{AccessMaxUserMessages: limit(3)})
	want := []string{"kept", "kept", "kept", "service-unavailable", "service-unavailable"}
	for i, want := range want {
		if got := keepIt(t, s, message(t, juliet, fmt.Sprint(i))).String(); got != want {
			t.Errorf("message %d: got %s, want %s", i, got, want)
		}
	}
	wantCount(t, memory, juliet, 3)
	if got := keepIt(t, s, message(t, "nurse@a.test", "x")).String(); got != "kept" {
		t.Errorf("another account: got %s, want kept", got)
	}
	// What has been handed out counts until it has arrived.
	a := comes(t, s, juliet)
	if got := keepIt(t, s, message(t, juliet, "y")).String(); got != "service-unavailable" {
		t.Errorf("handed out: got %s, want service-unavailable", got)
	}
	a.arrive(s, 1)
	if got := keepIt(t, s, message(t, juliet, "z")).String(); got != "kept" {
		t.Errorf("arrived: got %s, want kept", got)
	}
	s.Configure(stanza.PerHost[*Options]{Value: &Options{AccessMaxUserMessages: quota{0, true, nil}}})
	if got := keepIt(t, s, message(t, "friar@a.test", "x")).String(); got != "service-unavailable" {
		t.Errorf("limit of 0: got %s, want service-unavailable", got)
	}
}

func TestDefaultLimit(t *testing.T) {
	memory := new(Memory)
	s := newService(memory, Defaults())
	for i := range DefaultLimit + 5 {
		keepIt(t, s, message(t, juliet, fmt.Sprint(i)))
	}
	wantCount(t, memory, juliet, DefaultLimit)
}

// Large messages fill an account before it has many.
func TestByteLimit(t *testing.T) {
	memory := new(Memory)
	s := newService(memory, Options{MaxBytes: 2500})
	large := func(text string) *stanza.Stanza { return message(t, juliet, strings.Repeat(text, 400)) } // twice: id and body
	for i, want := range []string{"kept", "kept", "service-unavailable"} {
		if got := keepIt(t, s, large(fmt.Sprint(i))).String(); got != want {
			t.Errorf("message %d: got %s, want %s", i, got, want)
		}
	}
	if got := keepIt(t, s, message(t, juliet, "small")).String(); got != "kept" {
		t.Errorf("one that is small enough: got %s, want kept", got)
	}
	wantCount(t, memory, juliet, 3)
	if got := keepIt(t, s, message(t, "nurse@a.test", strings.Repeat("x", 1300))).String(); got != "service-unavailable" {
		t.Errorf("one that alone is too large: got %s, want service-unavailable", got)
	}
	a := comes(t, s, juliet)
	a.arrive(s, 1)
	if got := keepIt(t, s, large("9")).String(); got != "kept" {
		t.Errorf("when one has arrived: got %s, want kept", got)
	}
}

// A page of the store has a bound in bytes, so that nobody who logs in makes the
// process read all of a full account.
func TestPagesAreBounded(t *testing.T) {
	memory := new(Memory)
	var pages []Limits
	w := &wrapper{Memory: memory}
	w.listed = func(list []Message) {
		p := Limits{Messages: len(list)}
		for _, m := range list {
			p.Bytes += len(m.XML)
		}
		pages = append(pages, p)
	}
	s := newService(w, Defaults())
	var want []string
	for i := range 30 {
		id := fmt.Sprint(i)
		m := message(t, juliet, id)
		m.Inner += "<x xmlns='urn:x'>" + strings.Repeat("x", 50_000) + "</x>"
		keepIt(t, s, m)
		want = append(want, id)
	}
	wantIDs(t, "all pages", comes(t, s, juliet), strings.Join(want, " "))
	if len(pages) != 6 {
		t.Errorf("got %d pages, want 6 of five messages", len(pages))
	}
	for _, p := range pages {
		if p.Messages > pageSize || p.Bytes > pageBytes {
			t.Errorf("got a page of %+v, want at most %d messages and %d bytes", p, pageSize, pageBytes)
		}
	}
}

// A store that does not keep up holds up the senders.
func TestMaxKeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var adds []func()
		w := &wrapper{Memory: new(Memory), add: func(do func()) { adds = append(adds, do) }}
		s := newService(w, Options{StoreEmptyBody: unlessChatState, AccessMaxUserMessages: limit(2 * MaxKeeping)})
		done := 0
		count := func(_ *stanza.Stanza, err error) {
			if err == nil {
				done++
			}
		}
		for i := range MaxKeeping {
			s.Keep(t.Context(), message(t, fmt.Sprintf("u%d@a.test", i%100), "m"), nil, count)
		}
		if got, want := s.Stats(), (Stats{Keeping: MaxKeeping, Accounts: 100}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.Keep(ctx, message(t, juliet, "m"), nil, func(_ *stanza.Stanza, err error) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one more: got %v, want %v", err, context.DeadlineExceeded)
			}
		})
		taken := make(chan struct{})
		go func() {
			s.Keep(t.Context(), message(t, juliet, "m"), nil, count)
			close(taken)
		}()
		synctest.Wait()
		if len(adds) != MaxKeeping {
			t.Errorf("the store has %d calls, want %d", len(adds), MaxKeeping)
		}
		adds[0]()
		<-taken
		for _, do := range adds[1:] {
			do()
		}
		if done != MaxKeeping+1 {
			t.Errorf("got %d messages kept, want %d", done, MaxKeeping+1)
		}
		wantIdle(t, s)
	})
}

// Waiters that give up leave nothing behind while the store hangs.
func TestFlightsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var adds []func()
		w := &wrapper{Memory: new(Memory), add: func(do func()) { adds = append(adds, do) }}
		s := newService(w, Defaults())
		s.Keep(t.Context(), message(t, juliet, "1"), nil, func(*stanza.Stanza, error) {})
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := newSession(t, juliet).collect(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
			}
			cancel()
		}
		if n := len(s.accounts[jid(t, juliet)].flights); n != 1 {
			t.Errorf("got %d flights for one message, want 1", n)
		}
		adds[0]()
		wantIdle(t, s)
	})
}
