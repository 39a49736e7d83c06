package roster

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Memory is a Store that forgets everything when the program ends. Its zero
// value is empty and ready for use.
type Memory struct {
	mu      sync.RWMutex
	rosters map[stanza.JID]*contacts
	last    uint64 // the version given last, to whichever roster
	gone    uint64 // that of the last Forget: the rosters that are not there begin here
}

// contacts is one roster.
type contacts struct {
	items   []*Item // sorted by the bytes of the contact; replaced, never changed
	version Version
}

var _ Store = (*Memory)(nil)

// find returns where a contact is, or belongs.
func (c *contacts) find(contact stanza.JID) (at int, ok bool) {
	return slices.BinarySearchFunc(c.items, contact, func(i *Item, j stanza.JID) int {
		return strings.Compare(i.Contact.String(), j.String())
	})
}

// get returns the item of a contact, nil when there is none. m.mu is held.
func (m *Memory) get(user, contact stanza.JID) *Item {
	c := m.rosters[user]
	if c == nil {
		return nil
	}
	if at, ok := c.find(contact); ok {
		return c.items[at]
	}
	return nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, user, contact stanza.JID) (Item, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if i := m.get(user, contact); i != nil {
		return *i, nil
	}
	return Item{}, ErrNoItem
}

// Set implements Store.
func (m *Memory) Set(_ context.Context, user stanza.JID, i Item, limit int) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.rosters[user]
	if c == nil {
		c = &contacts{version: Version{Current: m.gone, Deleted: m.gone}}
	}
	at, found := c.find(i.Contact)
	switch {
	case found && c.items[at].Version != i.Version, !found && i.Version != 0:
		return 0, ErrChanged
	case !found && limit > 0 && len(c.items) >= limit:
		return 0, ErrFull
	}
	m.last++
	c.version.Current = m.last
	if found && c.items[at].Listed && !i.Listed {
		c.version.Deleted = m.last
	}
	i.Version = m.last
	if found {
		c.items[at] = &i
	} else {
		c.items = slices.Insert(c.items, at, &i)
	}
	if m.rosters == nil {
		m.rosters = make(map[stanza.JID]*contacts)
	}
	m.rosters[user] = c
	return m.last, nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, user, contact stanza.JID, version uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.get(user, contact)
	switch {
	case i == nil:
		return 0, ErrNoItem
	case i.Version != version:
		return 0, ErrChanged
	}
	c := m.rosters[user]
	at, _ := c.find(contact)
	c.items = slices.Delete(c.items, at, at+1)
	m.last++
	c.version = Version{Current: m.last, Deleted: m.last}
	return m.last, nil
}

// List implements Store.
func (m *Memory) List(_ context.Context, user, after stanza.JID, limit int) ([]Item, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := m.rosters[user]
	if c == nil {
		return nil, nil
	}
	at, found := c.find(after)
	if found {
		at++
	}
	rest := c.items[at:]
	page := make([]Item, min(len(rest), max(limit, 0)))
	for n := range page {
		page[n] = *rest[n]
	}
	return page, nil
}

// Version implements Store.
func (m *Memory) Version(_ context.Context, user stanza.JID) (Version, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if c := m.rosters[user]; c != nil {
		return c.version, nil
	}
	return Version{Current: m.gone, Deleted: m.gone}, nil
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, user stanza.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rosters[user] != nil {
		delete(m.rosters, user)
		m.last++
		m.gone = m.last
	}
	return nil
}
