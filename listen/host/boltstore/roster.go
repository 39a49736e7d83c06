package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

type rosterStore struct{ *Store }

// Roster returns the store of rosters.
func (s *Store) Roster() roster.Store { return rosterStore{s} }

// Get implements roster.Store.
func (s rosterStore) Get(ctx context.Context, user, contact stanza.JID) (i roster.Item, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		value := tx.Bucket(rosterTable.name()).Get(userKey(user, contact.String()))
		if value == nil {
			return roster.ErrNoItem
		}
		i, err = decodeItem(contact, value)
		return s.bad(rosterTable, user, err)
	})
	return i, err
}

// Set implements roster.Store.
func (s rosterStore) Set(ctx context.Context, user stanza.JID, i roster.Item, limit int) (version uint64, err error) {
	size := len(i.Name) + len(i.Request)
	for _, g := range i.Groups {
		size += len(g)
	}
	err = s.do(ctx, size, func(b *batch) error {
		h, _, err := readRosterHeader(b.tx, user)
		if err != nil {
			return s.bad(rosterTable, user, err)
		}
		key := userKey(user, i.Contact.String())
		value := b.get(rosterTable, key)
		var old roster.Item
		if value != nil {
			if old, err = decodeItem(i.Contact, value); err != nil {
				return s.bad(rosterTable, user, err)
			}
		}
		switch {
		case old.Version != i.Version:
			return refuse(roster.ErrChanged)
		case value == nil && limit > 0 && h.count >= uint64(limit):
			return refuse(roster.ErrFull)
		case value == nil:
			h.count++
		}
		if h.Current, err = b.sequence(rosterTable); err != nil {
			return err
		}
		if old.Listed && !i.Listed {
			h.Deleted = h.Current
		}
		item := i
		item.Version, version = h.Current, h.Current
		if err := b.record(rosterTable, key, value, encodeItem(item)); err != nil {
			return err
		}
		return b.put(rosterTable, prefix(user), h.encode())
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// readRosterHeader returns the header of a roster and whether it is there. A
// roster that is not begins at the version at which the last one was forgotten:
// it may have been that one.
func readRosterHeader(tx *bbolt.Tx, user stanza.JID) (h rosterHeader, ok bool, err error) {
	if value := tx.Bucket(rosterTable.name()).Get(prefix(user)); value != nil {
		h, err = decodeRosterHeader(value)
		return h, true, err
	}
	gone, err := decodeCount(tx.Bucket(metaTable.name()).Get([]byte(rosterGoneKey)))
	return rosterHeader{Version: roster.Version{Current: gone, Deleted: gone}}, false, err
}

// Delete implements roster.Store.
func (s rosterStore) Delete(ctx context.Context, user, contact stanza.JID, version uint64) (rosterVersion uint64, err error) {
	err = s.do(ctx, 0, func(b *batch) error {
		key := userKey(user, contact.String())
		value := b.get(rosterTable, key)
		if value == nil {
			return refuse(roster.ErrNoItem)
		}
		old, err := decodeItem(contact, value)
		if err != nil {
			return s.bad(rosterTable, user, err)
		}
		if old.Version != version {
			return refuse(roster.ErrChanged)
		}
		h, err := removeItems(b, user, [][]byte{key})
		if err != nil {
			return err
		}
		rosterVersion = h.Current
		return b.put(rosterTable, prefix(user), h.encode())
	})
	if err != nil {
		return 0, err
	}
	return rosterVersion, nil
}

// removeItems removes items that exist, as one change of the roster, and returns
// its new header.
func removeItems(b *batch, user stanza.JID, keys [][]byte) (rosterHeader, error) {
	h, _, err := readRosterHeader(b.tx, user)
	if err == nil && uint64(len(keys)) > h.count {
		err = fmt.Errorf("the header counts %d items, and there are more", h.count)
	}
	if err != nil {
		return h, fmt.Errorf("the roster of %q: %w", user, err)
	}
	for _, key := range keys {
		if err := b.unrecord(rosterTable, key); err != nil {
			return h, err
		}
	}
	h.count -= uint64(len(keys))
	h.Current, err = b.sequence(rosterTable)
	h.Deleted = h.Current
	return h, err
}

// List implements roster.Store.
func (s rosterStore) List(ctx context.Context, user, after stanza.JID, limit int) (list []roster.Item, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		from := []byte(after.String())
		return each(tx.Bucket(rosterTable.name()), prefix(user), from, func(sub, value []byte) (bool, error) {
			contact, err := stanza.StoredJID(string(sub))
			if err != nil {
				return false, s.bad(rosterTable, user, err)
			}
			i, err := decodeItem(contact, value)
			if err != nil {
				return false, s.bad(rosterTable, user, err)
			}
			list = append(list, i)
			return len(list) < limit, nil
		})
	})
	return list, err
}

// Version implements roster.Store.
func (s rosterStore) Version(ctx context.Context, user stanza.JID) (v roster.Version, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		h, _, err := readRosterHeader(tx, user)
		v = h.Version
		return s.bad(rosterTable, user, err)
	})
	return v, err
}

// Forget implements roster.Store. Many items are removed in several
// transactions, each a change of the roster, and the header last.
func (s rosterStore) Forget(ctx context.Context, user stanza.JID) error {
	for more := true; more; {
		err := s.do(ctx, 0, func(b *batch) (err error) {
			more, err = forgetItems(b, user)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func forgetItems(b *batch, user stanza.JID) (more bool, err error) {
	if _, ok, err := readRosterHeader(b.tx, user); err != nil || !ok {
		return false, err
	}
	keys, more, err := userKeys(b, rosterTable, user)
	if err != nil {
		return false, err
	}
	h, err := removeItems(b, user, keys)
	if err != nil {
		return false, err
	}
	if more {
		return true, b.put(rosterTable, prefix(user), h.encode())
	}
	if err := b.put(metaTable, []byte(rosterGoneKey), binary.BigEndian.AppendUint64(nil, h.Current)); err != nil {
		return false, err
	}
	return false, b.delete(rosterTable, prefix(user))
}

// userKeys returns keys of a user's records, as many as one transaction may
// remove.
func userKeys(b *batch, t table, user stanza.JID) (keys [][]byte, more bool, err error) {
	p := prefix(user)
	err = each(b.bucket(t), p, nil, func(sub, _ []byte) (bool, error) {
		keys = append(keys, slices.Concat(p, sub))
		more = len(keys) == forgetChunk
		return !more, nil
	})
	return keys, more, err
}
