package c2s

import (
	"context"
	"errors"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// tooEarly refuses stream management that is asked for before its time, and
// ends the stream for other elements that are none of ours.
// See XEP-0198, section 3.
func (s *stream) tooEarly(e *stanza.Element, next state) (state, error) {
	if e.Name.Space != xmppstream.NSSM || !slices.Contains([]string{"enable", "resume"}, e.Name.Local) {
		return nil, xmppstream.Unsupported(e, "client")
	}
	return s.refuseResume(next, xmppstream.Failed{Condition: stanza.UnexpectedRequest})
}

// refuseResume sends <failed/>. The client may go on with next, a few times.
func (s *stream) refuseResume(next state, f xmppstream.Failed) (state, error) {
	if err := s.write(f.AppendXML(nil)); err != nil {
		return nil, err
	}
	return s.retry(next, maxRefusals, "too many refused requests")
}

// resumeOrNot takes an element that comes in place of a request for a resource.
func (s *stream) resumeOrNot(ctx context.Context, e *stanza.Element) (state, error) {
	if e.Name != (stanza.Name{Space: xmppstream.NSSM, Local: "resume"}) {
		return s.tooEarly(e, s.bind)
	}
	f, err := s.resume(ctx, e)
	if f == nil {
		return s.serve, err
	}
	s.l.srv.sessions.failed.Add(1)
	return s.refuseResume(s.bind, *f)
}

// resume takes up the client's former session. It returns how it refuses to, or
// an error if the stream ends.
// See XEP-0198, section 5.
func (s *stream) resume(ctx context.Context, e *stanza.Element) (*xmppstream.Failed, error) {
	r, err := xmppstream.ParseResumption(e)
	if err != nil {
		return &xmppstream.Failed{Condition: stanza.BadRequest}, nil
	}
	x := s.l.srv.sessions.find(s.jid, r.ID)
	if x == nil {
		return s.unknown(r.ID), nil
	}
	if a := s.l.o.Access; a == nil || !a.Allow(s.subject(x.jid)) {
		return &xmppstream.Failed{Condition: stanza.NotAllowed}, nil
	}
	wait, cancel := s.neg.context(ctx)
	defer cancel()
	if s.holds = x.m.turn.take(wait.Done()); !s.holds {
		return &xmppstream.Failed{Condition: stanza.ResourceConstraint}, nil
	}
	f, err := s.takeOver(ctx, x, r)
	s.yield(x) // not after a panic: then end goes on with the turn
	return f, err
}

// unknown says that there is no such session, and how far it got if there was
// one.
func (s *stream) unknown(id string) *xmppstream.Failed {
	if h, ok := s.l.srv.sessions.over.find(s.jid, id); ok {
		return &xmppstream.Failed{Condition: stanza.ItemNotFound, Known: true, H: h}
	}
	if s.l.srv.managementFor(s.domain) == nil {
		return &xmppstream.Failed{Condition: stanza.FeatureNotImplemented}
	}
	return &xmppstream.Failed{Condition: stanza.ItemNotFound}
}

// takeOver makes this stream the session's, whether it has another one or not.
// The caller holds the turn.
func (s *stream) takeOver(ctx context.Context, x *session, r xmppstream.Resumption) (*xmppstream.Failed, error) {
	err := x.out.CanResume(r.H)
	if errors.Is(err, xmppstream.ErrCountTooLow) {
		return &xmppstream.Failed{Condition: stanza.ItemNotFound}, nil
	} else if err != nil {
		return nil, err
	}
	if err := s.admit(x); err != nil {
		return &xmppstream.Failed{Condition: s.stanzaError(ctx, err).Condition}, nil
	}
	if !s.claim(x) {
		return s.unknown(r.ID), nil
	}
	// From here on whatever goes wrong ends the session.
	s.x.Store(x)
	s.jid, s.neg = x.jid, nil
	l := s.l
	if ctx.Err() != nil { // the shutdown may have missed it
		x.Kick(xmppstream.ErrShutdown)
	}
	if l.h.Session != nil {
		x.tell(func() { l.h.Session.Resumed(ctx, s.info()) })
	}
	if err := x.out.Acked(r.H); err != nil {
		return nil, err
	}
	answer := xmppstream.Resumption{ID: r.ID, H: x.m.resume()}
	if err := s.attach(x, answer.AppendResumed(nil)); err != nil {
		return nil, err
	}
	l.srv.sessions.resumed.Add(1)
	peer := s.t.Peer()
	l.log.InfoContext(ctx, "client has resumed its session", netserve.KeyUser, x.jid.String(), netserve.KeyPeer, peer.Addr.String(),
		"mechanism", s.mechanism, "transport", peer.Name, "encrypted", peer.TLS != nil)
	return nil, nil
}

// admit asks the router about this login. The session's former stream does
// nothing meanwhile, such as to change the password.
func (s *stream) admit(x *session) error {
	return s.l.h.Router.Admit(stanza.Binding{
		JID: x.jid, Sink: x, Conflict: s.l.o.ResourceConflict.For(s.domain), Peer: s.t.Peer(), Since: s.neg.since,
	})
}

// claim takes a session from its former stream, or from the timer that would
// end it. It reports false if the session has ended.
func (s *stream) claim(x *session) bool {
	x.mu.Lock()
	old, gone := x.on, x.m.away
	if x.ended {
		x.mu.Unlock()
		return false
	}
	x.on, x.m.away = s, nil
	x.mu.Unlock()
	if gone != nil {
		gone.timer.Stop()
		gone.l.detached.remove(x)
		return true
	}
	x.out.Detach()
	x.mark()
	old.closing.Go(func() {
		_ = old.t.Close(&stanza.StreamError{Condition: stanza.StreamConflict, Text: "resumed on another stream"})
	})
	return true
}
