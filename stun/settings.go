package stun

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// settings are the options of a listener once they are checked, and what follows from
// them. They do not change.
type settings struct {
	Options
	auth   *auth.Authenticator  // nil: nobody is asked who he is
	relays [families]netip.Addr // not valid: there are none of the family
	ports  datagram.PortRange
}

// settings checks options for a socket.
func (s *Server) settings(local netip.AddrPort, o Options) (*settings, error) {
	for option, msg := range o.Validate() {
		return nil, fmt.Errorf("%s: %s", option, msg)
	}
	set := &settings{Options: o}
	if !o.UseTURN {
		return set, nil
	}
	if o.AuthType == AuthUser {
		set.auth = s.authenticator(o.AuthRealm)
	}
	set.ports = datagram.PortRange{Min: uint16(o.MinPort), Max: uint16(o.MaxPort)}
	if err := s.relayAddresses(set, local.Addr()); err != nil {
		return nil, err
	}
	return set, nil
}

// Limits of options.
const (
	maxServerName  = 127  // characters; RFC 8489, section 14.14
	maxRealm       = 127  // characters; RFC 8489, section 14.9
	minPort        = 1025 // RFC 8656, section 7.2
	maxPort        = 65535
	minMaxLifetime = defaultLifetime
)

// lifetime returns how long an allocation lives whose client asks for some time
// (RFC 8656, section 7.2).
func (set *settings) lifetime(asked time.Duration) time.Duration {
	return max(min(asked, set.MaxLifetime), defaultLifetime)
}

func perSecond(bytes int) shaper.Rate { return shaper.Rate{BytesPerSecond: int64(bytes)} }
