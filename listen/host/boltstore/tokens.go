package boltstore

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

type (
	tokenStore  struct{ *Store }
	clientStore struct{ *Store }
)

// Tokens returns the store of what users have let clients do.
func (s *Store) Tokens() host.TokenStore { return tokenStore{s} }

// Clients returns the store of OAuth clients.
func (s *Store) Clients() host.ClientStore { return clientStore{s} }

// Get implements host.TokenStore.
func (s tokenStore) Get(ctx context.Context, id host.GrantID) (g host.Grant, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		value := tx.Bucket(grantTable.name()).Get(id[:])
		if value == nil {
			return host.ErrNoGrant
		}
		g, err = decodeGrant(id, value)
		return s.bad(grantTable, g.User, err)
	})
	if err != nil {
		return host.Grant{}, err
	}
	return g, nil
}

// Add implements host.TokenStore.
func (s tokenStore) Add(ctx context.Context, g host.Grant, limit int, now time.Time) error {
	const size = 512 // about that of all keys
	return s.do(ctx, size, func(b *batch) error {
		others, err := s.of(b, g.User)
		if err != nil {
			return err
		}
		for _, id := range host.Surplus(others, limit-1, now) {
			if err := removeGrant(b, g.User, id); err != nil {
				return err
			}
		}
		if err := s.put(b, g); err != nil {
			return err
		}
		key := ownGrantKey(g.User, g.ID)
		return b.record(ownGrantTable, key, b.get(ownGrantTable, key), []byte{format1})
	})
}

// of returns the grants of a user.
func (s tokenStore) of(b *batch, user stanza.JID) (list []host.Grant, err error) {
	err = each(b.bucket(ownGrantTable), prefix(user), nil, func(sub, _ []byte) (bool, error) {
		id, err := parseGrantID(sub)
		if err != nil {
			return false, s.bad(ownGrantTable, user, err)
		}
		g, err := decodeGrant(id, b.get(grantTable, id[:]))
		list = append(list, g)
		return true, s.bad(grantTable, user, err)
	})
	return list, err
}

// put stores a grant with a new revision.
func (s tokenStore) put(b *batch, g host.Grant) (err error) {
	if g.Revision, err = b.sequence(grantTable); err != nil {
		return err
	}
	return b.record(grantTable, g.ID[:], b.get(grantTable, g.ID[:]), encodeGrant(g))
}

// removeGrant removes a grant of a user.
func removeGrant(b *batch, user stanza.JID, id host.GrantID) error {
	if err := b.unrecord(grantTable, id[:]); err != nil {
		return err
	}
	return b.unrecord(ownGrantTable, ownGrantKey(user, id))
}

// CompareAndSet implements host.TokenStore.
func (s tokenStore) CompareAndSet(ctx context.Context, g host.Grant) error {
	const size = 512
	return s.do(ctx, size, func(b *batch) error {
		value := b.get(grantTable, g.ID[:])
		if value == nil {
			return refuse(host.ErrNoGrant)
		}
		old, err := decodeGrant(g.ID, value)
		if err != nil {
			return s.bad(grantTable, g.User, err)
		}
		if old.Revision != g.Revision {
			return refuse(host.ErrRevision)
		}
		return s.put(b, g)
	})
}

// Delete implements host.TokenStore.
func (s tokenStore) Delete(ctx context.Context, id host.GrantID) error {
	return s.do(ctx, 0, func(b *batch) error {
		value := b.get(grantTable, id[:])
		if value == nil {
			return nil
		}
		g, err := decodeGrant(id, value)
		if err != nil {
			return s.bad(grantTable, g.User, err)
		}
		return removeGrant(b, g.User, id)
	})
}

// Forget implements host.TokenStore.
func (s tokenStore) Forget(ctx context.Context, user stanza.JID) error {
	return s.do(ctx, 0, func(b *batch) error {
		var ids []host.GrantID
		err := each(b.bucket(ownGrantTable), prefix(user), nil, func(sub, _ []byte) (bool, error) {
			id, err := parseGrantID(sub)
			ids = append(ids, id)
			return true, s.bad(ownGrantTable, user, err)
		})
		for _, id := range ids {
			if err == nil {
				err = removeGrant(b, user, id)
			}
		}
		return err
	})
}

// List implements host.TokenStore.
func (s tokenStore) List(ctx context.Context, after host.GrantID, limit int) (list []host.Grant, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		return each(tx.Bucket(grantTable.name()), nil, after[:], func(key, value []byte) (bool, error) {
			g, err := s.decode(key, value)
			list = append(list, g)
			return len(list) < limit, err
		})
	})
	return list, err
}

func (s tokenStore) decode(key, value []byte) (host.Grant, error) {
	id, err := parseGrantID(key)
	if err != nil {
		return host.Grant{}, s.bad(grantTable, stanza.JID{}, err)
	}
	g, err := decodeGrant(id, value)
	return g, s.bad(grantTable, g.User, err)
}

// Expire implements host.TokenStore.
func (s tokenStore) Expire(ctx context.Context, now time.Time, limit int) error {
	return s.do(ctx, 0, func(b *batch) error {
		var gone []host.Grant
		looked := 0
		err := each(b.bucket(grantTable), nil, s.expired[:], func(key, value []byte) (bool, error) {
			g, err := s.decode(key, value)
			if err == nil && !g.Expires.After(now) {
				gone = append(gone, g)
			}
			s.expired = g.ID
			looked++
			return looked < limit, err
		})
		if looked < limit { // that was the end
			s.expired = host.GrantID{}
		}
		for _, g := range gone {
			if err == nil {
				err = removeGrant(b, g.User, g.ID)
			}
		}
		return err
	})
}

// ownGrantKey is the key of a grant in the list of its user.
func ownGrantKey(user stanza.JID, id host.GrantID) []byte { return append(prefix(user), id[:]...) }

// parseGrantID takes a key of a grant, or what follows its user's.
func parseGrantID(b []byte) (id host.GrantID, err error) {
	if len(b) != len(id) {
		return id, errBadKey
	}
	return host.GrantID(b), nil
}

// Get implements host.ClientStore.
func (s clientStore) Get(ctx context.Context, id string) (c host.Client, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		value := tx.Bucket(clientTable.name()).Get(clientKey(id))
		if value == nil {
			return host.ErrNoClient
		}
		c, err = decodeClient(id, value)
		return s.bad(clientTable, stanza.JID{}, err)
	})
	if err != nil {
		return host.Client{}, err
	}
	return c, nil
}

// Set implements host.ClientStore.
func (s clientStore) Set(ctx context.Context, c host.Client) error {
	value := encodeClient(c)
	return s.do(ctx, len(value), func(b *batch) error {
		key := clientKey(c.ID)
		return b.record(clientTable, key, b.get(clientTable, key), value)
	})
}

// Delete implements host.ClientStore.
func (s clientStore) Delete(ctx context.Context, id string) error {
	return s.do(ctx, 0, func(b *batch) error {
		if b.get(clientTable, clientKey(id)) == nil {
			return refuse(host.ErrNoClient)
		}
		return b.unrecord(clientTable, clientKey(id))
	})
}

// clientKey is the key of a client.
func clientKey(id string) []byte { return []byte(id) }
