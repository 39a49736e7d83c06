package main

import (
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen"
)

// Descriptors that the server should be able to open, besides its sockets. No
// option bounds the connections of a listener, so what a small server needs is
// the floor.
const (
	connectionsFloor = 10_000
	otherDescriptors = 64 // files, the log, metrics
)

// descriptorsNeeded returns how many descriptors a configuration can use.
func descriptorsNeeded(c *listen.Config) uint64 {
	n := uint64(connectionsFloor + otherDescriptors)
	for _, e := range c.Entries {
		n += uint64(max(1, e.Socket.Readers))
	}
	return n
}

// warnOfDescriptors warns when the process may open fewer descriptors than the
// configuration can use. The Go runtime has raised the soft limit to the hard
// one by now.
func (s *server) warnOfDescriptors(c *listen.Config) {
	need := descriptorsNeeded(c)
	limit, ok := descriptorLimit()
	if !ok || limit >= need {
		return
	}
	s.log.Warn("the limit of open files is low: further connections will wait and fail when it is reached",
		"limit", limit, "need", need,
		"remedy", fmt.Sprintf("LimitNOFILE=%d in the unit of systemd, or ulimit -n %d before the start", suggested(need), suggested(need)))
}

// suggested rounds up to a power of two, for some room to grow.
func suggested(need uint64) uint64 {
	n := uint64(1024)
	for n < 2*need {
		n *= 2
	}
	return n
}
