package c2s

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// witness is a SessionEvents that notes which call was for which session.
type witness struct {
	*fakeHost
	mu   sync.Mutex
	seen map[string]stanza.Sink
}

func (w *witness) note(call string, s stanza.SessionInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[call] = s.Sink
}

func (w *witness) Bound(_ context.Context, s stanza.SessionInfo) { w.note("Bound", s) }

func (w *witness) Detached(_ context.Context, s stanza.SessionInfo) { w.note("Detached", s) }

func (w *witness) Keep(_ context.Context, s stanza.SessionInfo, waiting []stanza.Queued) []*stanza.Stanza {
	w.note("Keep", s)
	return stanzasOf(waiting)
}

func (w *witness) Resumed(_ context.Context, s stanza.SessionInfo) { w.note("Resumed", s) }

func (w *witness) Arrived(s stanza.SessionInfo, _ []uint64) { w.note("Arrived", s) }

func (w *witness) Ended(_ context.Context, s stanza.SessionInfo, _ []stanza.Queued, _ error) {
	w.note("Ended", s)
}

// TestSinkOfEvents checks that each event says which session it is about, also
// when the address has long been another session's.
func TestSinkOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{seen: make(map[string]stanza.Sink)}
		r := start(t, manage, func(r *rig) { w.fakeHost, r.host.Session = r.fake, w })
		c, id := r.managed("ana", "boat")
		sink := r.fake.sink("ana@one.test/boat")
		other := r.login("ana", "boat") // the fake host lets both live
		if r.fake.sink("ana@one.test/boat") == sink {
			t.Fatal("both sessions have one sink")
		}
		if err := sink.Deliver(&stanza.Stanza{Kind: stanza.Message, ID: "1", Kept: 1}); err != nil {
			t.Fatal(err)
		}
		other.conn.Close()
		synctest.Wait()
		clear(w.seen) // of what was for the other one
		c.Close()
		synctest.Wait()
		c, _ = r.resume("ana", id, 0)
		c.Send(smAck(1) + "</stream:stream>")
		synctest.Wait()
		for _, call := range []string{"Detached", "Keep", "Resumed", "Arrived", "Ended"} {
			if w.seen[call] != sink {
				t.Errorf("%s: got %p, want the sink that was bound, %p", call, w.seen[call], sink)
			}
		}
		r.login("ana", "raft")
		synctest.Wait()
		if w.seen["Bound"] != r.fake.sink("ana@one.test/raft") {
			t.Errorf("Bound: got %p, want the sink that was bound", w.seen["Bound"])
		}
	})
}

// TestSinceOfEvents checks that what a client has not got goes back with the
// times at which its session took it, and as the very stanzas.
func TestSinceOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var kept string
		seconds := func(list []stanza.Queued) string {
			var all []string
			for _, q := range list {
				all = append(all, fmt.Sprintf("%s@%v", q.Stanza.ID, q.Since.Sub(began)))
			}
			return strings.Join(all, " ")
		}
		r := start(t, manage, func(r *rig) {
			r.fake.onKeep = func(waiting []stanza.Queued) []*stanza.Stanza {
				kept = seconds(waiting)
				return stanzasOf(waiting)
			}
		})
		c, _ := r.managed("ana", "boat")
		sink := r.fake.sink("ana@one.test/boat")
		first := numberedMessage(1)
		if err := sink.Deliver(first); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		r.deliver("ana@one.test/boat", 2, 2)
		synctest.Wait()
		c.Close()
		<-r.fake.detached
		time.Sleep(40 * time.Second)
		r.deliver("ana@one.test/boat", 3, 3)
		sink.Kick(replaced)
		end := <-r.fake.ended
		if kept != "1@0s 2@20s" {
			t.Errorf("Keep: got %q, want 1@0s 2@20s", kept)
		}
		if got := seconds(end.undelivered); got != "1@0s 2@20s 3@1m0s" || end.undelivered[0].Stanza != first {
			t.Errorf("Ended: got %q, want 1@0s 2@20s 3@1m0s, and the stanzas themselves", got)
		}
	})
}

// TestResumeIsAdmitted checks that a session is resumed only by a login that is
// still good. If it is not, the session waits on for one that is.
func TestResumeIsAdmitted(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"refused", &stanza.Error{Condition: stanza.NotAuthorized}, "not-authorized"},
		{"trouble", errors.New("no table"), "internal-server-error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				c, id := r.managed("ana", "boat")
				sink := r.fake.sink("ana@one.test/boat")
				r.deliver("ana@one.test/boat", 1, 1)
				c.Expect(smRequest)
				c.Close()
				<-r.fake.detached
				time.Sleep(time.Minute)
				var asked []stanza.Binding
				r.fake.onAdmit = func(b stanza.Binding) error {
					asked = append(asked, b)
					return tt.err
				}
				c = r.authenticated("ana")
				since := time.Now()
				time.Sleep(time.Second)
				c.Send(smResume("unknown", 0))
				c.Expect("</failed>")
				if len(asked) > 0 {
					t.Errorf("the router was asked about a session that is not there: %+v", asked)
				}
				c.Send(smResume(id, 0))
				c.Expect(failedWith(tt.want))
				if len(asked) != 1 || asked[0].JID.String() != "ana@one.test/boat" || asked[0].Sink != sink || !asked[0].Since.Equal(since) {
					t.Errorf("the router was asked about %+v, want ana@one.test/boat since %v", asked, since)
				}
				r.fake.onAdmit = nil
				c, _ = r.resume("ana", id, 0)
				c.Expect("<message id='1'>")
			})
		})
	}
}

// TestAdmitAfterHandler checks that a login that waits for the session's former
// stream is asked about after that has done what it was at, such as a change of
// the password.
func TestAdmitAfterHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := false
		r := start(t, manage, func(r *rig) {
			r.fake.onRoute = func(context.Context, *stanza.Stanza) error {
				time.Sleep(5 * time.Second)
				changed = true
				return nil
			}
			r.fake.onAdmit = func(stanza.Binding) error {
				if changed {
					return &stanza.Error{Condition: stanza.NotAuthorized}
				}
				return nil
			}
		})
		old, id := r.managed("ana", "boat")
		old.Send("<message/>")
		synctest.Wait()
		c := r.authenticated("ana")
		c.Send(smResume(id, 0))
		c.Expect(failedWith("not-authorized"))
		old.Send(smRequest)
		old.Expect(smAck(1))
	})
}
