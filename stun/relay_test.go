package stun

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
)

func TestRelayIndications(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, p := r.client(), r.peer("8.8.8.8:4000")
		relay := c.allocates()
		p.sends(relay, "too early")
		c.wantsNothing()
		c.indicates(p.addr(), "too early")
		p.wantsNothing()
		c.permits(p.addr())
		for _, data := range []string{"", "a", "ab", "abc", "abcd", strings.Repeat("x", 1200)} {
			c.indicates(p.addr(), data)
			p.wants(relay, data)
			p.sends(relay, data)
			c.wantsIndication(p.addr(), data)
		}
		other := r.peer("8.8.8.8:4001") // another port of the same address
		other.sends(relay, "hello")
		c.wantsIndication(other.addr(), "hello")
		stranger := r.peer("8.8.4.4:4000")
		stranger.sends(relay, "hello")
		c.wantsNothing()
		c.indicates(stranger.addr(), "hello")
		stranger.wantsNothing()
		if got := r.srv.Stats(); got.RelayedPackets != 13 || got.RelayedBytes != 2*(1200+10)+5 || got.Dropped != 4 {
			t.Errorf("stats: got %+v, want 13 packets with 2425 bytes, 4 dropped", got)
		}
	})
}

func TestRelayChannel(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, p := r.client(), r.peer("8.8.8.8:4000")
		relay := c.allocates()
		c.channels(0x4000, "too early")
		p.wantsNothing()
		r.wantSuccess(c.binds(0x4000, p.addr()))
		for _, data := range []string{"", "a", "ab", "abc", "abcd", strings.Repeat("x", 1200)} {
			c.channels(0x4000, data)
			p.wants(relay, data)
			p.sends(relay, data)
			c.wantsChannel(0x4000, data)
		}
		c.indicates(p.addr(), "an indication may be used, too")
		p.wants(relay, "an indication may be used, too")
		other := r.peer("8.8.8.8:4001") // has the permission, not the channel
		other.sends(relay, "hello")
		c.wantsIndication(other.addr(), "hello")
		c.channels(0x4001, "no such channel")
		p.wantsNothing()
	})
}

func TestRelayIPv6(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, p := r.client(), r.peer("[2001:4860::8]:4000")
		relay := c.allocates(wantIPv6)
		c.permits(p.addr())
		c.indicates(p.addr(), "hello")
		p.wants(relay, "hello")
		p.sends(relay, "hello yourself")
		c.wantsIndication(p.addr(), "hello yourself")
	})
}

// Both clients are behind the same server: they talk through two relays.
func TestRelayToRelay(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		a, b := r.client(), r.client()
		at, bt := a.allocates(), b.allocates()
		a.permits(bt)
		r.wantSuccess(b.binds(0x4000, at))
		a.indicates(bt, "hello")
		b.wantsChannel(0x4000, "hello")
		b.channels(0x4000, "hello yourself")
		a.wantsIndication(bt, "hello yourself")
	})
}

// A relay on loopback lets clients reach other relays there, and nothing else.
func TestRelaysOnly(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		r.relays.v4 = netip.MustParseAddr("127.0.0.1")
		a, b := r.client(), r.client()
		at, bt := a.allocates(), b.allocates()
		local := r.peer("127.0.0.1:25")
		r.wantError(a.does(stun.MethodCreatePermission, peer(local.addr())), 403)
		r.wantError(a.binds(0x4000, local.addr()), 403)
		a.permits(bt)
		r.wantSuccess(a.binds(0x4000, bt))
		b.permits(at)
		a.indicates(bt, "hello")
		b.wantsIndication(at, "hello")
		a.channels(0x4000, "hello")
		b.wantsIndication(at, "hello")
		a.indicates(local.addr(), "HELO")
		local.wantsNothing()
		local.sends(at, "220")
		a.wantsNothing()
		r.wantError(a.binds(0x4001, local.addr()), 403)

		r.wantSuccess(b.does(stun.MethodRefresh, seconds(0)))
		gone := r.peer(bt.String()) // somebody else has the port now
		a.indicates(bt, "hello")
		gone.wantsNothing()
		a.channels(0x4000, "hello")
		gone.wantsNothing()
		gone.sends(at, "hello")
		a.wantsNothing()
	})
}

// Send indications that are not right are dropped (RFC 8656, section 11.2).
func TestSendMalformed(t *testing.T) {
	data := attr{stun.AttrData, []byte("hello")}
	at := func(s string) stun.Setter { return peer(netip.MustParseAddrPort(s)) }
	tests := []struct {
		name  string
		attrs []stun.Setter
	}{
		{"nothing", nil},
		{"no peer", []stun.Setter{data}},
		{"no data", []stun.Setter{at("8.8.8.8:4000")}},
		{"empty peer", []stun.Setter{data, attr{stun.AttrXORPeerAddress, nil}}},
		{"short peer", []stun.Setter{data, attr{stun.AttrXORPeerAddress, []byte{0, 1, 2, 3}}}},
		{"long peer", []stun.Setter{data, attr{stun.AttrXORPeerAddress, make([]byte, 64)}}},
		{"no port", []stun.Setter{data, at("8.8.8.8:0")}},
		{"another family", []stun.Setter{data, at("[2001:4860::8]:4000")}},
		{"mapped", []stun.Setter{data, attr{stun.AttrXORPeerAddress, append([]byte{0, 2, 0, 1}, make([]byte, 16)...)}}},
		{"unknown attribute", []stun.Setter{data, at("8.8.8.8:4000"), attr{0x7ff1, nil}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, turnOptions(), func(r *rig) {
				c, p := r.client(), r.peer("8.8.8.8:4000")
				relay := c.allocates()
				c.permits(p.addr())
				if got := c.sends(c.builds(stun.NewType(stun.MethodSend, stun.ClassIndication), tt.attrs...).Raw); got != nil {
					t.Errorf("got %x, want no answer", got)
				}
				p.wantsNothing()
				if got := r.srv.Stats().Dropped; got != 1 {
					t.Errorf("got %d dropped, want 1", got)
				}
				c.indicates(p.addr(), "hello")
				p.wants(relay, "hello")
			})
		})
	}
}

func TestRelayRate(t *testing.T) {
	o := turnOptions()
	o.AllocationRate = 1000
	inMemory(t, o, func(r *rig) {
		c, p := r.client(), r.peer("8.8.8.8:4000")
		relay := c.allocates()
		r.wantSuccess(c.binds(0x4000, p.addr()))
		large := strings.Repeat("x", 900)
		for range 2 { // the second goes into debt
			c.channels(0x4000, large)
			p.wants(relay, large)
		}
		c.channels(0x4000, large)
		p.wantsNothing()
		p.sends(relay, large)
		c.wantsNothing()
		time.Sleep(time.Second)
		p.sends(relay, large)
		c.wantsChannel(0x4000, large)
	})
}

func TestUserRate(t *testing.T) {
	o := turnOptions()
	o.UserRate = 1000
	inMemory(t, o, func(r *rig) {
		c, d, p := r.client(), r.client(), r.peer("8.8.8.8:4000")
		e := r.client()
		e.user = "bob"
		large := strings.Repeat("x", 1500)
		first, third := c.allocates(), e.allocates()
		d.allocates()
		for _, c := range []*testClient{c, d, e} {
			c.permits(p.addr())
		}
		c.indicates(p.addr(), large)
		p.wants(first, large)
		d.indicates(p.addr(), large) // of the same user
		p.wantsNothing()
		e.indicates(p.addr(), large)
		p.wants(third, large)
	})
}

// A user who ends all allocations and makes others has no more for it, until the time
// has passed that his rate takes; then nothing is kept of him.
func TestUserRateSurvivesAllocations(t *testing.T) {
	o := turnOptions()
	o.UserRate = 1000
	inMemory(t, o, func(r *rig) {
		p := r.peer("8.8.8.8:4000")
		large := strings.Repeat("x", 3000) // 2 s to wait
		c := r.client()
		try := func() (passed bool) {
			c.allocates()
			c.permits(p.addr())
			c.indicates(p.addr(), large)
			b, _ := read(t, p.c)
			r.wantSuccess(c.does(stun.MethodRefresh, seconds(0)))
			return b != nil
		}
		for i, want := range []bool{true, false, false} {
			if got := try(); got != want {
				t.Errorf("allocation %d: relayed is %t, want %t", i, got, want)
			}
		}
		time.Sleep(3 * time.Second)
		if !try() {
			t.Error("after 3 s: relayed is false, want true")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(r.srv.users.list); n != 0 {
			t.Errorf("got %d users without allocations, want 0", n)
		}
	})
}

// Whoever gets several time-limited user names is one user: what is behind the time is
// his name.
func TestUserRateTimeLimited(t *testing.T) {
	o := turnOptions()
	o.UserRate = 1000
	inMemory(t, o, func(r *rig) {
		r.srv.h.Secret = []byte("shared")
		r.srv.realms = make(map[string]*auth.Authenticator)
		if err := r.srv.Update(r.pc.LocalAddr(), o); err != nil {
			t.Fatal(err)
		}
		p := r.peer("8.8.8.8:4000")
		large := strings.Repeat("x", 1500)
		for i, want := range []string{large, "", large} {
			c := r.client()
			c.user, c.password = timeLimitedName(time.Duration(i+1)*time.Hour, []string{"ana", "ana", "bob"}[i])
			relay := c.allocates()
			c.permits(p.addr())
			c.indicates(p.addr(), large)
			if want == "" {
				p.wantsNothing()
			} else {
				p.wants(relay, want)
			}
		}
	})
}

func timeLimitedName(d time.Duration, name string) (user, password string) {
	user = strconv.FormatInt(time.Now().Add(d).Unix(), 10) + ":" + name
	m := hmac.New(sha1.New, []byte("shared"))
	m.Write([]byte(user))
	return user, base64.StdEncoding.EncodeToString(m.Sum(nil))
}
