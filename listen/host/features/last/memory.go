package last

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Memory is a Store that forgets everything when the process ends. The zero
// Memory is empty and ready.
type Memory struct {
	mu    sync.Mutex
	users map[stanza.JID]Activity
}

var _ Store = (*Memory)(nil)

// Get implements Store.
func (m *Memory) Get(ctx context.Context, user stanza.JID) (a Activity, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return Activity{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok = m.users[user]
	return a, ok, nil
}

// Set implements Store.
func (m *Memory) Set(ctx context.Context, user stanza.JID, a Activity) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users == nil {
		m.users = make(map[stanza.JID]Activity)
	}
	m.users[user] = a
	return nil
}

// Forget implements Store.
func (m *Memory) Forget(ctx context.Context, user stanza.JID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.users, user)
	return nil
}
