package s2s

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// One host with a certificate for *.evil.test, or with such a name in the DNS, opens
// 40 of the 1000 streams that its address may have, in both directions, and proves
// 256 names on each. Others can still be written to.
func TestAdoptedLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		var releases []func()
		for i := range 40 {
			out := xmppstream.NewOutbox(&xmppstream.OutboxOptions{}, nil)
			for k := range maxPairs {
				if release, ok := r.srv.out.adopt(pair{"here.test", fmt.Sprintf("s%d-%d.evil.test", i, k)}, out); ok {
					releases = append(releases, release)
				}
			}
		}
		r.send("1")
		synctest.Wait()
		for _, st := range r.routed() {
			t.Errorf("got back %v, want it to be sent: %d links are adopted", st, len(releases))
		}
		for _, release := range releases {
			release()
		}
	})
}

// Two addresses of one customer ask for keys of domains whose DNS does not answer.
// Another server can still be verified.
func TestVerifyStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := inNewHost()
		dns := &bothHang{}
		s := New(Host{Domains: f, Router: f, Resolver: dns, Dial: func(ctx context.Context, _ netip.Addr, _ netip.AddrPort) (net.Conn, error) {
			return nil, errors.New("refused")
		}})
		ln := listentest.NewListener()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Listen(ctx, ln, Defaults()) }()
		dial := func(addr string, n uint16) *inPeer {
			c := &inPeer{t: t}
			c.use(ln.DialFrom(netip.AddrPortFrom(netip.MustParseAddr(addr), n)))
			return c
		}
		var all []*inPeer
		for a := range 2 { // of 2^64 addresses
			for i := range 2 {
				c := dial(fmt.Sprintf("2001:db8::%d", a+1), uint16(1000+i))
				all = append(all, c)
				c.open("evil.test", "one.test")
				for k := range maxPending {
					c.Send(inResult(fmt.Sprintf("h%d-%d-%d.evil.test", a, i, k), "one.test", "x"))
				}
			}
		}
		time.Sleep(time.Second)
		good := dial("198.51.100.7", 1)
		good.open("good.test", "one.test")
		good.Send(inResult("good.test", "one.test", "key"))
		got := good.ExpectMatch(`<db:result [^>]*type='error'.*?</db:result>`)[0]
		if strings.Contains(got, "resource-constraint") {
			t.Errorf("got %s for a server that has asked for one key, want its key to be looked at", got)
		}
		for _, c := range append(all, good) {
			c.Close()
		}
		cancel(errors.New("end"))
		<-done
		c, stop := context.WithCancel(context.Background())
		stop()
		_ = s.Shutdown(c)
	})
}

// bothHang is a DNS that does not know good.test, and does not answer for others.
type bothHang struct{}

func (bothHang) LookupSRV(ctx context.Context, _, _, name string) (string, []*net.SRV, error) {
	if !strings.HasSuffix(name, "good.test") {
		<-ctx.Done()
		return "", nil, &net.DNSError{Err: "timeout", IsTimeout: true}
	}
	return "", nil, errOutNone
}

func (bothHang) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errOutNone
}

// A component takes a domain that another server had proved before: from then on the
// domain is ours, and nobody else speaks for it.
func TestDomainBecomesOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t)
		c := r.dialback("rooms.one.test", "one.test")
		c.Send(inMessage("a@rooms.one.test", "b@one.test", "before"))
		r.routes("before")
		r.fake.mu.Lock()
		r.fake.domains = append(r.fake.domains, "rooms.one.test")
		r.fake.mu.Unlock()
		c.Send(inMessage("a@rooms.one.test", "b@one.test", "after"))
		synctest.Wait()
		r.routesNothing()
		c.Close()
	})
}

// Stanzas that wait for a stream of our own do not come back because the remote
// server opens one for both directions meanwhile, whose queue is shorter.
func TestAdoptReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		for i := range 50 {
			r.send(fmt.Sprint(i))
		}
		p := r.peer()                                                            // says nothing
		out := xmppstream.NewOutbox(&xmppstream.OutboxOptions{Stanzas: 10}, nil) // max_fsm_queue of the listener
		release, ok := r.srv.out.adopt(pair{"here.test", "there.test"}, out)
		synctest.Wait()
		if n := len(r.routed()); n > 0 {
			t.Errorf("%d of 50 stanzas came back, want 0: adopted %t", n, ok)
		}
		if ok {
			out.Drain(nil)
			release()
		}
		p.Close()
	})
}

// A domain that Settings.Access denies from now on cannot go on with a stream that
// it has: not send, not be sent to.
func TestAccessWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t)
		c := r.dialback("peer.test", "one.test")
		r.set.Access = stanza.PerHost[acl.Access]{Value: acl.None}
		r.server.Configure(r.set)
		c.Send(inMessage("a@peer.test", "b@one.test", "after"))
		synctest.Wait()
		r.routesNothing()
		c.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		p := r.peer().open(outDialback).dialback()
		p.messages(1)
		r.set.Access = stanza.PerHost[acl.Access]{Value: acl.None}
		r.srv.Configure(r.set)
		r.send("2")
		r.returned(stanza.Forbidden, "", "2")
		p.Close()
	})
}

// One key of a server that is nobody yet makes us connect to few addresses, which
// its DNS chooses.
func TestAmplification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, func(r *outRig) {
			for i := range maxTargets {
				host := fmt.Sprintf("h%d.evil.test", i)
				r.dns.srv["_xmpp-server._tcp.evil.test"] = append(r.dns.srv["_xmpp-server._tcp.evil.test"], &net.SRV{Target: host, Port: 443, Priority: uint16(i)})
				for k := range maxAddresses {
					r.dns.addrs[host] = append(r.dns.addrs[host], netip.AddrFrom4([4]byte{203, 0, 113, byte(i*maxAddresses + k)}))
				}
			}
		})
		dials := 0
		r.onDial = func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			dials++
			ours, theirs := net.Pipe()
			go func() { // a web server of somebody else
				_, _ = theirs.Read(make([]byte, 4096))
				_ = theirs.Close()
			}()
			return ours, nil
		}
		err := r.srv.out.verify(t.Context(), pair{"here.test", "evil.test"}, "id", "key")
		r.mu.Lock()
		defer r.mu.Unlock()
		if dials > 8 {
			t.Errorf("one key of 100 bytes: %d connections (%v), want at most 8", dials, err)
		}
	})
}

// A user who writes to any number of servers that do not answer leaves room for
// others, and for himself once they have not.
func TestOpeningsOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, func(r *outRig) {
			for i := range maxOpenings + 2 {
				r.dns.addrs[fmt.Sprintf("s%d.test", i)] = []netip.Addr{netip.MustParseAddr("192.0.2.9")}
			}
			r.onDial = func(ctx context.Context, _ netip.Addr, _ netip.AddrPort) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		for i := range maxOpenings {
			r.sendTo(fmt.Sprintf("x@s%d.test", i), "1")
		}
		r.sendTo(fmt.Sprintf("x@s%d.test", maxOpenings), "more")
		r.returned(stanza.ResourceConstraint, "too many other servers", "more")
		r.put(fmt.Sprintf("<message from='other@here.test/r' to='x@s%d.test' id='2'><body>x</body></message>", maxOpenings))
		synctest.Wait()
		if back := r.routed(); len(back) != 0 {
			t.Errorf("got back %v, want nothing so soon", back[0])
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(r.routed()); n != maxOpenings+1 {
			t.Errorf("got %d stanzas back in the end, want %d", n, maxOpenings+1)
		}
		if n := len(r.srv.out.openings.of); n != 0 {
			t.Errorf("%d senders count in the end, want none", n)
		}
	})
}
