package host

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MemoryTokens is a TokenStore that forgets everything when the program ends. Its
// zero value is empty and ready for use.
type MemoryTokens struct {
	mu       sync.RWMutex
	grants   map[GrantID]Grant
	places   map[GrantID]int // of the grants in order
	order    []GrantID
	next     int // the place in order that Expire looks at next
	users    map[stanza.JID][]GrantID
	revision uint64 // the last one given
}

var _ TokenStore = (*MemoryTokens)(nil)

// Get implements TokenStore.
func (m *MemoryTokens) Get(_ context.Context, id GrantID) (Grant, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	g, ok := m.grants[id]
	if !ok {
		return Grant{}, ErrNoGrant
	}
	return g, nil
}

// Add implements TokenStore.
func (m *MemoryTokens) Add(_ context.Context, g Grant, limit int, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var others []Grant
	for _, id := range m.users[g.User] {
		others = append(others, m.grants[id])
	}
	for _, id := range Surplus(others, limit-1, now) {
		m.remove(id)
	}
	if m.grants == nil {
		m.grants, m.places = make(map[GrantID]Grant), make(map[GrantID]int)
		m.users = make(map[stanza.JID][]GrantID)
	}
	m.places[g.ID] = len(m.order)
	m.order = append(m.order, g.ID)
	m.users[g.User] = append(m.users[g.User], g.ID)
	m.put(g)
	return nil
}

// Surplus returns which grants of a user have to go so that no more than limit are
// left: those that have expired at now, and then the oldest. It is for stores.
func Surplus(grants []Grant, limit int, now time.Time) (list []GrantID) {
	n := len(grants) - max(limit, 0)
	if n <= 0 {
		return nil
	}
	grants = slices.Clone(grants)
	expired := func(g Grant) int {
		if g.Expires.After(now) {
			return 1
		}
		return 0
	}
	slices.SortFunc(grants, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(expired(a), expired(b)), a.Issued.Compare(b.Issued), bytes.Compare(a.ID[:], b.ID[:]))
	})
	for _, g := range grants[:n] {
		list = append(list, g.ID)
	}
	return list
}

// CompareAndSet implements TokenStore.
func (m *MemoryTokens) CompareAndSet(_ context.Context, g Grant) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.grants[g.ID]
	if !ok {
		return ErrNoGrant
	}
	if old.Revision != g.Revision {
		return ErrRevision
	}
	m.put(g)
	return nil
}

func (m *MemoryTokens) put(g Grant) {
	m.revision++
	g.Revision = m.revision
	m.grants[g.ID] = g
}

// remove removes a grant, whose place the last one takes.
func (m *MemoryTokens) remove(id GrantID) {
	g, ok := m.grants[id]
	if !ok {
		return
	}
	place, end := m.places[id], len(m.order)-1
	m.order[place] = m.order[end]
	m.places[m.order[place]] = place
	m.order = m.order[:end]
	delete(m.grants, id)
	delete(m.places, id)
	rest := slices.DeleteFunc(m.users[g.User], func(other GrantID) bool { return other == id })
	if m.users[g.User] = rest; len(rest) == 0 {
		delete(m.users, g.User)
	}
}

// Delete implements TokenStore.
func (m *MemoryTokens) Delete(_ context.Context, id GrantID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(id)
	return nil
}

// Forget implements TokenStore.
func (m *MemoryTokens) Forget(_ context.Context, user stanza.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Clone(m.users[user]) {
		m.remove(id)
	}
	return nil
}

// List implements TokenStore. It takes time in proportion to the number of all
// grants.
func (m *MemoryTokens) List(_ context.Context, after GrantID, limit int) ([]Grant, error) {
	m.mu.RLock()
	all := slices.Collect(maps.Values(m.grants))
	m.mu.RUnlock()
	all = slices.DeleteFunc(all, func(g Grant) bool { return bytes.Compare(g.ID[:], after[:]) <= 0 })
	slices.SortFunc(all, func(a, b Grant) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return slices.Clip(all[:min(len(all), max(limit, 0))]), nil
}

// Expire implements TokenStore.
func (m *MemoryTokens) Expire(_ context.Context, now time.Time, limit int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range min(limit, len(m.order)) {
		if m.next >= len(m.order) {
			m.next = 0
		}
		if id := m.order[m.next]; m.grants[id].Expires.After(now) {
			m.next++
		} else {
			m.remove(id)
		}
	}
	return nil
}

// MemoryClients is a ClientStore that forgets everything when the program ends. Its
// zero value is empty and ready for use.
type MemoryClients struct {
	mu      sync.RWMutex
	clients map[string]Client
}

var _ ClientStore = (*MemoryClients)(nil)

// Get implements ClientStore.
func (m *MemoryClients) Get(_ context.Context, id string) (Client, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, ok := m.clients[id]
	if !ok {
		return Client{}, ErrNoClient
	}
	return c, nil
}

// Set implements ClientStore.
func (m *MemoryClients) Set(_ context.Context, c Client) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clients == nil {
		m.clients = make(map[string]Client)
	}
	m.clients[c.ID] = c
	return nil
}

// Delete implements ClientStore.
func (m *MemoryClients) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.clients[id]; !ok {
		return ErrNoClient
	}
	delete(m.clients, id)
	return nil
}
