package all_test

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
)

// TestRegistrationOfVirtualHosts wants that modules in host_config replace the
// global ones, so that a host without mod_register has no registration.
func TestRegistrationOfVirtualHosts(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	reg := all.Registry(h, nil)
	c, err := listen.Parse("ejabberd.yml", []byte(`
hosts: [open.test, closed.test, added.test]
modules: {mod_register: {}}
host_config:
  closed.test: {modules: {}}
append_host_config:
  added.test: {modules: {mod_roster: {}}}
`), reg)
	if err != nil {
		t.Fatal(err)
	}
	s := listen.New(reg, listen.ServerOptions{})
	defer s.Shutdown(t.Context())
	if _, err := s.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]bool{"open.test": true, "closed.test": false, "added.test": true} {
		if got := h.Register.Offered(domain); got != want {
			t.Errorf("registration at %s: got %t, want %t", domain, got, want)
		}
	}
}
