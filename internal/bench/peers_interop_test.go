//go:build interop

package main

import (
	"errors"
	"testing"
)

// TestOtherServers runs the other servers, where they are installed.
func TestOtherServers(t *testing.T) {
	all := &bench{peers: allPeers()}
	for _, name := range []string{"ejabberd", "prosody", "coturn"} {
		t.Run(name, func(t *testing.T) {
			if err := all.peer(name).prepare(t.Context(), all); errors.Is(err, errNotInstalled) {
				t.Skip(err)
			}
			b, _ := runTiny(t, name, "")
			for _, r := range b.rows {
				t.Run(r.name, func(t *testing.T) { b.checkOne(t, &r, b.peers[0]) })
			}
			if b.failures != 0 {
				t.Errorf("got %d failed runs: %q", b.failures, b.notes)
			}
		})
	}
}
