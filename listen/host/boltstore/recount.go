package boltstore

import (
	"bytes"
	"fmt"

	"go.etcd.io/bbolt"
)

// countBytes is the step to version 2 of the schema, in which the header of an
// account's messages has their bytes; before, that number was there and always 0.
// Accounts whose records are damaged stay as they are.
func countBytes(tx *bbolt.Tx) error {
	bucket := tx.Bucket(offlineTable.name())
	if bucket == nil {
		return fmt.Errorf("%w: it has no table %s", ErrDamaged, offlineTable)
	}
	const chunk = 10_000 // headers in memory at a time
	for from, more := []byte(nil), true; more; {
		var headers []countedHeader
		headers, from, more = recount(bucket, from, chunk)
		for _, h := range headers {
			if err := bucket.Put(h.key, h.encode()); err != nil {
				return err
			}
		}
	}
	return nil
}

// countedHeader is a header as it should be.
type countedHeader struct {
	key []byte
	total
}

// recount returns the headers of at most limit accounts, from a key on, with the
// bytes of what follows them; and where the next account begins, if there is one.
func recount(bucket *bbolt.Bucket, from []byte, limit int) (headers []countedHeader, next []byte, more bool) {
	c := bucket.Cursor()
	for key, value := c.Seek(from); key != nil; key, value = c.Next() {
		_, sub, ok := bytes.Cut(key, []byte{separator})
		last := len(headers) - 1
		switch {
		case !ok:
		case len(sub) > 0:
			if last >= 0 && bytes.HasPrefix(key, headers[last].key) {
				headers[last].bytes += uint64(textSize(value))
			}
		case len(headers) == limit:
			return headers, bytes.Clone(key), true
		default:
			if t, err := decodeTotal(value); err == nil {
				headers = append(headers, countedHeader{bytes.Clone(key), total{count: t.count}})
			}
		}
	}
	return headers, nil, false
}
