package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

func TestNonceLifetime(t *testing.T) {
	tests := []struct {
		name     string
		lifetime time.Duration
		after    time.Duration
		want     bool
	}{
		{"at once", 0, 0, true},
		{"a minute by default", 0, time.Minute, true},
		{"more than a minute", 0, time.Minute + time.Second, false},
		{"much more", 0, 1000 * time.Hour, false},
		{"from the future", 0, -time.Second, false},
		{"an hour", time.Hour, time.Hour, true},
		{"more than an hour", time.Hour, time.Hour + time.Second, false},
		{"less than a second", time.Millisecond, time.Second, true},
	}
	for _, tt := range tests {
		for _, start := range []time.Time{epoch, time.Unix(1<<32-1, 0), time.Unix(0, 0)} {
			t.Run(tt.name, func(t *testing.T) {
				r := newRig(func(c *Config) { c.NonceLifetime = tt.lifetime })
				r.now = start
				nonce := r.challenge(t, client)
				r.now = start.Add(tt.after)
				if got := r.nonces.valid([]byte(nonce), client, r.now); got != tt.want {
					t.Errorf("from %v: got %v, want %v", start.Unix(), got, tt.want)
				}
			})
		}
	}
}

// A nonce is good for an IP address and all of its ports, and for no other.
func TestNonceBinding(t *testing.T) {
	r := newRig(nil)
	nonce := r.challenge(t, client)
	tests := []struct {
		from string
		want bool
	}{
		{"198.51.100.7:40000", true},
		{"198.51.100.7:40001", true},
		{"[::ffff:198.51.100.7]:40000", true},
		{"198.51.100.8:40000", false},
		{"[2001:db8::1]:40000", false},
	}
	for _, tt := range tests {
		if got := r.nonces.valid([]byte(nonce), netip.MustParseAddrPort(tt.from), epoch); got != tt.want {
			t.Errorf("from %s: got %v, want %v", tt.from, got, tt.want)
		}
	}
	if other := newRig(nil); other.nonces.valid([]byte(nonce), client, epoch) {
		t.Error("got the nonce accepted by another server")
	}
}

// RFC 8489, section 9.2.4: no two addresses or ports get the same nonce.
func TestNoncesDiffer(t *testing.T) {
	r := newRig(nil)
	seen := map[string]netip.AddrPort{}
	for _, ip := range []string{"198.51.100.7", "198.51.100.8", "2001:db8::1"} {
		for port := range uint16(1000) {
			from := netip.AddrPortFrom(netip.MustParseAddr(ip), port)
			nonce := r.nonces.make(from, epoch)
			if other, ok := seen[string(nonce[:])]; ok {
				t.Fatalf("got one nonce for %v and %v", other, from)
			}
			seen[string(nonce[:])] = from
		}
	}
}

func TestNonceHMAC(t *testing.T) {
	n := newNonces(time.Minute)
	text := [22]byte{0: 1, 21: 22}
	mac := hmac.New(sha256.New, n.secret[:])
	mac.Write(text[:])
	if got, want := n.hmac(&text), mac.Sum(nil); !bytes.Equal(got[:], want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// Whatever byte of a nonce is another, and however long it is, it is not valid.
func TestNonceForged(t *testing.T) {
	r := newRig(nil)
	nonce := []byte(r.challenge(t, client))
	for i := range nonce {
		for _, bit := range []byte{1, 2, 4, 8, 16, 32, 64, 128} {
			nonce[i] ^= bit
			if r.nonces.valid(nonce, client, epoch) {
				t.Errorf("got %q accepted", nonce)
			}
			nonce[i] ^= bit
		}
		if r.nonces.valid(nonce[:i], client, epoch) {
			t.Errorf("got %q accepted", nonce[:i])
		}
	}
	if r.nonces.valid(append(nonce, 'A'), client, epoch) || !r.nonces.valid(nonce, client, epoch) {
		t.Error("got a longer nonce accepted, or the right one not")
	}
	for _, c := range []byte("\r\n=") {
		forged := append([]byte(nil), nonce...)
		forged[len(forged)-1] = c
		if r.nonces.valid(forged, client, epoch) {
			t.Errorf("got %q accepted", forged)
		}
	}
}

// A flood of requests without credentials, or with a nonce that is not ours, costs no
// memory but that of the refusal.
func TestAllocations(t *testing.T) {
	r := newRig(nil)
	var b wire.Builder
	out := make([]byte, 0, 512)
	m := request{user: user, realm: realm, nonce: r.challenge(t, client), password: password}.message(t)
	id, _ := r.Keys(t.Context(), Claim{User: user, Algorithm: MD5})
	nonce, _ := m.Get(stun.AttrNonce)
	for name, do := range map[string]func(){
		"Challenge": func() {
			b.Reply(out, m, stun.ClassErrorResponse)
			r.Challenge(&b, client)
		},
		"valid":  func() { r.nonces.valid(nonce, client, epoch) },
		"Verify": func() { Claim{Algorithm: MD5}.Verify(m, id) },
	} {
		if got := testing.AllocsPerRun(100, do); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
}

func BenchmarkChallenge(b *testing.B) {
	r := newRig(nil)
	var w wire.Builder
	out := make([]byte, 0, 512)
	id := wire.NewTransaction([12]byte{})
	b.ReportAllocs()
	for b.Loop() {
		w.Start(out, stun.ClassErrorResponse, stun.MethodAllocate, id)
		w.AddError(401, "Unauthenticated")
		r.Challenge(&w, client)
	}
}

func BenchmarkBeginVerify(b *testing.B) {
	r := newRig(nil)
	m := request{user: user, realm: realm, nonce: r.challenge(b, client), password: password}.message(b)
	id, _ := r.Keys(b.Context(), Claim{User: user, Algorithm: MD5})
	b.ReportAllocs()
	for b.Loop() {
		c, refusal := r.Begin(m, client)
		if refusal != nil || c.Verify(m, id) != nil {
			b.Fatal("refused")
		}
	}
}
