package listen

import "slices"

// State says how a listener is.
type State int

const (
	// Running: the module serves.
	Running State = iota
	// Restarting: the module has returned unexpectedly and is about to be
	// started again. A listener with several readers is in this state if one
	// of them is.
	Restarting
	// Draining: the listener is gone from the configuration and has sessions
	// that go on.
	Draining
	// Lost: the socket was closed by somebody else, or could not be opened
	// again after a failed Apply.
	Lost
)

// String returns the word for s.
func (s State) String() string {
	return [...]string{"running", "restarting", "draining", "lost"}[s]
}

// Stats are the numbers of one listener. Counts are since it began, and go on
// when its options change.
type Stats struct {
	Module  string
	Network string
	Address string // as configured
	Bound   string // address of the socket: with port 0 this is where the port is
	State   State
	Backlog int // of a stream socket, as the system has it; 0: not known

	Drains   int   // earlier versions that have sessions left
	Restarts int64 // of a module that returned unexpectedly

	// Those of connections; 0 for datagrams, which modules may read past us.
	Accepted          int64            // with those rejected
	Active            int64            // open now
	Rejected          map[string]int64 // before the module saw them, by reason
	HandshakeFailures int64            // ended before their TLS handshake
	Panics            int64            // ended by a panic of their handler
	BytesIn, BytesOut int64            // above the PROXY header and below TLS
}

// Stats returns the numbers of all listeners, in the order of the
// configuration, and then of those that it no longer has. It does not block.
func (s *Server) Stats() []Stats {
	s.mu.Lock()
	listeners, leaving := slices.Clone(s.listeners), slices.Clone(s.leaving)
	s.mu.Unlock()
	list := make([]Stats, 0, len(listeners)+len(leaving))
	for _, l := range listeners {
		list = append(list, l.stats())
	}
	for _, l := range leaving {
		st := l.stats()
		st.State = Draining
		list = append(list, st)
	}
	return list
}

func (l *listener) stats() Stats {
	c := l.meter.Counts()
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Stats{
		Module: l.entry.Module, Network: l.entry.Network, Address: l.entry.Address,
		Bound:    l.bound.addr().String(),
		Restarts: l.restarts.Load(),
		Accepted: c.Accepted, Active: c.Active, Rejected: c.Rejected,
		HandshakeFailures: c.HandshakeFailures, Panics: c.Panics,
		BytesIn: c.BytesIn, BytesOut: c.BytesOut,
	}
	if l.bound.stream != nil {
		st.Backlog = l.bound.stream.Backlog
	}
	for _, g := range l.gens {
		switch {
		case g.isRetired():
			st.Drains++
		case g.waiting.Load() > 0:
			st.State = Restarting
		}
	}
	if l.lost {
		st.State = Lost
	}
	return st
}
