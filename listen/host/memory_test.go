package host_test

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/storetest"
)

func TestMemoryAccounts(t *testing.T) {
	storetest.Accounts(t, func(*testing.T) host.AccountStore { return new(host.MemoryAccounts) })
}
