package storetest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/host/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Run("accounts", func(t *testing.T) {
		storetest.Accounts(t, func(*testing.T) host.AccountStore { return new(host.MemoryAccounts) })
	})
	t.Run("roster", func(t *testing.T) {
		storetest.Roster(t, func(*testing.T) roster.Store { return new(roster.Memory) })
	})
	t.Run("offline", func(t *testing.T) {
		storetest.Offline(t, func(*testing.T) offline.Store { return new(offline.Memory) })
	})
	t.Run("last", func(t *testing.T) {
		storetest.Last(t, func(*testing.T) last.Store { return new(last.Memory) })
	})
	t.Run("private", func(t *testing.T) {
		storetest.Private(t, func(*testing.T) private.Store { return new(private.Memory) })
	})
	t.Run("vcard", func(t *testing.T) {
		storetest.VCard(t, func(*testing.T) vcard.Store { return new(vcard.Memory) })
	})
	t.Run("blocking", func(t *testing.T) {
		storetest.Blocking(t, func(*testing.T) blocking.Store { return new(blocking.Memory) })
	})
	t.Run("tokens", func(t *testing.T) {
		storetest.Tokens(t, func(*testing.T) host.TokenStore { return new(host.MemoryTokens) })
	})
	t.Run("clients", func(t *testing.T) {
		storetest.Clients(t, func(*testing.T) host.ClientStore { return new(host.MemoryClients) })
	})
}
