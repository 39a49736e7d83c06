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
	users map[stanza.JID]mailbox
}

// mailbox is what an account has.
type mailbox struct {
	list  []Message
	bytes int // of XML
}

var _ Store = (*Memory)(nil)

// Add implements Store.
func (m *Memory) Add(ctx context.Context, user stanza.JID, xml string, l Limits, done func(key uint64, err error)) {
	done(m.add(ctx, user, xml, l))
}

func (m *Memory) add(ctx context.Context, user stanza.JID, xml string, l Limits) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.users[user]
	if !l.Admits(len(b.list)+1, b.bytes+len(xml)) {
		return 0, ErrFull
	}
	if m.users == nil {
		m.users = make(map[stanza.JID]mailbox)
	}
	m.last++
	m.users[user] = mailbox{append(b.list, Message{Key: m.last, XML: xml}), b.bytes + len(xml)}
	return m.last, nil
}

// find returns where a key is in a list, or would be.
func find(list []Message, key uint64) (int, bool) {
	return slices.BinarySearchFunc(list, key, func(m Message, key uint64) int { return cmp.Compare(m.Key, key) })
}

// List implements Store.
func (m *Memory) List(ctx context.Context, user stanza.JID, after uint64, l Limits) (page []Message, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.users[user].list
	i, found := find(list, after)
	if found {
		i++
	}
	list = list[i:]
	n, bytes := 0, 0
	for _, next := range list {
		bytes += len(next.XML)
		if n > 0 && !l.Admits(n+1, bytes) {
			break
		}
		n++
	}
	return slices.Clone(list[:n]), n < len(list), nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, user stanza.JID, keys []uint64, done func(err error)) {
	m.mu.Lock()
	b := m.users[user]
	for _, key := range keys {
		if i, found := find(b.list, key); found {
			b.bytes -= len(b.list[i].XML)
			b.list = slices.Delete(b.list, i, i+1)
		}
	}
	m.set(user, b)
	m.mu.Unlock()
	if done != nil {
		done(nil)
	}
}

// set replaces what an account has. m.mu is held.
func (m *Memory) set(user stanza.JID, b mailbox) {
	if len(b.list) > 0 {
		m.users[user] = b
	} else {
		delete(m.users, user)
	}
}

// Count implements Store.
func (m *Memory) Count(ctx context.Context, user stanza.JID) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.users[user].list), ctx.Err()
}

// Forget implements Store.
func (m *Memory) Forget(ctx context.Context, user stanza.JID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(user, mailbox{})
	return nil
}
