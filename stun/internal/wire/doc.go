// Package wire turns bytes into STUN messages and ChannelData, and back (RFC 8489,
// sections 5 and 14; RFC 8656, sections 12 and 18). It does no I/O, checks every
// length before it is used, never writes outside the bytes that it was given, and
// allocates nothing once its values are warm.
//
// The names of methods, classes and attributes are those of github.com/pion/stun.
package wire

import "github.com/pion/stun"

// Attributes that github.com/pion/stun does not name (RFC 8656, section 18).
const (
	AttrAdditionalAddressFamily stun.AttrType = 0x8000
	AttrAddressErrorCode        stun.AttrType = 0x8001
	AttrICMP                    stun.AttrType = 0x8004
)

// Address families, as they are in attributes.
const (
	FamilyIPv4 byte = 1
	FamilyIPv6 byte = 2
)

const (
	headerSize     = 20
	attrHeaderSize = 4
	channelHeader  = 4
	cookie         = 0x2112A442

	fingerprintSize = 4
	sha1Size        = 20
	sha256Size      = 32

	// maxLength is the largest length that a message header can hold: a multiple of
	// four in 16 bits.
	maxLength = 65532
)

// padded rounds n up to a multiple of four (RFC 8489, section 14).
func padded(n int) int { return (n + 3) &^ 3 }
