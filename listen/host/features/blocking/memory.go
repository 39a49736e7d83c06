package blocking

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Memory is a Store that forgets everything with the process. Its zero value is
// ready.
type Memory struct {
	mu    sync.Mutex
	lists map[stanza.JID]List
	last  uint64 // revision; they are never used again
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, user stanza.JID) (List, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lists[user], nil
}

// CompareAndSet implements Store.
func (m *Memory) CompareAndSet(_ context.Context, user stanza.JID, l List) (revision uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lists[user].Revision != l.Revision {
		return 0, ErrChanged
	}
	if m.lists == nil {
		m.lists = make(map[stanza.JID]List)
	}
	m.last++
	l.Revision = m.last
	m.lists[user] = l
	return l.Revision, nil
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, user stanza.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lists, user)
	return nil
}
