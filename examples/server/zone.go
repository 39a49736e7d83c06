package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/net/idna"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/stun"
)

// dnsMode is the value of the flag -dns.
type dnsMode string

const (
	dnsPrint  dnsMode = "print"
	dnsVerify dnsMode = "verify"
)

func (m *dnsMode) String() string   { return string(*m) }
func (m *dnsMode) IsBoolFlag() bool { return true }

func (m *dnsMode) Set(s string) error {
	switch s {
	case "true":
		*m = dnsPrint
	case "false":
		*m = ""
	case "verify":
		*m = dnsVerify
	default:
		return errors.New("want -dns or -dns=verify")
	}
	return nil
}

// dnsService is a service of a domain that is found by SRV records (RFC 2782).
type dnsService struct {
	module string
	name   string // of the service
	secure string // of the service with TLS from the first byte
	udp    bool   // it may be there for datagrams, too
	target string // first label of the host that has it; a proposal
	offers func(options any) bool
}

// dnsServices are those of RFC 6120, section 3.2.1, XEP-0368, RFC 8489, section
// 8.1, and RFC 8656, section 6.
func dnsServices() []dnsService {
	return []dnsService{
		{"ejabberd_c2s", "xmpp-client", "xmpps-client", false, "xmpp", always},
		{"ejabberd_s2s_in", "xmpp-server", "xmpps-server", false, "xmpp", always},
		{"ejabberd_stun", "stun", "stuns", true, "stun", always},
		{"ejabberd_stun", "turn", "turns", true, "turn", relays},
	}
}

func always(any) bool { return true }

// relays reports whether a STUN listener has relays.
func relays(options any) bool {
	o, ok := options.(stun.Options)
	return ok && o.UseTURN
}

// srv is the name of SRV records.
type srv struct{ service, proto, domain string }

func (n srv) String() string { return "_" + n.service + "._" + n.proto + "." + n.domain + "." }

// zone is what the DNS should say of the listeners of a configuration.
type zone struct {
	names   []srv            // all that may have records, whether they should have or not
	ports   map[srv][]uint16 // of those that should have records
	targets map[srv]string   // the hosts that are proposed
	notes   []string         // on listeners and hosts without records
}

// newZone returns the records for a configuration.
func newZone(c *listen.Config) *zone {
	z := &zone{ports: make(map[srv][]uint16), targets: make(map[srv]string)}
	for _, host := range c.Hosts {
		domain, err := idna.Lookup.ToASCII(host)
		if _, notIP := netip.ParseAddr(host); notIP == nil || err != nil || domain == "localhost" {
			z.notes = append(z.notes, host+" is no domain that the DNS knows")
			continue
		}
		for _, s := range dnsServices() {
			z.add(s, domain, c.Entries)
		}
	}
	if len(z.names) == 0 {
		return z
	}
	for _, e := range c.Entries {
		if _, why := reached(e); why != "" && slices.ContainsFunc(dnsServices(), func(s dnsService) bool { return s.module == e.Module }) {
			z.notes = append(z.notes, fmt.Sprintf("%s:%d: %s has no records: %s", e.File, e.Line, e.Module, why))
		}
	}
	return z
}

// add adds a service of a domain, in its variants.
func (z *zone) add(s dnsService, domain string, entries []listen.Entry) {
	plain, datagram, secure := srv{s.name, "tcp", domain}, srv{s.name, "udp", domain}, srv{s.secure, "tcp", domain}
	if s.udp {
		z.names = append(z.names, datagram)
	}
	z.names = append(z.names, plain, secure)
	for _, e := range entries {
		port, why := reached(e)
		if e.Module != s.module || why != "" || !s.offers(e.Options) {
			continue
		}
		name := plain
		switch {
		case strings.HasPrefix(e.Network, "udp"):
			name = datagram
		case e.TLS != nil:
			name = secure
		}
		if !slices.Contains(z.ports[name], port) {
			z.ports[name] = append(z.ports[name], port)
		}
		z.targets[name] = s.target + "." + domain + "."
	}
}

// reached returns the port by which others reach a listener, or why they do not.
func reached(e listen.Entry) (port uint16, why string) {
	at, err := netip.ParseAddrPort(e.Address)
	switch {
	case err != nil:
		return 0, "it is a unix socket"
	case at.Addr().IsLoopback():
		return 0, "nobody else reaches " + at.Addr().String()
	case at.Port() == 0:
		return 0, "its port is another one at each start"
	}
	return at.Port(), ""
}

// record is an SRV record. The priority and the weight say nothing here.
func record(name srv, port uint16, target string) string {
	return fmt.Sprintf("%s\tIN SRV\t0 0 %d %s", name, port, target)
}

// print prints the records in the notation of a zone file.
func (z *zone) print(w io.Writer) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var targets []string
	for _, name := range z.names {
		for _, port := range z.ports[name] {
			fmt.Fprintln(t, record(name, port, z.targets[name]))
			if target := z.targets[name]; !slices.Contains(targets, target) {
				targets = append(targets, target)
			}
		}
	}
	t.Flush()
	if len(targets) > 0 {
		fmt.Fprintln(w, "; These names are proposals. They need the addresses of this machine as A and AAAA records:")
		fmt.Fprintln(w, "; "+strings.Join(targets, " "))
	}
	for _, note := range z.notes {
		fmt.Fprintln(w, "; "+note)
	}
}
