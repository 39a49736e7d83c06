package host

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bound hears of a session that Bind has registered already.
func (l *Local) Bound(context.Context, stanza.SessionInfo) {}

// Detached hears that a session has lost its connection and may be resumed. Its
// presence stays as it was. A message of type normal or chat that only such
// sessions would take is stored first, and they are given the stored copy.
func (l *Local) Detached(_ context.Context, info stanza.SessionInfo) {
	if me := l.sessions.session(info); me != nil {
		me.mark(detached, true)
	}
}

// Resumed hears that a session has a connection again. Messages that the store
// has not taken yet still come before later ones.
func (l *Local) Resumed(_ context.Context, info stanza.SessionInfo) {
	if me := l.sessions.session(info); me != nil {
		me.from(info.Peer)
		me.mark(detached, false)
	}
}

// Keep stores the messages of type normal and chat that a detached session has
// not acknowledged, waits for the store, and returns the stanzas with the stored
// copies in their places: these say since when the session has had them
// (XEP-0203). What cannot be stored stays as it is. What the store has already
// is stored anew if it comes after something else, because the store hands out
// in the order in which it has got things; but not while more for the session is
// on its way through the store.
func (l *Local) Keep(ctx context.Context, info stanza.SessionInfo, waiting []stanza.Queued) []*stanza.Stanza {
	list := make([]*stanza.Stanza, len(waiting))
	for i, q := range waiting {
		list[i] = q.Stanza
	}
	l.storeQueue(ctx, info, waiting, list).Wait()
	return list
}

// storeQueue begins to do that; the copies are in list when stored is done.
// Nothing else for the session gets into the store in between.
func (l *Local) storeQueue(ctx context.Context, info stanza.SessionInfo, waiting []stanza.Queued, list []*stanza.Stanza) (stored *sync.WaitGroup) {
	idle, anew := false, false
	if me := l.sessions.session(info); me != nil {
		me.account.storing.Lock()
		defer me.account.storing.Unlock()
		idle = !me.lane.busy.Load()
	}
	stored = new(sync.WaitGroup)
	for i, q := range waiting {
		s := q.Stanza
		if s.Kept != 0 && !anew || s.To.Bare() != info.JID.Bare() || !l.storable(s) {
			continue
		}
		anew = idle
		stored.Add(1)
		l.Offline.Keep(ctx, l.delayed(ctx, q), []stanza.Sink{info.Sink}, func(kept *stanza.Stanza, err error) {
			defer stored.Done()
			switch {
			case err != nil && s.Kept == 0:
				l.trouble.Log(ctx, slog.LevelWarn, "message for a detached session is in memory alone", "from", s.From, "to", info.JID, "err", err)
			case kept != nil:
				list[i] = kept
				l.isKept(info, s, kept)
			}
		})
	}
	return stored
}

// isKept notes that a stored copy takes the place of what a session has. If
// the session has been replaced meanwhile, the next one gets the copy: from the
// store, where it stands before what is newer.
func (l *Local) isKept(info stanza.SessionInfo, s, kept *stanza.Stanza) {
	user := info.JID.Bare()
	if list := l.sessions.of(user); len(list) > 0 {
		list[0].account.shared.alias(s, kept)
	}
	if s.Kept != 0 {
		l.Offline.Arrived(user, []uint64{s.Kept})
	}
	if l.sessions.session(info) == nil {
		l.Offline.Lost(user, info.Sink, kept.Kept)
	}
}

// delayed returns what a session has not delivered with the time since when.
func (l *Local) delayed(ctx context.Context, q stanza.Queued) *stanza.Stanza {
	since := q.Since
	if since.IsZero() {
		since = time.Now()
	}
	s, err := q.Stanza.WithDelay(since)
	if err != nil {
		l.trouble.Log(ctx, slog.LevelError, "stanza cannot be read", "from", q.Stanza.From, "to", q.Stanza.To, "err", err)
		return q.Stanza
	}
	return s
}

// Arrived removes what a client has got from the store.
func (l *Local) Arrived(info stanza.SessionInfo, kept []uint64) {
	if l.Offline != nil {
		l.Offline.Arrived(info.JID.Bare(), kept)
	}
	if me := l.sessions.session(info); me != nil {
		if c := me.catchup.Load(); c != nil {
			c.arrived(kept)
		}
	}
}
