package host

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/host/features/carbons"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// keep is a message on its way into the store of its recipient, to be delivered
// to resources from there.
type keep struct {
	l      *Local
	s      *stanza.Stanza
	to     []*session // that are given it; their lanes wait for it
	copied []*session // that are given a carbon copy in the same way
	done   func()     // of the sender's Receipt

	// decided is set when the next ones are: by the store.
	decided atomic.Bool
	give    *stanza.Stanza // what to gets, nil for nothing
	err     error          // why the store has not taken it
	answers *session       // of to, that answers for a message which the store has not taken
}

// storable reports whether a message is one that a store keeps (XEP-0160).
func (l *Local) storable(s *stanza.Stanza) bool {
	return isIM(s) && l.Offline != nil && l.Offline.Offered(s.To.Domain()) && !carbons.IsCopy(s)
}

// isIM reports whether s is a message of type normal or chat.
func isIM(s *stanza.Stanza) bool {
	return s.Kind == stanza.Message && (s.Type == stanza.TypeChat || s.Type == "" || s.Type == stanza.TypeNormal)
}

// keepFor stores a message and has the stored copy delivered to sessions of its
// account, in the order in which this was called for each of them. What they
// cannot hold is left to a catch-up that is under way; without one the error is
// ErrQueueFull.
func (l *Local) keepFor(ctx context.Context, d delivery, to ...*session) error {
	k := &keep{l: l, s: d.s}
	sinks := make([]stanza.Sink, 0, len(to))
	for _, t := range to {
		if t.lane.push(parcel{keep: k}) {
			k.to = append(k.to, t)
			sinks = append(sinks, t.sink)
		}
	}
	took := k.to
	if len(to) > 0 && len(k.to) == 0 {
		if !slices.ContainsFunc(to, (*session).catchesUp) {
			return stanza.ErrQueueFull
		}
		took = to
	}
	for c := range l.copies(d, took) {
		if c.to.lane.push(parcel{keep: k, stanza: c.stanza}) {
			k.copied = append(k.copied, c.to)
		}
	}
	k.done = stanza.ReceiptOf(ctx).Begin()
	l.store(ctx, k, took, sinks)
	l.recheck(ctx, k)
	return nil
}

// store gives a message for some sessions to the store: not in between those of
// Local.Keep. sinks are as for Offline.Keep.
func (l *Local) store(ctx context.Context, k *keep, to []*session, sinks []stanza.Sink) {
	if len(to) > 0 {
		storing := &to[0].account.storing
		storing.RLock()
		defer storing.RUnlock()
	}
	l.Offline.Keep(ctx, k.s, sinks, k.finish)
}

// finish hears from the store. It must not wait, nor call the store's Keep or
// Deliver. What the store refuses is for those who are there all the same, if
// one of them has a connection.
func (k *keep) finish(kept *stanza.Stanza, err error) {
	switch {
	case err != nil:
		k.err = err
		if k.answers = connected(k.to); k.answers != nil {
			k.give = k.s
		}
	case kept != nil:
		k.give = kept
		for _, to := range k.to {
			if to.is(gone) { // it may have been told Lost before this was handed to it
				k.l.lost(to, kept)
			}
		}
	default:
		k.give = k.s // not worth keeping, for those who are there
	}
	k.decided.Store(true)
	for _, list := range [][]*session{k.to, k.copied} {
		for _, to := range list {
			k.l.drain(to)
		}
	}
	if k.answers == nil {
		k.close(err)
	}
}

// close answers the sender if there is an error, and tells him that the message
// is safe.
func (k *keep) close(err error) {
	if err != nil {
		_ = k.l.giveBackFor(context.Background(), k.s, k.l.replyError(k.s, err))
	}
	k.done()
}

// connected returns one of the sessions that has a connection, nil for none.
func connected(list []*session) *session {
	for _, s := range list {
		if !s.is(detached | gone | closed) {
			return s
		}
	}
	return nil
}

// recheck looks whether a resource has come for a message that was stored for
// none, or for those that have ended meanwhile: it may have asked the store
// before. Keep has registered the message before this looks, and a resource is
// available before it asks, so that one of the two sees the other.
func (l *Local) recheck(ctx context.Context, k *keep) {
	if k.decided.Load() && (k.give == nil || k.give.Kept == 0) {
		return
	}
	if slices.ContainsFunc(k.to, func(to *session) bool { return !to.is(gone) }) {
		return
	}
	l.handOut(ctx, k.s.To.Bare(), nil, nil)
}

// handOut gives a resource what is kept for an account, if one takes it. turn is
// a session that the caller has a turn for, nil for none; before is as for
// bequest to this one, and so is full.
func (l *Local) handOut(ctx context.Context, user stanza.JID, turn *session, before func(key uint64) error) (full bool) {
	to := l.taker(user, turn)
	if to == nil {
		return false
	}
	var err error
	if to == turn {
		full, err = l.bequest(ctx, to, before)
	}
	// A bequest ends where the next catch-up of the heir begins: it has one, or
	// has had it.
	err = errors.Join(err, l.catchUp(ctx, to))
	if err != nil {
		l.trouble.Log(ctx, slog.LevelWarn, "kept messages wait for the next session", "user", user, "err", err)
	}
	return full
}

// taker returns the session that gets what is kept for an account, nil for none:
// of those with the highest priority best, and rather one with a connection.
func (l *Local) taker(user stanza.JID, best *session) *session {
	list := l.sessions.of(user)
	t := highest(list, maxPriority+1)
	if t.n == 0 {
		return nil
	}
	same := withPriority(list, t.priority)
	if slices.Contains(same, best) {
		return best
	}
	for _, s := range same {
		if !s.is(detached) {
			return s
		}
	}
	return t.first
}

// endTurn ends a turn, which may be nil or over already.
func (l *Local) endTurn(s *session, t *turn) {
	if t != nil {
		s.lane.end(t)
		l.drain(s)
	}
}

// errEnough stops a bequest.
var errEnough = errors.New("the rest is for later")

// bequest delivers what is kept to a session that the caller has the turn for.
// before is called with the key of each message, until it returns errEnough. full
// says that the sink had no room for more.
func (l *Local) bequest(ctx context.Context, to *session, before func(key uint64) error) (full bool, err error) {
	user := to.jid.Bare()
	var arrived []uint64
	err = l.Offline.Deliver(ctx, user, to.sink, func(m *stanza.Stanza) error {
		if err := before(m.Kept); err != nil {
			return err
		}
		for p, ok := to.lane.before(m.Kept); ok; p, ok = to.lane.before(m.Kept) { // stored for this session
			to.lane.take(p)
			_ = l.unpack(to, p, nil)
		}
		if r, ok := to.sink.(roomer); ok {
			if stanzas, bytes := r.Room(); stanzas == 0 || bytes < m.Size() {
				return stanza.ErrQueueFull
			}
		}
		err := to.put(m)
		if err == nil && !confirms(to.sink) {
			arrived = append(arrived, m.Kept)
		}
		return err
	})
	if len(arrived) > 0 {
		l.Offline.Arrived(user, arrived)
	}
	full = errors.Is(err, stanza.ErrQueueFull)
	if full || errors.Is(err, stanza.ErrClosed) || errors.Is(err, errEnough) {
		return full, nil // the rest stays in the store
	}
	return full, err
}

// lost lets others have a stored message that a session does not take.
func (l *Local) lost(s *session, kept *stanza.Stanza) {
	l.Offline.Lost(s.jid.Bare(), s.sink, kept.Kept)
}

// confirms reports whether a sink will say itself what has arrived.
func confirms(s stanza.Sink) bool {
	_, ok := s.(stanza.Confirmer)
	return ok
}

// hold delivers a message through the lane of a session.
func (l *Local) hold(r *stanza.Receipt, to *session, s *stanza.Stanza) error {
	p := parcel{stanza: s}
	if r != nil {
		p.done = r.Begin()
	}
	if !to.lane.push(p) {
		if p.done != nil {
			p.done()
		}
		return stanza.ErrQueueFull
	}
	l.drain(to)
	return nil
}

// drain delivers what waits in the lane of a session and need not.
func (l *Local) drain(to *session) {
	to.lane.drain(func(p parcel) { _ = l.unpack(to, p, nil) })
	if c := to.catchup.Load(); c != nil && c.watches.Load() {
		c.poke()
	}
}

// unpack delivers a parcel, by a catch-up if c is not nil. The error is that of
// the sink.
func (l *Local) unpack(to *session, p parcel, c *catchup) error {
	k, s := p.keep, p.stanza
	if k != nil && (s == nil || k.give == nil) {
		s = k.give
	}
	if s == nil {
		return nil
	}
	var err error
	if c != nil {
		err = c.put(s)
	} else {
		err = to.put(s)
	}
	switch {
	case s.Kept != 0 && err != nil:
		l.lost(to, s)
	case s.Kept != 0 && !confirms(to.sink):
		l.remove(to, s.Kept)
	case k != nil && k.answers == to && s == k.s && err != nil:
		k.close(k.err)
	case k != nil && k.answers == to && s == k.s:
		confirm(to.sink, k.done)
	case k == nil && err == nil:
		confirm(to.sink, p.done)
	case k == nil:
		l.refuse(to, p, err)
	}
	return err
}

// refuse answers the sender of a message that a session has not taken out of
// its lane.
func (l *Local) refuse(to *session, p parcel, err error) {
	if p.stanza.To == to.jid && !carbons.IsCopy(p.stanza) {
		_ = l.giveBackFor(context.Background(), p.stanza, refusal(err))
	}
	if p.done != nil {
		p.done()
	}
}

// confirm calls done, which may be nil, when what a sink has taken is safe.
func confirm(s stanza.Sink, done func()) {
	switch c, ok := s.(stanza.Confirmer); {
	case done == nil:
	case ok:
		c.Confirm(done)
	default:
		done()
	}
}
