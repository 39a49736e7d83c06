package extdisco

import (
	"slices"
	"time"
)

// The types of services. The first two are registered by the XMPP Registrar.
const (
	stun  = "stun"
	turn  = "turn"
	stuns = "stuns"
	turns = "turns"
)

// Offer is a service as clients are told of it.
type Offer struct {
	Host      string // a name or an address
	Port      int
	Type      string // stun, turn, stuns or turns
	Transport string // udp or tcp

	// Restricted says that the service asks for credentials, which follow.
	Restricted bool
	Username   string
	Password   string
	Expires    time.Time // in UTC
}

// Local is a STUN listener of this program.
type Local struct {
	// Host is the name or the address by which clients reach it. "": the name of the
	// virtual host that they ask, which is what a certificate is for.
	Host string
	Port int
	TCP  bool // datagrams otherwise
	TLS  bool // from the first byte

	// TURN says that it has relays, too: for the users of the virtual host Realm or,
	// if that is empty, for everybody.
	TURN  bool
	Realm string
}

// offers returns what is offered of a listener to a virtual host.
func (l *Local) offers(domain string) []Offer {
	o := Offer{Host: l.Host, Port: l.Port, Type: stun, Transport: "udp"}
	relay := turn
	if o.Host == "" {
		o.Host = domain
	}
	if l.TCP {
		o.Transport = "tcp"
	}
	if l.TLS {
		o.Type, relay = stuns, turns
	}
	if !l.TURN {
		return []Offer{o}
	}
	r := o
	r.Type, r.Restricted = relay, l.Realm != ""
	return []Offer{o, r}
}

// add appends an offer, unless one of the same service is there.
func add(list []Offer, o Offer) []Offer {
	same := func(p Offer) bool {
		return p.Host == o.Host && p.Port == o.Port && p.Type == o.Type && p.Transport == o.Transport
	}
	if slices.ContainsFunc(list, same) {
		return list
	}
	return append(list, o)
}
