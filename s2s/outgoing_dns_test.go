package s2s

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func outLookup(d *outDNS) *lookup {
	return &lookup{
		resolver: d, timeout: 10 * time.Second, retries: 2, families: []string{"ipv6", "ipv4"}, port: 5269, direct: true,
		random: func(int) int { return 0 },
	}
}

func outSRV(priority, weight, port uint16, host string) *net.SRV {
	return &net.SRV{Target: host, Port: port, Priority: priority, Weight: weight}
}

func outTargets(list []target) string {
	var b strings.Builder
	for _, t := range list {
		if t.addr.IsValid() {
			t.host = t.addr.String()
		}
		fmt.Fprintf(&b, " %s:%d", t.host, t.port)
		if t.direct {
			b.WriteString("/tls")
		}
	}
	return strings.TrimSpace(b.String())
}

// TestOutgoingTargets checks RFC 6120, section 3.2, and XEP-0368, section 3.
func TestOutgoingTargets(t *testing.T) {
	const plain, direct = "_xmpp-server._tcp.there.test", "_xmpps-server._tcp.there.test"
	timeout := &net.DNSError{Err: "timeout", IsTimeout: true}
	tests := []struct {
		name   string
		domain string // there.test
		srv    map[string][]*net.SRV
		fail   map[string]error
		off    bool // TLS
		want   string
		err    error
	}{
		{name: "no records", want: "there.test:5269"},
		{name: "one record", srv: map[string][]*net.SRV{plain: {outSRV(0, 0, 5270, "a.test.")}}, want: "a.test:5270"},
		{name: "priorities of both services", srv: map[string][]*net.SRV{
			plain: {outSRV(20, 0, 1, "c.test."), outSRV(10, 0, 2, "b.test.")}, direct: {outSRV(5, 0, 3, "a.test."), outSRV(15, 0, 4, "b.test.")},
		}, want: "a.test:3/tls b.test:2 b.test:4/tls c.test:1"},
		{name: "TLS is off", off: true, srv: map[string][]*net.SRV{plain: {outSRV(5, 0, 1, "a.test.")}, direct: {outSRV(1, 0, 2, "a.test.")}}, want: "a.test:1"},
		{name: "no service", srv: map[string][]*net.SRV{plain: {outSRV(0, 0, 5269, ".")}}, err: errNoServer},
		{name: "no direct TLS", srv: map[string][]*net.SRV{direct: {outSRV(0, 0, 5270, ".")}, plain: {outSRV(0, 0, 1, "a.test.")}}, want: "a.test:1"},
		{name: "direct TLS only", srv: map[string][]*net.SRV{plain: {outSRV(0, 0, 5270, ".")}, direct: {outSRV(0, 0, 1, "a.test.")}}, want: "a.test:1/tls"},
		{name: "no direct TLS and no fallback", srv: map[string][]*net.SRV{direct: {outSRV(0, 0, 5270, ".")}}, err: errNoServer},
		{name: "the same target twice", srv: map[string][]*net.SRV{plain: {outSRV(1, 0, 1, "a.test."), outSRV(2, 0, 1, "a.test.")}}, want: "a.test:1"},
		{name: "port 0", srv: map[string][]*net.SRV{plain: {outSRV(1, 0, 0, "a.test."), outSRV(2, 0, 1, "b.test.")}}, want: "b.test:1"},
		{name: "lookup fails", fail: map[string]error{plain: timeout}, err: timeout},
		{name: "one lookup fails, the other has records", fail: map[string]error{direct: timeout}, srv: map[string][]*net.SRV{plain: {outSRV(0, 0, 1, "a.test.")}}, want: "a.test:1"},
		{name: "one lookup fails, the other has none", fail: map[string]error{direct: timeout}, err: timeout},
		{name: "IPv4 address", domain: "192.0.2.9", want: "192.0.2.9:5269"},
		{name: "IPv6 address", domain: "[2001:db8::9]", want: "2001:db8::9:5269"},
		{name: "U-labels", domain: "münchen.test", want: "xn--mnchen-3ya.test:5269"},
		{name: "no A-label", domain: strings.Repeat("ü", 400) + ".test", err: errNoServer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := outLookup(&outDNS{srv: tt.srv, fail: tt.fail})
			l.direct = !tt.off
			if tt.domain == "" {
				tt.domain = "there.test"
			}
			got, err := l.targets(t.Context(), tt.domain)
			if outTargets(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", outTargets(got), err, tt.want, tt.err)
			}
		})
	}
}

// TestOutgoingWeights checks the random order of RFC 2782.
func TestOutgoingWeights(t *testing.T) {
	records := func() []record {
		return []record{
			{target{host: "a", port: 1}, 1, 60}, {target{host: "b", port: 1}, 1, 20},
			{target{host: "c", port: 1}, 1, 20}, {target{host: "d", port: 1}, 1, 0}, {target{host: "z", port: 1}, 2, 100},
		}
	}
	for number, want := range map[int]string{ // for the first of d 0, b 20, c 40, a 100
		0: "d:1 b:1 c:1 a:1 z:1", 1: "b:1", 20: "b:1", 21: "c:1", 40: "c:1", 41: "a:1", 100: "a:1",
	} {
		first := true
		got := outTargets(order(records(), func(n int) int {
			if !first {
				return 0
			}
			first = false
			if n != 101 {
				t.Errorf("random number below %d, want 101", n)
			}
			return number
		}))
		if !strings.HasPrefix(got, want) {
			t.Errorf("random number %d: got %q, want %q", number, got, want)
		}
	}
	counts := map[string]int{}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		list := order(records(), random.IntN)
		counts[list[0].host]++
		if list[4].host != "z" {
			t.Fatalf("got %q, want z last", outTargets(list))
		}
	}
	for host, share := range map[string]int{"a": 60, "b": 20, "c": 20, "d": 1} {
		if got := counts[host] / 100; got < share-3 || got > share+3 {
			t.Errorf("%s is first in %d %% of the cases, want about %d", host, got, share)
		}
	}
}

// TestOutgoingManyRecords checks that no more than some records and addresses count.
func TestOutgoingManyRecords(t *testing.T) {
	d := &outDNS{srv: map[string][]*net.SRV{}, addrs: map[string][]netip.Addr{}}
	for i := range 5000 {
		d.srv["_xmpp-server._tcp.there.test"] = append(d.srv["_xmpp-server._tcp.there.test"], outSRV(1, uint16(i), 5269, fmt.Sprintf("h%d.test.", i)))
		d.addrs["there.test"] = append(d.addrs["there.test"],
			netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i >> 8), 15: byte(i)}))
	}
	l := outLookup(d)
	l.random = rand.IntN
	targets, err := l.targets(t.Context(), "there.test")
	if err != nil || len(targets) != maxTargets {
		t.Errorf("got %d targets, %v, want %d", len(targets), err, maxTargets)
	}
	addrs, err := l.addresses(t.Context(), target{host: "there.test", port: 1})
	if err != nil || len(addrs) != maxAddresses || !addrs[0].Addr().Is6() || !addrs[maxAddresses-1].Addr().Is4() {
		t.Errorf("got %v, %v, want %d, of both families", addrs, err, maxAddresses)
	}
}

func TestOutgoingAddresses(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	tests := []struct {
		name     string
		families []string
		addrs    []netip.Addr
		want     []netip.Addr
		err      error
	}{
		{"both", []string{"ipv6", "ipv4"}, []netip.Addr{four, six}, []netip.Addr{six, four}, nil},
		{"other order", []string{"ipv4", "ipv6"}, []netip.Addr{four, six}, []netip.Addr{four, six}, nil},
		{"one family", []string{"ipv4"}, []netip.Addr{four, six}, []netip.Addr{four}, nil},
		{"one has none", []string{"ipv6", "ipv4"}, []netip.Addr{four}, []netip.Addr{four}, nil},
		{"none", []string{"ipv6", "ipv4"}, nil, nil, errNoServer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := outLookup(&outDNS{addrs: map[string][]netip.Addr{"h": tt.addrs}})
			l.families = tt.families
			list, err := l.addresses(t.Context(), target{host: "h", port: 7})
			var got []netip.Addr
			for _, a := range list {
				got = append(got, a.Addr())
			}
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v, want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// TestOutgoingSlowDNS checks s2s_dns_timeout and s2s_dns_retries.
func TestOutgoingSlowDNS(t *testing.T) {
	const name = "_xmpp-server._tcp.there.test"
	for hang, after := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 3: 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			l := outLookup(&outDNS{hang: map[string]int{name: hang}})
			start := time.Now()
			_, err := l.targets(t.Context(), "there.test")
			if failed := hang > 2; (err != nil) != failed || time.Since(start) != after {
				t.Errorf("%d answers missing: got %v after %v, want an error: %t after %v", hang, err, time.Since(start), failed, after)
			}
		})
	}
	t.Run("not found is not tried again", func(t *testing.T) {
		d := &outDNS{}
		_, _ = outLookup(d).targets(t.Context(), "there.test")
		if len(d.asked) != 2 {
			t.Errorf("got %q, want one question for each service", d.asked)
		}
	})
}

// TestOutgoingRace checks RFC 8305, section 5, and outgoing_s2s_timeout.
func TestOutgoingRace(t *testing.T) {
	// By address: after how long it answers; negative: it fails then.
	const never = time.Hour
	tests := []struct {
		name  string
		takes []time.Duration
		want  int // index of the address, -1: none
		after time.Duration
		rest  []int
	}{
		{"the first", []time.Duration{100 * time.Millisecond, 0}, 0, 100 * time.Millisecond, []int{1}},
		{"the first, late", []time.Duration{300 * time.Millisecond, never, 0}, 0, 300 * time.Millisecond, []int{1, 2}},
		{"the second beside the first", []time.Duration{never, 100 * time.Millisecond, 0}, 1, 350 * time.Millisecond, []int{0, 2}},
		{"the second after the first", []time.Duration{-100 * time.Millisecond, 0, 0}, 1, 100 * time.Millisecond, []int{2}},
		{"all fail", []time.Duration{-100 * time.Millisecond, -100 * time.Millisecond}, -1, 200 * time.Millisecond, nil},
		{"all are silent", []time.Duration{never, never, never}, -1, 10500 * time.Millisecond, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var addrs []netip.AddrPort
				for i := range tt.takes {
					addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 5269))
				}
				d := &dialer{timeout: 10 * time.Second, dial: func(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
					d := tt.takes[slices.Index(addrs, to)]
					select {
					case <-time.After(d.Abs()):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					if d < 0 {
						return nil, errOutRefused
					}
					c, _ := listentest.NewConn(netip.AddrPort{}, to)
					return c, nil
				}}
				start := time.Now()
				won, rest := d.race(t.Context(), addrs)
				got := slices.Index(addrs, won.to)
				if won.err != nil {
					got = -1
				}
				if got != tt.want || time.Since(start) != tt.after {
					t.Errorf("got address %d after %v, want %d after %v", got, time.Since(start), tt.want, tt.after)
				}
				var left []int
				for _, a := range rest {
					left = append(left, slices.Index(addrs, a))
				}
				if !slices.Equal(left, tt.rest) {
					t.Errorf("rest: got %v, want %v", left, tt.rest)
				}
			})
		})
	}
}

func TestOutgoingSourceAddress(t *testing.T) {
	four, six := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")
	for to, want := range map[string]netip.Addr{"192.0.2.1:1": four, "[2001:db8::2]:1": six} {
		d := &dialer{ipv4: four, ipv6: six, dial: func(_ context.Context, from netip.Addr, _ netip.AddrPort) (net.Conn, error) {
			if from != want {
				t.Errorf("to %s: got source address %v, want %v", to, from, want)
			}
			return nil, errOutRefused
		}}
		d.race(t.Context(), []netip.AddrPort{netip.MustParseAddrPort(to)})
	}
}

// TestOutgoingTCP connects for real: the system's resolver is not asked, its sockets
// are.
func TestOutgoingTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	to := netip.MustParseAddrPort(ln.Addr().String())
	c, err := dialTCP(t.Context(), netip.MustParseAddr("127.0.0.1"), to)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.LocalAddr().(*net.TCPAddr).IP.String(); got != "127.0.0.1" {
		t.Errorf("source address: got %s, want 127.0.0.1", got)
	}
	_ = c.Close()
}

func TestOutgoingForm(t *testing.T) {
	big := func(n int) string { return strings.Repeat("x", n) }
	decls := func(n int) (s string) {
		for i := range n {
			s += fmt.Sprintf(" xmlns:p%d='u'", i)
		}
		return s
	}
	tests := []struct {
		name string
		st   stanza.Stanza
		err  *stanza.Error
	}{
		{"small", stanza.Stanza{Inner: "<body/>"}, nil},
		{"big", stanza.Stanza{Inner: big(500_000)}, nil},
		{"too big", stanza.Stanza{Inner: big(maxOutgoing + 1)}, errTooBig},
		{"too big in the end", stanza.Stanza{Inner: big(400_000), ID: strings.Repeat("'", 30_000)}, errTooBig},
		{"escaped and not too big", stanza.Stanza{Inner: big(400_000), ID: strings.Repeat("'", 10_000)}, nil},
		{"many attributes", stanza.Stanza{Attrs: decls(123)}, nil},
		{"too many attributes", stanza.Stanza{Attrs: decls(124)}, errTooManyAttrs},
		{"attributes that look like many", stanza.Stanza{Attrs: ` a="` + strings.Repeat(" b=''", 200) + `"`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.st.Kind = stanza.Message
			if _, err := outgoing(&tt.st); err != tt.err {
				t.Errorf("got %v, want %v", err, tt.err)
			}
		})
	}
	st, _ := outgoing(&stanza.Stanza{Kind: stanza.Message, Inner: "<body xmlns='jabber:client'/>"})
	if want := "<body xmlns='jabber:server'/>"; st.Inner != want {
		t.Errorf("payload of jabber:client: got %s, want %s", st.Inner, want)
	}
}
