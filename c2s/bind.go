package c2s

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// bind waits for the client to ask for its resource. Nothing else is allowed
// before.
// See RFC 6120, section 7.
func (s *session) bind(ctx context.Context) (state, error) {
	in, err := s.t.Read()
	switch {
	case err != nil && !wrongStanza(in, err):
		return nil, err
	case in.Nonza != nil:
		return nil, unsupported(in.Nonza)
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

func (s *session) wantsResource(iq *stanza.Stanza) bool {
	return iq.Kind == stanza.IQ && !isAnswer(iq) && iq.Child == stanza.Name{Space: xmppstream.NSBind, Local: "bind"} && s.isServer(iq.To)
}

// bindResource registers the session with the router, under the resource that
// the client wants if the access rule lets it in. wrong is what makes the
// request one that must be refused, nil if nothing.
func (s *session) bindResource(ctx context.Context, iq *stanza.Stanza, wrong error) (stanza.JID, error) {
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
	ctx, cancel := s.neg.context(ctx)
	defer cancel()
	return s.l.h.Router.Bind(ctx, stanza.Binding{
		JID:      want,
		Sink:     s,
		Conflict: s.l.o.ResourceConflict.For(s.domain),
		Peer:     s.t.Peer(),
		Since:    s.neg.since,
	})
}

// wanted returns the address that a client asks for, bare when it leaves the
// resource to the server.
func (s *session) wanted(iq *stanza.Stanza) (stanza.JID, error) {
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
func (s *session) establish(ctx context.Context, iq *stanza.Stanza, full stanza.JID) error {
	s.jid, s.bound = full, true
	l, since := s.l, s.neg.since
	s.neg = nil
	// Deliveries still wait in s.early, so the outbox has set no deadline yet.
	if err := errors.Join(s.t.SetReadDeadline(time.Time{}), s.t.SetWriteDeadline(time.Time{})); err != nil {
		return err
	}
	s.shape()
	jid := stanza.AppendEscaped([]byte("<bind xmlns='"+xmppstream.NSBind+"'><jid>"), full.String())
	if err := s.early.release(s.out, iq.Result(string(jid)+"</jid></bind>")); err != nil {
		return err
	}
	peer := s.t.Peer()
	l.log.InfoContext(ctx, "client has logged in", netserve.KeyUser, full.String(), netserve.KeyPeer, peer.Addr.String(),
		"mechanism", s.mechanism, "transport", peer.Name, "encrypted", peer.TLS != nil, "took", time.Since(since))
	if l.h.Session != nil {
		l.h.Session.Bound(ctx, s.info())
	}
	return nil
}

// early keeps what is delivered to a session between its registration with the
// router and the answer that tells the client so: that one goes first.
type early struct {
	open atomic.Bool // the answer is on its way
	mu   sync.Mutex
	held []*stanza.Stanza
	size int
	done bool // the session has ended without
}

// add keeps st and reports true, or false when it need not be kept any more.
// The bounds are those of the queue behind it, into which the answer goes, too.
func (e *early) add(st *stanza.Stanza, o *Options) (taken bool, err error) {
	if e.open.Load() {
		return false, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.open.Load():
		return false, nil
	case e.done:
		return true, stanza.ErrClosed
	case len(e.held) > 0 && (exceeds(len(e.held)+2, o.MaxFSMQueue) || exceeds(e.size+st.Size(), o.MaxQueueBytes)):
		return true, stanza.ErrQueueFull
	}
	e.held = append(e.held, st)
	e.size += st.Size()
	return true, nil
}

func exceeds(n, bound int) bool { return bound > 0 && n > bound }

// release sends the answer, and what was kept after it.
func (e *early) release(out *xmppstream.Outbox, answer *stanza.Stanza) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := out.Deliver(answer)
	for err == nil && len(e.held) > 0 {
		if err = out.Deliver(e.held[0]); err == nil {
			e.held = e.held[1:]
		}
	}
	if err != nil {
		return &stanza.StreamError{Condition: stanza.StreamResourceConstraint, Err: err}
	}
	e.held = nil
	e.open.Store(true)
	return nil
}

// close takes no more and returns what was kept and not released.
func (e *early) close() []*stanza.Stanza {
	e.mu.Lock()
	defer e.mu.Unlock()
	held := e.held
	e.held, e.done = nil, true
	return held
}
