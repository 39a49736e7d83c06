package wire

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// blockSize is that of SHA-1 and of SHA-256.
const blockSize = 64

// mac computes the HMAC of messages (RFC 2104). crypto/hmac makes new hashes for
// every key; this keeps them, and the memory that they work on. The zero value is
// ready.
type mac struct {
	sha1, sha256 hash.Hash // made when they are needed
	key          [blockSize]byte
	pad          [blockSize]byte
	head         [headerSize]byte
	value        [sha256Size]byte
}

// of returns the HMAC of a message whose header says that it is length bytes long,
// whatever it says now. It is valid until the next call.
func (c *mac) of(key []byte, sha256 bool, message []byte, length int) []byte {
	h := c.hash(sha256)
	c.setKey(h, key)

	copy(c.head[:], message)
	binary.BigEndian.PutUint16(c.head[2:], uint16(length))
	c.begin(h, 0x36)
	h.Write(c.head[:])
	h.Write(message[headerSize:])
	inner := h.Sum(c.value[:0])

	c.begin(h, 0x5c)
	h.Write(inner)
	return h.Sum(c.value[:0])
}

// equal compares value with the HMAC of a message, in constant time.
func (c *mac) equal(value, key []byte, sha256 bool, message []byte, length int) bool {
	return hmac.Equal(value, c.of(key, sha256, message, length))
}

func (c *mac) hash(strong bool) hash.Hash {
	if strong {
		if c.sha256 == nil {
			c.sha256 = sha256.New()
		}
		return c.sha256
	}
	if c.sha1 == nil {
		c.sha1 = sha1.New()
	}
	return c.sha1
}

// setKey fills the key block; a key that is longer is hashed first.
func (c *mac) setKey(h hash.Hash, key []byte) {
	clear(c.key[:])
	if len(key) > blockSize {
		h.Reset()
		h.Write(key)
		h.Sum(c.key[:0])
		return
	}
	copy(c.key[:], key)
}

// begin starts a hash with the key block under a pad.
func (c *mac) begin(h hash.Hash, pad byte) {
	for i, k := range c.key {
		c.pad[i] = k ^ pad
	}
	h.Reset()
	h.Write(c.pad[:])
}
