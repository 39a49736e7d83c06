package stun

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// Server is the Module; it may serve many sockets at once. Quotas, reservations and
// relays are those of all of them together.
type Server struct {
	h            Host
	log          *slog.Logger
	ports        datagram.Ports
	live         liveRelays // of UDP
	liveTCP      liveRelays
	offers       offers
	quota        quota
	users        users
	reservations reservations
	stats        counters

	mu        sync.Mutex
	listeners map[*listener]struct{}
	realms    map[string]*auth.Authenticator
	told      map[string]struct{} // what has been logged once
}

// New returns a module for a host.
func New(h Host) *Server {
	s := &Server{h: h, log: h.Log}
	s.listeners = make(map[*listener]struct{})
	s.realms = make(map[string]*auth.Authenticator)
	s.told = make(map[string]struct{})
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// ListenPacket implements Module.
func (s *Server) ListenPacket(ctx context.Context, pc net.PacketConn, o Options) error {
	p, err := s.packetListener(ctx, pc, o)
	if err != nil {
		return err
	}
	err = p.serve(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Update changes the options of the sockets with a local address while they are
// served. All or nothing changes: the error is that of ListenPacket. Allocations that
// exist keep their relays, lifetimes and how their requests are authenticated; rates
// and the lists of peers change for them, too, and permissions for peers that are no
// longer allowed end at once.
func (s *Server) Update(addr net.Addr, o Options) error {
	var list []*listener
	s.mu.Lock()
	for l := range s.listeners {
		if l.isAt(addr) {
			list = append(list, l)
		}
	}
	s.mu.Unlock()
	if len(list) == 0 {
		return errors.ErrUnsupported
	}
	set, err := s.settings(addrPort(addr), o)
	if err != nil {
		return err
	}
	for _, l := range list {
		l.update(set)
	}
	return nil
}

// authenticator returns what checks the users of a realm. It is one for all sockets,
// so that they take one another's nonces.
func (s *Server) authenticator(realm string) *auth.Authenticator {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.realms[realm]
	if a == nil {
		c := auth.Config{Realm: realm, NoAccount: ErrNoAccount, Secret: s.h.Secret}
		if s.h.Accounts != nil {
			c.Accounts = s.h.Accounts
		}
		a = auth.New(c)
		s.realms[realm] = a
	}
	return a
}

// once says whether something is to be logged, because it has not been yet.
func (s *Server) once(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, told := s.told[what]
	s.told[what] = struct{}{}
	return !told
}
