package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/stun"
)

// entry is a listener at an address.
func entry(line int, module, network, address string, direct bool, options any) listen.Entry {
	e := listen.Entry{Module: module, Network: network, Address: address, Options: options, File: "a.yml", Line: line}
	if direct {
		e.TLS = new(tls.Config)
	}
	return e
}

// harbour is a configuration with every kind of listener.
func harbour() *listen.Config {
	turn := stun.Options{UseTURN: true}
	return &listen.Config{Hosts: []string{"harbour.test", "bücher.test", "localhost", "192.0.2.1"}, Entries: []listen.Entry{
		entry(1, "ejabberd_c2s", "tcp4", "0.0.0.0:5222", false, nil),
		entry(2, "ejabberd_c2s", "tcp6", "[::]:5222", false, nil),
		entry(3, "ejabberd_c2s", "tcp4", "0.0.0.0:5223", true, nil),
		entry(4, "ejabberd_c2s", "tcp4", "0.0.0.0:5224", true, nil),
		entry(5, "ejabberd_s2s_in", "tcp", "[::]:5269", false, nil),
		entry(6, "ejabberd_stun", "udp", "[::]:3478", false, turn),
		entry(7, "ejabberd_stun", "tcp", "[::]:3479", false, stun.Options{}),
		entry(8, "ejabberd_stun", "tcp", "[::]:5349", true, turn),
		entry(9, "ejabberd_c2s", "unix", "/run/c2s", false, nil),
		entry(10, "ejabberd_c2s", "tcp4", "127.0.0.1:5225", false, nil),
		entry(11, "ejabberd_c2s", "tcp4", "0.0.0.0:0", false, nil),
		entry(12, "ejabberd_service", "tcp4", "0.0.0.0:5347", false, nil),
		entry(13, "ejabberd_service", "tcp4", "127.0.0.1:5348", false, nil),
	}}
}

func TestZonePrint(t *testing.T) {
	var out strings.Builder
	newZone(harbour()).print(&out)
	const records = `
_xmpp-client._tcp.DOMAIN.   IN SRV  0 0 5222 xmpp.DOMAIN.
_xmpps-client._tcp.DOMAIN.  IN SRV  0 0 5223 xmpp.DOMAIN.
_xmpps-client._tcp.DOMAIN.  IN SRV  0 0 5224 xmpp.DOMAIN.
_xmpp-server._tcp.DOMAIN.   IN SRV  0 0 5269 xmpp.DOMAIN.
_stun._udp.DOMAIN.          IN SRV  0 0 3478 stun.DOMAIN.
_stun._tcp.DOMAIN.          IN SRV  0 0 3479 stun.DOMAIN.
_stuns._tcp.DOMAIN.         IN SRV  0 0 5349 stun.DOMAIN.
_turn._udp.DOMAIN.          IN SRV  0 0 3478 turn.DOMAIN.
_turns._tcp.DOMAIN.         IN SRV  0 0 5349 turn.DOMAIN.
`
	one := strings.ReplaceAll(records, "DOMAIN", "harbour.test")
	two := strings.ReplaceAll(records, "DOMAIN", "xn--bcher-kva.test")
	for line := range strings.Lines(one + two) {
		if want := strings.Join(strings.Fields(line), " "); !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("%s is not there", want)
		}
	}
	if got := strings.Count(out.String(), "IN SRV"); got != 18 {
		t.Errorf("got %d records, want 18", got)
	}
	for _, want := range []string{
		"; xmpp.harbour.test. stun.harbour.test. turn.harbour.test. xmpp.xn--bcher-kva.test.",
		"; localhost is no domain that the DNS knows\n; 192.0.2.1 is no domain",
		"; a.yml:9: ejabberd_c2s has no records: it is a unix socket\n; a.yml:10: ejabberd_c2s has no records: nobody else reaches 127.0.0.1\n; a.yml:11: ejabberd_c2s has no records: its port is another one at each start\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not there", want)
		}
	}
	if t.Failed() {
		t.Logf("got\n%s", &out)
	}
}

// fakeDNS answers from a table: SRV records by their name, addresses by host.
type fakeDNS struct {
	srv   map[string][]*net.SRV
	hosts map[string]string
	err   error  // instead of what is not there
	stall string // the name that nobody answers for
	asked atomic.Int32
}

func (d *fakeDNS) missing(name string) error {
	if d.err != nil {
		return d.err
	}
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (d *fakeDNS) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	d.asked.Add(1)
	key := "_" + service + "._" + proto + "." + name
	if key == d.stall {
		<-ctx.Done()
		return "", nil, &net.DNSError{Err: "i/o timeout", Name: key, IsTimeout: true}
	}
	list, ok := d.srv[key]
	if !ok {
		return "", nil, d.missing(key)
	}
	return key, list, nil
}

func (d *fakeDNS) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	a, ok := d.hosts[host]
	if !ok || network != "ip" {
		return nil, d.missing(host)
	}
	return []netip.Addr{netip.MustParseAddr(a)}, nil
}

// rightDNS has the records that harbour.test should have.
func rightDNS() *fakeDNS {
	at := func(port uint16, target string) []*net.SRV {
		return []*net.SRV{{Target: target, Port: port, Priority: 5, Weight: 10}}
	}
	return &fakeDNS{
		srv: map[string][]*net.SRV{
			"_xmpp-client._tcp.harbour.test.":  at(5222, "chat.test."),
			"_xmpps-client._tcp.harbour.test.": append(at(5223, "chat.test."), at(5224, "chat.test.")...),
			"_xmpp-server._tcp.harbour.test.":  append(at(5269, "chat.test."), at(5269, "other.test.")...),
			"_xmpps-server._tcp.harbour.test.": at(0, "."),
			"_stun._udp.harbour.test.":         at(3478, "chat.test."),
			"_stun._tcp.harbour.test.":         at(3479, "chat.test."),
			"_stuns._tcp.harbour.test.":        at(5349, "chat.test."),
			"_turn._udp.harbour.test.":         at(3478, "chat.test."),
			"_turns._tcp.harbour.test.":        at(5349, "chat.test."),
		},
		hosts: map[string]string{"chat.test.": "192.0.2.1", "other.test.": "2001:db8::1"},
	}
}

func TestZoneVerify(t *testing.T) {
	tests := []struct {
		name   string
		change func(*fakeDNS)
		want   string
	}{
		{"right", func(*fakeDNS) {}, ""},
		{"missing", func(d *fakeDNS) { delete(d.srv, "_turn._udp.harbour.test.") },
			"missing: _turn._udp.harbour.test. IN SRV 0 0 3478 turn.harbour.test.\n"},
		{"one of two is missing", func(d *fakeDNS) {
			d.srv["_xmpps-client._tcp.harbour.test."] = d.srv["_xmpps-client._tcp.harbour.test."][:1]
		},
			"missing: _xmpps-client._tcp.harbour.test. IN SRV 0 0 5224 xmpp.harbour.test.\n"},
		{"another port", func(d *fakeDNS) { d.srv["_stun._udp.harbour.test."][0].Port = 3479 },
			"differs: _stun._udp.harbour.test. IN SRV 5 10 3479 chat.test., want port 3478\n"},
		{"extra", func(d *fakeDNS) { d.srv["_turn._tcp.harbour.test."] = d.srv["_stun._udp.harbour.test."] },
			"extra: _turn._tcp.harbour.test. IN SRV 5 10 3478 chat.test.: there is no such listener\n"},
		{"one too many", func(d *fakeDNS) {
			d.srv["_stun._udp.harbour.test."] = append(d.srv["_stun._udp.harbour.test."], &net.SRV{Target: "old.test.", Port: 3480})
		}, "extra: _stun._udp.harbour.test. IN SRV 0 0 3480 old.test.: there is no such listener\n"},
		{"denied", func(d *fakeDNS) { d.srv["_xmpp-server._tcp.harbour.test."] = []*net.SRV{{Target: "."}} },
			"missing: _xmpp-server._tcp.harbour.test. IN SRV 0 0 5269 xmpp.harbour.test.\n"},
		{"target without an address", func(d *fakeDNS) { delete(d.hosts, "other.test.") },
			"missing: other.test. IN A or AAAA, the target of _xmpp-server._tcp.harbour.test.\n"},
		{"failing server", func(d *fakeDNS) {
			delete(d.srv, "_stun._tcp.harbour.test.")
			d.err = errors.New("server misbehaving")
			d.srv["_turn._tcp.harbour.test."] = nil
		},
			"error: _stun._tcp.harbour.test.: server misbehaving\n"},
		{"no answer", func(d *fakeDNS) { d.stall = "_stuns._tcp.harbour.test." },
			"error: _stuns._tcp.harbour.test.: lookup _stuns._tcp.harbour.test.: i/o timeout\n"},
	}
	c := harbour()
	c.Hosts = c.Hosts[:1]
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := rightDNS()
				tt.change(d)
				var out strings.Builder
				begun := time.Now()
				status := newZone(c).verify(t.Context(), &out, d)
				want, wantStatus := "9 DNS records, 0 differences\n", statusOK
				if tt.want != "" {
					want, wantStatus = "9 DNS records, 1 difference\n", statusError
				}
				lines := strings.Split(out.String(), "note: ")
				if got := lines[0]; !strings.HasPrefix(got, tt.want) || status != wantStatus || !strings.HasSuffix(out.String(), want) {
					t.Errorf("status %d, want %d; got\n%swant\n%s%s", status, wantStatus, &out, tt.want, want)
				}
				if took := time.Since(begun); took > lookupTimeout {
					t.Errorf("took %v, want at most %v", took, lookupTimeout)
				}
				if got := d.asked.Load(); got != 10 {
					t.Errorf("asked for %d names, want 10", got)
				}
			})
		})
	}
}

// The production configuration says which records it needs.
func TestProductionRecords(t *testing.T) {
	f := productionConfig(t)
	f.dns = dnsPrint
	var out strings.Builder
	if status := check(f, &out); status != statusOK {
		t.Fatalf("got status %d and\n%s", status, &out)
	}
	_, records, _ := strings.Cut(out.String(), "\n\n")
	const want = `_xmpp-client._tcp.example.org.   IN SRV  0 0 5222 xmpp.example.org.
_xmpps-client._tcp.example.org.  IN SRV  0 0 5223 xmpp.example.org.
_xmpp-server._tcp.example.org.   IN SRV  0 0 5269 xmpp.example.org.
_stun._udp.example.org.          IN SRV  0 0 3478 stun.example.org.
_stun._tcp.example.org.          IN SRV  0 0 3478 stun.example.org.
_stuns._tcp.example.org.         IN SRV  0 0 5349 stun.example.org.
_turn._udp.example.org.          IN SRV  0 0 3478 turn.example.org.
_turn._tcp.example.org.          IN SRV  0 0 3478 turn.example.org.
_turns._tcp.example.org.         IN SRV  0 0 5349 turn.example.org.
; These names are proposals. They need the addresses of this machine as A and AAAA records:
; xmpp.example.org. stun.example.org. turn.example.org.
`
	if records != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

// The built-in configuration has no records: it is for this machine alone.
func TestCheckDNS(t *testing.T) {
	var out strings.Builder
	if status := check(flags{dns: dnsPrint}, &out); status != statusOK || strings.Contains(out.String(), "SRV") {
		t.Errorf("got status %d and\n%s", status, &out)
	}
	out.Reset()
	if status := check(flags{dns: dnsVerify}, &out); status != statusOK || !strings.HasSuffix(out.String(), "0 DNS records, 0 differences\n") {
		t.Errorf("got status %d and\n%s", status, &out)
	}
}
