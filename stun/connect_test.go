package stun

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

var (
	tcp   = attr{stun.AttrRequestedTransport, []byte{6, 0, 0, 0}}
	peerA = netip.MustParseAddrPort("198.51.100.200:80")
)

func connectionID(t *testing.T, m *stun.Message) stun.Setter {
	t.Helper()
	v, err := m.Get(stun.AttrConnectionID)
	if err != nil || len(v) != 4 {
		t.Fatalf("CONNECTION-ID: got %x, %v", v, err)
	}
	return attr{stun.AttrConnectionID, v}
}

// connects has the relay connect to a peer, and returns the peer's end.
func (c *streamClient) connects(ln *listentest.Listener) (id stun.Setter, peerEnd net.Conn) {
	c.r.t.Helper()
	at := netip.MustParseAddrPort(ln.Addr().String())
	m := c.does(stun.MethodConnect, peer(at))
	c.r.wantSuccess(m)
	if err := c.key.Check(m); err != nil {
		c.r.t.Errorf("Connect: signature of the answer: %v", err)
	}
	conn, err := ln.Accept()
	if err != nil {
		c.r.t.Fatal(err)
	}
	return connectionID(c.r.t, m), conn
}

// bound returns both ends of a connection between a client and a peer.
func (c *streamClient) bound() (data *streamClient, peerEnd net.Conn) {
	c.r.t.Helper()
	id, conn := c.connects(c.r.tcp.listens(peerA))
	data = c.beside()
	c.r.wantSuccess(data.does(stun.MethodConnectionBind, id))
	return data, conn
}

// attempts has a peer connect to a relay.
func (r *streamRig) attempts(relay, from netip.AddrPort) net.Conn {
	r.tcp.mu.Lock()
	defer r.tcp.mu.Unlock()
	return r.tcp.listeners[relay].DialFrom(from)
}

// wantsAttempt returns the CONNECTION-ID of the indication that has come.
func (c *streamClient) wantsAttempt(from netip.AddrPort) stun.Setter {
	c.r.t.Helper()
	m := &stun.Message{Raw: c.reads()}
	if err := m.Decode(); err != nil || m.Type != stun.NewType(stun.MethodConnectionAttempt, stun.ClassIndication) {
		c.r.t.Fatalf("got %v (%v), want a ConnectionAttempt indication", m, err)
	}
	if got := address(c.r.t, m, stun.AttrXORPeerAddress); got != from {
		c.r.t.Errorf("ConnectionAttempt: got peer %v, want %v", got, from)
	}
	return connectionID(c.r.t, m)
}

func TestAllocateTCP(t *testing.T) {
	dontFragment := attr{stun.AttrDontFragment, nil}
	token := attr{stun.AttrReservationToken, make([]byte, 8)}
	tests := []struct {
		name  string
		attrs []stun.Setter
		want  int
	}{
		{"as it is", nil, 0},
		{"IPv6", []stun.Setter{wantIPv6}, 0},
		{"both families", []stun.Setter{alsoIPv6}, 0},
		{"EVEN-PORT", []stun.Setter{evenPort}, 400},
		{"RESERVATION-TOKEN", []stun.Setter{token}, 400},
		{"DONT-FRAGMENT", []stun.Setter{dontFragment}, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onStreams(t, turnOptions(), func(r *streamRig) {
				m := r.stream().does(stun.MethodAllocate, append([]stun.Setter{tcp}, tt.attrs...)...)
				r.wantError(m, tt.want)
			})
		})
	}
	t.Run("by datagrams", func(t *testing.T) {
		onStreams(t, turnOptions(), func(r *streamRig) {
			r.wantError(r.client().does(stun.MethodAllocate, tcp), 400)
			r.wantError(r.client().does(stun.MethodConnect, peer(peerA)), 437)
			id := attr{stun.AttrConnectionID, []byte{1, 2, 3, 4}}
			r.wantError(r.client().does(stun.MethodConnectionBind, id), 400)
		})
	})
}

// What is of UDP has no use in an allocation of TCP, and the other way round.
func TestAllocationKinds(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c, p := r.stream(), r.peer(peerA.String())
		c.allocates(tcp)
		c.permits(peerA)
		r.wantError(c.does(stun.MethodChannelBind, attr{stun.AttrChannelNumber, []byte{0x40, 0, 0, 0}}, peer(peerA)), 403)
		c.sends(c.builds(stun.MethodSend, stun.ClassIndication, peer(peerA), attr{stun.AttrData, []byte("x")}).Raw)
		p.wantsNothing()
		c = r.stream()
		c.allocates(udp)
		r.wantError(c.does(stun.MethodConnect, peer(peerA)), 403)
	})
}

func TestConnect(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		c.allocates(tcp)
		data, p := c.bound()
		data.sends([]byte("to the peer"))
		wants(t, "peer", p, "to the peer")
		_, _ = p.Write([]byte("to the client"))
		wants(t, "client", data.c, "to the client")
		request := string(c.builds(stun.MethodBinding, stun.ClassRequest).Raw)
		data.sends([]byte(request)) // means nothing here
		wants(t, "peer", p, request)

		_ = data.c.(*listentest.Conn).CloseWrite()
		wantsEOF(t, "peer", p)
		_, _ = p.Write([]byte("last words"))
		wants(t, "client", data.c, "last words")
		_ = p.Close()
		wantsEOF(t, "client", data.c)
		r.wantSuccess(c.does(stun.MethodConnect, peer(peerA))) // there is no such connection any more
	})
}

// When one side has ended, the other ends unless it sends something.
func TestDataHalfOpen(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		c.allocates(tcp)
		data, p := c.bound()
		time.Sleep(5 * time.Minute) // while both are there, they may be silent
		_ = p.(*listentest.Conn).CloseWrite()
		wantsEOF(t, "client", data.c)
		for range 5 {
			time.Sleep(idleLimit - time.Second)
			data.sends([]byte("more"))
			wants(t, "peer", p, "more")
		}
		r.wantSuccess(c.does(stun.MethodRefresh))
		time.Sleep(2 * idleLimit)
		wantsEOF(t, "peer", p)
	})
}

var connectRefusals = []struct {
	name string
	do   func(r *streamRig, c *streamClient) *stun.Message
	want int
}{
	{"no peer", func(r *streamRig, c *streamClient) *stun.Message { return c.does(stun.MethodConnect) }, 400},
	{"port 0", func(r *streamRig, c *streamClient) *stun.Message {
		return c.does(stun.MethodConnect, peer(netip.AddrPortFrom(peerA.Addr(), 0)))
	}, 400},
	{"no allocation", func(r *streamRig, c *streamClient) *stun.Message {
		return r.stream().does(stun.MethodConnect, peer(peerA))
	}, 437},
	{"another user", func(r *streamRig, c *streamClient) *stun.Message {
		c.user, c.nonce = "bob", ""
		return c.does(stun.MethodConnect, peer(peerA))
	}, 441},
	{"another family", func(r *streamRig, c *streamClient) *stun.Message {
		return c.does(stun.MethodConnect, peer(netip.MustParseAddrPort("[2001:4860::1]:80")))
	}, 443},
	{"loopback", func(r *streamRig, c *streamClient) *stun.Message {
		return c.does(stun.MethodConnect, peer(netip.MustParseAddrPort("127.0.0.1:80")))
	}, 403},
	{"private", func(r *streamRig, c *streamClient) *stun.Message {
		return c.does(stun.MethodConnect, peer(netip.MustParseAddrPort("10.0.0.1:80")))
	}, 403},
	{"itself", func(r *streamRig, c *streamClient) *stun.Message {
		return c.does(stun.MethodConnect, peer(netip.AddrPortFrom(relay4, 50001)))
	}, 403},
	{"nobody listens", func(r *streamRig, c *streamClient) *stun.Message {
		return c.does(stun.MethodConnect, peer(netip.AddrPortFrom(peerA.Addr(), 81)))
	}, 447},
	{"twice", func(r *streamRig, c *streamClient) *stun.Message {
		c.connects(r.tcp.listens(peerA))
		return c.does(stun.MethodConnect, peer(peerA))
	}, 446},
	{"twice, bound", func(r *streamRig, c *streamClient) *stun.Message {
		c.bound()
		return c.does(stun.MethodConnect, peer(peerA))
	}, 446},
	{"twice, called", func(r *streamRig, c *streamClient) *stun.Message {
		c.permits(peerA)
		r.attempts(netip.AddrPortFrom(relay4, 50001), peerA)
		c.wantsAttempt(peerA)
		return c.does(stun.MethodConnect, peer(peerA))
	}, 446},
	{"too many", func(r *streamRig, c *streamClient) *stun.Message {
		for i := range uint16(maxPeerConns) {
			c.connects(r.tcp.listens(netip.AddrPortFrom(peerA.Addr(), 1000+i)))
		}
		return c.does(stun.MethodConnect, peer(peerA))
	}, 508},
}

func TestConnectRefused(t *testing.T) {
	for _, tt := range connectRefusals {
		t.Run(tt.name, func(t *testing.T) {
			onStreams(t, turnOptions(), func(r *streamRig) {
				c := r.stream()
				if got := c.allocates(tcp); got != netip.AddrPortFrom(relay4, 50001) {
					t.Fatalf("got relay %v", got)
				}
				r.wantError(tt.do(r, c), tt.want)
			})
		})
	}
}

// Somebody who does not answer is waited for, and the client is served meanwhile.
func TestConnectTimeout(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		c.allocates(tcp)
		r.tcp.peers[peerA] = nil
		m := c.signs(stun.MethodConnect, peer(peerA))
		if got := c.exchange(m); got != nil {
			t.Fatalf("got %v at once, want nothing", got)
		}
		r.wantError(c.does(stun.MethodConnect, peer(peerA)), 446)
		r.wantSuccess(c.asks(stun.MethodBinding))
		time.Sleep(connectTimeout)
		r.wantError(parse(t, c.reads(), m.TransactionID), 447)

		c.sends(c.signs(stun.MethodConnect, peer(peerA)).Raw)
		synctest.Wait()
		_ = c.c.Close() // nobody waits for the end of the attempt
		synctest.Wait()
		if n := r.srv.Stats().Allocations; n != 0 {
			t.Errorf("got %d allocations, want none", n)
		}
	})
}

func TestConnectionBindTimeout(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		relay := c.allocates(tcp)
		c.permits(peerA)
		id, called := c.connects(r.tcp.listens(netip.AddrPortFrom(peerA.Addr(), 81)))
		calling := r.attempts(relay, peerA)
		c.wantsAttempt(peerA)
		time.Sleep(bindTimeout - time.Second)
		wants(t, "called peer", called, "")
		wants(t, "calling peer", calling, "")
		time.Sleep(time.Second + 1)
		wantsEOF(t, "called peer", called)
		wantsEOF(t, "calling peer", calling)
		r.wantError(c.beside().does(stun.MethodConnectionBind, id), 400)
	})
}

func TestConnectionBind(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		c.allocates(tcp)
		id, p := c.connects(r.tcp.listens(peerA))
		r.wantError(c.does(stun.MethodConnectionBind, id), 400) // the control connection
		r.wantError(c.beside().does(stun.MethodConnectionBind), 400)
		r.wantError(c.beside().does(stun.MethodConnectionBind, attr{stun.AttrConnectionID, []byte{1, 2}}), 400)
		r.wantError(c.beside().asks(stun.MethodConnectionBind, id), 401)
		bob := r.stream()
		bob.user = "bob"
		r.wantError(bob.does(stun.MethodConnectionBind, id), 400)

		_, _ = p.Write([]byte("early"))
		d := c.beside()
		m := d.signs(stun.MethodConnectionBind, id)
		d.sends(append(m.Raw, "hasty"...)) // does not wait for the answer
		r.wantSuccess(parse(t, d.reads(), m.TransactionID))
		if got := string(d.unread); got != "early" {
			t.Errorf("client got %q, want %q", got, "early")
		}
		wants(t, "peer", p, "hasty")
		r.wantError(c.beside().does(stun.MethodConnectionBind, id), 400) // it is bound
		time.Sleep(bindTimeout + idleLimit)
		d.sends([]byte("still"))
		wants(t, "peer", p, "still")
	})
}

// Without credentials only an address tells who may bind a connection.
func TestConnectionBindAnonymous(t *testing.T) {
	o := turnOptions()
	o.AuthType = AuthAnonymous
	onStreams(t, o, func(r *streamRig) {
		c := r.stream()
		r.wantSuccess(c.asks(stun.MethodAllocate, tcp))
		r.tcp.listens(peerA)
		m := c.asks(stun.MethodConnect, peer(peerA))
		r.wantSuccess(m)
		id := connectionID(t, m)
		other := r.on(r.ln.DialFrom(netip.MustParseAddrPort("198.51.100.99:1000")))
		r.wantError(other.asks(stun.MethodConnectionBind, id), 400)
		r.wantSuccess(r.stream().asks(stun.MethodConnectionBind, id))
	})
}

func TestConnectionAttempt(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		relay := c.allocates(tcp)
		wantsEOF(t, "peer without permission", r.attempts(relay, peerA))
		if b := c.reads(); b != nil {
			t.Errorf("client got %x, want nothing", b)
		}
		c.permits(peerA)
		seen := make(map[string]bool)
		for i := range uint16(maxPeerConns) {
			from := netip.AddrPortFrom(peerA.Addr(), 1000+i)
			p := r.attempts(relay, from)
			id := c.wantsAttempt(from)
			seen[string(id.(attr).v)] = true
			if i > 0 {
				continue
			}
			d := c.beside()
			r.wantSuccess(d.does(stun.MethodConnectionBind, id))
			d.sends([]byte("hello"))
			wants(t, "peer", p, "hello")
		}
		if len(seen) != maxPeerConns {
			t.Errorf("got %d identifiers, want %d", len(seen), maxPeerConns)
		}
		wantsEOF(t, "peer that is one too many", r.attempts(relay, peerA))
	})
}

// The connections end with the allocation, however that ends.
func TestDataEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(r *streamRig, c *streamClient)
	}{
		{"refresh", func(r *streamRig, c *streamClient) { r.wantSuccess(c.does(stun.MethodRefresh, seconds(0))) }},
		{"expiry", func(r *streamRig, c *streamClient) { time.Sleep(defaultLifetime + 1) }},
		{"end of the control connection", func(r *streamRig, c *streamClient) { _ = c.c.Close() }},
		{"peers that are no longer allowed", func(r *streamRig, c *streamClient) {
			o := turnOptions()
			o.Blacklist = []netip.Prefix{netip.PrefixFrom(peerA.Addr(), 32)}
			if err := r.srv.Update(r.ln.Addr(), o); err != nil {
				r.t.Error(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onStreams(t, turnOptions(), func(r *streamRig) {
				c := r.stream()
				c.allocates(tcp)
				data, p := c.bound()
				tt.end(r, c)
				wantsEOF(t, "peer", p)
				data.wantsEnd(true)
			})
		})
	}
}

// The two relays of one server reach one another, though nothing else there is to be
// reached.
func TestConnectRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newStreamRig(t, turnOptions(), nil)
		r.relays.v4 = netip.MustParseAddr("10.1.2.3")
		a, b := r.stream(), r.stream()
		a.allocates(tcp)
		at := b.allocates(tcp)
		r.tcp.mu.Lock()
		r.tcp.peers[at] = r.tcp.listeners[at]
		r.tcp.mu.Unlock()
		r.wantSuccess(a.does(stun.MethodConnect, peer(at)))
		r.end()
	})
}

func TestDataRate(t *testing.T) {
	o := turnOptions()
	o.AllocationRate = 10000
	onStreams(t, o, func(r *streamRig) {
		c := r.stream()
		c.allocates(tcp)
		data, p := c.bound()
		start := time.Now()
		data.sends([]byte(strings.Repeat("x", 50000)))
		_ = data.c.(*listentest.Conn).CloseWrite()
		_ = p.SetReadDeadline(time.Now().Add(time.Minute))
		got, b := 0, make([]byte, 65536)
		for {
			n, err := p.Read(b)
			if got += n; err != nil {
				break
			}
		}
		if d := time.Since(start); got != 50000 || d < 3*time.Second || d > 6*time.Second {
			t.Errorf("got %d bytes in %v, want 50000 in about 4 s", got, d)
		}
	})
}

// A side that goes on sending is heard to its end, however slowly that is passed on.
func TestDataHalfOpenRate(t *testing.T) {
	o := turnOptions()
	o.AllocationRate = 10000
	onStreams(t, o, func(r *streamRig) {
		c := r.stream()
		c.allocates(tcp)
		data, p := c.bound()
		_ = data.c.(*listentest.Conn).CloseWrite()
		wantsEOF(t, "peer", p)
		const n = 1000000
		go func() {
			_, _ = p.Write([]byte(strings.Repeat("x", n)))
			_ = p.Close()
		}()
		_ = data.c.SetReadDeadline(time.Now().Add(5 * time.Minute))
		if got, err := io.Copy(io.Discard, data.c); got != n || err != nil {
			t.Errorf("client got %d bytes (%v), want %d", got, err, n)
		}
	})
}

// Short connections are no way around the rate.
func TestDataRateShort(t *testing.T) {
	o := turnOptions()
	o.AllocationRate = 10000
	onStreams(t, o, func(r *streamRig) {
		c := r.stream()
		c.allocates(tcp)
		ln := r.tcp.listens(peerA)
		start, got := time.Now(), 0
		for range 100 {
			id, p := c.connects(ln)
			d := c.beside()
			d.sends(d.signs(stun.MethodConnectionBind, id).Raw)
			d.sends([]byte(strings.Repeat("x", 900)))
			_ = d.c.(*listentest.Conn).CloseWrite()
			_ = p.SetReadDeadline(time.Now().Add(time.Minute))
			n, _ := io.Copy(io.Discard, p)
			got += int(n)
			_ = p.Close()
			_, _ = io.Copy(io.Discard, d.c)
			synctest.Wait()
		}
		if d := time.Since(start); got != 90000 || d < 7*time.Second {
			t.Errorf("got %d bytes in %v, want 90000 in about 8 s", got, d)
		}
	})
}

// A listener does not wait for peers of connections whose allocation is another's.
func TestDataEndsWithItsListener(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		c := r.stream()
		c.allocates(tcp)
		id, p := c.connects(r.tcp.listens(peerA))
		ctx, stop := context.WithCancel(r.t.Context())
		ln, done := listentest.NewListenerAt(netip.MustParseAddrPort("192.0.2.1:5349")), make(chan error, 1)
		go func() { done <- r.srv.Listen(ctx, ln, turnOptions()) }()
		d := c.beside()
		d.c = ln.Dial()
		r.wantSuccess(d.does(stun.MethodConnectionBind, id))
		_ = d.c.(*listentest.Conn).CloseWrite()
		wantsEOF(t, "peer", p)
		start := time.Now()
		stop()
		<-done
		if d := time.Since(start); d > time.Second {
			t.Errorf("Listen took %v to end", d)
		}
		wantsEOF(t, "peer", p)
	})
}

// Options that change while the account is looked up count.
func TestUpdateDuringLookupOfStream(t *testing.T) {
	for _, method := range []stun.Method{stun.MethodConnect, stun.MethodCreatePermission} {
		t.Run(method.String(), func(t *testing.T) {
			onStreams(t, turnOptions(), func(r *streamRig) {
				c := r.stream()
				c.allocates(tcp, seconds(3600))
				r.tcp.listens(peerA)
				time.Sleep(keyLife)
				r.wantError(c.exchange(c.signs(method, peer(peerA))), 438)
				c.nonce = ""
				m := c.signs(method, peer(peerA))
				release := make(chan struct{})
				r.accounts.mu.Lock()
				r.accounts.hold = func(context.Context) error { <-release; return nil }
				r.accounts.mu.Unlock()
				c.sends(m.Raw)
				synctest.Wait()
				o := turnOptions()
				o.Blacklist = []netip.Prefix{netip.PrefixFrom(peerA.Addr(), 32)}
				if err := r.srv.Update(r.ln.Addr(), o); err != nil {
					t.Fatal(err)
				}
				close(release)
				r.wantError(parse(t, c.reads(), m.TransactionID), 403)
			})
		})
	}
}

// What panics in the host leaves the quota of the client as it was.
func TestAllocateTCPPanic(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		r.srv.h.Relays = panicking{r.tcp}
		r.wantError(r.stream().does(stun.MethodAllocate, tcp), 508)
	})
}

type panicking struct{ *fakeStreamRelays }

func (panicking) AllocateListener(string, int) (net.Listener, net.Addr, error) { panic("ouch") }

// A relay ends though its listener does not say that it is closed.
func TestRelayListenerError(t *testing.T) {
	onStreams(t, turnOptions(), func(r *streamRig) {
		r.srv.h.Relays = odd{r.tcp}
		c := r.stream()
		c.allocates(tcp)
		_ = c.c.Close()
		r.stop(errEnd)
		select {
		case err := <-r.listen:
			r.listen <- err
		case <-time.After(time.Minute):
			t.Fatal("Listen does not end")
		}
	})
}

type odd struct{ *fakeStreamRelays }

func (o odd) AllocateListener(network string, port int) (net.Listener, net.Addr, error) {
	ln, at, err := o.fakeStreamRelays.AllocateListener(network, port)
	return oddListener{ln}, at, err
}

type oddListener struct{ net.Listener }

func (l oddListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, errors.New("use of closed something")
	}
	return c, nil
}
