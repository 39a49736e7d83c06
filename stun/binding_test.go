package stun

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"

	"github.com/pion/stun"
)

func TestBinding(t *testing.T) {
	for _, from := range []string{"198.51.100.7:1000", "[2001:db8::7]:1000"} {
		for _, fingerprint := range []bool{false, true} {
			inMemory(t, Defaults(), func(r *rig) {
				c := r.clientAt(netip.MustParseAddrPort(from))
				var attrs []stun.Setter
				if fingerprint {
					attrs = append(attrs, stun.Fingerprint)
				}
				m := c.asks(stun.MethodBinding, attrs...)
				r.wantSuccess(m)
				if got := address(t, m, stun.AttrXORMappedAddress); got != c.addr() {
					t.Errorf("XOR-MAPPED-ADDRESS: got %v, want %v", got, c.addr())
				}
				if got, _ := m.Get(stun.AttrSoftware); string(got) != "Tidewaiter" {
					t.Errorf("SOFTWARE: got %q, want %q", got, "Tidewaiter")
				}
				if got := m.Contains(stun.AttrFingerprint); got != fingerprint {
					t.Errorf("FINGERPRINT: got %t, want %t", got, fingerprint)
				}
				if m.Contains(stun.AttrFingerprint) && stun.Fingerprint.Check(m) != nil {
					t.Error("FINGERPRINT is wrong")
				}
			})
		}
	}
}

// A client of RFC 3489 gets its address as it is (RFC 8489, section 11).
func TestBindingClassic(t *testing.T) {
	inMemory(t, Defaults(), func(r *rig) {
		c := r.client()
		id := "00112233445566778899aabbccddeeff"
		request, _ := hex.DecodeString("00010000" + id)
		want := "0101000c" + id + "000100080001" + "2711" + "c6336407"
		if got := hex.EncodeToString(c.sends(request)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		unknown, _ := hex.DecodeString("00010008" + id + "0003000400000000") // CHANGE-REQUEST
		got := c.sends(unknown)
		if len(got) < 20 || got[0] != 1 || got[1] != 0x11 || !slices.Equal(got[4:20], request[4:]) {
			t.Errorf("with an unknown attribute: got %x, want an error response", got)
		}
	})
}

func TestBindingUnknownAttribute(t *testing.T) {
	inMemory(t, Defaults(), func(r *rig) {
		c := r.client()
		m := c.asks(stun.MethodBinding, attr{0x7ff1, []byte("x")})
		r.wantError(m, 420)
		if got, _ := m.Get(stun.AttrUnknownAttributes); string(got) != "\x7f\xf1" {
			t.Errorf("UNKNOWN-ATTRIBUTES: got %x, want 7ff1", got)
		}
		r.wantSuccess(c.asks(stun.MethodBinding, attr{0xfff1, []byte("x")}))
		// Who has credentials may show them.
		key := stun.NewLongTermIntegrity("ana", realm, "wrong")
		r.wantSuccess(c.asks(stun.MethodBinding, stun.NewUsername("ana"), stun.NewRealm(realm), stun.NewNonce("nonce"), key))
	})
}

// Without TURN, and with methods that are none of TURN's, the answer is 405.
func TestMethodNotAllowed(t *testing.T) {
	for _, turn := range []bool{false, true} {
		o := turnOptions()
		o.UseTURN = turn
		inMemory(t, o, func(r *rig) {
			c := r.client()
			methods := []stun.Method{stun.MethodConnectionAttempt, 0x080, 0xfff}
			if !turn {
				methods = append(methods, stun.MethodSend, stun.MethodData, stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind,
					stun.MethodConnect, stun.MethodConnectionBind)
			}
			for _, m := range methods {
				if got := code(c.asks(m)); got != 405 {
					t.Errorf("TURN %t: %s: got %d, want 405", turn, m, got)
				}
			}
			r.wantSuccess(c.asks(stun.MethodBinding))
		})
	}
}

// What is no request, or malformed, is not answered and leaves nothing.
func TestSilence(t *testing.T) {
	id := "2112a442" + "000102030405060708090a0b"
	tests := []struct{ name, hex string }{
		{"nothing", ""},
		{"one byte", "00"},
		{"header of ChannelData", "40000000"},
		{"ChannelData", "4000000461626364"},
		{"ChannelData that is cut", "4000000561626364"},
		{"ChannelData with the largest length", "4000fffc61626364"},
		{"reserved channel", "7fff000461626364"},
		{"header that is cut", "00010000" + id[:30]},
		{"length that is no multiple of four", "00010002" + id + "0000"},
		{"length beyond the end", "0001ffec" + id},
		{"attribute beyond the end", "00010004" + id + "00060004"},
		{"bytes behind", "00010000" + id + "00000000"},
		{"RTP", "8000000000000000000000000000000000000000"},
		{"DTLS", "16fefd000000000000000000"},
		{"wrong FINGERPRINT", "00010008" + id + "8028000400000000"},
		{"classic Allocate", "00030000" + "00112233445566778899aabbccddeeff"},
		{"Binding indication", "00110000" + id},
		{"Binding success", "01010000" + id},
		{"Binding error", "01110000" + id},
		{"Allocate indication", "00130000" + id},
		{"Data indication", "00170000" + id},
		{"Send indication without allocation", "00160014" + id + "001200080001" + "2b0f" + "2910a64d" + "0013000461626364"},
		{"Send indication without attributes", "00160000" + id},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, turnOptions(), func(r *rig) {
				b, err := hex.DecodeString(tt.hex)
				if err != nil {
					t.Fatal(err)
				}
				c := r.client()
				if got := c.sends(b); got != nil {
					t.Errorf("got %x, want no answer", got)
				}
				r.wantSuccess(c.asks(stun.MethodBinding))
			})
		})
	}
}
