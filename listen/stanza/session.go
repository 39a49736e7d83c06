package stanza

import "time"

// Sink takes what is delivered to one session, component or server
// connection. Its methods are safe for concurrent use and never block.
type Sink interface {
	// Deliver queues s and returns at once. It returns ErrQueueFull, ErrClosed or
	// a *Error for the sender when s was not taken; the caller decides what
	// becomes of it.
	// Stanzas are sent in the order in which Deliver took them.
	Deliver(s *Stanza) error

	// Kick ends the session with a stream error and returns at once, before
	// the session has ended.
	Kick(reason *StreamError)
}

// ConflictPolicy says what happens when a resource is bound that another
// session of the account holds already. The names are those of the option
// resource_conflict.
type ConflictPolicy string

const (
	// CloseOld ends the older session with a conflict stream error
	// (RFC 6120, section 7.7.2.2, third option).
	CloseOld ConflictPolicy = "closeold"
	// AcceptNew is another word for CloseOld.
	AcceptNew ConflictPolicy = "acceptnew"
	// CloseNew refuses the newer session with a conflict stanza error.
	CloseNew ConflictPolicy = "closenew"
	// SetResource gives the newer session a resource of the server's choice.
	SetResource ConflictPolicy = "setresource"
)

// Binding asks a router to register a session.
type Binding struct {
	// JID is the address that the client wants. Without a resourcepart the
	// router makes one up.
	JID JID
	// Sink takes what is delivered to the session.
	Sink Sink
	// Conflict applies when the full JID is taken.
	Conflict ConflictPolicy
	// Peer tells where the session comes from.
	Peer Peer
	// Since is when the login began that authenticated the session; zero: not
	// known.
	Since time.Time
}

// SessionInfo describes a bound session.
type SessionInfo struct {
	JID       JID
	Sink      Sink // of its Binding; tells it from an earlier or later session of this JID
	Peer      Peer
	Mechanism string // of SASL
}

// Queued is a stanza that a session has taken and not delivered.
type Queued struct {
	Stanza *Stanza
	Since  time.Time // when the session took it, about to the second; zero: not known
	// Sent says that the stanza, or a part of it, was written to the connection:
	// the peer may have it.
	Sent bool
}

// Mark is something that a feature remembers of a session for as long as it
// lives, resumptions included. Marks are bits.
type Mark uint32

const (
	// WantsRoster: the client asked for its roster and gets changes of it
	// (RFC 6121, section 2.1.6, "interested resource").
	WantsRoster Mark = 1 << iota
	// WantsCarbons: the client enabled message carbons (XEP-0280).
	WantsCarbons
	// WantsBlocklist: the client asked for its block list and gets changes of
	// it (XEP-0191, section 3.5).
	WantsBlocklist
)

// SCRAMKeys are what a server stores for SCRAM in place of a password.
// See RFC 5802, section 3.
type SCRAMKeys struct {
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// PerHost is a value with exceptions for single virtual hosts, as host_config
// makes them.
type PerHost[T any] struct {
	Value T
	Hosts map[string]T // by domain in its canonical form
}

// For returns the value for a virtual host.
func (p PerHost[T]) For(host string) T {
	if v, ok := p.Hosts[host]; ok {
		return v
	}
	return p.Value
}
