package stun

import (
	"net/netip"
	"testing"
)

// Addresses of relays.
const (
	public4, public6   = "203.0.113.9", "2001:4860::9"
	private4, private6 = "10.0.0.9", "fd00::9"
)

type reachTest struct {
	name, relay, peer string
	want              bool
}

func (tt reachTest) run(t *testing.T) {
	set := new(settings)
	if got := set.reaches(netip.MustParseAddr(tt.relay), netip.MustParseAddr(tt.peer)); got != tt.want {
		t.Errorf("%s to %s: got %t, want %t", tt.relay, tt.peer, got, tt.want)
	}
}

func TestReachesIPv4(t *testing.T) {
	for _, tt := range []reachTest{
		{"public", public4, "8.8.8.8", true},
		{"public from a private relay", private4, "8.8.8.8", true},
		{"private", public4, "10.1.2.3", false},
		{"private from a private relay", private4, "10.1.2.3", true},
		{"private 172.16", public4, "172.16.0.1", false},
		{"private 172.31", public4, "172.31.255.255", false},
		{"public 172.32", public4, "172.32.0.1", true},
		{"private 192.168", public4, "192.168.1.1", false},
		{"private 192.168 from a private relay", private4, "192.168.1.1", true},
		{"shared", public4, "100.64.0.1", false},
		{"shared from a private relay", private4, "100.127.255.255", true},
		{"not shared", public4, "100.128.0.1", true},
		{"benchmark", public4, "198.18.0.1", false},
		{"this network", private4, "0.1.2.3", false},
		{"unspecified", private4, "0.0.0.0", false},
		{"loopback", private4, "127.0.0.1", false},
		{"end of loopback", private4, "127.255.255.255", false},
		{"link-local", private4, "169.254.169.254", false},
		{"protocol assignments", private4, "192.0.0.8", false},
		{"multicast", private4, "224.0.0.1", false},
		{"reserved", private4, "240.0.0.1", false},
		{"broadcast", private4, "255.255.255.255", false},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestReachesIPv6(t *testing.T) {
	for _, tt := range []reachTest{
		{"IPv6", public6, "2001:4860:4860::8888", true},
		{"IPv6 unspecified", private6, "::", false},
		{"IPv6 loopback", private6, "::1", false},
		{"compatible", private6, "::8.8.8.8", false},
		{"mapped", private6, "::ffff:8.8.8.8", false},
		{"mapped loopback", private6, "::ffff:127.0.0.1", false},
		{"translated", private6, "::ffff:0:8.8.8.8", false},
		{"IPv6 link-local", private6, "fe80::1", false},
		{"end of IPv6 link-local", private6, "febf::1", false},
		{"site-local", public6, "fec0::1", false},
		{"site-local from a private relay", private6, "fec0::1", true},
		{"unique local", public6, "fd00::1", false},
		{"unique local from a private relay", private6, "fc00::1", true},
		{"IPv6 multicast", private6, "ff02::1", false},
		{"Teredo", private6, "2001:0:1::1", false},
		{"not Teredo", public6, "2001:1::1", true},
		{"6to4", private6, "2002:808:808::1", false},
		{"NAT64", public6, "64:ff9b::8.8.8.8", true},
		{"NAT64 to loopback", private6, "64:ff9b::127.0.0.1", false},
		{"NAT64 to private", public6, "64:ff9b::10.0.0.1", false},
		{"NAT64 to private from a private relay", private6, "64:ff9b::10.0.0.1", true},
		{"local NAT64", public6, "64:ff9b:1::8.8.8.8", false},
		{"local NAT64 from a private relay", private6, "64:ff9b:1::8.8.8.8", true},
		{"local NAT64 to loopback", private6, "64:ff9b:1:2::127.0.0.1", false},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestReachesLists(t *testing.T) {
	var set settings
	set.Whitelist = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("64:ff9b::/96")}
	set.Blacklist = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("8.8.0.0/16"), netip.MustParsePrefix("2001:db8::/32")}
	tests := []struct {
		peer string
		want bool
	}{
		{"127.0.0.1", true},
		{"10.1.0.1", true},
		{"10.9.0.1", false},
		{"192.168.0.1", false},
		{"8.8.8.8", false},
		{"9.9.9.9", true},
		{"2001:db8::1", false},
		{"::ffff:127.0.0.1", false},
		{"::ffff:8.8.8.8", false},
		{"64:ff9b::127.0.0.1", true},
		{"64:ff9b::8.8.8.8", false},
	}
	for _, tt := range tests {
		if got := set.reaches(relay4, netip.MustParseAddr(tt.peer)); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.peer, got, tt.want)
		}
	}
}
