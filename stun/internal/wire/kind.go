package wire

import "encoding/binary"

// Kind is what some bytes are, as far as their header says.
type Kind uint8

const (
	// Garbage is neither of the others.
	Garbage Kind = iota
	// STUN is a STUN message.
	STUN
	// ChannelData is application data of a channel (RFC 8656, section 12.4).
	ChannelData
)

// bindingRequest is the one type of message that has no magic cookie when a client
// of RFC 3489 sends it.
const bindingRequest = 0x0001

// KindOf says what one datagram is (RFC 8489, section 6.3; RFC 8656, section 12). It
// allocates and keeps nothing. A message of Kind STUN can still be malformed.
func KindOf(b []byte) Kind {
	if len(b) < channelHeader {
		return Garbage
	}
	switch b[0] >> 6 {
	case 0:
		if checkHeader(b) == nil {
			return STUN
		}
	case 1:
		if _, _, ok := Channel(b); ok {
			return ChannelData
		}
	}
	return Garbage
}

// checkHeader checks the 20 bytes in front of the attributes, and that the message is
// as long as it says.
func checkHeader(b []byte) error {
	if len(b) < headerSize || b[0]>>6 != 0 {
		return errNoMessage
	}
	if n := int(binary.BigEndian.Uint16(b[2:])); n%4 != 0 || len(b) != headerSize+n {
		return errLength
	}
	if !hasCookie(b) && binary.BigEndian.Uint16(b) != bindingRequest {
		return errNoMessage
	}
	return nil
}

func hasCookie(b []byte) bool { return binary.BigEndian.Uint32(b[4:]) == cookie }

// Channel splits one datagram of ChannelData. data aliases b, and has no spare
// capacity. Padding is allowed, up to a multiple of four (RFC 8656, section 12.5); ok
// is false for what is too short, longer than that, or no ChannelData. The number can
// be one that nobody may bind (ValidChannel).
func Channel(b []byte) (number uint16, data []byte, ok bool) {
	if len(b) < channelHeader || b[0]>>6 != 1 {
		return 0, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if rest := len(b) - channelHeader; rest < n || rest > padded(n) {
		return 0, nil, false
	}
	end := channelHeader + n
	return binary.BigEndian.Uint16(b), b[channelHeader:end:end], true
}
