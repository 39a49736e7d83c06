package s2s

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// inStall is a server that gets somewhere and no further.
type inStall struct {
	name    string
	prepare func(*inRig)
	to      func(r *inRig) *inPeer
	silent  bool // TLS under way: no error can be told
}

func inStalls() []inStall {
	upgrading := func(r *inRig) *inPeer {
		c := r.open("peer.test", "one.test")
		c.Send(inStartTLS)
		c.Expect(inProceed)
		return c
	}
	return []inStall{
		{"says nothing", nil, (*inRig).dial, false},
		{"half a header", nil, func(r *inRig) *inPeer {
			c := r.dial()
			c.Send("<stream:stream xmlns='jab")
			return c
		}, false},
		{"header only", nil, func(r *inRig) *inPeer { return r.open("peer.test", "one.test") }, false},
		{"old server", nil, func(r *inRig) *inPeer {
			c := r.dial()
			c.header("")
			return c
		}, false},
		{"no handshake", nil, upgrading, true},
		{"half a handshake", nil, func(r *inRig) *inPeer {
			c := upgrading(r)
			c.Send("\x16\x03\x01\x00\xff\x01")
			return c
		}, true},
		{"direct TLS, no handshake", func(r *inRig) { r.wrap = inDirect(r) }, (*inRig).dial, true},
		{"after TLS", nil, func(r *inRig) *inPeer {
			c, _ := r.secure("peer.test", "peer.test", "one.test")
			return c
		}, false},
		{"in the middle of a login", nil, func(r *inRig) *inPeer {
			c, _ := r.secure("peer.test", "peer.test", "one.test")
			c.Send("<auth xmlns='" + inSASL + "' mechanism='EXTERNAL'/>")
			c.Expect("<challenge xmlns='" + inSASL + "'/>")
			return c
		}, false},
		{"authenticated, no header", nil, func(r *inRig) *inPeer {
			c, _ := r.secure("peer.test", "peer.test", "one.test")
			c.Send(inAuth("="))
			c.Expect("<success xmlns='" + inSASL + "'/>")
			return c
		}, false},
		{"dialback refused", nil, func(r *inRig) *inPeer {
			c := r.open("peer.test", "one.test")
			c.Send(inResult("peer.test", "three.test", "good"))
			c.Expect("</db:result>")
			return c
		}, false},
		{"verifies only", nil, func(r *inRig) *inPeer {
			c := r.open("peer.test", "one.test")
			c.Send("<db:verify from='peer.test' to='one.test' id='x'>k</db:verify>")
			c.Expect("type='invalid'/>")
			return c
		}, false},
	}
}

// TestIncomingTimeout wants that a server has only so long to prove a domain,
// however far it gets.
func TestIncomingTimeout(t *testing.T) {
	for _, tt := range inStalls() {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := inStart(t, inTLS, func(r *inRig) {
					if tt.prepare != nil {
						tt.prepare(r)
					}
				})
				began := time.Now()
				c := tt.to(r)
				_ = c.conn.SetReadDeadline(time.Time{})
				rest, _ := io.ReadAll(c.conn)
				if took := time.Since(began); took != r.o.NegotiationTimeout {
					t.Errorf("got the end after %v, want %v", took, r.o.NegotiationTimeout)
				}
				c.Close()
				told := strings.Contains(string(rest), "<connection-timeout ")
				if told == tt.silent {
					t.Errorf("got %q, want connection-timeout told: %v", rest, !tt.silent)
				}
			})
		})
	}
}

// TestIncomingTimeoutChecking wants the same while a key is checked, and 0 to mean
// no bound.
func TestIncomingTimeoutChecking(t *testing.T) {
	never := func(r *inRig) {
		r.fake.onVerify = func(ctx context.Context, _ inQuestion) error {
			<-ctx.Done()
			return ctx.Err()
		}
	}
	t.Run("key never checked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := inStart(t, never)
			c := r.open("peer.test", "one.test")
			began := time.Now()
			c.Send(inResult("peer.test", "one.test", "good"))
			_ = c.conn.SetReadDeadline(time.Time{})
			_, _ = io.ReadAll(c.conn)
			if took := time.Since(began); took != r.o.NegotiationTimeout {
				t.Errorf("got the end after %v, want %v", took, r.o.NegotiationTimeout)
			}
			c.Close()
		})
	})
	t.Run("no timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := inStart(t, func(r *inRig) { r.o.NegotiationTimeout = 0 })
			c := r.open("peer.test", "one.test")
			time.Sleep(1000 * time.Hour)
			c.prove("peer.test", "one.test")
		})
	})
}

// TestIncomingBeforeAuthentication wants that nothing is passed on for a server
// that has proved nothing.
func TestIncomingBeforeAuthentication(t *testing.T) {
	checking := func(r *inRig) *inPeer {
		r.fake.onVerify = func(ctx context.Context, _ inQuestion) error {
			<-ctx.Done()
			return ctx.Err()
		}
		c := r.open("peer.test", "one.test")
		c.Send(inResult("peer.test", "one.test", "good"))
		<-r.fake.asked
		return c
	}
	states := map[string]func(r *inRig) *inPeer{
		"plain":    func(r *inRig) *inPeer { return r.open("peer.test", "one.test") },
		"checking": checking,
		"TLS": func(r *inRig) *inPeer {
			c, _ := r.secure("peer.test", "peer.test", "one.test")
			return c
		},
		"login": func(r *inRig) *inPeer {
			c, _ := r.secure("peer.test", "peer.test", "one.test")
			c.Send("<auth xmlns='" + inSASL + "' mechanism='EXTERNAL'/>")
			c.Expect("<challenge xmlns='" + inSASL + "'/>")
			return c
		},
	}
	tests := []struct{ name, send, want string }{
		{"message", inMessage("peer.test", "one.test", "1"), "not-authorized"},
		{"bad request", "<iq from='peer.test' to='one.test' id='1' type='get'/>", "not-authorized"},
		{"unknown", "<x xmlns='y'/>", "unsupported-stanza-type"},
		{"ack", inAck("0"), "unsupported-stanza-type"},
		{"too large", "<x a='" + strings.Repeat("x", 9000) + "'/>", "policy-violation"},
		{"too many elements", "<x>" + strings.Repeat("<y/>", 40) + "</x>", "policy-violation"},
	}
	for name, open := range states {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				r := inStart(t, inTLS)
				c := open(r)
				c.Send(tt.send)
				c.expectError(tt.want)
				r.routesNothing()
				if n := len(r.fake.returned); n > 0 {
					t.Errorf("got %d errors sent, want none", n)
				}
			})
		}
	}
}

// TestIncomingLimits checks the limits after authentication: also for the first
// stanza, which the stream waits for while a domain is proved.
func TestIncomingLimits(t *testing.T) {
	body := func(n int) string {
		return "<message from='peer.test' to='one.test' id='1'><body>" + strings.Repeat("x", n) + "</body></message>"
	}
	for name, open := range map[string]func(r *inRig) *inPeer{
		"dialback": func(r *inRig) *inPeer { return r.dialback("peer.test", "one.test") },
		"dialback over TLS": func(r *inRig) *inPeer {
			c, _ := r.secure("peer.test", "peer.test", "one.test")
			c.prove("peer.test", "one.test")
			return c
		},
		"EXTERNAL": func(r *inRig) *inPeer { return r.external("peer.test", "one.test") },
	} {
		t.Run(name, func(t *testing.T) {
			r := inStart(t, inTLS, func(r *inRig) { r.o.MaxStanzaSize, r.o.MaxStanzaElements = 100_000, 1000 })
			c := open(r)
			c.Send(body(99_000))
			r.routes("1")
			c.Send("<message from='peer.test' to='one.test' id='2'>" + strings.Repeat("<y/>", 990) + "</message>")
			r.routes("2")
			go func() { _, _ = io.WriteString(c.conn, body(200_000)) }() // not read to its end
			c.expectError("policy-violation")
		})
	}
	t.Run("elements", func(t *testing.T) {
		r := inStart(t, func(r *inRig) { r.o.MaxStanzaElements = 1000 })
		c := r.dialback("peer.test", "one.test")
		c.Send("<message from='peer.test' to='one.test' id='2'>" + strings.Repeat("<y/>", 1001) + "</message>")
		c.expectError("policy-violation")
	})
}

// TestIncomingPerAddress wants that one address has only so many streams, and that
// one which ends makes room.
func TestIncomingPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t)
		var open []net.Conn
		dial := func(ip string, port int) *inPeer {
			c := &inPeer{t: t}
			c.use(r.ln.DialFrom(netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(port))))
			return c
		}
		for i := range r.o.MaxStreamsPerIP {
			c := dial("203.0.113.1", 1+i)
			open = append(open, c.conn)
		}
		synctest.Wait()
		rest := dial("203.0.113.1", 2000).expectError("policy-violation")
		if !strings.Contains(rest, "too many streams from this address") {
			t.Errorf("got %s, want the reason", rest)
		}
		r.log.Expect(t, "connection refused", "peer=203.0.113.1:2000", "too many streams")
		dial("203.0.113.2", 1).open("peer.test", "one.test")
		_ = open[0].Close()
		synctest.Wait()
		dial("203.0.113.1", 2001).open("peer.test", "one.test")
		dial("203.0.113.1", 2002).expectError("policy-violation")
	})
}

// TestIncomingManyResults wants that only so many keys are checked at once: those of
// one address wait for one another, and beyond the bound of all there are errors.
func TestIncomingManyResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		r := inStart(t, func(r *inRig) {
			r.fake.onVerify = func(ctx context.Context, _ inQuestion) error {
				select {
				case <-answer:
					return &stanza.Error{Condition: stanza.RemoteServerNotFound}
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
		port := 0
		fill := func(ip string) (*inPeer, int) {
			port++
			return r.fill(netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(port)))
		}
		c, n := fill("203.0.113.1")
		if n != maxPerAddr {
			t.Errorf("one address: got %d keys checked at once, want %d", n, maxPerAddr)
		}
		second, n := fill("203.0.113.1")
		if n != 0 {
			t.Errorf("one address: got %d more keys, want none", n)
		}
		total := maxPerAddr
		for i := 2; total < maxChecks; i++ {
			_, n = fill(fmt.Sprintf("203.0.113.%d", i))
			total += n
		}
		last, n := fill("203.0.113.200")
		if n != 0 || total != maxChecks {
			t.Errorf("listener: got %d keys and %d more, want %d and none", total, n, maxChecks)
		}
		for range inFilling {
			last.Expect("<resource-constraint ")
		}
		if got := r.server.IncomingStats().Verifying; got != maxChecks {
			t.Errorf("got %d, want %d in the statistics", got, maxChecks)
		}
		close(answer)
		for _, c := range []*inPeer{c, second} {
			for range inFilling {
				c.Expect("<remote-server-not-found ")
			}
		}
		synctest.Wait()
		if got := r.server.IncomingStats().Verifying; got != 0 {
			t.Errorf("got %d in the end, want none", got)
		}
	})
}

// TestIncomingWaits wants a stream that waits for others of its address to end with
// the listener.
func TestIncomingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, func(r *inRig) {
			r.fake.onVerify = func(ctx context.Context, _ inQuestion) error {
				<-ctx.Done()
				return ctx.Err()
			}
		})
		c, _ := r.fill(netip.MustParseAddrPort("203.0.113.1:1"))
		began := time.Now()
		_ = r.stop(context.Canceled)
		if took := time.Since(began); took > Defaults().Grace {
			t.Errorf("it took %v", took)
		}
		c.Close()
	})
}

// inFilling is how many keys fill sends.
const inFilling = maxPending + 10

// fill opens a stream with more keys than can be checked, and returns how many are
// being.
func (r *inRig) fill(from netip.AddrPort) (*inPeer, int) {
	r.t.Helper()
	c := &inPeer{t: r.t}
	c.use(r.ln.DialFrom(from))
	c.open("peer.test", "one.test")
	before := len(r.fake.asked)
	for i := range inFilling {
		c.Send(inResult(fmt.Sprintf("d%d.test", i), "one.test", "k"))
	}
	synctest.Wait()
	return c, len(r.fake.asked) - before
}

// TestIncomingManyPairs wants that a stream has only so many pairs.
func TestIncomingManyPairs(t *testing.T) {
	r := inStart(t)
	c := r.open("peer.test", "one.test")
	for i := range maxPairs {
		c.prove(fmt.Sprintf("d%d.test", i), "one.test")
	}
	c.Send(inResult("more.test", "one.test", "good"))
	c.Expect("to='more.test' type='error'><error type='wait'><resource-constraint ")
	c.Expect("</db:result>")
	c.Send(inMessage("d0.test", "one.test", "1") + inMessage("d255.test", "one.test", "2"))
	r.routes("1")
	r.routes("2")
	if got := r.server.IncomingStats(); got.Pairs != maxPairs || got.Authenticated != 1 {
		t.Errorf("got %+v, want %d pairs on one stream", got, maxPairs)
	}
}

// TestIncomingManyRequests wants that a server which proves nothing can ask only so
// often, and one that did as often as it likes.
func TestIncomingManyRequests(t *testing.T) {
	for name, send := range map[string]string{
		"verify": "<db:verify from='peer.test' to='one.test' id='x'>k</db:verify>",
		"result": inResult("peer.test", "three.test", "k"),
		"enable": inEnable,
	} {
		t.Run(name, func(t *testing.T) {
			r := inStart(t)
			c := r.open("peer.test", "one.test")
			go func() { _, _ = io.WriteString(c.conn, strings.Repeat(send, maxRequests+1)) }()
			if rest := c.expectError("policy-violation"); !strings.Contains(rest, "too many requests before authentication") {
				t.Errorf("got %.300s, want the reason", rest)
			}
			if n := strings.Count(r.log.String(), "dialback failed"); n > 20 {
				t.Errorf("got %d lines in the log, want few", n)
			}
			if name == "enable" {
				return
			}
			c = r.dialback("peer.test", "one.test")
			go func() {
				_, _ = io.WriteString(c.conn, strings.Repeat(send, 2*maxRequests)+inMessage("peer.test", "one.test", "1"))
			}()
			for range 2 * maxRequests {
				c.Expect("type='")
			}
			r.routes("1")
		})
	}
}

// TestIncomingDoesNotRead wants that a server which does not read what it asks for
// loses its stream, and takes no memory without end.
func TestIncomingDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, func(r *inRig) { r.o.MaxFSMQueue = 1000 })
		c := r.dialback("peer.test", "one.test")
		began := time.Now()
		ask := strings.Repeat("<db:verify from='peer.test' to='one.test' id='x'>k</db:verify>", 100)
		for {
			if _, err := io.WriteString(c.conn, ask); err != nil {
				break
			}
		}
		if took := time.Since(began); took > r.o.SendTimeout+5*time.Second {
			t.Errorf("got the end after %v, want it soon", took)
		}
		c.Close()
		r.drain()
		r.log.Expect(t, "connection failed", "from=peer.test", "resource-constraint: server does not read")
	})
}

// TestIncomingReplay wants that a key is checked for the stream on which it came,
// and for the two domains that it names.
func TestIncomingReplay(t *testing.T) {
	secret := []byte("the secret of peer.test")
	r := inStart(t, func(r *inRig) {
		r.fake.onVerify = func(_ context.Context, q inQuestion) error {
			if q.remote != "peer.test" || !isDialbackKey(secret, q.local, q.remote, q.id, q.key) {
				return errInvalidKey
			}
			return nil
		}
	})
	seen := r.open("peer.test", "one.test")
	key := dialbackKey(secret, "one.test", "peer.test", seen.id)
	seen.Send(inResult("peer.test", "one.test", key))
	seen.Expect(inValid("peer.test", "one.test"))

	for name, pair := range map[string][2]string{
		"another stream": {"peer.test", "one.test"}, "another sender": {"bank.test", "one.test"}, "another receiver": {"peer.test", "two.test"},
	} {
		c := r.open(pair[0], pair[1])
		c.Send(inResult(pair[0], pair[1], key))
		if got := c.ExpectEOF(); !strings.Contains(got, "type='invalid'/>") {
			t.Errorf("%s: got %s, want invalid", name, got)
		}
	}
	seen.Send(inResult("bank.test", "one.test", key))
	seen.Expect("to='bank.test' type='error'><error type='auth'><forbidden ")
}

// TestIncomingShaper wants a server to be slowed down by its address and then by
// its domain.
func TestIncomingShaper(t *testing.T) {
	var mu sync.Mutex
	var asked []acl.Subject
	r := inStart(t, func(r *inRig) {
		r.o.Shaper = inRule(func(s acl.Subject) shaper.Rate {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, s)
			return shaper.Rate{}
		})
	})
	c := r.dialback("peer.test", "one.test")
	c.prove("other.test", "one.test")
	mu.Lock()
	defer mu.Unlock()
	ip := netip.MustParseAddr("198.51.100.1")
	want := []acl.Subject{{IP: ip}, {Host: "one.test", IP: ip}, {Server: "peer.test", Host: "one.test", IP: ip}}
	if len(asked) != len(want) {
		t.Fatalf("got %v, want %v", asked, want)
	}
	for i, w := range want {
		if asked[i] != w {
			t.Errorf("got %+v, want %+v", asked[i], w)
		}
	}
}

type inRule func(s acl.Subject) shaper.Rate

func (f inRule) Rate(s acl.Subject) shaper.Rate        { return f(s) }
func (f inRule) Limit(acl.Subject) (limit int, b bool) { return 0, false }
