package boltstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Keys of the meta table.
const (
	magicKey   = "format"
	schemaKey  = "schema"
	createdKey = "created"
	secretKey  = "secret"

	// rosterGoneKey is of the version of the last roster that was forgotten.
	rosterGoneKey = "roster gone"
)

const magic = "tidewaiter store"

// migration brings a file from one version of the schema to the next.
type migration func(*bbolt.Tx) error

// migrations returns the steps from version 1 on.
func migrations() []migration { return []migration{countBytes, addGrants} }

// migrate makes the tables of a new file, and takes the steps that an old one
// has not taken. Each is a transaction with its number: one that was cut short is
// taken again.
func migrate(db *bbolt.DB, steps []migration) error {
	known := len(steps) + 1
	version, err := readSchema(db, known)
	if err != nil {
		return err
	}
	if version == 0 {
		if err := db.Update(create(known)); err != nil {
			return fmt.Errorf("making its tables: %w", err)
		}
		return nil
	}
	for ; version < known; version++ {
		err := db.Update(func(tx *bbolt.Tx) error {
			if err := steps[version-1](tx); err != nil {
				return err
			}
			if version+1 == known {
				if err := wantTables(tx, known); err != nil {
					return err
				}
			}
			return putSchema(tx.Bucket(metaTable.name()), version+1)
		})
		if err != nil {
			return fmt.Errorf("going from version %d of its schema to the next: %w", version, err)
		}
	}
	return nil
}

// create makes the tables as the last version has them.
func create(version int) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		for t := range tables {
			if _, err := tx.CreateBucket(t.name()); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaTable.name())
		if err := meta.Put([]byte(magicKey), []byte(magic)); err != nil {
			return err
		}
		now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()))
		if err := meta.Put([]byte(createdKey), now); err != nil {
			return err
		}
		return putSchema(meta, version)
	}
}

func putSchema(meta *bbolt.Bucket, version int) error {
	return meta.Put([]byte(schemaKey), binary.BigEndian.AppendUint32(nil, uint32(version)))
}

// readSchema returns the version of a file, 0 for one without tables.
func readSchema(db *bbolt.DB, known int) (version int, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		version, err = schemaOf(tx, known)
		return err
	})
	return version, err
}

func schemaOf(tx *bbolt.Tx, known int) (version int, err error) {
	meta := tx.Bucket(metaTable.name())
	if meta == nil {
		if first, _ := tx.Cursor().First(); first != nil {
			return 0, ErrNoStore
		}
		return 0, nil
	}
	if string(meta.Get([]byte(magicKey))) != magic {
		return 0, ErrNoStore
	}
	v := meta.Get([]byte(schemaKey))
	if len(v) != 4 || binary.BigEndian.Uint32(v) == 0 {
		return 0, fmt.Errorf("%w: it has no version", ErrDamaged)
	}
	if version = int(binary.BigEndian.Uint32(v)); version > known {
		return 0, fmt.Errorf("%w: its schema is version %d, this program knows %d", ErrNewer, version, known)
	}
	return version, wantTables(tx, version)
}

// wantTables returns ErrDamaged unless the tables of a version are there.
func wantTables(tx *bbolt.Tx, version int) error {
	end := tables
	if version < 3 {
		end = grantTable
	}
	for t := range end {
		if tx.Bucket(t.name()) == nil {
			return fmt.Errorf("%w: it has no table %s", ErrDamaged, t)
		}
	}
	return nil
}

// checkSchema is for whoever must not change the file.
func checkSchema(db *bbolt.DB, known int) error {
	version, err := readSchema(db, known)
	if err == nil && version < known {
		return fmt.Errorf("its schema is version %d of %d: open it for writing once", version, known)
	}
	return err
}

// secretSize is how many bytes Secret returns.
const secretSize = 32

// Secret returns 32 random bytes that are made at the first call and stay the
// same: for what must look random and not change, such as the salts that users
// who do not exist seem to have (RFC 5802, section 9). The caller owns them.
func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	secret, err := s.readSecret(ctx)
	if err != nil || secret != nil {
		return secret, err
	}
	fresh := make([]byte, secretSize)
	rand.Read(fresh)
	err = s.do(ctx, secretSize, func(b *batch) error {
		if b.get(metaTable, []byte(secretKey)) != nil { // somebody was faster
			return nil
		}
		return b.put(metaTable, []byte(secretKey), fresh)
	})
	if err != nil {
		return nil, err
	}
	return s.readSecret(ctx)
}

// readSecret returns nil when there is none.
func (s *Store) readSecret(ctx context.Context) (secret []byte, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		v := tx.Bucket(metaTable.name()).Get([]byte(secretKey))
		if v != nil && len(v) != secretSize {
			return errors.Join(ErrDamaged, fmt.Errorf("the secret has %d bytes", len(v)))
		}
		secret = append(secret, v...)
		return nil
	})
	return secret, err
}
