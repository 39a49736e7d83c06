package xmppstream

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// seconds returns ids with the seconds from began to when each was taken, if that
// is known.
func seconds(began time.Time, list []stanza.Queued) string {
	var all []string
	for _, q := range list {
		s := q.Stanza.ID
		if !q.Since.IsZero() {
			s += fmt.Sprintf("@%d", int(q.Since.Sub(began).Seconds()))
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func TestTimes(t *testing.T) {
	began := time.Unix(1000, 0)
	type note struct {
		last, done uint64
		at         time.Duration
	}
	tests := []struct {
		name  string
		notes []note
		first uint64 // of three stanzas
		want  string
		left  int // moments
	}{
		{"one", []note{{3, 0, 0}}, 1, "a@0 b@0 c@0", 1},
		{"each", []note{{1, 0, 0}, {2, 0, 5 * time.Second}, {3, 0, 7 * time.Second}}, 1, "a@0 b@5 c@7", 3},
		{"in the same second", []note{{1, 0, 0}, {2, 0, time.Second - 1}, {3, 0, time.Second}}, 1, "a@0 b@0 c@1", 2},
		{"nothing new", []note{{1, 0, 0}, {1, 0, 5 * time.Second}, {3, 0, 7 * time.Second}}, 1, "a@0 b@7 c@7", 2},
		{"some are done", []note{{5, 0, 0}, {6, 5, 2 * time.Second}, {8, 5, 4 * time.Second}}, 6, "a@2 b@4 c@4", 2},
		{"a part of one moment is done", []note{{5, 0, 0}, {6, 3, 2 * time.Second}}, 4, "a@0 b@0 c@2", 2},
		{"all are done", []note{{5, 0, 0}, {6, 5, 2 * time.Second}, {9, 6, 4 * time.Second}}, 7, "a@4 b@4 c@4", 1},
		{"the clock was put back", []note{{1, 0, time.Hour}, {3, 0, 0}}, 1, "a@3600 b@0 c@0", 2},
		{"not known", []note{{1, 0, 0}}, 1, "a@0 b c", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var x times
			for _, n := range tt.notes {
				x.note(n.last, n.done, began.Add(n.at))
			}
			got := seconds(began, x.of([]*stanza.Stanza{msg("a", 1), msg("b", 1), msg("c", 1)}, tt.first))
			if got != tt.want || len(x.list) != tt.left {
				t.Errorf("got %q of %d moments, want %q of %d", got, len(x.list), tt.want, tt.left)
			}
		})
	}
}

// A stanza keeps its time: when it is written, sent again, waits without a
// connection, and when a store's copy takes its place.
func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b, _ := managedOn(t, &fake{}, OutboxOptions{SendTimeout: time.Minute}, AckOptions{Resumable: true})
		want := func(what, ids string) {
			t.Helper()
			if got := seconds(began, b.Waiting()); got != ids {
				t.Errorf("%s: got %q, want %q", what, got, ids)
			}
		}
		next := func(id string) {
			t.Helper()
			deliver(t, b, id)
			b.writing.Wait()
			time.Sleep(10 * time.Second)
		}
		next("1")
		next("2")
		next("3")
		b.Acked(1)
		b.Detach()
		want("detached", "2@10 3@20")
		next("4")
		next("5")
		want("queued while detached", "2@10 3@20 4@30 5@40")
		waiting := b.Waiting()
		b.Replace(waiting, []*stanza.Stanza{keptAs("2", 22), waiting[1].Stanza, keptAs("4", 44), waiting[3].Stanza})
		want("replaced", "2@10 3@20 4@30 5@40")
		o := OutboxOptions{}
		if err := b.Attach(&fake{}, &o, ""); err != nil {
			t.Fatal(err)
		}
		b.writing.Wait()
		want("sent again", "2@10 3@20 4@30 5@40")
		b.Acked(3)
		next("6")
		want("acknowledged", "4@30 5@40 6@50")
		b.Close(nil)
		if got := seconds(began, b.Undelivered()); got != "4@30 5@40 6@50" {
			t.Errorf("undelivered: got %q, want 4@30 5@40 6@50", got)
		}
	})
}

// The time of what comes while a write is under way is that of the write's end,
// which has a bound.
func TestSinceOfFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := &fake{gate: make(chan struct{}), write: func(stanza.Batch) error { return net.ErrClosed }}
		b := attached(f, OutboxOptions{})
		time.Sleep(3 * time.Second)
		deliver(t, b, "1")
		synctest.Wait()
		deliver(t, b, "2")
		time.Sleep(4 * time.Second)
		f.gate <- struct{}{}
		b.Close(nil)
		if got := seconds(began, b.Undelivered()); got != "1@3 2@7" {
			t.Errorf("got %q, want 1@3 2@7", got)
		}
	})
}

// Times have a bound: one for each second in which something came, as long as
// that waits, and nothing that grows when nothing does.
func TestTimesBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := managedOn(t, &fake{}, OutboxOptions{}, AckOptions{Resumable: true})
		for range 1000 {
			deliver(t, b, "x")
		}
		for range 100 {
			time.Sleep(time.Second)
			deliver(t, b, "x")
		}
		b.writing.Wait()
		if got := len(b.times.list); got != 101 {
			t.Errorf("got %d moments for 101 seconds, want one each", got)
		}
		b.Acked(1099)
		time.Sleep(time.Second)
		deliver(t, b, "x")
		b.writing.Wait()
		if got := len(b.times.list); got != 2 {
			t.Errorf("got %d moments for what came in 2 seconds, want 2", got)
		}
		b.Acked(1101)
		time.Sleep(time.Second)
		deliver(t, b, "x")
		b.writing.Wait()
		if got := cap(b.times.list); got > idleMoments {
			t.Errorf("got room for %d moments kept, want at most %d", got, idleMoments)
		}
		b.Close(nil)
	})
}
