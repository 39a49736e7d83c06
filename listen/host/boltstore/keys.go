package boltstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// table is one of the buckets of the file.
type table uint8

const (
	metaTable table = iota
	accountTable
	rosterTable
	offlineTable
	lastTable
	privateTable
	vcardTable
	blockingTable
	grantTable
	ownGrantTable
	clientTable
	tables // how many there are
)

// tableNames are the names of the buckets.
var tableNames = [tables]string{"meta", "accounts", "roster", "offline", "last", "private", "vcard", "blocking", "grants", "own grants", "clients"}

func (t table) String() string { return tableNames[t] }

// name is the name of a bucket as the library wants it.
func (t table) name() []byte { return []byte(tableNames[t]) }

// separator ends the user's address in a key. No address has this byte.
const separator = 0

// prefix is how the keys of a user begin, and the key of the user's header.
func prefix(user stanza.JID) []byte { return userKey(user, "") }

// userKey is the key of something of a user.
func userKey(user stanza.JID, sub string) []byte {
	u := user.Bare().String()
	b := make([]byte, 0, len(u)+1+len(sub))
	return append(append(append(b, u...), separator), sub...)
}

// singleKey is the key of what a user has only one of.
func singleKey(user stanza.JID) []byte { return []byte(user.Bare().String()) }

// accountKey sorts accounts by domain, then by localpart.
func accountKey(domain, local string) []byte {
	b := make([]byte, 0, len(domain)+1+len(local))
	return append(append(append(b, domain...), separator), local...)
}

// messageKeySize is how long the number of a message is in its key.
const messageKeySize = 8

func messageKey(user stanza.JID, n uint64) []byte {
	return binary.BigEndian.AppendUint64(prefix(user), n)
}

// maxName bounds names in keys: bbolt has keys of at most 32,768 bytes.
const maxName = 1024

// elementKey is the key of a private element. A name longer than maxName is
// replaced by its hash.
func elementKey(user stanza.JID, n stanza.Name) []byte {
	sub := appendString(nil, n.Space)
	sub = append(sub, n.Local...)
	if len(sub) > maxName {
		h := sha256.Sum256(sub)
		sub = append([]byte{hashedName}, h[:]...)
	}
	return userKey(user, string(sub))
}

// hashedName begins the key of a hashed name, which has 33 bytes. Other keys that
// begin with it have a length of 255 or more there, and so as many bytes.
const hashedName = 0xff

var errBadKey = errors.New("the key has no user")

// splitKey takes a key apart that userKey made.
func splitKey(key []byte) (user stanza.JID, sub []byte, err error) {
	u, sub, ok := bytes.Cut(key, []byte{separator})
	if !ok {
		return stanza.JID{}, nil, errBadKey
	}
	user, err = parseUser(u)
	return user, sub, err
}

func parseUser(b []byte) (stanza.JID, error) {
	j, err := stanza.StoredJID(string(b))
	if err == nil && !j.IsBare() {
		err = fmt.Errorf("%q is no bare address", j)
	}
	return j, err
}

// parseAccountKey takes a key apart that accountKey made.
func parseAccountKey(key []byte) (stanza.JID, error) {
	domain, local, ok := bytes.Cut(key, []byte{separator})
	if !ok {
		return stanza.JID{}, errBadKey
	}
	if len(local) == 0 {
		return parseUser(domain)
	}
	return parseUser(slices.Concat(local, []byte{'@'}, domain))
}
