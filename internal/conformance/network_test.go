package conformance

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// port is that of servers without SRV records.
const port = 5269

// network joins servers in memory: their connections and their DNS.
type network struct {
	mu      sync.Mutex
	next    byte                            // of the next address
	records map[string][]netip.Addr         // A and AAAA
	srv     map[string][]*net.SRV           // by service and domain, as "xmpp-server two.example"
	fails   map[string]bool                 // domains whose lookups fail for the time being
	doors   map[netip.AddrPort]door         // who listens
	waiting map[netip.AddrPort][]*peer      // who waits for one connection, in order
	dials   []netip.AddrPort                // attempts
	from    map[netip.AddrPort][]netip.Addr // their source addresses
	lookups []string                        // of the DNS
	breaks  func() int                      // after how many bytes the next connection breaks; nil: never
	written map[string][]int                // numbers of messages in the order of their writing, by sender
}

// door takes a connection; nil hangs.
type door func() net.Conn

func newNetwork() *network {
	return &network{
		records: map[string][]netip.Addr{}, srv: map[string][]*net.SRV{}, fails: map[string]bool{},
		written: map[string][]int{},
		doors:   map[netip.AddrPort]door{}, waiting: map[netip.AddrPort][]*peer{}, from: map[netip.AddrPort][]netip.Addr{},
	}
}

// address returns the first address of a host; it makes one if there is none.
func (n *network) address(host string) netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.records[host]) == 0 {
		n.next++
		n.records[host] = []netip.Addr{netip.AddrFrom4([4]byte{203, 0, 113, n.next})}
	}
	return netip.AddrPortFrom(n.records[host][0], port)
}

// where reads an address with a port, or the host that has it.
func (n *network) where(text string) netip.AddrPort {
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a
	}
	return n.address(text)
}

func (n *network) open(at netip.AddrPort, d door) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.doors[at] = d
}

// wait has a peer take the next connection that comes.
func (n *network) wait(at netip.AddrPort, p *peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting[at] = append(n.waiting[at], p)
}

// Dial is that of s2s.Host.
func (n *network) Dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	n.dials = append(n.dials, to)
	n.from[to] = append(n.from[to], from)
	var p *peer
	if list := n.waiting[to]; len(list) > 0 {
		p, n.waiting[to] = list[0], list[1:]
	}
	d, ok := n.doors[to]
	n.mu.Unlock()
	switch {
	case p != nil:
		return p.accept(), nil
	case !ok:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case d == nil:
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	return n.frail(d()), nil
}

// frail makes a connection that breaks where breaks says.
func (n *network) frail(c net.Conn) net.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.breaks == nil {
		return c
	}
	return &frail{Conn: n.overhear(c), left: n.breaks()}
}

// overhear notes what messages are written to a connection without TLS.
func (n *network) overhear(c net.Conn) net.Conn { return &overheard{Conn: c, n: n} }

type overheard struct {
	net.Conn
	n    *network
	tail []byte // not yet known what it is
}

var numbered = regexp.MustCompile(`<message [^>]*from='(\w+)@[^>]*id='(\d+)'`)

func (o *overheard) Write(b []byte) (int, error) {
	o.n.mu.Lock()
	o.tail = append(o.tail, b...)
	for m := numbered.FindSubmatchIndex(o.tail); m != nil; m = numbered.FindSubmatchIndex(o.tail) {
		sender := string(o.tail[m[2]:m[3]])
		id, _ := strconv.Atoi(string(o.tail[m[4]:m[5]]))
		o.n.written[sender] = append(o.n.written[sender], id)
		o.tail = o.tail[m[1]:]
	}
	o.n.mu.Unlock()
	return o.Conn.Write(b)
}

// overhearing is a listener whose side of connections that will break is overheard.
type overhearing struct {
	net.Listener
	n *network
}

func (l overhearing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if err != nil || l.n.breaks == nil {
		return c, err
	}
	return l.n.overhear(c), nil
}

// frail is a connection that breaks after so many bytes in both directions
// together, with what is on its way.
type frail struct {
	net.Conn

	mu   sync.Mutex
	left int
}

// pass returns how many of n bytes pass.
func (f *frail) pass(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n = min(n, f.left)
	f.left -= n
	return n
}

func (f *frail) Write(b []byte) (int, error) {
	n := f.pass(len(b))
	m, err := f.Conn.Write(b[:n])
	if n < len(b) {
		_ = f.Close()
	}
	if err == nil && n < len(b) {
		err = io.ErrClosedPipe
	}
	return m, err
}

func (f *frail) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if m := f.pass(n); m < n {
		_ = f.Close()
		return m, io.ErrUnexpectedEOF
	}
	return n, err
}

// LookupSRV is that of s2s.Resolver. It sorts by priority, as a net.Resolver
// does.
func (n *network) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	full := "_" + service + "._" + proto + "." + name
	n.lookups = append(n.lookups, "SRV "+full)
	if n.fails[name] {
		return "", nil, &net.DNSError{Err: "server misbehaving", Name: full, IsTemporary: true}
	}
	list := n.srv[service+" "+name]
	if proto != "tcp" || len(list) == 0 {
		return "", nil, &net.DNSError{Err: "no such host", Name: full, IsNotFound: true}
	}
	var records []*net.SRV
	for _, r := range list {
		c := *r
		records = append(records, &c)
	}
	slices.SortStableFunc(records, func(a, b *net.SRV) int { return cmp.Compare(a.Priority, b.Priority) })
	return full + ".", records, nil
}

// LookupNetIP is that of s2s.Resolver.
func (n *network) LookupNetIP(ctx context.Context, family, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	n.lookups = append(n.lookups, family+" "+host)
	if n.fails[host] {
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}
	var list []netip.Addr
	for _, a := range n.records[host] {
		if family == "ip" || a.Is4() == (family == "ip4") {
			list = append(list, a)
		}
	}
	if list == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return list, nil
}

// dialled returns to whom was tried to connect since it was called last.
func (n *network) dialled() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []string
	for _, d := range n.dials {
		list = append(list, d.String())
	}
	n.dials = nil
	return strings.Join(list, " ")
}

// command changes the network:
//
//	host two.example             has an address, where nobody listens
//	ip two.example 192.0.2.1     has this address, too
//	srv xmpp-server two.example 10 0 5269 host.two.example
//	hangs two.example            has an address that does not answer
//	fails two.example            lookups fail for the time being
//	mends two.example            and do so no more
func (n *network) command(words []string) (bool, error) {
	switch words[0] {
	case "host":
		n.address(words[1])
	case "ip":
		a, err := netip.ParseAddr(words[2])
		if err != nil {
			return true, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.records[words[1]] = append(n.records[words[1]], a)
	case "srv":
		r := &net.SRV{Target: words[6]}
		if _, err := fmt.Sscan(strings.Join(words[3:6], " "), &r.Priority, &r.Weight, &r.Port); err != nil {
			return true, err
		}
		if r.Target != "." {
			r.Target += "."
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		key := words[1] + " " + words[2]
		n.srv[key] = append(n.srv[key], r)
	case "hangs":
		n.open(n.where(words[1]), nil)
	case "fails", "mends":
		n.mu.Lock()
		defer n.mu.Unlock()
		n.fails[words[1]] = words[0] == "fails"
	default:
		return false, nil
	}
	return true, nil
}
