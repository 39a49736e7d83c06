package c2s

import (
	"context"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// bind waits for the client to ask for its resource, or for the session that it
// had before. Nothing else is allowed before.
// See RFC 6120, section 7.
func (s *stream) bind(ctx context.Context) (state, error) {
	in, err := s.t.Read()
	switch {
	case err != nil && !xmppstream.IsWrongStanza(in, err):
		return nil, err
	case in.Nonza != nil:
		return s.resumeOrNot(ctx, in.Nonza)
	case !s.wantsResource(in.Stanza):
		return nil, notAuthorized(err)
	}
	full, err := s.bindResource(ctx, in.Stanza, err)
	if err == nil {
		return s.serve, s.establish(ctx, in.Stanza, full)
	}
	s.neg.failed = err
	if err := s.writeStanza(in.Stanza.ErrorReply(s.stanzaError(ctx, err))); err != nil {
		return nil, err
	}
	return s.retry(s.bind, maxRefusals, "too many refused resources")
}

func (s *stream) wantsResource(iq *stanza.Stanza) bool {
	return iq.Kind == stanza.IQ && !isAnswer(iq) && iq.Child == stanza.Name{Space: xmppstream.NSBind, Local: "bind"} && s.isServer(iq.To)
}

// bindResource registers the session with the router, under the resource that
// the client wants if the access rule lets it in. wrong is what makes the
// request one that must be refused, nil if nothing.
func (s *stream) bindResource(ctx context.Context, iq *stanza.Stanza, wrong error) (stanza.JID, error) {
	if wrong != nil {
		return stanza.JID{}, wrong
	}
	want, err := s.wanted(iq)
	if err != nil {
		return stanza.JID{}, err
	}
	if a := s.l.o.Access; a == nil || !a.Allow(s.subject(want)) {
		return stanza.JID{}, &stanza.Error{Condition: stanza.NotAllowed}
	}
	x := s.x.Load()
	if x == nil {
		x = new(session)
		x.out = xmppstream.NewOutbox(&s.l.out, x)
		s.x.Store(x)
	}
	ctx, cancel := s.neg.context(ctx)
	defer cancel()
	return s.l.h.Router.Bind(ctx, stanza.Binding{
		JID:      want,
		Sink:     x,
		Conflict: s.l.o.ResourceConflict.For(s.domain),
		Peer:     s.t.Peer(),
		Since:    s.neg.since,
	})
}

// wanted returns the address that a client asks for, bare when it leaves the
// resource to the server.
func (s *stream) wanted(iq *stanza.Stanza) (stanza.JID, error) {
	if iq.Type != stanza.TypeSet {
		return stanza.JID{}, &stanza.Error{Condition: stanza.BadRequest}
	}
	p, err := iq.Payload()
	if err != nil {
		return stanza.JID{}, err
	}
	r := p.Child(xmppstream.NSBind, "resource")
	if r == nil || r.Text == "" {
		return s.jid, nil
	}
	want, err := s.jid.WithResource(r.Text)
	if err != nil {
		return stanza.JID{}, &stanza.Error{Condition: stanza.BadRequest, Text: "resource is not allowed"}
	}
	return want, nil
}

// establish ends the negotiation: the session is registered as full.
func (s *stream) establish(ctx context.Context, iq *stanza.Stanza, full stanza.JID) error {
	l, x, since := s.l, s.x.Load(), s.neg.since
	s.neg, s.jid = nil, full
	x.mu.Lock()
	x.jid, x.on = full, s
	x.mu.Unlock()
	l.srv.sessions.add(x)
	jid := stanza.AppendEscaped([]byte("<bind xmlns='"+xmppstream.NSBind+"'><jid>"), full.String())
	var err error
	x.tell(func() { // what arrives from now on waits until the host has heard of the session
		if err = s.attach(x, s.encode(iq.Result(string(jid)+"</jid></bind>"))); err != nil {
			return
		}
		peer := s.t.Peer()
		l.log.InfoContext(ctx, "client has logged in", netserve.KeyUser, full.String(), netserve.KeyPeer, peer.Addr.String(),
			"mechanism", s.mechanism, "transport", peer.Name, "encrypted", peer.TLS != nil, "took", time.Since(since))
		if l.h.Session != nil {
			l.h.Session.Bound(ctx, s.info())
		}
	})
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.bound = true
	x.mu.Unlock()
	if x.out.Ending() { // a kick that came too early to end it
		return stanza.ErrClosed
	}
	return nil
}

// attach lets a session write to this stream: first, and then what waits. The
// bounds of the negotiation are over.
func (s *stream) attach(x *session, first []byte) error {
	// The outbox does not write yet, so it has set no deadline either.
	if err := errors.Join(s.t.SetReadDeadline(time.Time{}), s.t.SetWriteDeadline(time.Time{})); err != nil {
		return err
	}
	s.shape()
	return x.out.Attach(s.t, &s.l.out, string(first))
}
