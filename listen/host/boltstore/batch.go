package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// batch is the transaction that several operations share. What is read of the
// tables within it may be kept only until the next change.
type batch struct {
	tx      *bbolt.Tx
	buckets [tables]*bbolt.Bucket
	added   [tables]int64 // records more than before
	changed bool
	current int // the operation that is applied now

	messages messages
}

// refusal is the error of an operation that has changed nothing.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// refuse says that an operation was not applied because of err.
func refuse(err error) error { return refusal{err} }

// bucket returns the bucket of a table.
func (b *batch) bucket(t table) *bbolt.Bucket {
	if b.buckets[t] == nil {
		b.buckets[t] = b.tx.Bucket(t.name())
		b.buckets[t].FillPercent = fillPercent
	}
	return b.buckets[t]
}

// fillPercent is how full a page is after a split: most keys are appended to
// those of their user.
const fillPercent = 0.9

func (b *batch) get(t table, key []byte) []byte { return b.bucket(t).Get(key) }

func (b *batch) put(t table, key, value []byte) error {
	b.changed = true
	return b.bucket(t).Put(key, value)
}

func (b *batch) delete(t table, key []byte) error {
	b.changed = true
	return b.bucket(t).Delete(key)
}

// record puts what counts as one of the table's records; old is its value
// before.
func (b *batch) record(t table, key, old, value []byte) error {
	if old == nil {
		b.added[t]++
	}
	return b.put(t, key, value)
}

// unrecord removes a record, if there is one.
func (b *batch) unrecord(t table, key []byte) error {
	if b.get(t, key) == nil {
		return nil
	}
	b.added[t]--
	return b.delete(t, key)
}

// sequence returns a number that the table has never given before.
func (b *batch) sequence(t table) (uint64, error) {
	b.changed = true
	return b.bucket(t).NextSequence()
}

// each calls f for the records of a user, or of all with no prefix, in the order of their keys behind
// after, until f returns false. f must not change the table.
func each(bucket *bbolt.Bucket, prefix, after []byte, f func(sub, value []byte) (more bool, err error)) error {
	c := bucket.Cursor()
	from := slices.Concat(prefix, after)
	k, v := c.Seek(from)
	if bytes.Equal(k, from) { // the header, or after itself
		k, v = c.Next()
	}
	for ; k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if more, err := f(k[len(prefix):], v); !more || err != nil {
			return err
		}
	}
	return nil
}

// tally keeps the numbers of records up to date.
func (b *batch) tally() error {
	for t, n := range b.added {
		if n == 0 {
			continue
		}
		key := countKey(table(t))
		count, err := decodeCount(b.get(metaTable, key))
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if err := b.put(metaTable, key, binary.BigEndian.AppendUint64(nil, count+uint64(n))); err != nil {
			return err
		}
	}
	return nil
}

// countKey is the key, in the meta table, of the number of a table's records.
func countKey(t table) []byte { return []byte("count " + t.String()) }

func decodeCount(value []byte) (uint64, error) {
	switch len(value) {
	case 0:
		return 0, nil
	case 8:
		return binary.BigEndian.Uint64(value), nil
	}
	return 0, errors.New("the number has not 8 bytes")
}
