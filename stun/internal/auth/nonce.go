package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/netip"
	"time"
)

// nonceCookie begins every nonce: it says that we know RFC 8489, and in base64 the 24
// security features (sections 9.2 and 18.1). Of these password algorithms is the first:
// by the text the most significant bit, by the test vector of appendix B and clients
// that follow it the least significant one. Both are set; others are to be ignored.
const nonceCookie = "obMatJos2" + "gAAB"

// A nonce is the cookie, and in base64: the time in seconds (4 bytes), the port (2),
// and the HMAC of both and of the IP address (16).
const (
	nonceMACSize  = 16
	nonceBodySize = 4 + 2 + nonceMACSize
	nonceSize     = len(nonceCookie) + (nonceBodySize*8+5)/6
)

// nonces makes and checks nonces without keeping any.
type nonces struct {
	lifetime uint32 // in seconds
	secret   [sha256.Size]byte
}

func newNonces(lifetime time.Duration) *nonces {
	n := &nonces{lifetime: uint32(min(max(lifetime/time.Second, 1), math.MaxInt32))}
	rand.Read(n.secret[:]) // never fails
	return n
}

// make returns the nonce of a client. It is another one for every IP address and port,
// as RFC 8489, section 9.2.4, wants, and for every second.
func (n *nonces) make(client netip.AddrPort, now time.Time) [nonceSize]byte {
	return n.sign(uint32(now.Unix()), client.Port(), client.Addr())
}

// valid says whether a nonce is one that make returned for the IP address of client,
// not longer ago than its lifetime.
func (n *nonces) valid(nonce []byte, client netip.AddrPort, now time.Time) bool {
	var body [nonceBodySize]byte
	if len(nonce) != nonceSize {
		return false
	}
	if _, err := base64.RawStdEncoding.Decode(body[:], nonce[len(nonceCookie):]); err != nil {
		return false
	}
	made, port := binary.BigEndian.Uint32(body[:]), binary.BigEndian.Uint16(body[4:])
	want := n.sign(made, port, client.Addr())
	// The difference is right beyond the year 2106, too; a time to come is far past.
	return hmac.Equal(nonce, want[:]) && uint32(now.Unix())-made <= n.lifetime
}

// sign returns the one nonce of a time, a port and an IP address.
func (n *nonces) sign(made uint32, port uint16, client netip.Addr) (nonce [nonceSize]byte) {
	var text [4 + 2 + 16]byte
	binary.BigEndian.PutUint32(text[:], made)
	binary.BigEndian.PutUint16(text[4:], port)
	ip := client.As16() // the same for an IPv4 address and its mapped form
	copy(text[4+2:], ip[:])

	var body [nonceBodySize]byte
	copy(body[:], text[:4+2])
	mac := n.hmac(&text)
	copy(body[4+2:], mac[:])
	copy(nonce[:], nonceCookie)
	base64.RawStdEncoding.Encode(nonce[len(nonceCookie):], body[:])
	return nonce
}

// hmac is HMAC-SHA256 with the secret (RFC 2104), for texts of one length. Unlike
// crypto/hmac it needs no memory, which a flood of requests without credentials would
// make it take.
func (n *nonces) hmac(text *[4 + 2 + 16]byte) [sha256.Size]byte {
	var inner [sha256.BlockSize + len(text)]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:], n.secret[:])
	copy(outer[:], n.secret[:])
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	copy(inner[sha256.BlockSize:], text[:])
	sum := sha256.Sum256(inner[:])
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}
