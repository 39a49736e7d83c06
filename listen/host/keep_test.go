package host_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// later is a store whose calls of done come when the test says so.
type later struct {
	offline
	calls []func(error) // oldest first; with an error the message is refused
}

func (l *later) Keep(ctx context.Context, s *stanza.Stanza, to []stanza.Sink, done func(*stanza.Stanza, error)) {
	l.calls = append(l.calls, func(err error) {
		if err != nil {
			done(nil, err)
			return
		}
		l.offline.Keep(ctx, s, to, done)
	})
}

// finish ends the i-th of the calls that have not ended.
func (l *later) finish(i int, err error) {
	f := l.calls[i]
	l.calls = slices.Delete(l.calls, i, i+1)
	f(err)
}

// detachable is a world with a sender, a slow store, and romeo with the
// resources that are named, each with a priority of 0.
func detachable(t *testing.T, resources ...string) (*world, *later) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test")
	o := new(later)
	w.Offline = o
	w.bind("juliet@a.test/x", "")
	for _, r := range resources {
		w.bind("romeo@a.test/"+r, "<presence/>")
	}
	return w, o
}

// info describes the session that was bound last to a full JID.
func (w *world) info(full string) stanza.SessionInfo {
	i := stanza.SessionInfo{JID: jid(w.T, full)}
	if s := w.sinks[full]; s != nil {
		i.Sink = s
	}
	return i
}

// chat sends a message of juliet's.
func (w *world) chat(to, id string) {
	w.Helper()
	w.send("juliet@a.test/x", fmt.Sprintf("<message xmlns='jabber:client' to='%s' type='chat' id='%s'><body/></message>", to, id))
}

// ids returns the ids of the messages that a session got since the last call; a
// kept one has a star.
func (w *world) ids(full string) string {
	var ids []string
	list := w.sinks[full].Stanzas()
	for _, s := range list[w.read[full]:] {
		if s.Kind != stanza.Message {
			continue
		}
		id := s.ID
		if s.Kept != 0 {
			id += "*"
		}
		ids = append(ids, id)
	}
	w.read[full] = len(list)
	return strings.Join(ids, " ")
}

func TestDetached(t *testing.T) {
	const romeo, x = "romeo@a.test", "romeo@a.test/x"
	for _, to := range []string{romeo, x, romeo + "/none"} {
		t.Run("stored first, to "+to, func(t *testing.T) {
			w, o := detachable(t, "x")
			w.Detached(t.Context(), w.info(x))
			w.chat(to, "1")
			if got := w.ids(x); got != "" || len(o.calls) != 1 {
				t.Errorf("the session got %q before the store had it, and the store was asked %d times", got, len(o.calls))
			}
			o.finish(0, nil)
			if got := w.ids(x); got != "1*" {
				t.Errorf("the session got %q, want the stored copy", got)
			}
		})
	}
}

// What waits for the store stays before what comes later.
func TestDetachedOrder(t *testing.T) {
	const romeo, x = "romeo@a.test", "romeo@a.test/x"
	t.Run("order when it is resumed", func(t *testing.T) {
		w, o := detachable(t, "x")
		w.Detached(t.Context(), w.info(x))
		w.chat(romeo, "1")
		w.chat(x, "2")
		w.Resumed(t.Context(), w.info(x))
		w.chat(romeo, "3")
		w.send("juliet@a.test/x", "<message xmlns='jabber:client' to='"+x+"' type='headline' id='4'/>")
		w.chat(x, "5")
		if got := w.ids(x); got != "" {
			t.Errorf("%q came before what the store has not got", got)
		}
		for range 4 { // the last call first
			o.finish(len(o.calls)-1, nil)
		}
		if got := w.ids(x); got != "1* 2* 3* 4 5*" {
			t.Errorf("got %q, want all in order", got)
		}
		w.chat(romeo, "6")
		if got := w.ids(x); got != "6" || len(o.calls) > 0 {
			t.Errorf("got %q, want the next one at once", got)
		}
	})
}

// Where several sessions share the priority.
func TestDetachedOfSeveral(t *testing.T) {
	const romeo, x = "romeo@a.test", "romeo@a.test/x"
	t.Run("one of them is connected", func(t *testing.T) {
		w, o := detachable(t, "x", "y")
		w.Detached(t.Context(), w.info(x))
		w.chat(romeo, "1")
		if a, b := w.ids(x), w.ids(romeo+"/y"); a != "1" || b != "1" || len(o.calls) > 0 {
			t.Errorf("got %q and %q, want the message at both at once", a, b)
		}
	})
	t.Run("none of them is connected", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, o := detachable(t, "x", "y")
			w.Detached(t.Context(), w.info(x))
			w.Detached(t.Context(), w.info(romeo+"/y"))
			w.chat(romeo, "1")
			o.finish(0, nil)
			synctest.Wait()
			if a, b := w.ids(x), w.ids(romeo+"/y"); a != "1*" || b != "1*" || o.count() != 0 {
				t.Errorf("got %q and %q, want the stored copy at both", a, b)
			}
		})
	})
}

// What the store does not take.
func TestDetachedWithoutStore(t *testing.T) {
	const romeo, x = "romeo@a.test", "romeo@a.test/x"
	t.Run("what is not stored comes at once", func(t *testing.T) {
		w, o := detachable(t, "x")
		w.Detached(t.Context(), w.info(x))
		for _, typ := range []string{"headline", "groupchat", "error"} {
			w.send("juliet@a.test/x", "<message xmlns='jabber:client' to='"+x+"' type='"+typ+"' id='"+typ+"'/>")
		}
		w.send("juliet@a.test/x", "<iq xmlns='jabber:client' to='"+x+"' type='get' id='q'><q xmlns='urn:x'/></iq>")
		if got := w.ids(x); got != "headline groupchat error" || len(o.calls) > 0 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("what is not worth storing", func(t *testing.T) {
		w, _ := detachable(t, "x")
		w.Offline = &offline{drops: func(*stanza.Stanza) bool { return true }}
		w.Detached(t.Context(), w.info(x))
		w.chat(romeo, "1")
		if got := w.ids(x); got != "1" {
			t.Errorf("got %q, want the message itself: the session is there", got)
		}
	})
	t.Run("the store refuses", func(t *testing.T) {
		w, o := detachable(t, "x")
		w.Detached(t.Context(), w.info(x))
		w.chat(romeo, "1")
		w.chat(romeo, "2")
		o.finish(0, &stanza.Error{Condition: stanza.ResourceConstraint})
		o.finish(0, nil)
		if got := outcome(w); got != "resource-constraint x" {
			t.Errorf("got %q, want an error for the first and the second delivered", got)
		}
	})
	t.Run("no store", func(t *testing.T) {
		w, o := detachable(t, "x")
		o.off = func(string) bool { return true }
		w.Detached(t.Context(), w.info(x))
		w.chat(romeo, "1")
		if got := w.ids(x); got != "1" {
			t.Errorf("got %q, want the message in the queue", got)
		}
	})
	t.Run("presence stays", func(t *testing.T) {
		w, _ := detachable(t, "x", "y")
		w.got()
		w.Detached(t.Context(), w.info(x))
		w.Resumed(t.Context(), w.info(x))
		w.expect()
	})
}

// What the store refuses goes to a session that is there.
func TestResumedWithoutStore(t *testing.T) {
	const romeo, x = "romeo@a.test", "romeo@a.test/x"
	w, o := detachable(t, "x", "y")
	w.Detached(t.Context(), w.info(x))
	w.chat(x, "1")
	w.Resumed(t.Context(), w.info(x))
	w.chat(x, "2")
	w.chat(romeo, "3")
	o.finish(2, errBroken)
	o.finish(1, errBroken)
	if got := w.ids(x); got != "" {
		t.Errorf("got %q, want nothing before the first is decided", got)
	}
	o.finish(0, nil)
	if a, b := w.ids(x), w.ids(romeo+"/y"); a != "1* 2 3" || b != "3" {
		t.Errorf("got %q and %q, want the messages themselves", a, b)
	}
	// It may have ended by then.
	w.Detached(t.Context(), w.info(x))
	w.chat(x, "4")
	w.Resumed(t.Context(), w.info(x))
	w.chat(x, "5")
	o.finish(1, errBroken)
	w.sinks[x].Kick(nil)
	o.finish(0, nil)
	if got := outcome(w); got != "internal-server-error" {
		t.Errorf("got %q, want the error of the store", got)
	}
}

// A session ends while a message for it is on its way to the store: the message
// stays there, or goes to another one that has come meanwhile.
func TestDetachedEndsMeanwhile(t *testing.T) {
	const x, y = "romeo@a.test/x", "romeo@a.test/y"
	for _, other := range []bool{false, true} {
		for _, first := range []bool{false, true} {
			t.Run(fmt.Sprintf("other session: %t, ends before the store is done: %t", other, first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, _ := detachable(t)
					o := &waiting{open: make(chan struct{})}
					w.Offline = o
					close(o.open)
					c := w.join(x, "<presence/>")
					w.bind(y, prio(-1))
					o.open = make(chan struct{})
					w.Detached(t.Context(), c.info)
					w.chat("romeo@a.test", "1")
					if other {
						p := &stanza.Stanza{Kind: stanza.Presence, From: jid(t, y)}
						go func() { _ = w.Route(t.Context(), p) }() // asks the store, which waits
					}
					synctest.Wait()
					if first {
						go c.end(w)
						synctest.Wait()
						close(o.open)
					} else {
						close(o.open)
						synctest.Wait()
						c.end(w)
					}
					synctest.Wait()
					want, left := "", 1
					if other {
						want, left = "1*", 0
					}
					if got := w.ids(y); got != want || o.count() != left {
						t.Errorf("the other session got %q, and %d messages are in the store; want %q and %d", got, o.count(), want, left)
					}
				})
			})
		}
	}
}

// slowly is a store that is slow to say that it has handed out everything to a
// resource.
type slowly struct {
	waiting
	to   stanza.Sink
	gate chan struct{}
}

func (o *slowly) Deliver(ctx context.Context, user stanza.JID, to stanza.Sink, send func(*stanza.Stanza) error) error {
	err := o.offline.Deliver(ctx, user, to, send)
	if to == o.to {
		<-o.gate
	}
	return err
}

// A session ends while others hand out to it, and before what is on its way to
// the store for it is there: another one gets that.
func TestDetachedEndsInATurn(t *testing.T) {
	const x, y = "romeo@a.test/x", "romeo@a.test/y"
	synctest.Test(t, func(t *testing.T) {
		w, _ := detachable(t)
		o := &slowly{gate: make(chan struct{})}
		w.Offline = o
		var all sync.WaitGroup
		c := w.join(x, prio(-1))
		o.to = c
		w.bind(y, prio(-1))
		w.Detached(t.Context(), c.info)
		o.open = make(chan struct{})
		p := &stanza.Stanza{Kind: stanza.Presence, From: c.info.JID}
		all.Go(func() { _ = w.Route(t.Context(), p) })
		synctest.Wait()
		w.chat("romeo@a.test", "1")
		q := &stanza.Stanza{Kind: stanza.Presence, From: jid(t, y)}
		all.Go(func() { _ = w.Route(t.Context(), q) })
		all.Go(func() { c.end(w) })
		synctest.Wait()
		close(o.open)
		synctest.Wait()
		if got := w.ids(y); got != "1*" {
			t.Errorf("the other session got %q", got)
		}
		close(o.gate)
		all.Wait()
	})
}

// waiting is a store that takes nothing until it is open.
type waiting struct {
	offline
	open chan struct{}
}

func (o *waiting) Keep(ctx context.Context, s *stanza.Stanza, to []stanza.Sink, done func(*stanza.Stanza, error)) {
	open := o.open
	c := &call{s.To.Bare(), make(chan struct{})}
	o.takeOff(c)
	o.work.Go(func() {
		<-open
		o.offline.Keep(ctx, s, to, done)
		o.land(c)
	})
}

// meanwhile are users; somebody asks for one at an unlucky moment.
type meanwhile struct{ f func() }

func (m meanwhile) Exists(context.Context, stanza.JID) (bool, error) { m.f(); return true, nil }

// A resource that comes after the router has found none, and has asked the store
// before the message is there, gets it nevertheless.
func TestResourceComesMeanwhile(t *testing.T) {
	w, _ := detachable(t)
	w.Offline = new(offline)
	first := true
	w.Users = meanwhile{func() {
		if first {
			first = false
			w.bind("romeo@a.test/x", "<presence/>")
		}
	}}
	w.chat("romeo@a.test", "1")
	w.chat("romeo@a.test", "2")
	if got := w.ids("romeo@a.test/x"); got != "1* 2" {
		t.Errorf("got %q, want both in order", got)
	}
}

// The same when the detached session that a message was for has ended, and its
// end was told.
func TestResourceEndsMeanwhile(t *testing.T) {
	w, _ := detachable(t, "x")
	w.bind("romeo@a.test/y", prio(-1))
	o := new(offline)
	w.Offline = o
	w.Detached(t.Context(), w.info("romeo@a.test/x"))
	o.refuse = func(*stanza.Stanza) error { // before it is noted
		w.Release(t.Context(), jid(t, "romeo@a.test/x"), w.sinks["romeo@a.test/x"])
		w.Ended(t.Context(), w.info("romeo@a.test/x"), nil, nil)
		w.send("romeo@a.test/y", prio(0))
		w.got()
		return nil
	}
	w.chat("romeo@a.test", "1")
	if got := w.ids("romeo@a.test/y"); got != "1*" {
		t.Errorf("the other session got %q, want the message", got)
	}
}

// What is kept comes before what is sent while it is handed out.
func TestKeptComesFirst(t *testing.T) {
	w, _ := detachable(t)
	w.Offline = new(offline)
	w.chat("romeo@a.test", "1")
	w.chat("romeo@a.test", "2")
	c := new(chatterbox)
	full, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, "romeo@a.test/x"), Sink: c})
	if err != nil {
		t.Fatal(err)
	}
	c.heard = func(s *stanza.Stanza) {
		switch {
		case s.Kind == stanza.Presence:
			w.chat("romeo@a.test", "3")
		case s.ID == "1":
			w.chat(full.String(), "4")
		}
	}
	w.send(full.String(), "<presence/>")
	w.sinks[full.String()] = &c.Sink
	if got := w.ids(full.String()); got != "1* 2* 3* 4*" {
		t.Errorf("got %q, want the kept ones first", got)
	}
}

// A sink that does not take what the store has handed to it loses it.
func TestKeptIsNotTaken(t *testing.T) {
	w, o := detachable(t, "x")
	x := w.sinks["romeo@a.test/x"]
	w.Detached(t.Context(), w.info("romeo@a.test/x"))
	w.chat("romeo@a.test", "1")
	x.Limit = 1
	o.finish(0, nil)
	if o.count() != 1 || len(o.lost) != 1 || o.lost[0] != x {
		t.Errorf("%d messages are in the store, lost by %v, want 1 and the session", o.count(), o.lost)
	}
	x.Limit = 0
	x.Kick(nil)
	w.chat("romeo@a.test", "2")
	o.finish(0, nil)
	w.got()
	w.Release(t.Context(), jid(t, "romeo@a.test/x"), x)
	w.bind("romeo@a.test/y", "")
	w.send("romeo@a.test/y", "<presence/>")
	if got := w.ids("romeo@a.test/y"); got != "1* 2*" {
		t.Errorf("the next session got %q", got)
	}
}

// RFC 6120, section 10.1, and the bounds of what waits.
func TestLaneIsBounded(t *testing.T) {
	w, o := detachable(t, "x")
	w.Detached(t.Context(), w.info("romeo@a.test/x"))
	for i := range host.MaxHeld {
		w.chat("romeo@a.test/x", fmt.Sprint(i))
	}
	w.expect()
	if n := w.Stats().Held; n != host.MaxHeld {
		t.Errorf("%d messages wait, want %d", n, host.MaxHeld)
	}
	w.chat("romeo@a.test/x", "over")
	if got := outcome(w); got != "resource-constraint" {
		t.Errorf("over the bound: got %q", got)
	}
	for range host.MaxHeld {
		o.finish(0, nil)
	}
	if n := w.Stats().Held; n != 0 || len(w.sinks["romeo@a.test/x"].Stanzas()) != host.MaxHeld+1 {
		t.Errorf("%d messages wait, want none", n)
	}

	w, o = detachable(t, "x")
	w.Detached(t.Context(), w.info("romeo@a.test/x"))
	big := strings.Repeat("x", host.MaxHeldBytes)
	for range 2 {
		w.send("juliet@a.test/x", "<message xmlns='jabber:client' to='romeo@a.test/x'><body>"+big+"</body></message>")
	}
	if got := outcome(w); got != "resource-constraint" || len(o.calls) != 1 {
		t.Errorf("over the bound of bytes: got %q, and %d wait", got, len(o.calls))
	}
}
