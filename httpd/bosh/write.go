package bosh

import (
	"net"
	"os"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// outbox is what is written to a client. There is never more of it than one Write has:
// that returns when all of it was taken.
type outbox struct {
	sync.Cond
	busy   bool // a Write is under way
	batch  stanza.Batch
	next   int   // elements before this one are in answers
	from   int   // where it begins
	unsent int   // answers with elements that were not taken
	err    error // nothing can be written any more

	by, set time.Time // deadline, and when it was set
	fresh   bool      // there was no Write since
	strict  bool      // it counts while the client is away, too
}

// has says whether there is something to answer with.
func (o *outbox) has() bool { return o.busy && o.next < len(o.batch.Ends) }

// cut takes the next elements, at most so many of them; 0: all.
func (o *outbox) cut(most int) []byte {
	last := len(o.batch.Ends)
	if most > 0 {
		last = min(last, o.next+most)
	}
	from := o.from
	o.next, o.from = last, o.batch.Ends[last-1]
	return o.batch.Bytes[from:o.from]
}

// counts says whether the deadline counts now, with so many requests here.
func (o *outbox) counts(here int) bool { return !o.by.IsZero() && (o.strict || here > 0) }

// back is called when a client is back who was away since then: a deadline that is not
// strict stood still meanwhile.
func (o *outbox) back(since, now time.Time) {
	if o.by.IsZero() || o.strict {
		return
	}
	if o.set.After(since) {
		since = o.set
	}
	o.by = o.by.Add(now.Sub(since))
	o.set = now
}

// Header implements stanza.Transport. With an empty batch the header goes with what is
// written next.
func (s *session) Header(h stanza.Header, batch stanza.Batch) error {
	return s.write(&h, batch)
}

// Write implements stanza.Transport.
//
// While the client stays away between two requests, as it may, the write deadline stands
// still: if the client stays away for too long the session ends, and Write with it. Only a
// deadline that is not later than the one before it, with no Write since, or that is set while
// Write waits, counts at any time: somebody is in a hurry then.
func (s *session) Write(b stanza.Batch) error { return s.write(nil, b) }

func (s *session) write(h *stanza.Header, b stanza.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.outbox
	switch {
	case s.over:
		return s.err
	case s.closing:
		return net.ErrClosed
	case o.err != nil:
		return o.err
	case h != nil:
		s.opening = h
	}
	if len(b.Ends) == 0 {
		return nil
	}
	o.busy, o.fresh, o.batch, o.next, o.from = true, false, b, 0, 0
	if err := s.overhear(); err != nil {
		o.busy, o.batch = false, stanza.Batch{}
		return err
	}
	now := time.Now()
	s.flush(now)
	for o.err == nil && (o.has() || o.unsent > 0) {
		switch {
		case s.over:
			o.err = s.err
			continue
		case o.counts(s.here) && !now.Before(o.by):
			o.err = os.ErrDeadlineExceeded
			continue
		}
		s.arm(now)
		o.Wait()
		now = time.Now()
	}
	o.busy, o.batch = false, stanza.Batch{}
	if o.err != nil {
		s.giveUp()
	}
	if s.closing {
		o.Broadcast() // Close waits
	}
	return o.err
}

// giveUp ends a Write that failed. The caller holds mu.
func (s *session) giveUp() {
	for _, a := range s.cache {
		a.out = false
	}
	s.outbox.unsent = 0
}

// SetWriteDeadline implements stanza.Transport.
func (s *session) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.outbox
	if !t.IsZero() && (o.busy || o.fresh && !t.After(o.by)) {
		o.strict = true
	}
	o.by, o.set, o.fresh = t, time.Now(), !t.IsZero()
	o.Broadcast()
	return nil
}

// closeTimeout is the longest that Close takes.
const closeTimeout = time.Second

// Close implements stanza.Transport. The client hears the reason with the oldest request
// that waits, or the next one.
func (s *session) Close(reason *stanza.StreamError) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		<-s.closed
		return s.closeErr
	}
	defer close(s.closed)
	defer s.mu.Unlock()
	s.closing = true
	now := time.Now()
	limit := closeTimeout
	if o := &s.outbox; !o.by.IsZero() {
		limit = min(limit, o.by.Sub(now))
	}
	s.closeBy = now.Add(limit)
	s.inbox.Broadcast()
	s.closeErr = s.goodbye(reason)
	s.end(net.ErrClosed, terminal(itemNotFound, s.legacy))
	return s.closeErr
}

// goodbye tells the client that the session ends, and waits until it has heard that. The
// caller holds mu.
func (s *session) goodbye(reason *stanza.StreamError) error {
	o := &s.outbox
	s.await(func() bool { return !o.busy })
	switch {
	case s.over:
		return s.err
	case o.busy:
		o.err = net.ErrClosed
		o.Broadcast()
	}
	s.bye = s.farewell(reason)
	s.bye.last = true
	s.flush(time.Now())
	s.await(func() bool { return s.byeTaken || s.leaving && s.here == 0 })
	switch {
	case s.byeTaken:
		return nil
	case s.over:
		return s.err
	}
	return os.ErrDeadlineExceeded
}

// await waits until something is so, the session is over, or Close has taken too long.
// The caller holds mu, which is let go meanwhile.
func (s *session) await(done func() bool) {
	for {
		now := time.Now()
		if done() || s.over || !now.Before(s.closeBy) {
			return
		}
		s.arm(now)
		s.outbox.Wait()
	}
}
