package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

type offlineStore struct{ *Store }

// Offline returns the store of messages for accounts that are not there.
func (s *Store) Offline() offline.Store { return offlineStore{s} }

// Add implements offline.Store. done runs in the goroutine of the callbacks: one
// that blocks holds up the others, and room in the queue.
func (s offlineStore) Add(ctx context.Context, user stanza.JID, xml string, l offline.Limits, done func(key uint64, err error)) {
	u := user.Bare().String()
	// One piece of memory holds the key and the value.
	n := len(u) + 1 + messageKeySize
	m := make([]byte, n, n+1+len(xml))
	copy(m, u) // the separator is 0 already
	m = append(append(m, format1), xml...)
	key, value := m[:n:n], m[n:]
	var number uint64
	s.start(ctx, len(m), func(b *batch) (err error) {
		number, err = b.messages.add(b, u, key, value, l)
		return err
	}, func(err error) {
		if err != nil {
			done(0, err)
			return
		}
		done(number, nil)
	})
}

// Delete implements offline.Store.
func (s offlineStore) Delete(ctx context.Context, user stanza.JID, keys []uint64, done func(err error)) {
	if len(keys) == 0 {
		if done != nil {
			done(nil)
		}
		return
	}
	keys = slices.Clone(keys)
	s.start(ctx, 8*len(keys), func(b *batch) error { return b.messages.delete(b, user, keys) }, done)
}

// List implements offline.Store.
func (s offlineStore) List(ctx context.Context, user stanza.JID, after uint64, l offline.Limits) (page []offline.Message, more bool, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		from, bytes := binary.BigEndian.AppendUint64(nil, after), 0
		return each(tx.Bucket(offlineTable.name()), prefix(user), from, func(sub, value []byte) (bool, error) {
			bytes += textSize(value)
			if len(page) > 0 && !l.Admits(len(page)+1, bytes) {
				more = true
				return false, nil
			}
			m, err := decodeMessage(sub, value)
			if err != nil {
				return false, s.bad(offlineTable, user, err)
			}
			page = append(page, m)
			return true, nil
		})
	})
	return page, more, err
}

func decodeMessage(sub, value []byte) (m offline.Message, err error) {
	if len(sub) != messageKeySize {
		return m, errors.New("the number of the message has not 8 bytes")
	}
	m.Key = binary.BigEndian.Uint64(sub)
	m.XML, err = decodeText(value)
	return m, err
}

// Count implements offline.Store.
func (s offlineStore) Count(ctx context.Context, user stanza.JID) (n int, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		h, err := readTotal(tx.Bucket(offlineTable.name()).Get(prefix(user)))
		n = int(h.count)
		return s.bad(offlineTable, user, err)
	})
	return n, err
}

// readTotal decodes a header that need not be there.
func readTotal(value []byte) (total, error) {
	if value == nil {
		return total{}, nil
	}
	return decodeTotal(value)
}

// Forget implements offline.Store. Many messages are removed in several
// transactions; messages that are added meanwhile stay.
func (s offlineStore) Forget(ctx context.Context, user stanza.JID) error {
	var upTo uint64 // the last message that goes
	for after := uint64(0); ; {
		more := false
		err := s.do(ctx, 0, func(b *batch) (err error) {
			if after == 0 {
				upTo = b.bucket(offlineTable).Sequence()
			}
			after, more, err = b.messages.forget(b, user, after, upTo)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

// messages changes the offline table for a batch. What is added is put in the
// order of the keys at the end, because that is several times cheaper for the
// pages, and so is one header for an account instead of one for each message.
type messages struct {
	boxes map[string]*box // by user
	puts  []put
	first uint64 // number of the first message that was added in the batch, 0: none
}

// box is the header of an account's messages.
type box struct {
	total
	key     []byte
	changed bool
	by      int // the operation that did
}

// put waits to be put; an empty value is to be deleted.
type put struct {
	key, value []byte
	by         int // the operation that wants it
}

func (m *messages) box(b *batch, user string) (*box, error) {
	if x := m.boxes[user]; x != nil {
		return x, nil
	}
	key := append([]byte(user), separator)
	t, err := readTotal(b.get(offlineTable, key))
	if err != nil {
		return nil, fmt.Errorf("the offline messages of %q: %w", user, err)
	}
	if m.boxes == nil {
		m.boxes = make(map[string]*box)
	}
	x := &box{total: t, key: key}
	m.boxes[user] = x
	return x, nil
}

func (x *box) set(b *batch, t total) {
	x.total, x.changed, x.by = t, true, b.current
}

// add gives a message its number, which becomes the end of key.
func (m *messages) add(b *batch, user string, key, value []byte, l offline.Limits) (uint64, error) {
	x, err := m.box(b, user)
	if err != nil {
		return 0, err
	}
	with := total{x.count + 1, x.bytes + uint64(textSize(value))}
	if !l.Admits(int(with.count), int(with.bytes)) {
		return 0, refuse(offline.ErrFull)
	}
	n, err := b.sequence(offlineTable)
	if err != nil {
		return 0, err
	}
	if m.first == 0 {
		m.first = n
	}
	binary.BigEndian.PutUint64(key[len(key)-messageKeySize:], n)
	x.set(b, with)
	b.added[offlineTable]++
	m.puts = append(m.puts, put{key, value, b.current})
	return n, nil
}

// delete removes messages, but none that were added in the same batch: nobody
// has heard of them.
func (m *messages) delete(b *batch, user stanza.JID, keys []uint64) error {
	x, err := m.box(b, user.Bare().String())
	if err != nil {
		return err
	}
	gone, bytes := 0, 0
	for _, n := range keys {
		key := messageKey(user, n)
		value := b.get(offlineTable, key)
		if value == nil {
			continue
		}
		bytes += textSize(value)
		gone++
		if err := b.unrecord(offlineTable, key); err != nil {
			return err
		}
	}
	return x.remove(b, gone, bytes)
}

func (x *box) remove(b *batch, count, bytes int) error {
	if count == 0 {
		return nil
	}
	t, err := x.without(count, bytes)
	if err != nil {
		return fmt.Errorf("the offline messages of %q: %w", x.key, err)
	}
	x.set(b, t)
	return nil
}

// forgetChunk bounds what one transaction removes of an account.
const forgetChunk = 10_000

// forget removes messages with numbers above after, up to upTo; there may be
// more of them above next.
func (m *messages) forget(b *batch, user stanza.JID, after, upTo uint64) (next uint64, more bool, err error) {
	if err := m.flush(b); err != nil {
		return 0, false, err
	}
	x, err := m.box(b, user.Bare().String())
	if err != nil {
		return 0, false, err
	}
	var keys [][]byte
	bytes := 0
	from := binary.BigEndian.AppendUint64(nil, after)
	err = each(b.bucket(offlineTable), x.key, from, func(sub, value []byte) (bool, error) {
		if len(sub) != messageKeySize || binary.BigEndian.Uint64(sub) > upTo {
			return false, nil
		}
		next = binary.BigEndian.Uint64(sub)
		keys = append(keys, slices.Concat(x.key, sub))
		bytes += textSize(value)
		more = len(keys) == forgetChunk
		return !more, nil
	})
	if err != nil {
		return 0, false, err
	}
	for _, key := range keys {
		if err := b.unrecord(offlineTable, key); err != nil {
			return 0, false, err
		}
	}
	return next, more, x.remove(b, len(keys), bytes)
}

// flush puts what has been added, and the headers.
func (m *messages) flush(b *batch) error {
	for _, x := range m.boxes {
		if !x.changed {
			continue
		}
		x.changed = false
		h := put{key: x.key, by: x.by}
		if x.count > 0 {
			h.value = x.encode()
		}
		m.puts = append(m.puts, h)
	}
	slices.SortFunc(m.puts, func(a, b put) int { return bytes.Compare(a.key, b.key) })
	for _, p := range m.puts {
		b.current = p.by
		var err error
		if p.value == nil {
			err = b.delete(offlineTable, p.key)
		} else {
			err = b.put(offlineTable, p.key, p.value)
		}
		if err != nil {
			return err
		}
	}
	m.puts = m.puts[:0]
	return nil
}
