package listen

import (
	"net"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/sock"
)

// Inherited is a socket that the process was started with, or that the program
// has opened itself. The listener of an entry uses it in place of a new socket
// if the address is the same; else if both are wildcard addresses with the same
// port, as a socket unit's ListenStream=5222 makes one for both families; else
// if Name is the module of the entry.
type Inherited struct {
	// Name is that of FileDescriptorName= in a socket unit.
	Name string
	// One of the two is set.
	Listener   net.Listener
	PacketConn net.PacketConn
}

// Inherit takes over the sockets that systemd has opened for this process
// (socket activation), for ServerOptions.Inherit. There may be none. It must be
// called at most once and before anything else opens files; it removes the
// environment variables LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
// See sd_listen_fds(3).
func Inherit() ([]Inherited, error) {
	found, err := sock.Inherit()
	list := make([]Inherited, len(found))
	for i, s := range found {
		list[i] = Inherited(s)
	}
	return list, err
}

func (i Inherited) addr() net.Addr { return sock.Inherited(i).Addr() }
func (i Inherited) close()         { _ = sock.Inherited(i).Close() }

// assign gives inherited sockets to the new listeners of a plan: by address
// before by name.
func (s *Server) assign(p *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rank := range []sock.Match{sock.AddressMatch, sock.WildcardMatch, sock.NameMatch} {
		for _, c := range p.changes {
			e := &c.Entry
			n := slices.IndexFunc(s.inherited, func(i Inherited) bool {
				return sock.Inherited(i).Matches(e.Network, e.Address, e.Module) == rank
			})
			if n >= 0 && c.l == nil && c.bound == nil {
				c.bound = take(e, s.inherited[n])
				s.inherited = slices.Delete(s.inherited, n, n+1)
			}
		}
	}
}

func take(e *Entry, i Inherited) *bound {
	if i.PacketConn != nil {
		return &bound{packets: []net.PacketConn{i.PacketConn}, inherited: &i}
	}
	ln := sock.Take(i.Listener, system(&e.Socket))
	return &bound{stream: ln, warnings: ln.Warnings, inherited: &i}
}
