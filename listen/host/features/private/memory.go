package private

import (
	"context"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Memory is a Store that forgets everything with the process. Its zero value is
// ready.
type Memory struct {
	mu       sync.Mutex
	accounts map[stanza.JID]*elements
}

// elements is what one account keeps.
type elements struct {
	byName map[stanza.Name]string
	bytes  int
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, user stanza.JID, name stanza.Name) (xml string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.accounts[user]; a != nil {
		return a.byName[name], nil
	}
	return "", nil
}

// Set implements Store.
func (m *Memory) Set(_ context.Context, user stanza.JID, name stanza.Name, xml string, l Limits) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[user]
	if a == nil {
		a = &elements{byName: make(map[stanza.Name]string)}
	}
	old, known := a.byName[name]
	count, bytes := len(a.byName)+1, a.bytes-len(old)+len(xml)
	if known {
		count--
	}
	switch {
	case xml == "":
		delete(a.byName, name)
	case l.Elements > 0 && count > l.Elements, l.Bytes > 0 && bytes > l.Bytes:
		return ErrFull
	default:
		a.byName[name] = xml
	}
	a.bytes = bytes
	m.put(user, a)
	return nil
}

// put takes what an account keeps now; m.mu is held.
func (m *Memory) put(user stanza.JID, a *elements) {
	if len(a.byName) == 0 {
		delete(m.accounts, user)
		return
	}
	if m.accounts == nil {
		m.accounts = make(map[stanza.JID]*elements)
	}
	m.accounts[user] = a
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, user stanza.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, user)
	return nil
}
