package host

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bind registers a session and returns its full JID. A JID without resourcepart
// gets a random one. Where the resource is taken, b.Conflict decides; where the
// account has more sessions than max_user_sessions allows, its oldest one ends
// with a conflict stream error. Messages to a session that has replaced another
// one wait, up to MaxHandover, until Ended has brought back what that one has not
// delivered. Errors are a *stanza.Error: NotAllowed for a
// domain that is not served, NotAuthorized for a login that began before the
// account's sessions were ended by Kick, Conflict, ResourceConstraint,
// InternalServerError when Blocking fails.
//
// Sinks are compared with ==, so their type must allow it, as pointers do.
// See RFC 6120, section 7.
func (l *Local) Bind(ctx context.Context, b stanza.Binding) (stanza.JID, error) {
	if err := l.Admit(b); err != nil {
		return stanza.JID{}, err
	}
	s := &session{jid: b.JID, sink: b.Sink}
	s.from(b.Peer)
	bare := b.JID.Bare()
	var first *coming
	defer func() { l.sessions.arrive(bare, first) }()
	random := b.JID.IsBare()
	for pick := random; ; {
		if pick {
			var err error
			if s.jid, err = b.JID.WithResource(rand.Text()); err != nil {
				return stanza.JID{}, err
			}
			pick = false
		}
		replace := b.Conflict != stanza.CloseNew && b.Conflict != stanza.SetResource
		left, err := l.sessions.add(s, replace, l.limit(s.jid, b.Peer), first)
		switch {
		case errors.Is(err, errNotRead):
			if first, err = l.readBlocks(ctx, bare); err != nil {
				return stanza.JID{}, l.replyError(&stanza.Stanza{From: b.JID}, err)
			}
			continue
		case errors.Is(err, errTaken) && (random || b.Conflict == stanza.SetResource):
			random, pick = true, true
			continue
		case errors.Is(err, errTaken):
			return stanza.JID{}, &stanza.Error{Condition: stanza.Conflict, Text: "another session has this resource"}
		case err != nil:
			return stanza.JID{}, &stanza.Error{Condition: stanza.ResourceConstraint, Text: "no session is allowed for this account"}
		}
		for _, old := range left {
			l.replaced(ctx, old, s)
		}
		break
	}
	// Configure and Kick may have come meanwhile and not seen this session.
	if err := l.Admit(b); err != nil {
		l.Release(ctx, s.jid, s.sink)
		return stanza.JID{}, err
	}
	return s.jid, nil
}

// Admit says why a login must not have the session b.JID, nil if it may: the
// domain is not served, or the login began before the account's sessions were
// ended by Kick. Its errors are those of Bind, which asks as well. Whoever lets
// a login go on with a session that there is already (XEP-0198, section 5) has to
// ask. It does not block.
func (l *Local) Admit(b stanza.Binding) error {
	switch {
	case b.JID.Local() == "" || !l.IsLocal(b.JID.Domain()):
		return &stanza.Error{Condition: stanza.NotAllowed, Text: "this domain is not served here"}
	case l.revoked.has(b.JID.Bare(), b.Since):
		return &stanza.Error{Condition: stanza.NotAuthorized, Text: "the sessions of this account were ended meanwhile: log in again"}
	}
	return nil
}

// limit returns the most sessions of an account, -1 for no limit.
func (l *Local) limit(j stanza.JID, p stanza.Peer) int {
	rule := l.options.Load().MaxUserSessions
	if rule == nil {
		return -1
	}
	n, ok := rule.Limit(acl.Subject{
		User: j.Local(), Server: j.Domain(), Resource: j.Resource(),
		Host: j.Domain(), IP: p.Addr.Addr(),
	})
	if !ok {
		return -1
	}
	return max(n, 0)
}

// replaced ends a session that has left the table in favour of another one.
func (l *Local) replaced(ctx context.Context, old, by *session) {
	text := "replaced by a newer session"
	if old.jid != by.jid {
		text = "too many sessions of this account, and this was the oldest"
	}
	old.sink.Kick(&stanza.StreamError{Condition: stanza.StreamConflict, Text: text})
	if old.jid == by.jid && by.handover != nil {
		l.await(by, old)
	}
	l.ended(ctx, old)
}

// Release ends the session of jid if it belongs to s, and sends unavailable
// presence to those who had seen it available: the account's other resources
// and everybody who got directed presence.
// See RFC 6121, sections 4.5.2 and 4.6.3.
func (l *Local) Release(ctx context.Context, jid stanza.JID, s stanza.Sink) {
	if old := l.sessions.remove(jid, s); old != nil {
		l.ended(ctx, old)
	}
}

// Kick ends the sessions of an account, or the one session of a full JID, but
// not keep, and returns how many there were. It does not wait for them. A login
// to the account that is under way, and has no session yet, gets none.
func (l *Local) Kick(jid, keep stanza.JID, reason *stanza.StreamError) int {
	if jid.IsBare() {
		l.revoked.add(jid)
	}
	n := 0
	for _, s := range l.sessions.of(jid.Bare()) {
		if s.jid != keep && (jid.IsBare() || s.jid == jid) {
			s.sink.Kick(reason)
			n++
		}
	}
	return n
}
