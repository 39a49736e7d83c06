package xmppstream

import (
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What a window keeps while it is empty, in stanzas.
const idleWindow = 16

// window has the stanzas that were sent on a managed stream and that the peer
// has not acknowledged, oldest first. They are numbered from 1 on, modulo 2^32.
// See XEP-0198, section 4.
type window struct {
	sent  uint32 // number of the last stanza that was sent on this connection
	top   uint32 // the same, on any connection
	list  []*stanza.Stanza
	head  int // of what is in use of list
	bytes int
}

func (w *window) len() int { return len(w.list) - w.head }

// stanzas returns what is in the window. The slice is the window's own.
func (w *window) stanzas() []*stanza.Stanza { return w.list[w.head:] }

// acked returns the number of the last stanza that was acknowledged.
func (w *window) acked() uint32 { return w.sent - uint32(w.len()) }

// push notes that s is sent.
func (w *window) push(s *stanza.Stanza) {
	if len(w.list) == cap(w.list) && w.head > len(w.list)/2 {
		n := copy(w.list, w.list[w.head:])
		clear(w.list[n:])
		w.list, w.head = w.list[:n], 0
	}
	w.list = append(w.list, s)
	w.bytes += s.Size()
	w.sent++
	if int32(w.sent-w.top) > 0 {
		w.top = w.sent
	}
}

// pop takes the oldest stanza out, which has been acknowledged.
func (w *window) pop() *stanza.Stanza {
	s := w.list[w.head]
	w.list[w.head] = nil
	w.head++
	w.bytes -= s.Size()
	if w.head == len(w.list) {
		w.head = 0
		w.list = keepIf(w.list, idleWindow)
	}
	return s
}

// take empties the window: its stanzas have to be sent again.
func (w *window) take() []*stanza.Stanza {
	all := w.stanzas()
	w.sent = w.acked()
	w.list, w.head, w.bytes = nil, 0, 0
	return all
}

// behind says of an h that it is lower than one that came before.
type behind struct{ h, acked uint32 }

func (e behind) Error() string {
	return fmt.Sprintf("%d stanzas are said to be handled, of %d that were acknowledged before", e.h, e.acked)
}

// newly returns how many more stanzas h acknowledges, of those up to number
// sent. Half of all numbers are higher than the last one, half are lower. The
// error is a *stanza.StreamError if h is too high, and else behind.
// See XEP-0198, section 6.
func (w *window) newly(h, sent uint32) (int, error) {
	n := h - w.acked()
	switch {
	case n <= sent-w.acked():
		return int(n), nil
	case int32(n) < 0:
		return 0, behind{h, w.acked()}
	}
	return 0, &stanza.StreamError{
		Condition: stanza.StreamUndefinedCondition,
		Text:      fmt.Sprintf("%d stanzas are said to be handled, but only %d were sent", h, sent),
		App:       fmt.Sprintf("<handled-count-too-high xmlns='%s' h='%d' send-count='%d'/>", NSSM, h, sent),
	}
}
