package host

import (
	"context"
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// SetBlocked says whom an account blocks from now on; nil: nobody. Blocking must
// say the same by then. Without a session of the account, or one that is about to
// come, it does nothing.
// See XEP-0191.
func (l *Local) SetBlocked(user stanza.JID, blocks func(peer stanza.JID) bool) {
	l.sessions.setBlocks(user.Bare(), blocks)
}

// readBlocks asks whom an account blocks that has no session. What it returns
// has to be given to table.arrive.
func (l *Local) readBlocks(ctx context.Context, user stanza.JID) (*coming, error) {
	c := l.sessions.expect(user)
	if l.Blocking == nil {
		return c, nil
	}
	f, err := l.Blocking.Blocked(ctx, user)
	if err != nil {
		l.sessions.arrive(user, c)
		return nil, fmt.Errorf("reading whom the account blocks: %w", err)
	}
	l.sessions.read(user, c, f)
	return c, nil
}

// blocks reports whether the account with the sessions list blocks a peer. It is
// false without sessions. No account blocks itself.
func (l *Local) blocks(list []*session, peer stanza.JID) bool {
	if l.sessions.blocking.Load() == 0 || len(list) == 0 {
		return false
	}
	f := list[0].account.blocks.Load()
	return f != nil && list[0].jid.Bare() != peer.Bare() && (*f)(peer)
}

// asksBlocked is blocks for an account without sessions.
func (l *Local) asksBlocked(ctx context.Context, user, peer stanza.JID) (bool, error) {
	if l.Blocking == nil || user == peer.Bare() {
		return false, nil
	}
	f, err := l.Blocking.Blocked(ctx, user)
	return err == nil && f != nil && f(peer), err
}

// refuses is blocks for an account with and without sessions.
func (l *Local) refuses(ctx context.Context, user, peer stanza.JID) (bool, error) {
	if list := l.sessions.of(user); len(list) > 0 {
		return l.blocks(list, peer), nil
	}
	return l.asksBlocked(ctx, user, peer)
}

// sendsToBlocked answers what a session sends to somebody whom its account
// blocks, and reports whether it was that.
// See XEP-0191, section 3.2.
func (l *Local) sendsToBlocked(s *stanza.Stanza) bool {
	if s.From.IsBare() {
		return false // the server speaks for the account
	}
	list := l.sessions.of(s.From.Bare())
	me := byResource(list, s.From)
	if me == nil || !l.blocks(list, s.To) {
		return false
	}
	if s.MayBounce() || s.Kind == stanza.Presence && s.Type != stanza.TypeError {
		_ = me.put(s.ErrorReply(errBlocked()))
	}
	return true
}

// errBlocked is for who sends something to somebody whom he blocks.
func errBlocked() *stanza.Error {
	return &stanza.Error{
		Type: stanza.Cancel, Condition: stanza.NotAcceptable, App: "<blocked xmlns='urn:xmpp:blocking:errors'/>",
	}
}
