package boltstore

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

type privateStore struct{ *Store }

// Private returns the store of private XML.
func (s *Store) Private() private.Store { return privateStore{s} }

// Get implements private.Store.
func (s privateStore) Get(ctx context.Context, user stanza.JID, name stanza.Name) (xml string, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		if value := tx.Bucket(privateTable.name()).Get(elementKey(user, name)); value != nil {
			xml, err = decodeText(value)
		}
		return s.bad(privateTable, user, err)
	})
	return xml, err
}

// Set implements private.Store.
func (s privateStore) Set(ctx context.Context, user stanza.JID, name stanza.Name, xml string, l private.Limits) error {
	key, value := elementKey(user, name), encodeText(xml)
	return s.do(ctx, len(key)+len(value), func(b *batch) error {
		h, err := readTotal(b.get(privateTable, prefix(user)))
		if err != nil {
			return s.bad(privateTable, user, err)
		}
		old := b.get(privateTable, key)
		if old == nil && xml == "" {
			return nil
		}
		if old != nil {
			if h, err = h.without(1, textSize(old)); err != nil {
				return s.bad(privateTable, user, err)
			}
		}
		if xml == "" {
			if err := b.unrecord(privateTable, key); err != nil {
				return err
			}
			return putTotal(b, privateTable, user, h)
		}
		h.count++
		h.bytes += uint64(len(xml))
		if exceeds(int(h.count), l.Elements) || exceeds(int(h.bytes), l.Bytes) {
			return refuse(private.ErrFull)
		}
		if err := b.record(privateTable, key, old, value); err != nil {
			return err
		}
		return putTotal(b, privateTable, user, h)
	})
}

// without takes records of together so many bytes off.
func (t total) without(count, bytes int) (total, error) {
	if uint64(count) > t.count || uint64(bytes) > t.bytes {
		return t, fmt.Errorf("the header counts %d records of %d bytes, and there are more", t.count, t.bytes)
	}
	return total{t.count - uint64(count), t.bytes - uint64(bytes)}, nil
}

// putTotal stores a user's header; one that counts nothing is removed.
func putTotal(b *batch, t table, user stanza.JID, h total) error {
	if h.count == 0 {
		return b.delete(t, prefix(user))
	}
	return b.put(t, prefix(user), h.encode())
}

// Forget implements private.Store. Many elements are removed in several
// transactions.
func (s privateStore) Forget(ctx context.Context, user stanza.JID) error {
	for more := true; more; {
		err := s.do(ctx, 0, func(b *batch) (err error) {
			var keys [][]byte
			keys, more, err = userKeys(b, privateTable, user)
			if err != nil || len(keys) == 0 {
				return err
			}
			return s.remove(b, user, keys)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// remove removes elements that exist.
func (s privateStore) remove(b *batch, user stanza.JID, keys [][]byte) error {
	h, err := readTotal(b.get(privateTable, prefix(user)))
	if err != nil {
		return s.bad(privateTable, user, err)
	}
	bytes := 0
	for _, key := range keys {
		bytes += textSize(b.get(privateTable, key))
		if err := b.unrecord(privateTable, key); err != nil {
			return err
		}
	}
	if h, err = h.without(len(keys), bytes); err != nil {
		return s.bad(privateTable, user, err)
	}
	return putTotal(b, privateTable, user, h)
}
