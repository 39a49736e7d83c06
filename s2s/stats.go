package s2s

import "sync/atomic"

// IncomingStats says what other servers have open here, on all listeners.
type IncomingStats struct {
	Streams       int // connections
	Authenticated int // of these, those that have proved a domain
	Pairs         int // pairs of domains that may send
	Verifying     int // dialback keys that are being checked
}

// incomingStats counts for IncomingStats.
type incomingStats struct {
	streams, authenticated, pairs, verifying atomic.Int64

	complained atomic.Int64 // when an error of the host was logged last, Unix time in seconds
}

// IncomingStats returns the numbers of now.
func (s *Server) IncomingStats() IncomingStats {
	n := &s.in
	return IncomingStats{
		Streams:       int(n.streams.Load()),
		Authenticated: int(n.authenticated.Load()),
		Pairs:         int(n.pairs.Load()),
		Verifying:     int(n.verifying.Load()),
	}
}

// Incoming returns how many streams of other servers there are that have proved a
// domain.
func (s *Server) Incoming() int { return int(s.in.authenticated.Load()) }
