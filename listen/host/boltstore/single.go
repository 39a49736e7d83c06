package boltstore

import (
	"context"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What an account has only one of: the last activity, the vCard, the block list.
type (
	lastStore     struct{ *Store }
	vcardStore    struct{ *Store }
	blockingStore struct{ *Store }
)

// Last returns the store of last activities.
func (s *Store) Last() last.Store { return lastStore{s} }

// VCard returns the store of vCards.
func (s *Store) VCard() vcard.Store { return vcardStore{s} }

// Blocking returns the store of block lists.
func (s *Store) Blocking() blocking.Store { return blockingStore{s} }

// Get implements last.Store.
func (s lastStore) Get(ctx context.Context, user stanza.JID) (a last.Activity, ok bool, err error) {
	err = s.single(ctx, lastTable, user, func(value []byte) (err error) {
		ok = true
		a, err = decodeActivity(value)
		return err
	})
	return a, ok && err == nil, err
}

// Set implements last.Store.
func (s lastStore) Set(ctx context.Context, user stanza.JID, a last.Activity) error {
	return s.setSingle(ctx, lastTable, user, encodeActivity(a))
}

// Forget implements last.Store.
func (s lastStore) Forget(ctx context.Context, user stanza.JID) error {
	return s.setSingle(ctx, lastTable, user, nil)
}

// Get implements vcard.Store.
func (s vcardStore) Get(ctx context.Context, user stanza.JID) (xml string, err error) {
	err = s.single(ctx, vcardTable, user, func(value []byte) (err error) {
		xml, err = decodeText(value)
		return err
	})
	return xml, err
}

// Set implements vcard.Store.
func (s vcardStore) Set(ctx context.Context, user stanza.JID, xml string) error {
	if xml == "" {
		return s.Forget(ctx, user)
	}
	return s.setSingle(ctx, vcardTable, user, encodeText(xml))
}

// Forget implements vcard.Store.
func (s vcardStore) Forget(ctx context.Context, user stanza.JID) error {
	return s.setSingle(ctx, vcardTable, user, nil)
}

// Get implements blocking.Store.
func (s blockingStore) Get(ctx context.Context, user stanza.JID) (l blocking.List, err error) {
	err = s.single(ctx, blockingTable, user, func(value []byte) (err error) {
		l, err = decodeBlockList(value)
		return err
	})
	return l, err
}

// CompareAndSet implements blocking.Store.
func (s blockingStore) CompareAndSet(ctx context.Context, user stanza.JID, l blocking.List) (revision uint64, err error) {
	size := 0
	for _, j := range l.Blocked {
		size += len(j.String())
	}
	err = s.do(ctx, size, func(b *batch) error {
		key := singleKey(user)
		value := b.get(blockingTable, key)
		var old blocking.List
		if value != nil {
			if old, err = decodeBlockList(value); err != nil {
				return s.bad(blockingTable, user, err)
			}
		}
		if old.Revision != l.Revision {
			return refuse(blocking.ErrChanged)
		}
		if revision, err = b.sequence(blockingTable); err != nil {
			return err
		}
		return b.record(blockingTable, key, value, encodeBlockList(blocking.List{Blocked: l.Blocked, Revision: revision}))
	})
	if err != nil {
		return 0, err
	}
	return revision, nil
}

// Forget implements blocking.Store.
func (s blockingStore) Forget(ctx context.Context, user stanza.JID) error {
	return s.setSingle(ctx, blockingTable, user, nil)
}

// single reads the record of a user; f gets no value if there is none.
func (s *Store) single(ctx context.Context, t table, user stanza.JID, f func(value []byte) error) error {
	return s.view(ctx, func(tx *bbolt.Tx) error {
		value := tx.Bucket(t.name()).Get(singleKey(user))
		if value == nil {
			return nil
		}
		return s.bad(t, user, f(value))
	})
}

// setSingle replaces the record of a user; nil removes it.
func (s *Store) setSingle(ctx context.Context, t table, user stanza.JID, value []byte) error {
	return s.do(ctx, len(value), func(b *batch) error {
		key := singleKey(user)
		if value == nil {
			return b.unrecord(t, key)
		}
		return b.record(t, key, b.get(t, key), value)
	})
}
