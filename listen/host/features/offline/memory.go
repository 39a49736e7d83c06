package offline

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Memory is a Store that forgets everything when the process ends. Its calls of
// done come within the call. The zero Memory is empty and ready.
type Memory struct {
	mu    sync.Mutex
	last  uint64 // key that was given last, of all accounts
	users map[stanza.JID][]Message
}

var _ Store = (*Memory)(nil)

// Add implements Store.
func (m *Memory) Add(ctx context.Context, user stanza.JID, xml string, limit int, done func(key uint64, err error)) {
	done(m.add(ctx, user, xml, limit))
}

func (m *Memory) add(ctx context.Context, user stanza.JID, xml string, limit int) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.users[user]
	if limit > 0 && len(list) >= limit {
		return 0, ErrFull
	}
	if m.users == nil {
		m.users = make(map[stanza.JID][]Message)
	}
	m.last++
	m.users[user] = append(list, Message{Key: m.last, XML: xml})
	return m.last, nil
}

// find returns where a key is in a list, or would be.
func find(list []Message, key uint64) (int, bool) {
	return slices.BinarySearchFunc(list, key, func(m Message, key uint64) int { return cmp.Compare(m.Key, key) })
}

// List implements Store.
func (m *Memory) List(ctx context.Context, user stanza.JID, after uint64, limit int) ([]Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.users[user]
	i, found := find(list, after)
	if found {
		i++
	}
	list = list[i:]
	return slices.Clone(list[:min(max(limit, 0), len(list))]), nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, user stanza.JID, keys []uint64, done func(err error)) {
	m.mu.Lock()
	list := m.users[user]
	for _, key := range keys {
		if i, found := find(list, key); found {
			list = slices.Delete(list, i, i+1)
		}
	}
	m.set(user, list)
	m.mu.Unlock()
	if done != nil {
		done(nil)
	}
}

// set replaces the list of an account. m.mu is held.
func (m *Memory) set(user stanza.JID, list []Message) {
	if len(list) > 0 {
		m.users[user] = list
	} else {
		delete(m.users, user)
	}
}

// Count implements Store.
func (m *Memory) Count(ctx context.Context, user stanza.JID) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.users[user]), ctx.Err()
}

// Forget implements Store.
func (m *Memory) Forget(ctx context.Context, user stanza.JID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(user, nil)
	return nil
}
