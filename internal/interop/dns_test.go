//go:build interop

package interop

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// names is a DNS server for the domains of a test, on a port of 127.0.0.1. It
// knows nothing else, and nothing may be remembered: what it says may change.
type names struct {
	addr string // host:port

	mu      sync.Mutex
	records map[string][]dns.RR // by the name, lower case, with the final dot
}

// serveNames starts a DNS server that runs until the test ends.
func serveNames(t *testing.T) *names {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n := &names{addr: ln.Addr().String(), records: make(map[string][]dns.RR)}
	var running sync.WaitGroup
	t.Cleanup(running.Wait) // the servers' shutdowns come before
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: n}, {Listener: ln, Handler: n}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		running.Go(func() {
			if err := s.ActivateAndServe(); err != nil {
				t.Errorf("DNS server: %v", err)
			}
		})
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Errorf("DNS server: %v", err)
			}
		})
	}
	return n
}

// set replaces the records of a name by lines such as "SRV 0 0 5269 a.test."
// and "A 127.0.0.1".
func (n *names) set(t *testing.T, name string, lines ...string) {
	t.Helper()
	var rrs []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(dns.Fqdn(name) + " 0 IN " + l)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records[strings.ToLower(dns.Fqdn(name))] = rrs
}

// serve says that the server of a domain is reached at an address of this
// machine, by the service xmpp-server or xmpps-server (XEP-0368). host is the name
// that has the address: ejabberd finds SRV records in the DNS that it is pointed
// to, but addresses by the C library, which knows localhost alone.
func (n *names) serve(t *testing.T, domain, service, host, addr string) {
	t.Helper()
	ip, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n.set(t, "_"+service+"._tcp."+domain, "SRV 0 0 "+port+" "+dns.Fqdn(host))
	n.set(t, host, "A "+ip)
}

// ServeDNS answers a query: a name that has other records, or names below it,
// exists.
func (n *names) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	question := q.Question[0]
	asked := strings.ToLower(question.Name)
	n.mu.Lock()
	exists := false
	for name, rrs := range n.records {
		if len(rrs) > 0 && dns.IsSubDomain(asked, name) {
			exists = true
		}
	}
	for _, rr := range n.records[asked] {
		if rr.Header().Rrtype == question.Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	n.mu.Unlock()
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(m) // who asks asks again
}
