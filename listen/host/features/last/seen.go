package last

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Seen returns when an account was last there, whoever may know that; ok is false when
// nothing is known. It says nothing of resources that are there now.
func (s *Service) Seen(ctx context.Context, user stanza.JID) (a Activity, ok bool, err error) {
	return s.store.Get(ctx, user.Bare())
}

// Note says when an account was last there, in whole seconds, with at most MaxStatus
// bytes of the status.
func (s *Service) Note(ctx context.Context, user stanza.JID, a Activity) error {
	return s.store.Set(ctx, user.Bare(), Activity{At: a.At.UTC().Truncate(time.Second), Status: clip(a.Status)})
}
