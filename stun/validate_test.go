package stun

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   []string // options
	}{
		{"defaults", func(*Options) {}, nil},
		{"one port", func(o *Options) { o.MinPort, o.MaxPort = 50000, 50000 }, nil},
		{"no port", func(o *Options) { o.MinPort, o.MaxPort = 50001, 50000 }, []string{"turn_max_port"}},
		{"ports that are none", func(o *Options) { o.MinPort, o.MaxPort = 0, 65536 }, []string{"turn_min_port", "turn_max_port"}},
		{"shortest lifetime", func(o *Options) { o.MaxLifetime = 10 * time.Minute }, nil},
		{"short lifetime", func(o *Options) { o.MaxLifetime = 10*time.Minute - 1 }, []string{"turn_max_lifetime"}},
		{"long name", func(o *Options) { o.ServerName = strings.Repeat("ü", 127) }, nil},
		{"too long a name", func(o *Options) { o.ServerName = strings.Repeat("ü", 128) }, []string{"server_name"}},
		{"no UTF-8", func(o *Options) { o.ServerName = "\xff" }, []string{"server_name"}},
		{"unknown authentication", func(o *Options) { o.AuthType = "users" }, []string{"auth_type"}},
		{"users of nothing", func(o *Options) { o.AuthRealm = "" }, []string{"auth_realm"}},
		{"everybody", func(o *Options) { o.AuthType, o.AuthRealm = AuthAnonymous, "" }, nil},
		{"quotas", func(o *Options) { o.MaxAllocations, o.MaxPermissions = 0, 0 }, []string{"turn_max_allocations", "turn_max_permissions"}},
		{"rates", func(o *Options) { o.AllocationRate, o.UserRate = -1, -1 }, []string{"turn_allocation_rate", "turn_user_rate"}},
		{"families", func(o *Options) {
			o.IPv4Address, o.IPv6Address = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
		}, []string{"turn_ipv4_address", "turn_ipv6_address"}},
		{"alternate server without a port", func(o *Options) { o.AlternateServer = netip.MustParseAddrPort("192.0.2.1:0") }, []string{"turn_alternate_server"}},
		{"no relays", func(o *Options) { *o = Options{} }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Defaults()
			o.UseTURN = true
			tt.change(&o)
			var got []string
			for option, msg := range o.Validate() {
				got = append(got, option)
				if msg == "" {
					t.Errorf("%s: nothing is said", option)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got problems with %v, want %v", got, tt.want)
			}
		})
	}
}
