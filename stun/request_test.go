package stun

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun"
	"github.com/pion/turn/v2"

	"github.com/tidewaiter/tidewaiter/stun/internal/auth"
	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// turnMethods are those whose requests have to be of a user.
var turnMethods = []stun.Method{stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind}

// Who shows no credentials, or the wrong ones, is challenged.
func TestCredentials(t *testing.T) {
	tests := []struct {
		name           string
		user, password string
		realm          string
		want           int
	}{
		{"right", user, password, realm, 0},
		{"wrong password", user, "guess", realm, 401},
		{"unknown user", "eve", password, realm, 401},
		{"empty user", "", password, realm, 401},
		{"another realm", user, password, "two.test", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, turnOptions(), func(r *rig) {
				c := r.client()
				c.login()
				key := stun.NewLongTermIntegrity(tt.user, tt.realm, tt.password)
				m := c.asks(stun.MethodAllocate, udp, stun.NewUsername(tt.user), stun.NewRealm(tt.realm), stun.NewNonce(c.nonce), key)
				r.wantError(m, tt.want)
				if tt.want == 0 {
					return
				}
				if got, _ := m.Get(stun.AttrRealm); string(got) != realm {
					t.Errorf("REALM: got %q, want %q", got, realm)
				}
				if m.Contains(stun.AttrMessageIntegrity) {
					t.Error("the challenge is signed")
				}
				if got := r.srv.Stats(); got.Allocations != 0 || got.Refused != 1 {
					t.Errorf("stats: got %+v, want no allocation and one refusal", got)
				}
			})
		})
	}
}

func TestChallenge(t *testing.T) {
	o := turnOptions()
	o.AuthRealm, o.ServerName = strings.Repeat("r", 127), strings.Repeat("s", 127)
	inMemory(t, o, func(r *rig) {
		for _, m := range turnMethods {
			answer := r.client().asks(m, udp)
			r.wantError(answer, 401)
			if n := len(answer.Raw); n > 512 {
				t.Errorf("%s: the challenge has %d bytes, want at most 512", m, n)
			}
		}
		if n := r.accounts.count(); n != 0 {
			t.Errorf("accounts were asked %d times, want 0", n)
		}
	})
}

func TestStaleNonce(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c := r.client()
		c.allocates()
		time.Sleep(2 * time.Minute)
		m := c.exchange(c.signs(stun.MethodRefresh))
		r.wantError(m, 438)
		c.take(m)
		r.wantSuccess(c.exchange(c.signs(stun.MethodRefresh)))
		if n := r.accounts.count(); n != 1 {
			t.Errorf("accounts were asked %d times, want 1", n)
		}
	})
}

// A client of RFC 8489 signs with SHA-256, and so is it answered.
func TestSHA256(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c := r.client()
		challenge := c.asks(stun.MethodAllocate, udp)
		nonce, _ := challenge.Get(stun.AttrNonce)
		algorithms, err := challenge.Get(stun.AttrPasswordAlgorithms)
		if err != nil {
			t.Fatalf("PASSWORD-ALGORITHMS: %v", err)
		}
		key, _ := r.accounts.HA1(r.t.Context(), user, realm, "SHA-256")
		var b wire.Builder
		for _, method := range []stun.Method{stun.MethodAllocate, stun.MethodRefresh} {
			b.Start(nil, stun.ClassRequest, method, wire.NewTransaction(stun.NewTransactionID()))
			b.Add(stun.AttrRequestedTransport, udp.v)
			b.AddString(stun.AttrUsername, user)
			b.AddString(stun.AttrRealm, realm)
			b.Add(stun.AttrNonce, nonce)
			b.Add(stun.AttrPasswordAlgorithms, algorithms)
			b.Add(stun.AttrPasswordAlgorithm, []byte{0, 2, 0, 0})
			b.Integrity(key, true)
			b.Fingerprint()
			var m wire.Message
			if err := m.Parse(c.sends(b.Bytes())); err != nil {
				t.Fatal(err)
			}
			if m.Class() != stun.ClassSuccessResponse || !m.CheckIntegrity(key, true) || !m.Has(stun.AttrFingerprint) {
				t.Errorf("%s: got %x, want a success with MESSAGE-INTEGRITY-SHA256 and FINGERPRINT", method, m.Raw())
			}
		}
		if n := r.accounts.count(); n != 2 { // one was ours
			t.Errorf("accounts were asked %d times, want 2", n)
		}
	})
}

// Without accounts everybody is unknown (a signed request must not do any harm).
func TestNoAccounts(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		r.srv.h.Accounts = nil
		r.srv.realms = make(map[string]*auth.Authenticator)
		if err := r.srv.Update(r.pc.LocalAddr(), turnOptions()); err != nil {
			t.Fatal(err)
		}
		c := r.client()
		r.wantError(c.exchange(c.signs(stun.MethodAllocate, udp)), 401)
	})
}

func TestAccountsFail(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		r.accounts.hold = func(context.Context) error { return errors.New("disk on fire") }
		c := r.client()
		r.wantError(c.exchange(c.signs(stun.MethodAllocate, udp)), 500)
	})
}

// A client without allocation is told so, whatever it wants; others are not affected.
func TestMismatch(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		r.client().allocates()
		c := r.client()
		p := peer(netip.MustParseAddrPort("8.8.8.8:1"))
		number := attr{stun.AttrChannelNumber, []byte{0x40, 0, 0, 0}}
		for _, m := range turnMethods[1:] {
			r.wantError(c.does(m, number, p), 437)
		}
	})
}

// An allocation is of the user who made it (RFC 8656, section 5).
func TestWrongCredentials(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c := r.client()
		c.allocates()
		thief := &testClient{r: r, c: c.c, user: "bob", password: password}
		thief.take(c.exchange(c.builds(stun.NewType(stun.MethodRefresh, stun.ClassRequest))))
		for _, m := range turnMethods[1:] {
			r.wantError(thief.does(m, peer(netip.MustParseAddrPort("8.8.8.8:1"))), 441)
		}
		r.wantError(thief.does(stun.MethodAllocate, udp), 437)
		nobody := &testClient{r: r, c: c.c, user: "eve", password: password, nonce: c.nonce}
		nobody.key = stun.NewLongTermIntegrity("eve", realm, password)
		r.wantError(nobody.exchange(nobody.signs(stun.MethodRefresh)), 401)
		r.wantSuccess(c.does(stun.MethodRefresh))
	})
}

// The account is asked again from time to time, and when the password seems to be
// another.
func TestPasswordChanges(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		c := r.client()
		c.allocates(seconds(3600))
		r.accounts.mu.Lock()
		r.accounts.key = "new"
		r.accounts.mu.Unlock()
		r.wantSuccess(c.does(stun.MethodRefresh, seconds(3600)))
		time.Sleep(keyLife)
		stale := c.exchange(c.signs(stun.MethodRefresh, seconds(3600)))
		r.wantError(stale, 438)
		c.take(stale)
		r.wantError(c.exchange(c.signs(stun.MethodRefresh, seconds(3600))), 401)
		c.password, c.key = "new", stun.NewLongTermIntegrity(user, realm, "new")
		r.wantSuccess(c.does(stun.MethodRefresh, seconds(3600)))
		if got := r.srv.Stats().Allocations; got != 1 {
			t.Errorf("got %d allocations, want 1", got)
		}
	})
}

func TestSharedSecret(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		r.srv.h.Secret = []byte("shared")
		r.srv.realms = make(map[string]*auth.Authenticator)
		if err := r.srv.Update(r.pc.LocalAddr(), turnOptions()); err != nil {
			t.Fatal(err)
		}
		c := r.client()
		c.user, c.password = timeLimited(t, time.Hour)
		c.allocates()
		old := r.client()
		old.user, old.password = timeLimited(t, -time.Second)
		r.wantError(old.exchange(old.signs(stun.MethodAllocate, udp)), 401)
		if n := r.accounts.count(); n != 0 {
			t.Errorf("accounts were asked %d times, want 0", n)
		}
	})
}

// timeLimited returns credentials that are good for some time.
func timeLimited(t *testing.T, d time.Duration) (user, password string) {
	t.Helper()
	user, password, err := turn.GenerateLongTermCredentials("shared", d)
	if err != nil {
		t.Fatal(err)
	}
	return user, password
}

func TestAnonymous(t *testing.T) {
	o := turnOptions()
	o.AuthType = AuthAnonymous
	inMemory(t, o, func(r *rig) {
		c, p := r.client(), r.peer("8.8.8.8:4000")
		r.wantError(c.asks(stun.MethodRefresh), 437)
		m := c.asks(stun.MethodAllocate, udp)
		r.wantSuccess(m)
		if m.Contains(stun.AttrMessageIntegrity) {
			t.Error("the answer is signed")
		}
		relay := address(t, m, stun.AttrXORRelayedAddress)
		r.wantSuccess(c.asks(stun.MethodCreatePermission, peer(p.addr())))
		c.indicates(p.addr(), "hello")
		p.wants(relay, "hello")
		r.wantSuccess(c.asks(stun.MethodRefresh, seconds(0)))
		r.wantError(c.asks(stun.MethodRefresh), 437)

		d := r.client()
		m = d.asks(stun.MethodAllocate, udp, stun.NewUsername("ana"), stun.NewRealm(realm), stun.NewNonce("n"),
			stun.NewLongTermIntegrity("ana", realm, password))
		r.wantError(m, 401)
		if m.Contains(stun.AttrNonce) {
			t.Error("who is not asked for credentials is challenged")
		}
	})
}

// A slow account holds up nobody else; and those who wait are bounded.
func TestLookups(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		quick := r.client()
		relay := quick.allocates()
		p := r.peer("8.8.8.8:4000")
		quick.permits(p.addr())

		release := make(chan struct{})
		r.accounts.hold = func(ctx context.Context) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		var waiting []*testClient
		before := r.accounts.count()
		for range maxLookups + 10 {
			r.clients++
			c := r.clientAt(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 101, byte(r.clients)}), 1000+r.clients))
			request := c.signs(stun.MethodAllocate, udp)
			for range 2 { // it comes again, as nobody has answered
				if m := c.exchange(request); m != nil {
					t.Fatalf("got %d, want no answer yet", code(m))
				}
			}
			waiting = append(waiting, c)
		}
		if got := r.accounts.count() - before; got != maxLookups {
			t.Errorf("accounts are asked %d times at once, want %d", got, maxLookups)
		}
		quick.indicates(p.addr(), "hello")
		p.wants(relay, "hello")
		r.wantSuccess(quick.does(stun.MethodRefresh))

		close(release)
		synctest.Wait()
		for i, c := range waiting {
			if b := c.reads(); (b != nil) != (i < maxLookups) {
				t.Errorf("client %d: answered %t", i, b != nil)
			}
		}
		late := waiting[maxLookups]
		r.wantSuccess(late.exchange(late.signs(stun.MethodAllocate, udp)))
	})
}

// The end of the listener ends lookups, and nobody gets an allocation any more.
func TestLookupAtEnd(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		r.accounts.hold = func(ctx context.Context) error {
			<-ctx.Done()
			return nil // late, but with a key
		}
		c := r.client()
		if m := c.exchange(c.signs(stun.MethodAllocate, udp)); m != nil {
			t.Errorf("got %d, want no answer", code(m))
		}
	})
}

// What a late lookup would have reserved does not keep the listener from ending.
func TestReservationAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, turnOptions())
		r.accounts.hold = func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second) // the listener has given up what there was
			return nil
		}
		c := r.client()
		if m := c.exchange(c.signs(stun.MethodAllocate, udp, portPair)); m != nil {
			t.Errorf("got %d, want no answer", code(m))
		}
		began := time.Now()
		r.end()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the end took %v, want it not to wait for the reservation", took)
		}
	})
}

// Somebody who sends wrong passwords from all his ports leaves room for others.
func TestLookupsOfOneAddress(t *testing.T) {
	inMemory(t, turnOptions(), func(r *rig) {
		release := make(chan struct{})
		r.accounts.hold = func(context.Context) error { <-release; return nil }
		for range maxLookups {
			c := r.client()
			c.login()
			c.key = stun.NewLongTermIntegrity(user, realm, "guessed")
			if m := c.exchange(c.signs(stun.MethodAllocate, udp)); m != nil {
				t.Fatalf("got %d, want no answer yet", code(m))
			}
		}
		if got := r.accounts.count(); got != maxAddressLookups {
			t.Errorf("accounts are asked %d times at once for one address, want %d", got, maxAddressLookups)
		}
		c := r.clientAt(netip.MustParseAddrPort("198.51.100.8:1000"))
		request := c.signs(stun.MethodAllocate, udp)
		if m := c.exchange(request); m != nil {
			t.Fatalf("got %d, want no answer yet", code(m))
		}
		close(release)
		synctest.Wait()
		if b := c.reads(); b == nil {
			t.Error("client of another address: got no answer")
		} else {
			r.wantSuccess(parse(t, b, request.TransactionID))
		}
	})
}
