package component

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// A domain has the password of its own or else that of the listener.
func TestPasswords(t *testing.T) {
	two := map[string]HostOptions{"Own.Test": {Password: "own"}, "bot.test": {}, "bücher.test": {}}
	tests := []struct {
		name           string
		hosts          map[string]HostOptions
		domain, secret string
		ok             bool
	}{
		{"any domain", nil, "whatever.test", "anchor", true},
		{"own password", two, "own.test", "own", true},
		{"not the listener's", two, "own.test", "anchor", false},
		{"the listener's", two, "bot.test", "anchor", true},
		{"not another's", two, "bot.test", "own", false},
		{"none of hosts", two, "whatever.test", "anchor", false},
		{"case of the domain", two, "BOT.Test", "anchor", true},
		{"A-labels", two, "xn--bcher-kva.test", "anchor", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(r *rig) { r.o.Hosts = tt.hosts })
				c := r.open(tt.domain)
				c.handshake(tt.secret)
				if tt.ok {
					c.Expect("<handshake/>")
					c.end()
				} else {
					c.expectError("not-authorized")
				}
			})
		})
	}
}

func TestHostsErrors(t *testing.T) {
	for name, hosts := range map[string]map[string]HostOptions{
		"no domain": {"a@b": {}},
		"twice":     {"bot.test": {}, "BOT.test": {}},
	} {
		t.Run(name, func(t *testing.T) {
			o := Defaults()
			o.Hosts = hosts
			ln := listentest.NewListener()
			defer ln.Close()
			if err := New(Host{Router: newFakeRouter()}).Listen(t.Context(), ln, o); err == nil || !strings.HasPrefix(err.Error(), "hosts: ") {
				t.Errorf("Listen: got %v, want an error about hosts", err)
			}
		})
	}
}

func TestGlobalRoutes(t *testing.T) {
	tests := []struct {
		global bool
		hosts  func(o *Options)
		want   []string
	}{
		{true, hosts("icq.test", "sms.test"), []string{"icq.test", "sms.test"}},
		{false, hosts("icq.test", "sms.test"), []string{"icq.test"}},
		{true, func(*Options) {}, []string{"icq.test"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.global, len(tt.want)), func(t *testing.T) {
			r := start(t, func(r *rig) { tt.hosts(&r.o); r.o.GlobalRoutes = tt.global })
			c := r.connect("icq.test")
			for _, d := range tt.want {
				r.expectEvent("connected", d)
				if err := r.deliver(message("ana@house.test", "x@"+d, "1")); err != nil {
					t.Errorf("Deliver to %s: %v", d, err)
				}
				c.Expect("to='x@" + d + "'")
			}
			if got := r.server.Components()[0].Domains; !slices.Equal(got, tt.want) {
				t.Errorf("Domains: got %q, want %q", got, tt.want)
			}
			c.end()
			for _, d := range tt.want {
				r.expectEvent("disconnected", d)
			}
		})
	}
}

// A domain that is a virtual host is refused, and what was registered with it is
// released.
func TestConflictWithVirtualHost(t *testing.T) {
	for name, domain := range map[string]string{"own": "house.test", "other": "bot.test"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(r *rig) { hosts("bot.test", "house.test", "sms.test")(&r.o) })
			c := r.open(domain)
			c.handshake("anchor")
			c.expectError("conflict")
			r.drain()
			r.log.Expect(t, "level=WARN", "component was refused", "domain="+domain, "house.test", "virtual host")
			if n := len(r.events); n != 0 {
				t.Errorf("got %d events, want none", n)
			}
		})
	}
}

// fromTests say from where a component of one.test may send, where hosts has
// one.test and two.test.
var fromTests = []struct {
	name, from  string
	any         bool // no hosts
	check, want bool
}{
	{"own domain", "one.test", false, true, true},
	{"own user", "a@one.test/x", false, true, true},
	{"other of hosts", "a@two.test", false, true, true},
	{"foreign", "a@house.test", false, true, false},
	{"subdomain", "a@sub.one.test", false, true, false},
	{"any, own", "a@one.test", true, true, true},
	{"any, foreign", "a@two.test", true, true, false},
	{"unchecked, foreign", "ana@house.test/x", false, false, true},
	{"any, unchecked, foreign", "juliet@capulet.test", true, false, true},
}

func TestCheckFrom(t *testing.T) {
	for _, tt := range fromTests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, func(r *rig) {
				r.o.GlobalRoutes, r.o.CheckFrom = false, tt.check
				if !tt.any {
					hosts("one.test", "two.test")(&r.o)
				}
			})
			c := r.connect("one.test")
			c.Send(message(tt.from, "b@far.test", "1"))
			if !tt.want {
				from, _ := stanza.ParseJID(tt.from)
				if got := c.expectError("invalid-from"); !strings.Contains(got, from.Domain()) {
					t.Errorf("got %s, want it to name the domain", got)
				}
				return
			}
			if st := r.next(); st.From.String() != tt.from {
				t.Errorf("got %v, want the message", st)
			}
			c.end()
		})
	}
}

type onlyFrom string

func (o onlyFrom) Allow(s acl.Subject) bool { return s.User+"@"+s.Server+"/"+s.Resource == string(o) }

func TestAccess(t *testing.T) {
	tests := []struct {
		name   string
		access acl.Access
		want   bool
	}{
		{"all", acl.All, true},
		{"none", acl.None, false},
		{"nil", nil, false},
		{"rule", onlyFrom("ana@house.test/boat"), true},
		{"other rule", onlyFrom("bo@house.test/boat"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, func(r *rig) { r.o.Access = tt.access })
			c := r.connect("bot.test")
			err := r.deliver(message("ana@house.test/boat", "bot.test", "1"))
			if tt.want {
				if err != nil {
					t.Errorf("Deliver: %v", err)
				}
				c.Expect("id='1'")
			} else if !errors.Is(err, &stanza.Error{Condition: stanza.NotAllowed}) {
				t.Errorf("Deliver: got %v, want not-allowed", err)
			}
			c.end()
		})
	}
}

// byDomain is a shaper rule for one domain.
type byDomain struct {
	domain string
	rate   shaper.Rate
}

func (b byDomain) Rate(s acl.Subject) shaper.Rate {
	if s.Server == b.domain {
		return b.rate
	}
	return shaper.Rate{}
}

func (byDomain) Limit(acl.Subject) (int, bool) { return 0, false }

func TestShaper(t *testing.T) {
	slow := byDomain{"slow.test", shaper.Rate{BytesPerSecond: 1000}}
	tests := []struct {
		name, domain string
		o            func(o *Options)
		slow         bool
	}{
		{"shaper", "slow.test", func(o *Options) { o.Shaper = slow }, true},
		{"other domain", "fast.test", func(o *Options) { o.Shaper = slow }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(r *rig) { tt.o(&r.o) })
				c := r.connect(tt.domain)
				began := time.Now()
				c.Send(strings.Replace(message("a@"+tt.domain, "b@house.test", "1"), "x<", strings.Repeat("x", 10000)+"<", 1))
				<-r.router.routed
				if took := time.Since(began); (took > 5*time.Second) != tt.slow {
					t.Errorf("10,000 bytes took %v, want slow: %t", took, tt.slow)
				}
				c.end()
			})
		})
	}
}

func TestStanzaLimits(t *testing.T) {
	tests := []struct {
		name string
		send string
		want bool
	}{
		{"small", message("a@bot.test", "b@house.test", "1"), true},
		{"too long", strings.Replace(message("a@bot.test", "b@house.test", "1"), "x<", strings.Repeat("x", 10000)+"<", 1), false},
		{"too many elements", strings.Replace(message("a@bot.test", "b@house.test", "1"), "x<", strings.Repeat("<y/>", 100)+"<", 1), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, func(r *rig) { r.o.MaxStanzaSize, r.o.MaxStanzaElements = 10000, 100 })
			c := r.connect("bot.test")
			c.Send(tt.send)
			if !tt.want {
				c.expectError("policy-violation")
				return
			}
			r.next()
			c.end()
		})
	}
}

// A component that does not read loses its stream; what it has not got is
// returned, once.
func TestOverflow(t *testing.T) {
	tests := []struct {
		name string
		o    func(o *Options)
	}{
		{"stanzas", func(o *Options) { o.MaxFSMQueue = 50 }},
		{"bytes", func(o *Options) { o.MaxQueueBytes = 50 * 1100 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(r *rig) { tt.o(&r.o) })
				c := r.connect("bot.test")
				sent := 0
				for ; ; sent++ {
					if err := r.deliver(strings.Replace(message("ana@house.test", "bot.test", fmt.Sprint(sent)), "x<", strings.Repeat("x", 1000)+"<", 1)); err != nil {
						if !errors.Is(err, stanza.ErrQueueFull) {
							t.Errorf("Deliver: got %v, want ErrQueueFull", err)
						}
						break
					}
					if sent == 20 {
						synctest.Wait() // what fits into the connection is written
					}
				}
				got := c.ExpectEOF()
				c.Close()
				synctest.Wait()
				returned := make(map[string]bool)
				for len(r.router.routed) > 0 {
					st := <-r.router.routed
					if st.Type != stanza.TypeError || !strings.Contains(st.Inner, "<recipient-unavailable") || returned[st.ID] {
						t.Errorf("got %v, want an error, once for each", st)
					}
					returned[st.ID] = true
				}
				for i := range sent {
					id := fmt.Sprint(i)
					if delivered := strings.Contains(got, " id='"+id+"'"); delivered == returned[id] {
						t.Errorf("stanza %s: got delivered %t and returned %t", id, delivered, returned[id])
					}
				}
				r.log.Expect(t, "component has left", "resource-constraint", "does not read")
			})
		})
	}
}

// One write may take no longer than SendTimeout.
func TestSendTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.SendTimeout = 3 * time.Second })
		c := r.connect("bot.test")
		began := time.Now()
		for i := range 200 {
			if err := r.deliver(strings.Replace(message("ana@house.test", "bot.test", fmt.Sprint(i)), "x<", strings.Repeat("x", 1000)+"<", 1)); err != nil {
				t.Fatal(err)
			}
		}
		for range r.router.routed {
			break
		}
		if took := time.Since(began); took < 3*time.Second || took > 5*time.Second {
			t.Errorf("got stanzas back after %v, want 3 to 5 s", took)
		}
		c.ExpectEOF()
		c.Close()
	})
}

func TestTLS(t *testing.T) {
	cert, pool := listentest.Certificate(t, "house.test")
	r := start(t, func(r *rig) {
		r.o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		r.wrap = func(ln net.Listener) net.Listener { return netserve.NewTLSListener(ln, r.o.TLS) }
	})
	c := r.dial()
	c.use(tls.Client(c.conn, &tls.Config{ServerName: "house.test", RootCAs: pool}))
	c.open("bot.test")
	c.handshake("anchor")
	c.Expect("<handshake/>")
	r.expectEvent("connected", "bot.test")
	r.log.Expect(t, "component has connected", "encrypted=true")
	if !r.server.Components()[0].Encrypted {
		t.Error("Components: got no encryption")
	}
	c.end()
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(r *rig) { r.wrap = func(net.Listener) net.Listener { return ln } })
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t}
	c.use(conn)
	if got := c.openModern("bot.test"); !strings.Contains(got, "<mechanism>PLAIN</mechanism>") {
		t.Errorf("got %s, want PLAIN on a unix socket", got)
	}
	c.end()
	conn, err = net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.use(conn)
	c.open("bot.test")
	c.handshake("anchor")
	c.Expect("<handshake/>")
	c.end()
	_ = r.ln.Close()
}

// Cancelling the context tells the components, after what is queued for them;
// closing the listener lets them go on.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c, stranger := r.connect("bot.test"), r.open("bot.test")
		for i := range 100 {
			_ = r.deliver(message("ana@house.test", "bot.test", fmt.Sprint(i)))
		}
		cause := errors.New("enough")
		r.cancel(cause)
		if got := c.expectError("system-shutdown"); !strings.Contains(got, " id='99'") {
			t.Error("what was queued did not come before the end")
		}
		stranger.expectError("system-shutdown")
		if err := r.wait(); err != cause {
			t.Errorf("Listen: got %v, want the cause", err)
		}
		r.log.Expect(t, "level=INFO", "component has left", "system-shutdown")
	})
}

func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(r *rig) { r.o.Grace = time.Second })
		r.connect("bot.test") // never closes its end
		began := time.Now()
		_ = r.stop(errors.New("enough"))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Listen returned after %v, want 1 s", took)
		}
	})
}

func TestDrain(t *testing.T) {
	r := start(t)
	c := r.connect("bot.test")
	_ = r.ln.Close()
	c.Send(message("a@bot.test", "b@house.test", "1"))
	r.next()
	c.end()
	r.drain()
}

// Options that are zero mean off or none.
func TestZeroOptions(t *testing.T) {
	r := start(t, func(r *rig) { r.o = Options{Password: "anchor", Access: acl.All} })
	c := r.connect("bot.test")
	c.Send(message("x@anywhere.test", "b@house.test", "1"))
	r.next()
	for i := range 100 {
		if err := r.deliver(message("ana@house.test", "bot.test", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	c.Expect("id='99'")
	c.end()
}

// The pause before a refusal differs from one to the next.
func TestPauseIsJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		took := make(map[time.Duration]bool)
		for range 5 {
			c := r.open("bot.test")
			began := time.Now()
			c.handshake(fmt.Sprint(rand.Int()))
			c.expectError("not-authorized")
			took[time.Since(began)] = true
		}
		if len(took) < 2 {
			t.Errorf("got %v, want different pauses", took)
		}
	})
}
