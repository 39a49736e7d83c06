package offline

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Count returns how many messages wait for an account.
func (s *Service) Count(ctx context.Context, user stanza.JID) (int, error) {
	return s.store.Count(ctx, user.Bare())
}
