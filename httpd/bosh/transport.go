package bosh

import (
	"net"
	"os"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

var _ stanza.Transport = (*session)(nil)

// Open implements stanza.Transport.
func (s *session) Open() (stanza.Header, error) {
	s.mu.Lock()
	s.inbox.opens++
	grown := s.inbox.opens == 2 && !s.prebinds // the stream is restarted after the login
	s.mu.Unlock()
	if grown {
		s.h.grown(s)
	}
	i, err := s.next()
	switch {
	case err != nil:
		return stanza.Header{}, err
	case i.header == nil:
		return stanza.Header{}, &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "restart the stream first"}
	}
	return *i.header, nil
}

// Read implements stanza.Transport.
func (s *session) Read() (stanza.Incoming, error) {
	i, err := s.next()
	switch {
	case err != nil:
		return stanza.Incoming{}, err
	case i.header != nil:
		return stanza.Incoming{}, &stanza.StreamError{Condition: stanza.StreamBadFormat, Text: "a stream is restarted after the login"}
	}
	return i.in, i.err
}

// next waits for what comes next.
func (s *session) next() (item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.inbox
	for {
		var now time.Time
		if !b.by.IsZero() || !b.pace.IsZero() {
			now = time.Now()
		}
		switch {
		case s.closing:
			return item{}, net.ErrClosed
		case !b.by.IsZero() && !now.Before(b.by):
			return item{}, os.ErrDeadlineExceeded
		case !b.pace.IsZero() && now.Before(b.pace) && !s.over:
		case len(b.queue) > 0:
			return s.read(), nil
		case b.err != nil:
			b.drained = true
			s.flush(time.Now())
			return item{}, b.err
		}
		b.waiting = true
		s.arm(time.Now())
		b.Wait()
		b.waiting = false
	}
}

// read takes what comes next from the queue. The caller holds mu.
func (s *session) read() item {
	b := &s.inbox
	i := b.queue[0]
	b.queue[0] = item{}
	b.queue = b.queue[1:]
	b.bytes -= i.size()
	if len(b.queue) == 0 {
		b.queue = nil // most sessions are idle most of the time
	}
	b.pace = time.Time{}
	if wait := b.bucket.Take(i.in.Size); wait > 0 {
		b.pace = time.Now().Add(wait)
	}
	if len(s.early) > 0 { // there may be room for it now
		now := time.Now()
		s.advance(now)
		s.arm(now)
	}
	return i
}

// SetReadDeadline implements stanza.Transport.
func (s *session) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inbox.by = t
	s.inbox.Broadcast()
	return nil
}

// defaultBytes is what stanza.Limits says of 0.
const defaultBytes = 262144

// SetLimits implements stanza.Transport. What was received already is not concerned.
func (s *session) SetLimits(l stanza.Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = xmlstream.Limits{Bytes: l.Bytes, Elements: l.Elements, Depth: l.Depth}
	if l.Bytes <= 0 {
		s.limits.Bytes = defaultBytes
	}
}

// SetRate implements stanza.Transport.
func (s *session) SetRate(r shaper.Rate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.inbox
	b.bucket.SetRate(r)
	b.pace = time.Time{}
	if wait := b.bucket.Take(0); wait > 0 {
		b.pace = time.Now().Add(wait)
	}
	b.Broadcast()
}

// Standalone implements stanza.Transport: true.
func (s *session) Standalone() bool { return true }

// Peer implements stanza.Transport.
func (s *session) Peer() stanza.Peer { return s.peer }
