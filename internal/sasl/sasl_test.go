package sasl

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// strangers lets anonymous users in at one domain.
type strangers struct{ domain string }

func (s strangers) OffersAnonymous(domain string) bool { return domain == s.domain }
func (s strangers) Anonymous(_ context.Context, domain string) (stanza.JID, error) {
	if domain != s.domain {
		return stanza.JID{}, stanza.ErrNotSupported
	}
	return stanza.NewJID("x1", domain, "")
}

// certified is the EXTERNAL of a certificate for one user.
func certified(_ context.Context, authzid stanza.JID) (stanza.JID, error) {
	owner, err := stanza.ParseJID("user@" + domain)
	switch {
	case err != nil:
		return owner, err
	case authzid.IsZero(), authzid == owner:
		return owner, nil
	case authzid.Local() == "disabled":
		return stanza.JID{}, stanza.ErrAccountDisabled
	case authzid.Local() == "nobody":
		return stanza.JID{}, nil
	case authzid.Local() == "choosy":
		return stanza.JID{}, &Failure{Condition: CredentialsExpired}
	}
	return stanza.JID{}, stanza.ErrNotAuthorized
}

// logins are exchanges of one message.
var logins = []struct {
	name, mechanism, msg string
	want                 Condition
	jid                  string
}{
	{name: "right", mechanism: Plain, msg: "\x00user\x00pencil", jid: "user@example.com"},
	{name: "own authzid", mechanism: Plain, msg: "user@example.com\x00user\x00pencil", jid: "user@example.com"},
	{name: "other authzid", mechanism: Plain, msg: "admin@example.com\x00user\x00pencil", want: InvalidAuthzid},
	{name: "authzid is no address", mechanism: Plain, msg: "@\x00user\x00pencil", want: InvalidAuthzid},
	{name: "wrong password", mechanism: Plain, msg: "\x00user\x00pen", want: NotAuthorized},
	{name: "no account", mechanism: Plain, msg: "\x00nobody\x00pencil", want: NotAuthorized},
	{name: "disabled", mechanism: Plain, msg: "\x00disabled\x00pencil", want: AccountDisabled},
	{name: "host is broken", mechanism: Plain, msg: "\x00broken\x00pencil", want: TemporaryAuthFailure},
	{name: "empty name", mechanism: Plain, msg: "\x00\x00pencil", want: MalformedRequest},
	{name: "empty password", mechanism: Plain, msg: "\x00user\x00", want: MalformedRequest},
	{name: "two parts", mechanism: Plain, msg: "user\x00pencil", want: MalformedRequest},
	{name: "four parts", mechanism: Plain, msg: "\x00user\x00pencil\x00", want: MalformedRequest},
	{name: "not UTF-8", mechanism: Plain, msg: "\x00user\x00pen\xff", want: MalformedRequest},
	{name: "too long", mechanism: Plain, msg: "\x00user\x00" + strings.Repeat("x", MaxMessage), want: MalformedRequest},

	{name: "right", mechanism: XOAuth2, msg: "\x00user\x00token-pencil", jid: "user@example.com"},
	{name: "an address", mechanism: XOAuth2, msg: "\x00User@Example.com\x00token-pencil", jid: "user@example.com"},
	{name: "an address elsewhere", mechanism: XOAuth2, msg: "\x00user@example.org\x00token-pencil", want: NotAuthorized},
	{name: "a full address", mechanism: XOAuth2, msg: "\x00user@example.com/x\x00token-pencil", want: NotAuthorized},
	{name: "password is no token", mechanism: XOAuth2, msg: "\x00user\x00pencil", want: NotAuthorized},
	{name: "other authzid", mechanism: XOAuth2, msg: "admin@example.com\x00user\x00token-pencil", want: InvalidAuthzid},

	{name: "empty authzid", mechanism: External, jid: "user@example.com"},
	{name: "own authzid", mechanism: External, msg: "user@example.com", jid: "user@example.com"},
	{name: "other authzid", mechanism: External, msg: "admin@example.com", want: NotAuthorized},
	{name: "authzid with resource", mechanism: External, msg: "user@example.com/x", want: InvalidAuthzid},
	{name: "authzid is no address", mechanism: External, msg: "@", want: InvalidAuthzid},
	{name: "disabled", mechanism: External, msg: "disabled@example.com", want: AccountDisabled},
	{name: "nobody", mechanism: External, msg: "nobody@example.com", want: NotAuthorized},
	{name: "failure of the host", mechanism: External, msg: "choosy@example.com", want: CredentialsExpired},

	{name: "empty trace", mechanism: Anonymous, jid: "x1@example.com"},
	{name: "trace", mechanism: Anonymous, msg: "somebody\xff", jid: "x1@example.com"},
	{name: "long trace", mechanism: Anonymous, msg: strings.Repeat("x", maxTrace+1), want: MalformedRequest},
}

func TestOneMessageMechanisms(t *testing.T) {
	c := testConfig()
	c.External, c.Anonymous = certified, strangers{domain}
	for _, tt := range logins {
		t.Run(tt.mechanism+"/"+tt.name, func(t *testing.T) {
			e, err := New(c, tt.mechanism)
			if err != nil {
				t.Fatal(err)
			}
			data, done, err := e.Step(context.Background(), []byte(tt.msg))
			if got := condition(t, err); got != tt.want {
				t.Fatalf("failure: got %q (%v), want %q", got, err, tt.want)
			}
			if done != (tt.want == "") || data != nil {
				t.Errorf("got done %v with data %q", done, data)
			}
			if got := e.User().String(); got != tt.jid {
				t.Errorf("user: got %q, want %q", got, tt.jid)
			}
			if _, _, err := e.Step(context.Background(), []byte(tt.msg)); err == nil {
				t.Error("a step after the end succeeded")
			}
		})
	}
}

// Without an initial response, the server asks for it with an empty challenge.
func TestNoInitialResponse(t *testing.T) {
	c := testConfig()
	c.External, c.Anonymous = certified, strangers{domain}
	for _, m := range []string{Plain, OAuthBearer, XOAuth2, External, SCRAMSHA1} {
		t.Run(m, func(t *testing.T) {
			e, err := New(c, m)
			if err != nil {
				t.Fatal(err)
			}
			data, done, err := e.Step(context.Background(), nil)
			if data == nil || len(data) != 0 || done || err != nil {
				t.Errorf("got %#v, done %v, error %v; want an empty challenge", data, done, err)
			}
		})
	}
	e, err := New(c, Anonymous)
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err := e.Step(context.Background(), nil); !done || err != nil {
		t.Errorf("ANONYMOUS: got done %v, error %v; want success", done, err)
	}
}

func TestAnonymousHostErrors(t *testing.T) {
	for want, err := range map[Condition]error{
		NotAuthorized:        stanza.ErrNotSupported,
		TemporaryAuthFailure: errors.New("full"),
	} {
		c := &Config{Domain: domain, Anonymous: failing{err}}
		e, nerr := New(c, Anonymous)
		if nerr != nil {
			t.Fatal(nerr)
		}
		_, _, got := e.Step(context.Background(), nil)
		if condition(t, got) != want {
			t.Errorf("%v: got %v, want %s", err, got, want)
		}
	}
	c := &Config{Domain: domain, Anonymous: failing{}}
	e, err := New(c, Anonymous)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Step(context.Background(), nil); condition(t, err) != TemporaryAuthFailure {
		t.Errorf("no address: got %v, want %s", err, TemporaryAuthFailure)
	}
}

type failing struct{ err error }

func (failing) OffersAnonymous(string) bool { return true }
func (f failing) Anonymous(context.Context, string) (stanza.JID, error) {
	return stanza.JID{}, f.err
}

func TestOffer(t *testing.T) {
	full := func() *Config {
		c := testConfig()
		c.Bindings, c.External, c.Anonymous = bindings, certified, strangers{domain}
		return c
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"all", func(*Config) {}, "EXTERNAL SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER X-OAUTH2 PLAIN ANONYMOUS"},
		{"nothing", func(c *Config) { *c = Config{Domain: domain, Secure: true} }, ""},
		{"no TLS", func(c *Config) { c.Secure, c.Bindings, c.External = false, nil, nil }, "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 ANONYMOUS"},
		{"no TLS, PLAIN allowed", func(c *Config) { c.Secure, c.AllowPlain, c.Bindings, c.External = false, true, nil, nil }, "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER X-OAUTH2 PLAIN ANONYMOUS"},
		{"no certificate, other vhost", func(c *Config) { c.External, c.Domain = nil, "example.net" }, "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER X-OAUTH2 PLAIN"},
		{"some disabled", func(c *Config) {
			c.Disabled = []string{"plain", "Scram-SHA-1", "x-oauth2", "OAuthBearer", "scram-sha-1-plus", "DIGEST-MD5"}
		}, "EXTERNAL SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-512 SCRAM-SHA-256 ANONYMOUS"},
		{"no SCRAM", func(c *Config) { c.SCRAM, c.Token = nil, nil }, "EXTERNAL PLAIN ANONYMOUS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := full()
			tt.change(c)
			offer := Offer(c)
			if got := strings.Join(offer, " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			for _, m := range mechanisms {
				_, err := New(c, m)
				if (err == nil) != slices.Contains(offer, m) {
					t.Errorf("New(%s): got error %v, offered: %v", m, err, slices.Contains(offer, m))
				}
			}
		})
	}
}

func TestNewFailures(t *testing.T) {
	c := testConfig()
	c.Secure, c.Disabled = false, []string{"scram-sha-1"}
	for m, want := range map[string]Condition{
		Plain:         EncryptionRequired,
		OAuthBearer:   EncryptionRequired,
		XOAuth2:       EncryptionRequired,
		External:      InvalidMechanism,
		Anonymous:     InvalidMechanism,
		SCRAMSHA1:     InvalidMechanism,
		SCRAMSHA1Plus: InvalidMechanism,
		"DIGEST-MD5":  InvalidMechanism,
		"plain":       InvalidMechanism,
		"":            InvalidMechanism,
	} {
		_, err := New(c, m)
		if got := condition(t, err); got != want {
			t.Errorf("New(%q): got %q, want %q", m, got, want)
		}
	}
}

func TestFailure(t *testing.T) {
	cause := errors.New("disk on fire")
	err := error(&Failure{Condition: TemporaryAuthFailure, Text: "later", Err: cause})
	if got, want := err.Error(), "temporary-auth-failure: later: disk on fire"; got != want {
		t.Errorf("text: got %q, want %q", got, want)
	}
	if !errors.Is(err, cause) || !errors.Is(err, &Failure{Condition: TemporaryAuthFailure}) {
		t.Error("failure is not its cause or not its condition")
	}
	if errors.Is(err, &Failure{Condition: NotAuthorized}) {
		t.Error("failure is another condition")
	}
}

// FuzzStep sends any messages: nothing panics, every error is a *Failure, and
// nobody gets in who does not know the password.
func FuzzStep(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.mechanism, []byte(v.client[0]), []byte(v.client[1]))
	}
	f.Add(Plain, []byte("\x00user\x00pencil"), []byte{})
	f.Add(External, []byte("user@example.com"), []byte{})
	f.Add(OAuthBearer, []byte("n,a=user@example.com,\x01auth=Bearer token-pencil\x01\x01"), []byte("\x01"))
	f.Add(SCRAMSHA256Plus, []byte("p=tls-exporter,,n=user,r=abc"), []byte("c=cD10bHMtZXhwb3J0ZXIsLA==,r=abc,p=AAAA"))
	f.Add(SCRAMSHA512, []byte("n,a=user@example.com,n=a=2Cb=3Dc,r=abc"), []byte("c=biws,r=abc,p="))
	c := &Config{Domain: domain, Secure: true, Secret: secret, Bindings: bindings,
		SCRAM: people, Password: people, Token: people}
	f.Fuzz(func(t *testing.T, mechanism string, first, second []byte) {
		e, err := New(c, mechanism)
		if err != nil {
			if condition(t, err) == "" {
				t.Fatal("no condition")
			}
			return
		}
		for _, msg := range [][]byte{first, second, second, second} {
			_, done, err := e.Step(context.Background(), msg)
			if err != nil {
				if condition(t, err) == "" || !e.User().IsZero() {
					t.Fatalf("failure %v with user %q", err, e.User())
				}
				continue
			}
			if !done {
				continue
			}
			plain := mechanism == Plain || mechanism == OAuthBearer || mechanism == XOAuth2
			if want := people[e.User().Local()]; !plain || !strings.Contains(string(msg), want) {
				t.Fatalf("%s: %q logged in with %q", mechanism, e.User(), msg)
			}
			return
		}
	})
}

// hostnames has the secret of one domain.
type hostnames struct{}

func (hostnames) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if user.String() != "chat.example.com" || password != "pencil" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

// The user names of components are domains (XEP-0225, section 3).
func TestHostnames(t *testing.T) {
	c := testConfig()
	c.Hostnames, c.Password = true, hostnames{}
	tests := []struct {
		msg  string
		want Condition
	}{
		{"\x00chat.example.com\x00pencil", ""},
		{"\x00Chat.Example.com\x00pencil", ""},
		{"chat.example.com\x00chat.example.com\x00pencil", ""},
		{"foo.example.com\x00chat.example.com\x00pencil", InvalidAuthzid},
		{"\x00foo.example.com\x00pencil", NotAuthorized},
		{"\x00chat@example.com\x00pencil", NotAuthorized},
	}
	for _, tt := range tests {
		e, err := New(c, Plain)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = e.Step(context.Background(), []byte(tt.msg))
		if got := condition(t, err); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.msg, got, tt.want)
		}
		if got := e.User().String(); tt.want == "" && got != "chat.example.com" {
			t.Errorf("%q: got user %q, want chat.example.com", tt.msg, got)
		}
	}
}
