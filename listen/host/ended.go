package host

import (
	"context"
	"log/slog"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host/features/carbons"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxEnding is how long the end of a session waits for what others do with the
// stanzas that it did not deliver: longer than a client has for its
// acknowledgement (ack_timeout), after which its session is given up, too. What
// nobody has confirmed then is called safe all the same.
const MaxEnding = 2 * time.Minute

// Ended takes what was queued for a session that has ended (and was released)
// and never reached the client. What the store has is given to another resource
// if one takes it, and stays there otherwise. Other messages and requests are
// routed anew, so that another resource, the store or the sender gets them;
// messages say since when the session has had them (XEP-0203). Presence and
// answers are dropped, and what another session of the account has got, too. A
// session that has replaced this one gets its share before anything newer. Ended
// waits until everything is safe, but no longer than MaxEnding and until ctx
// ends.
func (l *Local) Ended(ctx context.Context, info stanza.SessionInfo, undelivered []stanza.Queued, _ error) {
	var r stanza.Receipt
	if !l.rehome(r.Context(ctx), info, undelivered) {
		return
	}
	safe := make(chan struct{})
	r.Mark(func() { close(safe) })
	late := time.NewTimer(MaxEnding)
	defer late.Stop()
	select {
	case <-safe:
	case <-ctx.Done():
	case <-late.C: // another session has got it and says nothing
	}
}

// rehome finds others for what a session has not delivered. It reports whether
// there was something that the store does not have.
func (l *Local) rehome(ctx context.Context, info stanza.SessionInfo, undelivered []stanza.Queued) bool {
	defer l.isOver(info)
	e := l.returned(info, undelivered)
	for again := false; ; again = true {
		e.heir = l.heir(ctx, info, e, again)
		l.inherit(ctx, info, e)
		if e.heir == nil || !e.heir.is(gone) { // else it was replaced meanwhile
			break
		}
	}
	turn := e.heir
	if e.full {
		turn = nil // the rest comes after what is left in the store
	}
	for _, i := range e.left {
		if i.Stanza == nil {
			continue
		}
		if err := l.routeAgain(ctx, i.Queued, turn); err != nil {
			l.trouble.Log(ctx, slog.LevelWarn, "stanza of an ended session was lost", "from", i.Stanza.From, "to", i.Stanza.To, "err", err)
		}
	}
	return len(e.left) > 0
}

// inherit lets others have what the store has handed to a session that has
// ended. The heir gets in between what the store does not have.
func (l *Local) inherit(ctx context.Context, info stanza.SessionInfo, e *estate) {
	user := info.JID.Bare()
	if l.Offline != nil && l.Offline.Offered(user.Domain()) {
		l.Offline.Lost(user, info.Sink)
		e.full = l.handOut(ctx, user, e.heir, func(key uint64) error { return e.bequeath(ctx, key) })
	}
}

// estate is what a session has not delivered.
type estate struct {
	l    *Local
	sink stanza.Sink // of the session
	heir *session    // that has its turn now; nil for none
	full bool        // heir has no room for all
	kept uint64      // the last key of what the store has; 0: nothing
	left []item      // the rest, in order: what is to be routed anew
}

// item is one stanza of it.
type item struct {
	stanza.Queued        // without a stanza when it is with the heir
	after         uint64 // key of the last stanza before it that the store has
}

// returned sorts what a session has not delivered.
func (l *Local) returned(info stanza.SessionInfo, undelivered []stanza.Queued) *estate {
	e := &estate{l: l, sink: info.Sink}
	var arrived []uint64
	list := l.sessions.of(info.JID.Bare())
	for _, q := range undelivered {
		s := q.Stanza
		e.kept = max(e.kept, s.Kept)
		elsewhere := isIM(s) && len(list) > 0 && list[0].account.shared.returned(s, info.Sink)
		switch {
		case s.Kept != 0 && elsewhere:
			arrived = append(arrived, s.Kept)
		case s.Kept != 0, elsewhere, carbons.IsCopy(s), s.Type == stanza.TypeHeadline && s.To.IsBare():
		case s.Kind == stanza.Message, s.IsRequest():
			e.left = append(e.left, item{q, e.kept})
		}
	}
	if len(arrived) > 0 {
		l.Offline.Arrived(info.JID.Bare(), arrived)
	}
	return e
}

// bequeath gives the heir the messages that come before a stored one. It calls
// no store. What the heir does not take stays, and so does what is not for it
// alone. It returns errEnough for one that the session did not have.
func (e *estate) bequeath(ctx context.Context, key uint64) error {
	if key > e.kept {
		return errEnough
	}
	for n := range e.left {
		i := &e.left[n]
		if i.Stanza == nil || i.after >= key || !e.isForHeir(i.Stanza) {
			continue
		}
		d := delivery{s: e.l.delayed(ctx, i.Queued), turn: e.heir}
		if e.l.give(stanza.ReceiptOf(ctx), d, e.heir) == nil {
			i.Stanza = nil
		}
	}
	return nil
}

// isForHeir reports whether a stanza is a message that the heir and nobody else
// gets now.
func (e *estate) isForHeir(s *stanza.Stanza) bool {
	if s.Kind != stanza.Message || e.heir == nil {
		return false
	}
	if s.To == e.heir.jid {
		return true
	}
	t := highest(e.l.sessions.of(e.heir.jid.Bare()), maxPriority+1)
	return isIM(s) && t.n == 1 && t.first == e.heir
}

// routeAgain routes what a session has not delivered. It has been completed and
// copied before. turn is a session that the caller has a turn for, nil for none.
func (l *Local) routeAgain(ctx context.Context, q stanza.Queued, turn *session) error {
	s := q.Stanza
	if s.Kind != stanza.Message {
		return l.Route(ctx, s)
	}
	s = l.delayed(ctx, q)
	if s.To.Local() != "" && l.IsLocal(s.To.Domain()) {
		return l.place(ctx, delivery{s: s, sessions: l.sessions.of(s.To.Bare()), turn: turn})
	}
	return l.Route(ctx, s)
}
