package boltstore

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

type accountStore struct{ *Store }

// Accounts returns the store of accounts.
func (s *Store) Accounts() host.AccountStore { return accountStore{s} }

// Get implements host.AccountStore.
func (s accountStore) Get(ctx context.Context, user stanza.JID) (a host.Account, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		value := tx.Bucket(accountTable.name()).Get(accountKey(user.Domain(), user.Local()))
		if value == nil {
			return stanza.ErrNoAccount
		}
		a, err = decodeAccount(user.Bare(), value)
		return s.bad(accountTable, user, err)
	})
	if err != nil {
		return host.Account{}, err
	}
	return a, nil
}

// Create implements host.AccountStore.
func (s accountStore) Create(ctx context.Context, a host.Account) error {
	return s.set(ctx, a, func(value []byte) error {
		if value != nil {
			return refuse(host.ErrExists)
		}
		return nil
	})
}

// CompareAndSet implements host.AccountStore.
func (s accountStore) CompareAndSet(ctx context.Context, a host.Account) error {
	return s.set(ctx, a, func(value []byte) error {
		if value == nil {
			return refuse(stanza.ErrNoAccount)
		}
		old, err := decodeAccount(a.JID, value)
		if err != nil {
			return s.bad(accountTable, a.JID, err)
		}
		if old.Revision != a.Revision {
			return refuse(host.ErrRevision)
		}
		return nil
	})
}

// set stores an account if check agrees to its value before.
func (s accountStore) set(ctx context.Context, a host.Account, check func(old []byte) error) error {
	const size = 1024 // about that of all keys
	return s.do(ctx, size, func(b *batch) error {
		key := accountKey(a.JID.Domain(), a.JID.Local())
		old := b.get(accountTable, key)
		if err := check(old); err != nil {
			return err
		}
		revision, err := b.sequence(accountTable)
		if err != nil {
			return err
		}
		with := a
		with.Revision = revision
		return b.record(accountTable, key, old, encodeAccount(with))
	})
}

// Delete implements host.AccountStore.
func (s accountStore) Delete(ctx context.Context, user stanza.JID) error {
	return s.do(ctx, 0, func(b *batch) error {
		key := accountKey(user.Domain(), user.Local())
		if b.get(accountTable, key) == nil {
			return refuse(stanza.ErrNoAccount)
		}
		return b.unrecord(accountTable, key)
	})
}

// List implements host.AccountStore.
func (s accountStore) List(ctx context.Context, domain, after string, limit int) (list []stanza.JID, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		p := accountKey(domain, "")
		return each(tx.Bucket(accountTable.name()), p, []byte(after), func(local, value []byte) (bool, error) {
			j, err := parseAccountKey(append(bytes.Clone(p), local...))
			if err != nil {
				return false, s.bad(accountTable, stanza.JID{}, err)
			}
			removing, err := isRemoving(value)
			if err == nil && !removing {
				list = append(list, j)
			}
			return len(list) < limit, s.bad(accountTable, j, err)
		})
	})
	return list, err
}

// Removing implements host.AccountStore.
func (s accountStore) Removing(ctx context.Context) (list []stanza.JID, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket(accountTable.name()).ForEach(func(key, value []byte) error {
			removing, err := isRemoving(value)
			var j stanza.JID
			if removing {
				j, err = parseAccountKey(key)
				list = append(list, j)
			}
			return s.bad(accountTable, j, err)
		})
	})
	return list, err
}
