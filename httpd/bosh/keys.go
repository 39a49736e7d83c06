package bosh

import (
	"bytes"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
)

// keyLen is the length of a key: a SHA-1 hash in hexadecimal.
const keyLen = 2 * sha1.Size

// keys follows a sequence of keys: each is the hash of the next one (XEP-0124, section
// 15). Upper and lower case are the same. The zero value wants no keys.
type keys struct {
	next []byte // what the next key must have for its hash, in lower case; nil: anything
}

// check says whether the key of the next request is right, and takes it over, or the
// first one of another sequence.
func (k *keys) check(key, newKey []byte) bool {
	if k.next != nil {
		hash := sha1.Sum(key)
		var text [keyLen]byte
		hex.Encode(text[:], hash[:])
		if len(key) != keyLen || subtle.ConstantTimeCompare(text[:], k.next) != 1 {
			return false
		}
		k.next = bytes.ToLower(key)
	}
	if len(newKey) > 0 {
		k.next = bytes.ToLower(newKey)
	}
	return true
}

// sameKey says whether a request that was sent again has the key that it had.
func sameKey(a, b []byte) bool {
	return subtle.ConstantTimeCompare(bytes.ToLower(a), bytes.ToLower(b)) == 1
}
