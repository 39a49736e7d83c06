package xmppstream

import (
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// times says when the stanzas of an outbox were taken, about to the second, or
// when the write ended that they waited for. A moment goes for all stanzas up to
// the next one, so that there is one for each second in which something came,
// however much that was.
type times struct {
	list []moment // oldest first
	last uint64   // number of the last stanza whose time is known
}

type moment struct {
	from  uint64 // number of the first stanza
	since int64  // Unix time in nanoseconds
}

const (
	// coarse is how far the times of two stanzas are apart to be told apart.
	coarse = time.Second
	// idleMoments is what times keeps while nothing waits.
	idleMoments = 4
)

// note gives now to the stanzas up to number last that have no time yet. done is
// the number of the last one whose time does not matter any more.
func (t *times) note(last, done uint64, now time.Time) {
	if last == t.last {
		return
	}
	from, since := t.last+1, now.UnixNano()
	t.last = last
	n := len(t.list)
	if n > 0 {
		if d := time.Duration(since - t.list[n-1].since); 0 <= d && d < coarse {
			return
		}
	}
	old := 0
	for old < n && (old+1 < n && t.list[old+1].from <= done+1 || old+1 == n && from <= done+1) {
		old++
	}
	t.list = slices.Delete(t.list, 0, old)
	if len(t.list) == 0 {
		t.list = keepIf(t.list, idleMoments)
	}
	t.list = append(t.list, moment{from, since})
}

// of puts stanzas, the first of which has number first, together with their
// times.
func (t *times) of(list []*stanza.Stanza, first uint64) []stanza.Queued {
	if len(list) == 0 {
		return nil
	}
	queued := make([]stanza.Queued, len(list))
	k := 0
	for i, s := range list {
		queued[i].Stanza = s
		at := first + uint64(i)
		for k+1 < len(t.list) && t.list[k+1].from <= at {
			k++
		}
		if k < len(t.list) && at <= t.last {
			queued[i].Since = time.Unix(0, t.list[k].since)
		}
	}
	return queued
}
