package s2s

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// Whatever the DNS says about a domain, no more of it is used.
const (
	maxTargets   = 16
	maxAddresses = 8 // of each target
	maxRecords   = 1000
)

// errNoServer says that there is no server for a domain.
var errNoServer = errors.New("domain has no XMPP server")

// target is where a server of a domain may be found.
type target struct {
	host   string
	addr   netip.Addr // in place of host, for a domain that is an address
	port   uint16
	direct bool // TLS comes before XMPP (XEP-0368)
}

// lookup looks up servers for one local domain.
type lookup struct {
	resolver Resolver
	timeout  time.Duration // of one lookup; 0: none
	retries  int
	families []string
	port     uint16          // without SRV records
	direct   bool            // XEP-0368 is used
	random   func(n int) int // in [0, n)
}

// targets returns where to connect for a domain, in the order in which it is to
// be tried. The error is errNoServer, or one of the DNS.
// See RFC 6120, section 3.2, and XEP-0368, section 3.
func (l *lookup) targets(ctx context.Context, domain string) ([]target, error) {
	if ip, err := netip.ParseAddr(strings.Trim(domain, "[]")); err == nil {
		return []target{{addr: ip, port: l.port}}, nil
	}
	name := certs.ASCIIName(domain)
	if !isDNSName(name) {
		return nil, errNoServer
	}
	var plain, direct services
	var both sync.WaitGroup
	if l.direct {
		both.Go(func() { direct = l.services(ctx, "xmpps-server", name) })
	}
	both.Go(func() { plain = l.services(ctx, "xmpp-server", name) })
	both.Wait()

	records := slices.Concat(direct.records, plain.records)
	for i := range direct.records {
		records[i].direct = true
	}
	switch err := cmp.Or(plain.err, direct.err); {
	case len(records) > 0:
		return order(records, l.random), nil
	case plain.refused || direct.refused:
		return nil, errNoServer
	case err != nil:
		return nil, err
	}
	return []target{{host: name, port: l.port}}, nil
}

// isDNSName reports whether there can be such a name in the DNS.
func isDNSName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// services is what the DNS says about one service of a domain.
type services struct {
	records []record
	refused bool  // it is decidedly not available
	err     error // there may be records, but they could not be had
}

// record is one SRV record.
type record struct {
	target
	priority, weight uint16
}

func (l *lookup) services(ctx context.Context, service, name string) (found services) {
	list, err := retry(ctx, l, func(ctx context.Context) ([]*net.SRV, error) {
		_, list, err := l.resolver.LookupSRV(ctx, service, "tcp", name)
		if len(list) > 0 { // the valid ones of several
			err = nil
		}
		return list, err
	})
	if err != nil && !isNotFound(err) {
		found.err = err
	}
	for _, r := range list[:min(len(list), maxRecords)] {
		if r == nil {
			continue
		}
		host := strings.TrimSuffix(r.Target, ".")
		if host == "" { // RFC 2782, "Target"; its port says nothing
			found.refused = true
			continue
		}
		if r.Port == 0 {
			continue
		}
		found.records = append(found.records, record{target{host: host, port: r.Port}, r.Priority, r.Weight})
	}
	return found
}

// order returns the targets of records in the order of RFC 2782, "The format of
// the SRV RR", each once.
func order(records []record, random func(n int) int) []target {
	// Those without weight come first, so that they have a small chance.
	slices.SortStableFunc(records, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.weight, b.weight))
	})
	var list []target
	for len(records) > 0 && len(list) < maxTargets {
		same, sum := 0, 0
		for same < len(records) && records[same].priority == records[0].priority {
			sum += int(records[same].weight)
			same++
		}
		at := random(sum + 1)
		chosen := 0
		for at -= int(records[0].weight); at > 0 && chosen < same-1; at -= int(records[chosen].weight) {
			chosen++
		}
		if t := records[chosen].target; !slices.Contains(list, t) {
			list = append(list, t)
		}
		records = slices.Delete(records, chosen, chosen+1)
	}
	return list
}

// addresses returns the addresses of a target, by family in the order of the
// option.
func (l *lookup) addresses(ctx context.Context, t target) ([]netip.AddrPort, error) {
	if t.addr.IsValid() {
		return []netip.AddrPort{netip.AddrPortFrom(t.addr, t.port)}, nil
	}
	found := make([][]netip.Addr, len(l.families))
	errs := make([]error, len(l.families))
	var all sync.WaitGroup
	for i, family := range l.families {
		all.Go(func() {
			network := "ip" + strings.TrimPrefix(family, "ipv")
			found[i], errs[i] = retry(ctx, l, func(ctx context.Context) ([]netip.Addr, error) {
				return l.resolver.LookupNetIP(ctx, network, t.host)
			})
		})
	}
	all.Wait()
	var list []netip.AddrPort
	for _, a := range fewOfEach(found) {
		list = append(list, netip.AddrPortFrom(a, t.port))
	}
	if len(list) > 0 {
		return list, nil
	}
	for _, err := range errs {
		if err != nil && !isNotFound(err) {
			return nil, err
		}
	}
	return nil, errNoServer
}

// fewOfEach returns at most maxAddresses of several families. None takes the
// place of another one's last.
func fewOfEach(families [][]netip.Addr) []netip.Addr {
	var list []netip.Addr
	left := len(families)
	for _, addrs := range families {
		left--
		room := maxAddresses - len(list) - left
		for _, a := range addrs[:min(len(addrs), maxRecords)] {
			if a = a.Unmap(); room > 0 && a.IsValid() && !slices.Contains(list, a) {
				list = append(list, a)
				room--
			}
		}
	}
	return list
}

// retry asks the DNS until it answers, as often and as long as the options say.
func retry[T any](ctx context.Context, l *lookup, ask func(context.Context) (T, error)) (T, error) {
	for left := l.retries; ; left-- {
		answer, err := once(ctx, l.timeout, ask)
		if err == nil || isNotFound(err) || left <= 0 || ctx.Err() != nil {
			return answer, err
		}
	}
}

func once[T any](ctx context.Context, timeout time.Duration, ask func(context.Context) (T, error)) (T, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return ask(ctx)
}

// isNotFound reports whether the DNS has said that there is nothing.
func isNotFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// absolute is a resolver of the system for names of the DNS: it does not look for
// them in the domains of the system.
type absolute struct{ *net.Resolver }

// resolver returns what looks names up for h.
func (h *Host) resolver() Resolver {
	if h.Resolver == nil {
		return absolute{net.DefaultResolver}
	}
	if r, ok := h.Resolver.(*net.Resolver); ok {
		return absolute{r}
	}
	return h.Resolver
}

// LookupSRV implements Resolver.
func (a absolute) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	return a.Resolver.LookupSRV(ctx, service, proto, name+".")
}

// LookupNetIP implements Resolver. A name without a dot may be one that only the
// system knows.
func (a absolute) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if strings.Contains(host, ".") {
		host += "."
	}
	return a.Resolver.LookupNetIP(ctx, network, host)
}
