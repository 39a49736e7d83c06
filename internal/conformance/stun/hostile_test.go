package stunconformance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/stun"
)

// bound is how large the answer to a request without credentials may be.
func bound(request int) int { return max(3*request, 256) }

// stranger is a row about the size of the answer to a datagram from anybody.
func stranger(name string, set func(*setup), datagram func(c *client) []byte) row {
	return row{name, set, func(w *world) {
		c := w.client()
		b := datagram(c)
		c.write(b)
		got := c.next()
		if len(got) > bound(len(b)) {
			w.t.Errorf("got %d bytes for %d, want at most %d", len(got), len(b), bound(len(b)))
		}
		w.t.Logf("%d bytes for %d", len(got), len(b))
		c.expectNothing()
	}}
}

func longNames(s *setup) {
	s.options.ServerName = strings.Repeat("x", 127)
	s.options.AuthRealm = strings.Repeat("r", 63) + ".example.org"
}

// manyUnknown is a request with many unknown attributes.
func manyUnknown(method uint16, n int) []byte {
	var attrs []attr
	for i := range n {
		attrs = append(attrs, text(0x4000+uint16(i)%0x3F00, ""))
	}
	return newMessage(method, request, attrs...).bytes()
}

var amplificationRows = []row{
	stranger("Binding", nil, func(*client) []byte { return bindingRequest() }),
	stranger("Allocate", nil, func(*client) []byte { return newMessage(allocate, request, udp).bytes() }),
	stranger("Allocate without anything", nil, func(*client) []byte { return newMessage(allocate, request).bytes() }),
	stranger("Refresh", nil, func(*client) []byte { return newMessage(refresh, request).bytes() }),
	stranger("CreatePermission", nil, func(*client) []byte { return newMessage(createPermission, request).bytes() }),
	stranger("ChannelBind", nil, func(*client) []byte { return newMessage(channelBind, request).bytes() }),
	stranger("a method that nobody has", nil, func(*client) []byte { return newMessage(0x0FE, request).bytes() }),
	stranger("Allocate, with long names", longNames, func(*client) []byte { return newMessage(allocate, request, udp).bytes() }),
	stranger("Allocate without TURN", stunOnly, func(*client) []byte { return newMessage(allocate, request, udp).bytes() }),
	stranger("Allocate, with somewhere else to go", alternate4, func(*client) []byte { return newMessage(allocate, request, udp).bytes() }),
	stranger("an invented nonce", nil, func(*client) []byte {
		return credentials{user: "a", realm: "b", nonce: "c", sha1: true}.sign(newMessage(allocate, request, udp))
	}),
	stranger("one unknown attribute", nil, func(*client) []byte { return manyUnknown(binding, 1) }),
	stranger("a hundred unknown attributes", nil, func(*client) []byte { return manyUnknown(binding, 100) }),
	stranger("ten thousand unknown attributes", nil, func(*client) []byte { return manyUnknown(binding, 10000) }),
	stranger("ten thousand unknown attributes of Allocate", nil, func(*client) []byte { return manyUnknown(allocate, 10000) }),
	stranger("one unknown attribute ten thousand times", nil, func(*client) []byte {
		return newMessage(binding, request, make([]attr, 10000)...).bytes()
	}),
	stranger("an RFC 3489 client", nil, func(*client) []byte { return classic(binding) }),
}

// TestAmplification is about answers to those who may not be who they say.
func TestAmplification(t *testing.T) { play(t, amplificationRows) }

// TestAttributeListFitsADatagram is about a 420 that has to arrive.
func TestAttributeListFitsADatagram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newWorld(t, nil).client()
		if m := c.exchange(manyUnknown(binding, 10000)); m == nil || m.code() != 420 || !m.has(atUnknown) {
			t.Errorf("got %v, want 420", m)
		}
	})
}

// requests are one of each kind, well made.
func (c *client) requests() [][]byte {
	p := peerAddress(peerB)
	var all [][]byte
	for _, m := range []*message{
		newMessage(allocate, request, udp, lifetime(700), evenPort(0), family(1)),
		newMessage(refresh, request, lifetime(700), family(1)),
		newMessage(createPermission, request, p, peerAddress(peer6)),
		newMessage(channelBind, request, channel(0x4001), p),
		newMessage(connect, request, p),
		newMessage(connectionBind, request, attr{typ: atConnectionID, val: []byte{0, 0, 0, 1}}),
	} {
		all = append(all, c.cr.sign(m), c.cr.modern().sign(m), m.bytes())
	}
	return append(all, newMessage(send, indication, p, text(atData, "x"), dontFragment).bytes(),
		appendFingerprint(bindingRequest(text(atSoftware, "x"))), channelData(0x4000, []byte("x")), unhex(sampleRequest))
}

// mutations are what a datagram becomes: cut at each place, with each length of an
// attribute changed, and with bits changed.
func mutations(b []byte, each func([]byte)) {
	for n := range b {
		cut := append([]byte(nil), b[:n:n]...)
		each(cut)
		if n >= 20 {
			cut = append([]byte(nil), cut...)
			binary.BigEndian.PutUint16(cut[2:], uint16(n-20))
			each(cut)
		}
	}
	for at := 20; at+4 <= len(b); {
		n := int(binary.BigEndian.Uint16(b[at+2:]))
		for _, l := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 19, 20, 21, 32, n + 1, n + 4, 0x7FFF, 0xFFEC, 0xFFFC, 0xFFFF} {
			bad := append([]byte(nil), b...)
			binary.BigEndian.PutUint16(bad[at+2:], uint16(l))
			each(bad)
		}
		at += 4 + (n+3)&^3
	}
	for i := range len(b) * 8 {
		bad := append([]byte(nil), b...)
		bad[i/8] ^= 1 << (i % 8)
		each(bad)
	}
}

// TestMutations sends what is nearly right. Nothing of it may end the server, take
// its allocation from a client, or reach a peer that has no permission.
func TestMutations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		c, p, stray := w.client(), w.peer(peerA.String()), w.peer(peer6.String())
		c.allocate(lifetime(3600))
		c.bind(0x4000, peerA)
		c.permit(peerA)
		attacker := w.client().as("bob")
		attacker.learn()
		for _, b := range attacker.requests() {
			mutations(b, func(bad []byte) { attacker.write(bad) })
			synctest.Wait()
			drain(attacker)
		}
		for _, b := range c.requests()[1:] {
			mutations(b, func(bad []byte) {
				if len(bad) > 1 && bad[1]&0xF == refresh {
					return // LIFETIME may have become 0
				}
				c.write(bad)
			})
			synctest.Wait()
			drain(c)
		}
		for _, ok := receiveAny(p); ok; _, ok = receiveAny(p) {
		}
		stray.expectNothing()
		c.reachedOnChannel(p)
		w.ok(c.call(refresh))
		attacker.mapped(attacker.bare(binding))
	})
}

func receiveAny(p *peer) ([]byte, bool) {
	b, _, ok := receive(p.conn, p.w.quiet)
	return b, ok
}

// reachedOnChannel is reached on channel 0x4000.
func (c *client) reachedOnChannel(p *peer) {
	c.w.t.Helper()
	c.sendChannel(0x4000, []byte("to the peer"))
	p.expect(c.relay, []byte("to the peer"))
	p.send(c.relay, []byte("to the client"))
	c.expectChannel(0x4000, []byte("to the client"))
}

func drain(c *client) {
	c.inbox = nil
	for c.nextWithin(c.w.quiet) != nil {
	}
}

// measure returns the live heap and the number of goroutines.
func measure() (heap int64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), runtime.NumGoroutine()
}

// attempts has a client address try to allocate, from ever new ports and with every
// kind of credentials.
func (w *world) attempts(n int) {
	for i := range n {
		c := w.clientAt(fmt.Sprintf("198.51.100.200:%d", 1024+i%60000))
		switch i % 10 {
		default:
			w.code(c.bare(allocate, udp), 401)
		case 7:
			c.cr.password = "wrong"
			c.learn()
			w.code(c.exchange(c.cr.sign(newMessage(allocate, request, udp))), 401)
		case 8:
			c.cr.user = fmt.Sprintf("user%d", i)
			c.learn()
			w.code(c.exchange(c.cr.sign(newMessage(allocate, request, udp))), 401)
		case 9:
			w.code(c.call(allocate, udp), 486)
		}
		_ = c.conn.Close()
		if w.t.Failed() {
			return
		}
	}
}

// TestAttemptsLeaveNothing has one address try 100,000 times to allocate.
func TestAttemptsLeaveNothing(t *testing.T) {
	attempts := 100_000
	if testing.Short() {
		attempts = 10_000
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(s *setup) { s.options.MaxAllocations = 1 })
		holder := w.clientAt("198.51.100.200:1000")
		holder.allocate(lifetime(3600))
		w.attempts(1000)
		heap, goroutines := measure()
		w.attempts(attempts)
		after, now := measure()
		t.Logf("%d attempts: heap %+d bytes, goroutines %+d", attempts, after-heap, now-goroutines)
		if after-heap > 1<<20 {
			t.Errorf("got %d bytes more in use, want at most 1 MiB", after-heap)
		}
		if now > goroutines {
			t.Errorf("got %d goroutines more, want none", now-goroutines)
		}
		if n := w.relays.count(); n != 1 {
			t.Errorf("got %d relays, want the one of before", n)
		}
		w.ok(holder.call(refresh))
	})
}

// TestAllocationsLeaveNothing makes allocations with all that belongs to them, and
// lets them go in both ways.
func TestAllocationsLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withIPv6)
		round := func(n int) {
			for i := range n {
				c := w.clientAt(fmt.Sprintf("198.51.100.200:%d", 1024+i))
				c.allocate(additional(2))
				c.permit(peerA, peer6)
				c.bind(0x4000, peerB)
				if i%2 == 0 {
					w.ok(c.call(refresh, lifetime(0)))
				} else {
					w.wait(601 * time.Second)
				}
				_ = c.conn.Close()
			}
			w.wait(11 * time.Minute)
		}
		round(20)
		heap, goroutines := measure()
		round(500)
		after, now := measure()
		t.Logf("500 allocations: heap %+d bytes, goroutines %+d", after-heap, now-goroutines)
		if after-heap > 1<<19 || now > goroutines || w.relays.count() != 0 {
			t.Errorf("got %d bytes, %d goroutines and %d relays more, want nothing left",
				after-heap, now-goroutines, w.relays.count())
		}
	})
}

// TestEnd is about the two ways in which a listener ends.
func TestEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(cancel func(), pc net.PacketConn)
		want error
	}{
		{"the socket is closed", func(_ func(), pc net.PacketConn) { _ = pc.Close() }, nil},
		{"the context is cancelled", func(cancel func(), _ net.PacketConn) { cancel() }, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil) // its accounts and relays
				pc := listentest.NewPacketConnAt(netip.MustParseAddrPort("192.0.2.2:3478"))
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ended := make(chan error, 1)
				go func() {
					ended <- stun.New(stun.Host{Accounts: w.accounts, Relays: w.relays}).ListenPacket(ctx, pc, w.options)
				}()
				c := w.wrap(pc.Dial())
				w.address = netip.MustParseAddrPort("192.0.2.2:3478")
				c.allocate()
				tt.end(cancel, pc)
				if err := <-ended; !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if n := w.relays.count(); n != 0 {
					t.Errorf("got %d relays, want none", n)
				}
			})
		})
	}
}

// TestOptions is about options that contradict one another.
func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*stun.Options)
	}{
		{"an empty range of ports", func(o *stun.Options) { o.MinPort, o.MaxPort = 50001, 50000 }},
		{"ports below 1025", func(o *stun.Options) { o.MinPort = 80 }},
		{"ports above 65535", func(o *stun.Options) { o.MaxPort = 70000 }},
		{"a lifetime below ten minutes", func(o *stun.Options) { o.MaxLifetime = time.Minute }},
		{"an IPv6 address for IPv4", func(o *stun.Options) { o.IPv4Address = relay6 }},
		{"an IPv4 address for IPv6", func(o *stun.Options) { o.IPv6Address = relay4 }},
		{"a name of 128 characters", func(o *stun.Options) { o.ServerName = strings.Repeat("x", 128) }},
		{"no such way to authenticate", func(o *stun.Options) { o.AuthType = "nobody" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := stun.Defaults()
				o.UseTURN = true
				tt.change(&o)
				pc := listentest.NewPacketConn()
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				err := stun.New(stun.Host{}).ListenPacket(ctx, pc, o)
				if err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want an error at once", err)
				}
				_ = pc.Close()
			})
		})
	}
}
