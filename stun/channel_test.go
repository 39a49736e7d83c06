package stun

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun"
)

func TestChannelBind(t *testing.T) {
	at := func(s string) stun.Setter { return peer(netip.MustParseAddrPort(s)) }
	number := func(hi, lo byte) stun.Setter { return attr{stun.AttrChannelNumber, []byte{hi, lo, 0, 0}} }
	tests := []struct {
		name  string
		attrs []stun.Setter
		want  int
	}{
		{"lowest", []stun.Setter{number(0x40, 0), at("8.8.8.8:1")}, 0},
		{"highest of RFC 8656", []stun.Setter{number(0x4f, 0xff), at("8.8.8.8:1")}, 0},
		{"highest of RFC 5766", []stun.Setter{number(0x7f, 0xfe), at("8.8.8.8:1")}, 0},
		{"too high", []stun.Setter{number(0x7f, 0xff), at("8.8.8.8:1")}, 400},
		{"too low", []stun.Setter{number(0x3f, 0xff), at("8.8.8.8:1")}, 400},
		{"reserved bits", []stun.Setter{attr{stun.AttrChannelNumber, []byte{0x40, 0, 1, 2}}, at("8.8.8.8:1")}, 0},
		{"no number", []stun.Setter{at("8.8.8.8:1")}, 400},
		{"malformed number", []stun.Setter{attr{stun.AttrChannelNumber, []byte{0x40, 0}}, at("8.8.8.8:1")}, 400},
		{"no peer", []stun.Setter{number(0x40, 0)}, 400},
		{"malformed peer", []stun.Setter{number(0x40, 0), attr{stun.AttrXORPeerAddress, nil}}, 400},
		{"no port", []stun.Setter{number(0x40, 0), at("8.8.8.8:0")}, 400},
		{"another family", []stun.Setter{number(0x40, 0), at("[2001:4860::8]:1")}, 443},
		{"loopback", []stun.Setter{number(0x40, 0), at("127.0.0.1:1")}, 403},
		{"bound to another peer", []stun.Setter{number(0x50, 0), at("8.8.8.8:1")}, 400},
		{"peer has another number", []stun.Setter{number(0x40, 0), at("8.8.4.4:1")}, 400},
		{"another port of the peer", []stun.Setter{number(0x40, 0), at("8.8.4.4:2")}, 0},
		{"the same again", []stun.Setter{number(0x50, 0), at("8.8.4.4:1")}, 0},
		{"unknown attribute", []stun.Setter{number(0x40, 0), at("8.8.8.8:1"), attr{0x7ff1, nil}}, 420},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, turnOptions(), func(r *rig) {
				c := r.client()
				c.allocates()
				r.wantSuccess(c.binds(0x5000, netip.MustParseAddrPort("8.8.4.4:1")))
				r.wantError(c.does(stun.MethodChannelBind, tt.attrs...), tt.want)
			})
		})
	}
}

// A channel lives longer than the permission that came with it.
func TestChannelExpires(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c, p, q := r.client(), r.peer("8.8.8.8:4000"), r.peer("8.8.8.8:4001")
		relay := c.allocates(seconds(3600))
		r.wantSuccess(c.binds(0x4000, p.addr()))
		time.Sleep(5*time.Minute + time.Second)
		c.channels(0x4000, "no permission")
		p.wantsNothing()
		p.sends(relay, "no permission")
		c.wantsNothing()
		c.permits(p.addr())
		c.channels(0x4000, "hello")
		p.wants(relay, "hello")
		p.sends(relay, "hello")
		c.wantsChannel(0x4000, "hello")
		r.wantError(c.binds(0x4000, q.addr()), 400)

		time.Sleep(5 * time.Minute)
		c.permits(p.addr())
		c.channels(0x4000, "no channel")
		p.wantsNothing()
		p.sends(relay, "hello")
		c.wantsIndication(p.addr(), "hello")
		r.wantSuccess(c.binds(0x4000, q.addr())) // number and peer are free
		r.wantSuccess(c.binds(0x4001, p.addr()))
		q.sends(relay, "hello")
		c.wantsChannel(0x4000, "hello")
		p.sends(relay, "hello")
		c.wantsChannel(0x4001, "hello")
		time.Sleep(9 * time.Minute)
		r.wantSuccess(c.binds(0x4001, p.addr())) // is prolonged
		time.Sleep(2 * time.Minute)
		c.channels(0x4001, "hello")
		p.wants(relay, "hello")
		c.channels(0x4000, "hello")
		q.wantsNothing()
	})
}

// The channels of an allocation are bounded; those that are over make room.
func TestMaxChannels(t *testing.T) {
	o := turnOptions()
	o.MaxPermissions = 2
	inMemory(t, o, func(r *rig) {
		c := r.client()
		c.allocates(seconds(3600))
		at := func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr("8.8.8.8"), uint16(1000+i))
		}
		most := channelsPerPermission * o.MaxPermissions
		for i := range most {
			r.wantSuccess(c.binds(0x4000+uint16(i), at(i)))
		}
		r.wantError(c.binds(0x6000, at(most)), 508)
		r.wantSuccess(c.binds(0x4000, at(0)))
		time.Sleep(11 * time.Minute)
		r.wantSuccess(c.binds(0x6000, at(most)))
		if a := r.srv.only(t); len(a.byNumber) != 1 || len(a.byPeer) != 1 {
			t.Errorf("got %d channels of %d peers, want 1 of 1", len(a.byNumber), len(a.byPeer))
		}
	})
}
