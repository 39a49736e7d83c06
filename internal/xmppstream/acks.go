package xmppstream

import (
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// AckOptions are the parameters of a managed stream.
type AckOptions struct {
	// Stanzas bounds what the peer has not acknowledged, written or not; 0: no
	// bound.
	Stanzas int
	// Timeout is how long the peer may take to answer a request for an
	// acknowledgement; then the connection counts as broken. 0: no bound.
	Timeout time.Duration
	// Resumable keeps what waits when the connection breaks: the outbox goes on
	// without a transport.
	Resumable bool
}

// askAgain is how long the peer is left alone after an answer by which it has
// acknowledged nothing.
const askAgain = 5 * time.Second

// acks is what an outbox knows of a managed stream: XEP-0198.
type acks struct {
	o       AckOptions
	enabled string // the element that says so to the peer; "" once it was written
	on      bool   // it was written

	from   uint64 // number of the last stanza before enabled
	window window

	requested bool        // the peer owes an answer
	ask       bool        // it is to be asked, though nothing else is to be written
	due       time.Time   // of the answer; without requested, when to ask again
	timer     *time.Timer // for due; nil: none so far
	requests  uint64

	owed       int // <a/>s to be written: the last, or the next and the last
	next, last answer
}

// answer is an <a/>. What answers the stanzas that it covers goes out before it.
type answer struct {
	h  uint32
	at uint64 // number of the last stanza that was taken before it
}

// Manage sends enabled, the element with that name, and manages the stream from
// there on: what follows waits until it has been acknowledged. Its errors are
// those of Deliver.
func (b *Outbox) Manage(enabled string, o AckOptions) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.acks != nil {
		return errors.New("stream is managed already")
	}
	if err := b.add(outgoing{xml: enabled}, len(enabled)); err != nil {
		return err
	}
	b.acks = &acks{o: o, enabled: enabled, from: b.taken}
	return nil
}

// Acknowledge sends <a/>: h stanzas of the peer have been handled. What was
// delivered before, such as an error that answers one of them, goes out first.
// Several that wait to be written become at most two of them. Without a transport
// it does nothing.
func (b *Outbox) Acknowledge(h uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.acks
	if a == nil || b.t == nil || b.state != outboxOpen {
		return
	}
	switch {
	case h == a.last.h: // it has its place
		a.owed = max(a.owed, 1)
	case a.owed == 0:
		a.owed, a.last = 1, answer{h, b.taken}
	case a.owed == 1: // the next keeps its place: it would never come otherwise
		a.owed, a.next, a.last = 2, a.last, answer{h, b.taken}
	default:
		a.last = answer{h, b.taken}
	}
	b.start()
}

// answers returns the h of an <a/> for the end of a batch whose last stanza has
// number at. rest: more waits to be written.
func (a *acks) answers(at uint64, rest bool) (h uint32, ok bool) {
	switch {
	case a.owed > 0 && (a.last.at <= at || !rest):
		a.owed = 0
		return a.last.h, true
	case a.owed == 2 && a.next.at <= at:
		a.owed = 1
		return a.next.h, true
	}
	return 0, false
}

// Acked takes the peer's <a/>. A number lower than one before says nothing new.
// The error is a *stanza.StreamError: more was acknowledged than sent. After
// Settle and Abandon it has no effect.
func (b *Outbox) Acked(h uint32) error {
	b.mu.Lock()
	a := b.acks
	switch {
	case a == nil:
		b.mu.Unlock()
		return &stanza.StreamError{Condition: stanza.StreamUnsupportedStanzaType}
	case b.after != afterNothing:
		b.mu.Unlock()
		return nil
	}
	n, err := a.window.newly(h, a.window.sent)
	if err != nil && !errors.As(err, new(behind)) {
		b.mu.Unlock()
		return err
	}
	var kept []uint64
	b.bytes -= a.window.bytes
	for range n {
		if s := a.window.pop(); s.Kept != 0 {
			kept = append(kept, s.Kept)
		}
	}
	b.bytes += a.window.bytes
	b.done += uint64(n)
	b.askMore(n > 0)
	list := b.reached()
	b.mu.Unlock()
	b.tell(kept, list)
	return nil
}

// tell tells those who wait for stanzas that got done. The caller does not hold
// mu.
func (b *Outbox) tell(kept []uint64, list []marker) {
	defer run(list) // the owner's panic is not theirs
	if len(kept) > 0 && b.owner != nil {
		b.owner.Arrived(kept)
	}
}

// askMore sees to the next request after an answer: at once if the peer gets
// on, else after a while. The caller holds mu.
func (b *Outbox) askMore(progress bool) {
	a := b.acks
	asked := a.requested
	if !asked && !progress { // the next request is seen to already
		return
	}
	a.rest()
	switch {
	case a.window.len() == 0 || b.t == nil || b.state != outboxOpen:
	case progress:
		a.ask = true
		b.start()
	default:
		b.wakeIn(askAgain)
	}
}

// rest ends a request, and stops the timer. The caller holds mu.
func (a *acks) rest() {
	a.requested, a.ask = false, false
	if a.timer != nil {
		a.timer.Stop()
	}
}

// wakeIn lets the timer run for d. The caller holds mu.
func (b *Outbox) wakeIn(d time.Duration) {
	a := b.acks
	a.due = time.Now().Add(d)
	if a.timer == nil {
		a.timer = time.AfterFunc(d, b.wake)
	} else {
		a.timer.Reset(d)
	}
}

// errNoAnswer ends a connection whose peer does not acknowledge.
var errNoAnswer = &stanza.StreamError{
	Condition: stanza.StreamConnectionTimeout, Text: "a request for acknowledgement was not answered",
}

// wake is what the timer calls.
func (b *Outbox) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.acks
	if b.t == nil || b.state != outboxOpen || a.window.len() == 0 && !a.requested || time.Now().Before(a.due) {
		return // what it was for is over
	}
	if a.requested {
		b.fate().err = errNoAnswer
		_ = b.t.SetWriteDeadline(time.Now()) // for a write that waits already
	} else {
		a.ask = true
	}
	b.start()
}

// hasAcks reports whether acknowledgements alone are worth a write. The caller
// holds mu.
func (b *Outbox) hasAcks() bool {
	a := b.acks
	if a == nil || !a.on {
		return false
	}
	return a.owed > 0 || a.ask && a.mayAsk() && b.state == outboxOpen
}

// mayAsk reports whether there is something to ask for.
func (a *acks) mayAsk() bool { return !a.requested && a.window.len() > 0 }

// number counts the stanzas of a batch that is about to be written, and adds
// what there is to say about acknowledgements.
func (b *Outbox) number(w *workspace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.acks
	w.kept = w.kept[:0]
	at := b.done + uint64(a.window.len()) // number of the last one before the batch
	for _, e := range w.taken[w.from:w.next] {
		if e.stanza == nil {
			w.enabling = w.enabling || e.xml == a.enabled
			continue
		}
		if at++; at > a.from {
			a.window.push(e.stanza)
			w.plain--
			w.size -= e.stanza.Size()
		} else if e.stanza.Kept != 0 {
			w.kept = append(w.kept, e.stanza.Kept)
		}
	}
	if !a.on && !w.enabling {
		return
	}
	if h, ok := a.answers(at, w.next < len(w.taken) || len(b.queue) > 0); ok {
		w.buf = AppendAck(w.buf, h)
		w.ends = append(w.ends, len(w.buf))
	}
	if a.mayAsk() && b.state == outboxOpen {
		a.requested, a.ask, w.asking = true, false, true
		a.requests++
		w.buf = append(w.buf, ackRequest...)
		w.ends = append(w.ends, len(w.buf))
	}
}

// restart returns what was sent and not acknowledged, to be sent again on
// another connection. The caller holds mu.
func (a *acks) restart() []*stanza.Stanza {
	if a == nil {
		return nil
	}
	a.rest()
	a.owed, a.last = 0, answer{}
	return a.window.take()
}

// resumable reports whether the stream can go on with another connection. The
// caller holds the outbox's mu.
func (a *acks) resumable() bool { return a != nil && a.on && a.o.Resumable }

// detachGrace is how long a write may still take that is under way when its
// connection is given up.
const detachGrace = 100 * time.Millisecond

// Detach takes the transport away, without closing it, waits until nothing more
// is written to it, and reports whether the stream can be resumed: then all that
// was not acknowledged waits for Attach or Close, and XML that is no stanza is
// forgotten. It does nothing after Close or Kick.
func (b *Outbox) Detach() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == outboxOpen && b.t != nil {
		if b.work != nil {
			_ = b.t.SetWriteDeadline(time.Now().Add(detachGrace))
		}
		b.t = nil
	}
	b.wait()
	if b.acks != nil && b.t == nil {
		b.acks.rest()
	}
	return b.state == outboxOpen && b.acks.resumable()
}

// ErrCountTooLow says that a peer cannot resume its stream: it lacks stanzas
// that it had acknowledged.
var ErrCountTooLow = errors.New("peer has acknowledged more before")

// CanResume says whether a peer that has handled h stanzas can resume the
// stream. Errors: ErrCountTooLow; a *stanza.StreamError if h is too high.
func (b *Outbox) CanResume(h uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.acks == nil {
		return ErrCountTooLow
	}
	_, err := b.acks.window.newly(h, b.acks.window.top)
	if errors.As(err, new(behind)) {
		return ErrCountTooLow
	}
	return err
}
