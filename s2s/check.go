package s2s

import (
	"context"
	"errors"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of the keys that are being checked, and of the pairs of a stream.
const (
	maxPairs   = 256 // of a stream, proved or being checked
	maxPending = 16  // keys of a stream
	maxPerAddr = 16  // of an address, or an IPv6 network
	maxChecks  = 512 // of a listener
)

// pending is a pair whose key is being checked.
type pending struct {
	pair
	cancel context.CancelFunc
}

// checking returns the context of a check.
func (l *listener) checking(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.o.NegotiationTimeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, l.o.NegotiationTimeout)
}

// reserve takes room for a check, if there is some and the pair has none. It waits
// for other checks of the same address, and the stream is not read meanwhile.
func (s *stream) reserve(within context.Context, p pair, cancel context.CancelFunc) (ok bool) {
	waiting, stop := context.WithCancel(within)
	defer stop()
	defer context.AfterFunc(s.l.ctx, stop)()
	if !s.l.peers.await(waiting, s.addr()) {
		return false
	}
	defer func() {
		if !ok {
			s.l.peers.take(s.addr(), use{verifying: -1}, use{})
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	is := func(c pending) bool { return c.pair == p }
	if len(s.pending) >= maxPending || 1+len(s.more)+len(s.pending) >= maxPairs || slices.ContainsFunc(s.pending, is) {
		return false
	}
	if s.l.verifying.Add(1) > maxChecks {
		s.l.verifying.Add(-1)
		return false
	}
	s.l.srv.in.verifying.Add(1)
	s.pending = append(s.pending, pending{p, cancel})
	return true
}

// unreserve gives it back.
func (s *stream) unreserve(p pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.pending, func(c pending) bool { return c.pair == p })
	s.pending[i].cancel()
	s.pending = slices.Delete(s.pending, i, i+1)
	if len(s.pending) == 0 {
		s.pending = nil
	}
	s.l.verifying.Add(-1)
	s.l.srv.in.verifying.Add(-1)
	s.l.peers.take(s.addr(), use{verifying: -1}, use{})
}

// check finds out within a context whether a key is right, and answers it.
func (s *stream) check(ctx, within context.Context, d dialback, p pair) {
	mechanism, err := "", error(nil)
	if perr := s.guard(ctx, func() { mechanism, err = s.isProved(within, p, d.Key) }); perr != nil {
		err = &stanza.Error{Condition: stanza.InternalServerError}
	}
	s.unreserve(p)
	if err == nil {
		if s.prove(ctx, p, mechanism) {
			s.tell(d.answer(dbValid, nil))
			s.adopt(ctx, p)
		}
		return
	}
	if s.isOver() || ctx.Err() != nil {
		return
	}
	s.log(ctx, p, err)
	var e *stanza.Error
	switch {
	case errors.Is(err, errInvalidKey) && s.pairs() == 0:
		s.mu.Lock()
		s.logged = true
		s.mu.Unlock()
		s.tell(d.answer(dbInvalid, nil))
		s.out.Kick(nil) // XEP-0220, section 2.2.1
		return
	case errors.Is(err, errInvalidKey):
		e = &stanza.Error{Condition: stanza.Forbidden}
	case errors.Is(err, &stanza.Error{Condition: stanza.ItemNotFound}): // of the server that was asked: section 2.5
		e = &stanza.Error{Condition: stanza.RemoteServerNotFound}
	case !errors.As(err, &e):
		e = &stanza.Error{Condition: stanza.RemoteServerTimeout}
	}
	s.tell(d.answer(stanza.TypeError, e))
}

// isProved says how a server has proved that it speaks for p.remote, or why it has
// not. One whose certificate says so need not be asked back.
// See XEP-0220, section 2.2.1, and XEP-0344, section 3.
func (s *stream) isProved(ctx context.Context, p pair, key string) (mechanism string, err error) {
	err = s.proves(p)
	if err == nil {
		return byCertificate, nil
	}
	if !s.l.srv.settings.Load().acceptsDialback(p) {
		return "", &stanza.Error{Condition: stanza.NotAuthorized, Text: err.Error()}
	}
	return byDialback, s.l.back.verify(ctx, p, s.id, key)
}

// tell sends an answer from a goroutine that is not the stream's.
func (s *stream) tell(d dialback) {
	if err := s.say(d.String()); err != nil {
		s.out.Kick(xmppstream.Reason(err))
	}
}
