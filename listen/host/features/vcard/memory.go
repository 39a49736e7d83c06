package vcard

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Memory is a Store that forgets everything with the process. Its zero value is
// ready.
type Memory struct {
	mu    sync.Mutex
	cards map[stanza.JID]string
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, user stanza.JID) (xml string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cards[user], nil
}

// Set implements Store.
func (m *Memory) Set(_ context.Context, user stanza.JID, xml string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if xml == "" {
		delete(m.cards, user)
		return nil
	}
	if m.cards == nil {
		m.cards = make(map[stanza.JID]string)
	}
	m.cards[user] = xml
	return nil
}

// Forget implements Store.
func (m *Memory) Forget(ctx context.Context, user stanza.JID) error { return m.Set(ctx, user, "") }
