package host

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MemoryAccounts is an AccountStore that forgets everything when the program
// ends. Its zero value is empty and ready for use.
type MemoryAccounts struct {
	mu       sync.RWMutex
	accounts map[stanza.JID]Account
	revision uint64 // the last one given
}

var _ AccountStore = (*MemoryAccounts)(nil)

// Get implements AccountStore.
func (m *MemoryAccounts) Get(_ context.Context, user stanza.JID) (Account, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	a, ok := m.accounts[user]
	if !ok {
		return Account{}, stanza.ErrNoAccount
	}
	return a, nil
}

// Create implements AccountStore.
func (m *MemoryAccounts) Create(_ context.Context, a Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.accounts[a.JID]; ok {
		return ErrExists
	}
	m.put(a)
	return nil
}

// CompareAndSet implements AccountStore.
func (m *MemoryAccounts) CompareAndSet(_ context.Context, a Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.accounts[a.JID]
	if !ok {
		return stanza.ErrNoAccount
	}
	if old.Revision != a.Revision {
		return ErrRevision
	}
	m.put(a)
	return nil
}

func (m *MemoryAccounts) put(a Account) {
	if m.accounts == nil {
		m.accounts = make(map[stanza.JID]Account)
	}
	m.revision++
	a.Revision = m.revision
	m.accounts[a.JID] = a
}

// Delete implements AccountStore.
func (m *MemoryAccounts) Delete(_ context.Context, user stanza.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.accounts[user]; !ok {
		return stanza.ErrNoAccount
	}
	delete(m.accounts, user)
	return nil
}

// List implements AccountStore. It takes time in proportion to the number of
// all accounts.
func (m *MemoryAccounts) List(_ context.Context, domain, after string, limit int) ([]stanza.JID, error) {
	m.mu.RLock()
	var all []stanza.JID
	for j, a := range m.accounts {
		if j.Domain() == domain && j.Local() > after && !a.Removing {
			all = append(all, j)
		}
	}
	m.mu.RUnlock()
	slices.SortFunc(all, func(a, b stanza.JID) int { return cmp.Compare(a.Local(), b.Local()) })
	return slices.Clip(all[:min(len(all), max(limit, 0))]), nil
}

// Removing implements AccountStore.
func (m *MemoryAccounts) Removing(context.Context) (list []stanza.JID, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for j, a := range m.accounts {
		if a.Removing {
			list = append(list, j)
		}
	}
	return list, nil
}
