package sasl

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/xdg-go/scram"
)

const domain = "example.com"

var secret = []byte("0123456789abcdef0123456789abcdef")

// accounts is a host with the passwords of some users. The name of a user may
// say what is wrong with the account.
type accounts map[string]string

func (a accounts) SCRAMKeys(_ context.Context, hash string, user stanza.JID) (stanza.SCRAMKeys, error) {
	switch user.Local() {
	case "broken":
		return stanza.SCRAMKeys{}, errors.New("disk on fire")
	case "damaged":
		return stanza.SCRAMKeys{Salt: []byte("x"), Iterations: 4096, StoredKey: []byte("short")}, nil
	case "hidden":
		return stanza.SCRAMKeys{}, stanza.ErrAccountDisabled
	case "foreign":
		return stanza.SCRAMKeys{Iterations: 10000}, stanza.ErrNotSupported
	}
	password, ok := a[user.Local()]
	if !ok {
		return stanza.SCRAMKeys{}, fmt.Errorf("looking up: %w", stanza.ErrNoAccount)
	}
	keys, err := DeriveKeys(hash, password, []byte("salt of " + user.Local())[:SaltSize/2], DefaultIterations)
	if user.Local() == "disabled" && err == nil {
		err = stanza.ErrAccountDisabled
	}
	return keys, err
}

func (a accounts) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	switch user.Local() {
	case "broken":
		return errors.New("disk on fire")
	case "disabled":
		return stanza.ErrAccountDisabled
	}
	known, ok := a[user.Local()]
	if !ok {
		return stanza.ErrNoAccount
	}
	if known != password {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (a accounts) OffersTokens(string) bool { return true }

func (a accounts) VerifyToken(ctx context.Context, user stanza.JID, token string) error {
	secret, ok := strings.CutPrefix(token, "token-")
	if !ok {
		return stanza.ErrNotAuthorized
	}
	return a.VerifyPassword(ctx, user, secret)
}

var people = accounts{"user": "pencil", "disabled": "pencil", "a,b=c": "comma", "näme": "pässword", "emoji": "🔑 key"}

func testConfig() *Config {
	return &Config{Domain: domain, Secure: true, Secret: secret, SCRAM: people, Password: people, Token: people}
}

// script runs an exchange with fixed messages; "" in place of a message is an
// absent initial response.
func script(c *Config, mechanism string, msgs ...string) (data []string, e Exchange, err error) {
	e, err = New(c, mechanism)
	for _, m := range msgs {
		if err != nil {
			break
		}
		var msg, out []byte
		if m != "" {
			msg = []byte(m)
		}
		out, _, err = e.Step(context.Background(), msg)
		data = append(data, string(out))
	}
	return data, e, err
}

// condition returns the condition of a *Failure, "" for nil.
func condition(t testing.TB, err error) Condition {
	t.Helper()
	if err == nil {
		return ""
	}
	f, ok := err.(*Failure)
	if !ok {
		t.Fatalf("error is a %T (%v), want a *Failure", err, err)
	}
	return f.Condition
}

// vector is an example of an RFC.
type vector struct {
	mechanism, hash, salt, serverNonce string
	client                             [2]string
	server                             [2]string
}

var vectors = []vector{
	{ // RFC 5802, section 5
		mechanism: SCRAMSHA1, hash: SHA1, salt: "QSXCR+Q6sek8bf92", serverNonce: "3rfcNHYJY1ZVvWVs7j",
		client: [2]string{
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		},
		server: [2]string{
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		},
	},
	{ // RFC 7677, section 3
		mechanism: SCRAMSHA256, hash: SHA256, salt: "W22ZaJ0SNY7soEsUEjb6gQ==", serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		client: [2]string{
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		},
		server: [2]string{
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		},
	},
}

// fixedKeys is a host that knows one set of keys.
type fixedKeys stanza.SCRAMKeys

func (f fixedKeys) SCRAMKeys(context.Context, string, stanza.JID) (stanza.SCRAMKeys, error) {
	return stanza.SCRAMKeys(f), nil
}

func TestRFCVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.mechanism, func(t *testing.T) {
			salt, err := base64.StdEncoding.DecodeString(v.salt)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := DeriveKeys(v.hash, "pencil", salt, 4096)
			if err != nil {
				t.Fatal(err)
			}
			c := testConfig()
			c.SCRAM = fixedKeys(keys)
			s, err := newSCRAM(c, v.mechanism)
			if err != nil {
				t.Fatal(err)
			}
			s.nonce = func() string { return v.serverNonce }
			e := &exchange{step: s.step}
			for i := range v.client {
				data, done, err := e.Step(context.Background(), []byte(v.client[i]))
				if err != nil || string(data) != v.server[i] || done != (i == 1) {
					t.Fatalf("step %d: got %q, done %v, error %v; want %q", i, data, done, err, v.server[i])
				}
			}
			if got := e.User().String(); got != "user@"+domain {
				t.Errorf("user: got %s, want user@%s", got, domain)
			}
		})
	}
}

var bindings = []Binding{{TLSExporter, []byte("exported keying material, 32 byte")}, {TLSServerEndPoint, []byte("hash of the certificate")}}

// client talks to an exchange with the library's client and returns what the
// server said, and the outcome on both sides.
func client(t *testing.T, c *Config, mechanism, user, password, authzid string, cb scram.ChannelBinding) (said []string, e Exchange, err error) {
	t.Helper()
	name := strings.TrimSuffix(strings.TrimPrefix(mechanism, "SCRAM-"), plus)
	cl, err := scram.HashGeneratorFcn(newHash(name)).NewClientUnprepped(user, password, authzid)
	if err != nil {
		t.Fatal(err)
	}
	conv := cl.NewConversation()
	if cb.IsSupported() {
		conv = cl.NewConversationWithChannelBinding(cb)
	}
	if e, err = New(c, mechanism); err != nil {
		return nil, nil, err
	}
	challenge := ""
	for {
		msg, cerr := conv.Step(challenge)
		if cerr != nil {
			t.Fatalf("client: %v", cerr)
		}
		data, done, err := e.Step(context.Background(), []byte(msg))
		if err != nil {
			return said, e, err
		}
		said = append(said, string(data))
		if done {
			if _, cerr := conv.Step(string(data)); cerr != nil || !conv.Valid() {
				t.Fatalf("client does not believe the server: %v", cerr)
			}
			return said, e, nil
		}
		challenge = string(data)
	}
}

func TestSCRAMWithClient(t *testing.T) {
	c := testConfig()
	c.Bindings = bindings
	none := scram.ChannelBinding{}
	exporter := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: bindings[0].Data}
	endPoint := scram.ChannelBinding{Type: scram.ChannelBindingTLSServerEndpoint, Data: bindings[1].Data}
	stolen := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: []byte("of another connection")}
	unique := scram.ChannelBinding{Type: scram.ChannelBindingTLSUnique, Data: []byte("finished")}
	tests := []struct {
		name, mechanism, user, password, authzid string
		cb                                       scram.ChannelBinding
		want                                     Condition
		jid                                      string
	}{
		{name: "SHA-1", mechanism: SCRAMSHA1, user: "user", password: "pencil", jid: "user@example.com"},
		{name: "SHA-256", mechanism: SCRAMSHA256, user: "user", password: "pencil", jid: "user@example.com"},
		{name: "SHA-512", mechanism: SCRAMSHA512, user: "user", password: "pencil", jid: "user@example.com"},
		{name: "SHA-1-PLUS exporter", mechanism: SCRAMSHA1Plus, user: "user", password: "pencil", cb: exporter, jid: "user@example.com"},
		{name: "SHA-256-PLUS end point", mechanism: SCRAMSHA256Plus, user: "user", password: "pencil", cb: endPoint, jid: "user@example.com"},
		{name: "SHA-512-PLUS exporter", mechanism: SCRAMSHA512Plus, user: "user", password: "pencil", cb: exporter, jid: "user@example.com"},
		{name: "own authzid", mechanism: SCRAMSHA256, user: "user", password: "pencil", authzid: "user@example.com", jid: "user@example.com"},
		{name: "not ASCII", mechanism: SCRAMSHA256, user: "näme", password: "pässword", jid: "näme@example.com"},
		{name: "emoji", mechanism: SCRAMSHA256, user: "emoji", password: "🔑 key", jid: "emoji@example.com"},
		{name: "comma and equals sign", mechanism: SCRAMSHA256, user: "a,b=c", password: "comma", jid: "a,b=c@example.com"},
		{name: "wrong password", mechanism: SCRAMSHA256, user: "user", password: "pen", want: NotAuthorized},
		{name: "no account", mechanism: SCRAMSHA256, user: "nobody", password: "pencil", want: NotAuthorized},
		{name: "no keys of this kind", mechanism: SCRAMSHA512, user: "foreign", password: "pencil", want: NotAuthorized},
		{name: "disabled", mechanism: SCRAMSHA256, user: "disabled", password: "pencil", want: AccountDisabled},
		{name: "disabled, wrong password", mechanism: SCRAMSHA256, user: "disabled", password: "pen", want: NotAuthorized},
		{name: "disabled, host gives no keys", mechanism: SCRAMSHA256, user: "hidden", password: "pencil", want: NotAuthorized},
		{name: "host is broken", mechanism: SCRAMSHA256, user: "broken", password: "pencil", want: TemporaryAuthFailure},
		{name: "keys are damaged", mechanism: SCRAMSHA256, user: "damaged", password: "pencil", want: TemporaryAuthFailure},
		{name: "authzid of somebody else", mechanism: SCRAMSHA256, user: "user", password: "pencil", authzid: "admin@example.com", want: InvalidAuthzid},
		{name: "authzid with resource", mechanism: SCRAMSHA256, user: "user", password: "pencil", authzid: "user@example.com/x", want: InvalidAuthzid},
		{name: "name with a domain", mechanism: SCRAMSHA256, user: "user@example.com", password: "pencil", want: NotAuthorized},
		{name: "stolen binding", mechanism: SCRAMSHA256Plus, user: "user", password: "pencil", cb: stolen, want: NotAuthorized},
		{name: "tls-unique", mechanism: SCRAMSHA256Plus, user: "user", password: "pencil", cb: unique, want: NotAuthorized},
		{name: "PLUS without p", mechanism: SCRAMSHA256Plus, user: "user", password: "pencil", cb: none, want: MalformedRequest},
		{name: "p without PLUS", mechanism: SCRAMSHA256, user: "user", password: "pencil", cb: exporter, want: MalformedRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, e, err := client(t, c, tt.mechanism, tt.user, tt.password, tt.authzid, tt.cb)
			if got := condition(t, err); got != tt.want {
				t.Fatalf("failure: got %q (%v), want %q", got, err, tt.want)
			}
			if got := e.User().String(); got != tt.jid {
				t.Errorf("user: got %q, want %q", got, tt.jid)
			}
			if _, _, err := e.Step(context.Background(), []byte("more")); err == nil {
				t.Error("a step after the end succeeded")
			}
		})
	}
}

// A client that supports channel binding and was shown no -PLUS says y.
func TestSCRAMDowngrade(t *testing.T) {
	tests := []struct {
		name     string
		bindings []Binding
		disabled []string
		want     Condition
	}{
		{name: "no binding", want: ""},
		{name: "offered", bindings: bindings, want: NotAuthorized},
		{name: "another one offered", bindings: bindings, disabled: []string{SCRAMSHA1Plus, SCRAMSHA256Plus}, want: NotAuthorized},
		{name: "all disabled", bindings: bindings, disabled: []string{SCRAMSHA1Plus, SCRAMSHA256Plus, SCRAMSHA512Plus}, want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig()
			c.Bindings, c.Disabled = tt.bindings, tt.disabled
			_, _, err := script(c, SCRAMSHA256, "y,,n=user,r=abc")
			if got := condition(t, err); got != tt.want {
				t.Errorf("failure: got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

func TestSCRAMMessages(t *testing.T) {
	tests := []struct {
		name string
		msgs []string
		want Condition
	}{
		{"no initial response", []string{""}, ""},
		{"no initial response twice", []string{"", ""}, ""},
		{"too many without one", []string{"", "", "", ""}, MalformedRequest},
		{"no gs2 header", []string{"n=user,r=abc"}, MalformedRequest},
		{"unknown flag", []string{"x,,n=user,r=abc"}, MalformedRequest},
		{"mandatory extension", []string{"n,,m=1,n=user,r=abc"}, MalformedRequest},
		{"bad escape in the name", []string{"n,,n=us=3der,r=abc"}, MalformedRequest},
		{"bad escape in the authzid", []string{"n,a=us=er,n=user,r=abc"}, MalformedRequest},
		{"no nonce", []string{"n,,n=user"}, MalformedRequest},
		{"empty name", []string{"n,,n=,r=abc"}, MalformedRequest},
		{"not UTF-8", []string{"n,,n=us\xffer,r=abc"}, MalformedRequest},
		{"too long", []string{"n,,n=user,r=" + strings.Repeat("x", MaxMessage)}, MalformedRequest},
		{"final is garbage", []string{"n,,n=user,r=abc", "garbage"}, MalformedRequest},
		{"final in another order", []string{"n,,n=user,r=abc", "c=biws,r=abc,proof=secret"}, MalformedRequest},
		{"final has bad base64", []string{"n,,n=user,r=abc", "c=!,r=abc,p=!"}, MalformedRequest},
		{"other nonce", []string{"n,,n=user,r=abc", "c=biws,r=abc,p=AAAA"}, NotAuthorized},
		{"other gs2 header", []string{"n,,n=user,r=abc", "c=eSws,r=abc,p=AAAA"}, NotAuthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, e, err := script(testConfig(), SCRAMSHA256, tt.msgs...)
			if got := condition(t, err); got != tt.want {
				t.Errorf("failure: got %q (%v), want %q", got, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("failure: got %q, which quotes the proof", err)
			}
			if !e.User().IsZero() {
				t.Errorf("user: got %s, want none", e.User())
			}
		})
	}
}

// What a stranger sees of an account must not tell whether it exists.
func TestSCRAMUnknownUser(t *testing.T) {
	shape := func(user string) (string, string) {
		said, _, err := client(t, testConfig(), SCRAMSHA256, user, "guess", "", scram.ChannelBinding{})
		if len(said) != 1 {
			t.Fatalf("%s: server said %q before it failed, want one message", user, said)
		}
		f := strings.Split(said[0], ",")
		return fmt.Sprint(len(f[0]), len(f), f[2], condition(t, err)), f[1]
	}
	salted := accounts{"user": "pencil"}
	want, _ := shape("user")
	for _, user := range []string{"nobody", "hidden", "usee"} {
		if got, _ := shape(user); got != want {
			t.Errorf("%s: got %s, want %s as for a known user", user, got, want)
		}
	}
	if got, _ := shape("foreign"); !strings.Contains(got, "i=10000") {
		t.Errorf("iterations of the host are not used: %s", got)
	}
	_, first := shape("nobody")
	_, again := shape("nobody")
	_, other := shape("noone")
	if first != again {
		t.Errorf("salt of an unknown user changed: %s, then %s", first, again)
	}
	if first == other {
		t.Errorf("two unknown users have the salt %s", first)
	}
	if salt := NewSalt(); len("s="+base64.StdEncoding.EncodeToString(salt)) != len(first) {
		t.Errorf("salt: got %s, want the length of a real one", first)
	}
	c := testConfig()
	c.SCRAM, c.Secret = salted, bytes.Repeat([]byte("x"), 32)
	said, _, _ := script(c, SCRAMSHA256, "n,,n=nobody,r=abc")
	if strings.Contains(said[0], first+",") {
		t.Error("salt does not depend on the secret")
	}
}

// Even a proof that fits the keys that were made up does not let anybody in.
func TestSCRAMMadeUpKeysFail(t *testing.T) {
	s, err := newSCRAM(testConfig(), SCRAMSHA256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.first(context.Background(), []byte("n,,n=nobody,r=abc")); err != nil {
		t.Fatal(err)
	}
	if got := condition(t, s.reject); got != NotAuthorized {
		t.Errorf("verdict before the proof: got %q, want %q", got, NotAuthorized)
	}
}

func TestSCRAMSecretRequired(t *testing.T) {
	c := testConfig()
	c.Secret = nil
	_, err := New(c, SCRAMSHA256)
	if got := condition(t, err); got != TemporaryAuthFailure {
		t.Errorf("failure: got %q, want %q", got, TemporaryAuthFailure)
	}
}

func TestDeriveKeys(t *testing.T) {
	salt := []byte("0123456789abcdef")
	same := []struct{ name, a, b string }{
		{"soft hyphen is dropped", "I\u00adX", "IX"},
		{"NFKC", "ª", "a"},
		{"other space", "a\u00a0b", "a b"},
		{"emoji stays", "🔑", "🔑"},
	}
	for _, tt := range same {
		t.Run(tt.name, func(t *testing.T) {
			a, err := DeriveKeys(SHA256, tt.a, salt, 1)
			if err != nil {
				t.Fatal(err)
			}
			b, err := DeriveKeys(SHA256, tt.b, salt, 1)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a.StoredKey, b.StoredKey) || !bytes.Equal(a.ServerKey, b.ServerKey) {
				t.Errorf("keys of %q and %q differ", tt.a, tt.b)
			}
		})
	}
	bad := []struct {
		name, hash, password string
		salt                 []byte
		iterations           int
	}{
		{"unknown hash", "MD5", "x", salt, 4096},
		{"no iterations", SHA1, "x", salt, 0},
		{"too many iterations", SHA1, "x", salt, MaxIterations + 1},
		{"no salt", SHA1, "x", nil, 4096},
		{"empty password", SHA1, "", salt, 4096},
		{"nothing left of the password", SHA1, "\u00ad", salt, 4096},
		{"control character", SHA1, "a\x07", salt, 4096},
		{"mixed directions", SHA1, "\u0627a1", salt, 4096},
		{"not UTF-8", SHA1, "a\xff", salt, 4096},
		{"too long", SHA1, strings.Repeat("x", maxPassword+1), salt, 4096},
	}
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DeriveKeys(tt.hash, tt.password, tt.salt, tt.iterations)
			if err == nil {
				t.Fatal("got no error")
			}
			if tt.password != "" && tt.password != "x" && strings.Contains(err.Error(), tt.password) {
				t.Errorf("error %q repeats the password", err)
			}
		})
	}
}

// The keys do not hold on to the caller's salt.
func TestDeriveKeysCopiesSalt(t *testing.T) {
	salt := NewSalt()
	k, err := DeriveKeys(SHA1, "x", salt, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := hex.EncodeToString(salt)
	clear(salt)
	if got := hex.EncodeToString(k.Salt); got != want {
		t.Errorf("salt: got %s, want %s", got, want)
	}
}
