package host

import (
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
)

// Stores say where a host keeps things; what is nil is kept in memory.
type Stores struct {
	Accounts AccountStore
	Roster   roster.Store
	Offline  offline.Store
	Last     last.Store
	Private  private.Store
	VCard    vcard.Store
	Blocking blocking.Store
	Tokens   TokenStore
	Clients  ClientStore
}

// withDefaults fills in what is nil.
func (s Stores) withDefaults() Stores {
	if s.Accounts == nil {
		s.Accounts = new(MemoryAccounts)
	}
	if s.Roster == nil {
		s.Roster = new(roster.Memory)
	}
	if s.Offline == nil {
		s.Offline = new(offline.Memory)
	}
	if s.Last == nil {
		s.Last = new(last.Memory)
	}
	if s.Private == nil {
		s.Private = new(private.Memory)
	}
	if s.VCard == nil {
		s.VCard = new(vcard.Memory)
	}
	if s.Blocking == nil {
		s.Blocking = new(blocking.Memory)
	}
	if s.Tokens == nil {
		s.Tokens = new(MemoryTokens)
	}
	if s.Clients == nil {
		s.Clients = new(MemoryClients)
	}
	return s
}
