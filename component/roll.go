package component

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// roll has the streams that have a domain, of all listeners.
type roll struct {
	mu      sync.Mutex
	streams map[*stream]struct{}
}

func (r *roll) add(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams == nil {
		r.streams = make(map[*stream]struct{})
	}
	r.streams[s] = struct{}{}
}

func (r *roll) remove(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, s)
}

// Info describes the stream of a component.
type Info struct {
	Domain    string         // that it named when it connected
	Domains   []string       // that it serves, sorted; with others, perhaps
	Peer      netip.AddrPort // zero for a unix socket
	Encrypted bool
	Since     time.Time // when it connected

	Queued, QueuedBytes int // stanzas that are not yet written
}

// Components describes the components that are connected, in the order of their
// domains. It looks at each stream, so it is for metrics and for people.
func (s *Server) Components() []Info {
	s.roll.mu.Lock()
	defer s.roll.mu.Unlock()
	list := make([]Info, 0, len(s.roll.streams))
	for x := range s.roll.streams {
		peer, load := x.t.Peer(), x.out.Load()
		list = append(list, Info{
			Domain: x.domain, Domains: x.domains(), Peer: peer.Addr, Encrypted: peer.TLS != nil, Since: x.since,
			Queued: load.Queued, QueuedBytes: load.QueuedBytes,
		})
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Or(cmp.Compare(a.Domain, b.Domain), a.Since.Compare(b.Since)) })
	return list
}
