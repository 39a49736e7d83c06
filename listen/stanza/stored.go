package stanza

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/jidprep"
)

// maxPart is how many bytes a part of an address has at most: RFC 7622, sections
// 3.2 to 3.4.
const maxPart = 1023

var (
	errPartLength = errors.New("a part is longer than 1023 bytes")
	errTwoAts     = errors.New("there is an @ in the domainpart")
)

// StoredJID returns the address whose String gave s: for what a store reads back
// that has once got a JID. It prepares nothing, which makes it many times faster
// than ParseJID for what is not ASCII, and checks no more than the form and the
// lengths of an address. Text of any other origin, from a peer above all, is for
// ParseJID: here it could become an address that equals no other.
//
// The JID shares the memory of s. Errors wrap ErrBadJID.
func StoredJID(s string) (JID, error) {
	local, domain, resource, err := jidprep.Split(s)
	switch {
	case err != nil:
	case len(local) > maxPart || len(domain) > maxPart || len(resource) > maxPart:
		err = errPartLength
	case strings.IndexByte(domain, '@') >= 0:
		err = errTwoAts
	}
	if err != nil {
		return JID{}, fmt.Errorf("%w: %q: %w", ErrBadJID, clip(s), err)
	}
	j := JID{s: s, local: uint16(len(local)), domain: uint16(len(domain))}
	if local != "" {
		j.domain += j.local + 1
	}
	return j, nil
}
