package host

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host/features/carbons"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bound hears of a session that Bind has registered already.
func (l *Local) Bound(context.Context, stanza.SessionInfo) {}

// Detached hears that a session has lost its connection and may be resumed. Its
// presence stays as it was. A message of type normal or chat that only such
// sessions would take is stored first, and they are given the stored copy.
func (l *Local) Detached(_ context.Context, s stanza.SessionInfo) {
	if me := l.sessions.find(s.JID); me != nil {
		me.mark(detached, true)
	}
}

// Resumed hears that a session has a connection again. Messages that the store
// has not taken yet still come before later ones.
func (l *Local) Resumed(_ context.Context, s stanza.SessionInfo) {
	if me := l.sessions.find(s.JID); me != nil {
		me.mark(detached, false)
	}
}

// Keep stores the messages of type normal and chat that a detached session has
// not acknowledged, waits for the store, and returns the list with the stored
// copies in their places. What cannot be stored stays as it is.
func (l *Local) Keep(ctx context.Context, info stanza.SessionInfo, waiting []*stanza.Stanza) []*stanza.Stanza {
	list := slices.Clone(waiting)
	var stored sync.WaitGroup
	for i, s := range waiting {
		if s.Kept != 0 || s.To.Bare() != info.JID.Bare() || !l.storable(s) {
			continue
		}
		stored.Add(1)
		l.Offline.Keep(ctx, s, []stanza.JID{info.JID}, func(kept *stanza.Stanza, err error) {
			defer stored.Done()
			switch {
			case err != nil:
				l.trouble.Log(ctx, slog.LevelWarn, "message for a detached session is in memory alone", "from", s.From, "to", info.JID, "err", err)
			case kept != nil:
				list[i] = kept
				if me := l.sessions.find(info.JID); me != nil {
					me.account.shared.alias(s, kept)
				}
			}
		})
	}
	stored.Wait()
	return list
}

// Arrived removes what a client has got from the store.
func (l *Local) Arrived(s stanza.SessionInfo, kept []uint64) {
	if l.Offline != nil {
		l.Offline.Arrived(s.JID, kept)
	}
}

// Ended takes what was queued for a session that has ended (and was released)
// and never reached the client. What the store has is given to another resource
// if one takes it, and stays there otherwise. Other messages and requests are
// routed anew, so that another resource, the store or the sender gets them;
// presence and answers are dropped, and what another session of the account has
// got, too. Ended waits until everything is safe, but no longer than MaxEnding
// and until ctx ends.
func (l *Local) Ended(ctx context.Context, info stanza.SessionInfo, undelivered []*stanza.Stanza, _ error) {
	left, kept := l.returned(info.JID, undelivered)
	if l.Offline != nil && l.Offline.Offered(info.JID.Domain()) {
		l.lose(ctx, info.JID, kept)
	}
	if len(left) == 0 {
		return
	}
	var r stanza.Receipt
	again := r.Context(ctx)
	for _, s := range left {
		if err := l.routeAgain(again, s); err != nil {
			l.trouble.Log(ctx, slog.LevelWarn, "stanza of an ended session was lost", "from", s.From, "to", s.To, "err", err)
		}
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

// MaxEnding is how long the end of a session waits for what others do with the
// stanzas that it did not deliver.
const MaxEnding = 10 * time.Second

// returned sorts what a session has not delivered: what is to be routed anew,
// and whether something is in the store.
func (l *Local) returned(full stanza.JID, undelivered []*stanza.Stanza) (left []*stanza.Stanza, kept bool) {
	var arrived []uint64
	list := l.sessions.of(full.Bare())
	for _, s := range undelivered {
		elsewhere := isIM(s) && len(list) > 0 && list[0].account.shared.returned(s, full)
		switch {
		case s.Kept != 0 && elsewhere:
			arrived = append(arrived, s.Kept)
		case s.Kept != 0:
			kept = true
		case elsewhere, carbons.IsCopy(s), s.Type == stanza.TypeHeadline && s.To.IsBare():
		case s.Kind == stanza.Message, s.IsRequest():
			left = append(left, s)
		}
	}
	if len(arrived) > 0 {
		l.Offline.Arrived(full, arrived)
	}
	return left, kept
}

// lose lets other resources have what a session had of the store. kept says
// whether it has returned something of that.
func (l *Local) lose(ctx context.Context, full stanza.JID, kept bool) {
	if kept || l.sessions.find(full) == nil { // else a new session there may have got something
		l.Offline.Lost(full)
	}
	l.handOut(ctx, full.Bare())
}

// routeAgain routes what a session has not delivered. It has been completed and
// copied before.
func (l *Local) routeAgain(ctx context.Context, s *stanza.Stanza) error {
	if s.Kind == stanza.Message && s.To.Local() != "" && l.IsLocal(s.To.Domain()) {
		return l.place(ctx, delivery{s: s, sessions: l.sessions.of(s.To.Bare())})
	}
	return l.Route(ctx, s)
}
