package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// queued is what a session has not delivered.
func queued(list ...*stanza.Stanza) []stanza.Queued {
	var all []stanza.Queued
	for _, s := range list {
		all = append(all, stanza.Queued{Stanza: s})
	}
	return all
}

// c2s calls Keep for what a session that was detached has in its queue.
func TestKeep(t *testing.T) {
	x := "romeo@a.test/x"
	w, _ := detachable(t, "x")
	o := &offline{refuse: func(s *stanza.Stanza) error {
		if s.ID == "refused" {
			return errors.New("disk")
		}
		return nil
	}, drops: func(s *stanza.Stanza) bool { return s.ID == "worthless" }}
	w.Offline = o
	from, to := jid(t, "juliet@a.test/x"), jid(t, x)
	var waiting []stanza.Queued
	for _, s := range []stanza.Stanza{
		{Kind: stanza.Message, Type: stanza.TypeChat, ID: "a"},
		{Kind: stanza.Message, ID: "b"},
		{Kind: stanza.Message, ID: "kept", Kept: 77},
		{Kind: stanza.Message, ID: "refused"},
		{Kind: stanza.Message, ID: "worthless"},
		{Kind: stanza.Message, Type: stanza.TypeHeadline, ID: "h"},
		{Kind: stanza.Message, Type: stanza.TypeGroupchat, ID: "g"},
		{Kind: stanza.Message, Type: stanza.TypeError, ID: "e"},
		{Kind: stanza.Presence, ID: "p"},
		{Kind: stanza.IQ, Type: stanza.TypeGet, ID: "q"},
		{Kind: stanza.Message, Type: stanza.TypeChat, ID: "c"},
	} {
		s.From, s.To = from, to
		waiting = append(waiting, stanza.Queued{Stanza: &s})
	}
	w.Detached(t.Context(), w.info(x))
	got := w.Keep(t.Context(), w.info(x), waiting)
	var ids []string
	for i, s := range got {
		if s.ID != waiting[i].Stanza.ID {
			t.Fatalf("the list was reordered: %v", got)
		}
		if s.Kept != 0 {
			ids = append(ids, s.ID)
		}
	}
	if fmt.Sprint(ids) != "[a b kept c]" || waiting[0].Stanza.Kept != 0 {
		t.Errorf("%v are kept, want a b kept c, and the list of the caller as it was", ids)
	}
	// They are his until he is gone.
	w.bind("romeo@a.test/y", "<presence/>")
	if got := w.ids("romeo@a.test/y"); got != "" {
		t.Errorf("another session got %q", got)
	}
	w.Arrived(w.info(x), []uint64{got[0].Kept})
	w.Release(t.Context(), to, w.sinks[x])
	w.Ended(t.Context(), w.info(x), queued(got[1:2]...), nil)
	if got := w.ids("romeo@a.test/y"); got != "b* kept* c*" {
		t.Errorf("after the end another session got %q, want what has not arrived, in order", got)
	}
}

// The next session gets what waits in the order of the queue, also where the
// store had the later message first.
func TestKeepKeepsTheOrder(t *testing.T) {
	w, _ := detachable(t)
	o := new(offline)
	w.Offline = o
	c := w.join("romeo@a.test/x", "<presence/>")
	w.chat("romeo@a.test", "1")
	if err := c.Deliver(o.store(parse(t, "<message from='juliet@a.test/x' to='romeo@a.test' id='2'><body/></message>"), []stanza.Sink{c})); err != nil {
		t.Fatal(err)
	}
	w.chat("romeo@a.test", "3")
	c.detach(w)
	c.want(t, "in the queue", "1*+ 2*+ 3*+")
	if o.count() != 3 {
		t.Errorf("%d messages are stored, want 3", o.count())
	}
	c.end(w)
	next := w.join("romeo@a.test/y", "<presence/>")
	next.want(t, "the next session", "1*+ 2*+ 3*+")
}

// XEP-0198, section 4: what goes elsewhere says since when the first session has
// had it.
func TestUndeliveredSaysSinceWhen(t *testing.T) {
	const x, y = "romeo@a.test/x", "romeo@a.test/y"
	const stamp = "<body/><delay xmlns='urn:xmpp:delay' from='a.test' stamp='2000-01-01T00:00:00.000Z'/>"
	synctest.Test(t, func(t *testing.T) {
		w, _ := detachable(t)
		o := new(offline)
		w.Offline = o
		begin := time.Now()
		one := w.join(x, prio(1))
		w.chat("romeo@a.test", "1")
		two := w.join(y, prio(0))
		two.acknowledge(-1)
		time.Sleep(time.Hour)
		one.end(w)
		list := two.queue
		if m := list[len(list)-1].Stanza; m.ID != "1" || m.Inner != stamp {
			t.Errorf("the other session got %s, want %s", m, stamp)
		}
		time.Sleep(time.Hour)
		two.detach(w)
		list = two.queue
		if m := list[len(list)-1].Stanza; m.ID != "1" || m.Kept == 0 || m.Inner != stamp {
			t.Errorf("stored for it was %s, want %s", m, stamp)
		}
		three := w.join("romeo@a.test/z", "")
		two.end(w)
		w.Ended(t.Context(), two.info, []stanza.Queued{{Stanza: parse(t, "<message from='juliet@a.test/x' to='romeo@a.test'><body/></message>"), Since: begin}}, nil)
		for i, m := range o.kept {
			if i > 1 || m.Inner != stamp {
				t.Errorf("message %d in the store is %s, want %s", i, m, stamp)
			}
		}
		w.send("romeo@a.test/z", "<presence/>")
		three.want(t, "the last session", "1*+ *+")
		// Nobody knows since when.
		now := time.Now().UTC().Format("2006-01-02T15:04:05")
		w.Ended(t.Context(), stanza.SessionInfo{JID: jid(t, x), Sink: one}, queued(parse(t, "<message from='juliet@a.test/x' to='"+x+"' type='chat' id='2'><body/></message>")), nil)
		list = three.queue
		if m := list[len(list)-1].Stanza; m.ID != "2" || m.Inner != strings.Replace(stamp, "2000-01-01T00:00:00", now, 1) {
			t.Errorf("got %s, want the time of now", m)
		}
	})
}

func parse(t *testing.T, xml string) *stanza.Stanza {
	t.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// There may be no store at all.
func TestNoStore(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	w.bind("romeo@a.test/x", "<presence/>")
	info := w.info("romeo@a.test/x")
	w.Detached(t.Context(), info)
	m := &stanza.Stanza{Kind: stanza.Message, To: info.JID}
	if got := w.Keep(t.Context(), info, queued(m)); len(got) != 1 || got[0] != m {
		t.Errorf("Keep returned %v", got)
	}
	w.Arrived(info, []uint64{1})
	w.Ended(t.Context(), info, nil, nil)
}

// receipts returns a function that sends a message of juliet's and asks whether
// it is safe, and one that compares how many were found to be so since.
func (w *world) receipts() (send func(to, typ string), expect func(what string, want int)) {
	r := new(stanza.Receipt)
	safe := 0
	send = func(to, typ string) {
		w.Helper()
		s := &stanza.Stanza{Kind: stanza.Message, Type: typ, From: jid(w.T, "juliet@a.test/x"), To: jid(w.T, to)}
		if err := w.Route(r.Context(w.Context()), s); err != nil {
			w.Fatal(err)
		}
		r.Mark(func() { safe++ })
	}
	expect = func(what string, want int) {
		w.Helper()
		if safe != want {
			w.Errorf("%s: %d are safe, want %d", what, safe, want)
		}
		safe = 0
	}
	return send, expect
}

// A message is safe when the store has it.
func TestReceipt(t *testing.T) {
	w, o := detachable(t, "x")
	send, expect := w.receipts()
	send("romeo@a.test", "chat")
	expect("a sink that is no Confirmer answers for it", 1)
	w.Detached(t.Context(), w.info("romeo@a.test/x"))
	send("romeo@a.test", "chat")
	expect("on its way to the store", 0)
	o.finish(0, nil)
	expect("stored", 1)
	send("romeo@a.test", "chat")
	o.finish(0, errBroken)
	expect("refused: the sender has heard so", 1)
	send("nobody@a.test", "chat")
	expect("refused at once", 1)

	c := w.join("romeo@a.test/c", "")
	send("romeo@a.test/c", "chat")
	expect("in a queue", 0)
	c.acknowledge(-1)
	expect("acknowledged", 1)
	send("romeo@a.test/c", "error")
	expect("nobody waits for an error", 1)
	w.Detached(t.Context(), c.info)
	send("romeo@a.test/c", "headline")
	expect("nobody waits for a headline to a session without a connection", 1)
	send("romeo@a.test/c", "chat")
	w.Resumed(t.Context(), c.info)
	send("romeo@a.test/c", "groupchat")
	o.finish(0, nil)
	expect("stored, and in a queue behind it", 1)
	c.acknowledge(-1)
	expect("acknowledged", 1)
}

// A message is safe when those who answer for it say so.
func TestReceiptOfSeveral(t *testing.T) {
	w, o := detachable(t)
	c := w.join("romeo@a.test/c", "")
	send, expect := w.receipts()

	// What the store refuses is with the session.
	w.Detached(t.Context(), c.info)
	send("romeo@a.test/c", "chat")
	w.Resumed(t.Context(), c.info)
	send("romeo@a.test/c", "chat")
	o.finish(0, nil)
	o.finish(0, errBroken)
	expect("stored, and in a queue", 1)
	c.acknowledge(-1)
	expect("acknowledged", 1)

	// Of two, the one with a connection answers for the message.
	d := w.join("romeo@a.test/d", prio(9))
	w.send("romeo@a.test/c", prio(9))
	d.acknowledge(-1)
	w.Detached(t.Context(), c.info)
	send("romeo@a.test", "chat")
	expect("in two queues", 0)
	d.acknowledge(-1)
	expect("acknowledged by the one with a connection", 1)
}

// TestEndedWaits: Ended returns when everything is safe.
func TestEndedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, hosts("a.test"), "romeo@a.test")
		o := &waiting{open: make(chan struct{})}
		w.Offline = o
		m := &stanza.Stanza{Kind: stanza.Message, From: jid(t, "juliet@a.test/x"), To: jid(t, "romeo@a.test")}
		for _, stop := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			returned := make(chan struct{})
			go func() {
				w.Ended(ctx, w.info("romeo@a.test/x"), queued(m), nil)
				close(returned)
			}()
			synctest.Wait()
			select {
			case <-returned:
				t.Error("Ended has returned before the store had the message")
			default:
			}
			if stop {
				cancel()
			} else {
				close(o.open)
			}
			<-returned
			cancel()
			if !stop {
				o.open = make(chan struct{})
			}
		}
		close(o.open)
		o.work.Wait()
	})
}

// Nor does it wait for ever for a session that gets the messages and does not
// acknowledge them.
func TestEndedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, hosts("a.test"), "romeo@a.test")
		c := w.join("romeo@a.test/mute", "<presence/>")
		m := &stanza.Stanza{Kind: stanza.Message, From: jid(t, "juliet@a.test/x"), To: jid(t, "romeo@a.test")}
		begin := time.Now()
		w.Ended(t.Context(), w.info("romeo@a.test/x"), queued(m), nil)
		if d := time.Since(begin); d != host.MaxEnding || len(c.queue) != 2 {
			t.Errorf("Ended took %s and the other session has %d stanzas, want %s and 2", d, len(c.queue), host.MaxEnding)
		}
	})
}

// What two sessions of one priority have got, one of them does not get again
// when the other has not delivered it.
func TestEndedDoesNotDuplicate(t *testing.T) {
	const x, y = "romeo@a.test/x", "romeo@a.test/y"
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept: %t", kept), func(t *testing.T) {
			w, _ := detachable(t, "x", "y")
			o := new(offline)
			w.Offline = o
			w.got()
			w.chat("romeo@a.test", "1")
			w.chat(x, "2")
			undelivered := slices.DeleteFunc(w.sinks[x].Stanzas(), func(s *stanza.Stanza) bool { return s.Kind != stanza.Message })
			if kept {
				w.Detached(t.Context(), w.info(x))
				undelivered = w.Keep(t.Context(), w.info(x), queued(undelivered...))
			}
			if got := w.ids(y); got != "1" {
				t.Fatalf("y got %q", got)
			}
			w.Release(t.Context(), jid(t, x), w.sinks[x])
			w.Ended(t.Context(), w.info(x), queued(undelivered...), nil)
			want := "2"
			if kept {
				want = "2*"
			}
			if got := w.ids(y); got != want {
				t.Errorf("y got %q, want what it did not have: %s", got, want)
			}
			// y returns it as well: then nobody has it.
			all := w.sinks[y].Stanzas()
			w.Release(t.Context(), jid(t, y), w.sinks[y])
			w.Ended(t.Context(), w.info(y), queued(all...), nil)
			w.bind("romeo@a.test/z", "")
			w.send("romeo@a.test/z", "<presence/>")
			if got := w.ids("romeo@a.test/z"); !strings.Contains(got, "1*") {
				t.Errorf("z got %q, want 1 as well", got)
			}
		})
	}
	t.Run("only one took it", func(t *testing.T) {
		w := newWorld(t, hosts("a.test"), "romeo@a.test")
		w.bind("juliet@a.test/x", "")
		for _, r := range []string{x, y} {
			w.bind(r, "<presence/>")
		}
		w.sinks[y].Limit = len(w.sinks[y].Stanzas())
		w.chat("romeo@a.test", "1")
		m := w.sinks[x].Stanzas()
		w.sinks[y].Limit = 0
		w.Release(t.Context(), jid(t, x), w.sinks[x])
		w.Ended(t.Context(), w.info(x), queued(m[len(m)-1]), nil)
		if got := w.ids(y); got != "1" {
			t.Errorf("y got %q, want the message that it had not taken", got)
		}
	})
}

// What Ended does with the rest.
func TestEndedDrops(t *testing.T) {
	w := rulesWorld(t)
	from, gone := jid(t, "romeo@a.test/x"), jid(t, "many@a.test/gone")
	for _, s := range []*stanza.Stanza{
		{Kind: stanza.Message, Type: stanza.TypeHeadline, From: from, To: gone.Bare()},
		{Kind: stanza.Message, Type: stanza.TypeChat, From: gone.Bare(), To: gone, Child: stanza.Name{Space: "urn:xmpp:carbons:2", Local: "received"}},
		{Kind: stanza.Message, Type: stanza.TypeChat, From: from, To: gone, Kept: 1},
	} {
		w.Ended(t.Context(), stanza.SessionInfo{JID: gone}, queued(s), nil)
		if got := outcome(w); got != "" {
			t.Errorf("%s: got %q, want it dropped", s, got)
		}
	}
}

var _ stanza.Confirmer = (*client)(nil)
