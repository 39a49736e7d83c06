package stun

import (
	"runtime"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
)

// known says whether an attribute that has to be understood is. Where it does not
// belong it is ignored (RFC 8489, section 6.3).
func known(a stun.AttrType) bool {
	switch a {
	case stun.AttrMappedAddress, stun.AttrXORMappedAddress, stun.AttrErrorCode, stun.AttrUnknownAttributes,
		stun.AttrLifetime, stun.AttrRequestedTransport, stun.AttrRequestedAddressFamily, stun.AttrEvenPort,
		stun.AttrReservationToken, stun.AttrChannelNumber, stun.AttrXORPeerAddress, stun.AttrXORRelayedAddress, stun.AttrData,
		stun.AttrConnectionID:
		return true
	}
	return isDontFragment(a) || auth.Knows(a)
}

// knownInSend says it of Send indications.
func knownInSend(a stun.AttrType) bool {
	return a == stun.AttrXORPeerAddress || a == stun.AttrData || isDontFragment(a)
}

// isDontFragment says whether an attribute is DONT-FRAGMENT, and can be honoured (RFC
// 8656, section 7.2): otherwise it is unknown.
func isDontFragment(a stun.AttrType) bool { return a == stun.AttrDontFragment && hasDontFragment }

// hasDontFragment says whether datagram.Socket.WriteDF does what its name says.
const hasDontFragment = runtime.GOOS == "linux"
