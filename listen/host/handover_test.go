package host_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const orchard = "romeo@a.test/orchard"

// takeover is a world in which sessions of orchard follow one another.
func takeover(t *testing.T) (*world, *offline) {
	w, _ := detachable(t)
	o := new(offline)
	w.Offline = o
	return w, o
}

// messages returns the ids of the messages in the queue of a client: with a star
// those that are kept, with a plus those that say since when.
func (c *client) messages() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, q := range c.queue {
		if q.Stanza.Kind != stanza.Message {
			continue
		}
		id := q.Stanza.ID
		if q.Stanza.Kept != 0 {
			id += "*"
		}
		if q.Stanza.Delayed {
			id += "+"
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

// route routes a stanza, which may have to wait.
func (w *world) route(from, xml string) (done chan struct{}) {
	w.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		w.Fatal(err)
	}
	s = s.WithFrom(jid(w.T, from))
	done = make(chan struct{})
	go func() {
		if err := w.Route(w.Context(), s); err != nil {
			w.Errorf("Route(%s): %v", xml, err)
		}
		close(done)
	}()
	return done
}

func (c *client) want(t *testing.T, what, want string) {
	t.Helper()
	if got := c.messages(); got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// What a session has not delivered reaches the one that takes its place before
// anything newer.
func TestHandover(t *testing.T) {
	tests := []struct {
		name   string
		old    func(w *world, old *client) // what happens before
		hidden bool                        // the new session does not become available
		// what the new session has before the old one has ended, and after it
		before, after string
	}{
		{name: "nothing is left", before: "new new2", after: "new new2",
			old: func(w *world, old *client) {
				w.chat(orchard, "1")
				old.acknowledge(-1)
			}},
		{name: "messages to the resource", after: "1+ 2+ new* new2*",
			old: func(w *world, _ *client) {
				w.chat(orchard, "1")
				w.chat(orchard, "2")
			}},
		{name: "messages to the account", after: "1+ 2+ new* new2*",
			old: func(w *world, _ *client) {
				w.chat("romeo@a.test", "1")
				w.chat("romeo@a.test", "2")
			}},
		{name: "kept messages", after: "1*+ 2*+ new* new2*",
			old: func(w *world, old *client) {
				w.chat("romeo@a.test", "1")
				w.chat(orchard, "2")
				old.detach(w)
			}},
		{name: "kept messages, and others after the resumption", after: "1*+ 2+ new* new2*",
			old: func(w *world, old *client) {
				w.chat("romeo@a.test", "1")
				old.detach(w)
				old.resume(w)
				w.chat(orchard, "2")
			}},
		{name: "no messages are left", after: "new* new2*",
			old: func(w *world, _ *client) {
				w.send("juliet@a.test/x", "<iq xmlns='jabber:client' to='"+orchard+"' type='result' id='1'/>")
			}},
		{name: "messages that are not kept", after: "1+ new* new2*",
			old: func(w *world, _ *client) {
				w.send("juliet@a.test/x", "<message xmlns='jabber:client' to='"+orchard+"' type='groupchat' id='1'/>")
			}},
		{name: "without presence only what is for the resource, a little later", after: "2+ new*",
			old: func(w *world, _ *client) {
				w.chat("romeo@a.test", "1")
				w.chat(orchard, "2")
			},
			hidden: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := takeover(t)
				old := w.join(orchard, "<presence/>")
				old.acknowledge(-1)
				tt.old(w, old)
				next := w.join(orchard, "")
				var here chan struct{}
				if !tt.hidden {
					here = w.route(orchard, "<presence/>") // it waits for its turn
				}
				synctest.Wait()
				w.chat(orchard, "new")
				if !tt.hidden {
					w.chat("romeo@a.test", "new2")
				}
				next.want(t, "before the end", tt.before)
				old.end(w)
				if !tt.hidden {
					<-here
				}
				next.want(t, "after it", tt.after)
				w.chat(orchard, "later")
				next.want(t, "and then", strings.TrimSpace(tt.after+" later"))
			})
		})
	}
}

// ends of a handover other than that the old session ends.
func TestHandoverEnds(t *testing.T) {
	t.Run("the old session never ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, _ := takeover(t)
			old := w.join(orchard, "<presence/>")
			w.chat(orchard, "1")
			next := w.join(orchard, "")
			w.chat(orchard, "2")
			time.Sleep(host.MaxHandover - 1)
			synctest.Wait()
			next.want(t, "before the bound", "")
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			next.want(t, "at the bound", "2*")
			old.end(w)
			next.want(t, "late", "2* 1+")
		})
	})
	t.Run("and has kept messages", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, _ := takeover(t)
			old := w.join(orchard, "<presence/>")
			w.chat(orchard, "1")
			old.detach(w)
			next := w.join(orchard, "")
			w.route(orchard, "<presence/>")
			synctest.Wait()
			w.chat(orchard, "2")
			time.Sleep(host.MaxHandover)
			synctest.Wait()
			next.want(t, "at the bound", "1*+ 2*")
			old.end(w)
			next.want(t, "late", "1*+ 2*")
		})
	})
	t.Run("the client of the old session acknowledges", func(t *testing.T) {
		w, _ := takeover(t)
		old := w.join(orchard, "<presence/>")
		w.chat(orchard, "1")
		next := w.join(orchard, "")
		w.chat(orchard, "2")
		next.want(t, "before", "")
		old.acknowledge(-1)
		next.want(t, "after it", "2*")
		old.end(w)
		next.want(t, "and in the end", "2*")
	})
	t.Run("the old session has nothing that waits for the presence of the new one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, _ := takeover(t)
			old := w.join(orchard, "<presence/>")
			next := w.join(orchard, "")
			w.chat(orchard, "1")
			next.want(t, "before", "") // the presence of the old one is not acknowledged
			begin := time.Now()
			old.end(w)
			next.want(t, "after it", "1*")
			if d := time.Since(begin); d > 0 {
				t.Errorf("the end took %s", d)
			}
		})
	})
	t.Run("the old session is none that keeps something back", func(t *testing.T) {
		w, _ := takeover(t)
		w.bind(orchard, "<presence/>")
		w.chat(orchard, "1")
		next := w.join(orchard, "")
		w.chat(orchard, "2")
		next.want(t, "at once", "2")
	})
	t.Run("the new session ends", func(t *testing.T) {
		w, _ := takeover(t)
		old := w.join(orchard, "<presence/>")
		w.chat(orchard, "1")
		next := w.join(orchard, "")
		w.chat(orchard, "2")
		next.end(w)
		old.end(w)
		last := w.join(orchard, "<presence/>")
		// It is for the store to say in which order; none is lost, none comes twice.
		if got := last.messages(); got != "2* 1*+" {
			t.Errorf("got %q, want both", got)
		}
	})
}

// Three sessions follow one another before the first has ended.
func TestHandoverOfSeveral(t *testing.T) {
	for _, order := range []string{"first", "second"} {
		t.Run("the "+order+" one ends first", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := takeover(t)
				one := w.join(orchard, "<presence/>")
				w.chat(orchard, "1")
				two := w.join(orchard, "")
				w.chat(orchard, "2")
				three := w.join(orchard, "")
				w.route(orchard, "<presence/>")
				synctest.Wait()
				w.chat(orchard, "3")
				three.want(t, "before the end", "")
				if order == "second" {
					one, two = two, one
				}
				var ends sync.WaitGroup
				ends.Go(func() { one.end(w) })
				synctest.Wait()
				ends.Go(func() { two.end(w) })
				ends.Wait()
				three.want(t, "after it", "1+ 2* 3*")
			})
		})
	}
}

// The sessions that one waits for are bounded.
func TestHandoverIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := takeover(t)
		var all []*client
		for range 40 {
			c := w.join(orchard, "")
			w.send("juliet@a.test/x", "<iq xmlns='jabber:client' to='"+orchard+"' type='get' id='q'><q xmlns='urn:x'/></iq>")
			all = append(all, c)
		}
		last := w.join(orchard, "")
		w.chat(orchard, "new")
		for i, c := range all[len(all)-16:] {
			if got := last.messages(); got != "" {
				t.Errorf("got %q after %d have ended", got, i)
			}
			c.end(w)
		}
		last.want(t, "after the last sixteen have ended", "new*")
	})
}

// A message that goes to the store while a session waits for what an earlier one
// returns does not come before that, if the session soon says that it is there.
func TestHandoverAndStore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // the presence comes
		want  string
	}{
		{"soon", time.Second, "1+ 2+ 3*"},
		{"late", time.Minute, "2+ 3* 1*+"}, // what was for the resource did not wait so long
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := takeover(t)
				old := w.join(orchard, "<presence/>")
				w.chat("romeo@a.test", "1")
				w.chat(orchard, "2")
				next := w.join(orchard, "")
				var ends sync.WaitGroup
				ends.Go(func() { old.end(w) })
				synctest.Wait()
				w.chat("romeo@a.test", "3") // nobody holds up the sender
				next.want(t, "before the presence", "")
				time.Sleep(tt.after)
				w.send(orchard, "<presence/>")
				ends.Wait()
				next.want(t, "after it", tt.want)
			})
		})
	}
}

// What is told of a session that was replaced does not touch the new one.
func TestEventsOfAReplacedSession(t *testing.T) {
	w, o := takeover(t)
	old := w.join(orchard, "<presence/>")
	old.acknowledge(-1)
	next := w.join(orchard, "<presence/>")
	w.Detached(t.Context(), old.info)
	w.chat(orchard, "1")
	next.want(t, "the old one is detached", "1")
	w.Detached(t.Context(), next.info)
	w.Resumed(t.Context(), old.info)
	w.chat(orchard, "2")
	next.want(t, "the old one is resumed", "1 2*")
	m := &stanza.Stanza{Kind: stanza.Message, From: jid(t, "juliet@a.test/x"), To: jid(t, orchard), ID: "3"}
	kept := w.Keep(t.Context(), old.info, queued(m))
	if len(kept) != 1 || kept[0].Kept == 0 {
		t.Fatalf("got %v, want a stored copy", kept)
	}
	if o.Holds(jid(t, "romeo@a.test"), old) || !o.Holds(jid(t, "romeo@a.test"), next) {
		t.Errorf("what is kept of the old session belongs to it: %t, and that of the new one to that: %t; want false and true",
			o.Holds(jid(t, "romeo@a.test"), old), o.Holds(jid(t, "romeo@a.test"), next))
	}
	w.Resumed(t.Context(), next.info)
	w.Ended(t.Context(), old.info, queued(kept...), nil)
	next.want(t, "the old one ends", "1 2* 3*+")
	if fmt.Sprint(o.lost) == "[]" {
		t.Error("the store does not know that the old session is lost")
	}
}
