package sasl

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// owned is a TokenOwner whose tokens are OWNER:…, good for logging in when they end in
// "good".
type owned struct{}

func (owned) Token(_ context.Context, token string) (stanza.JID, string, error) {
	name, _, ok := strings.Cut(token, ":")
	if !ok {
		return stanza.JID{}, "", stanza.ErrNotAuthorized
	}
	j, err := stanza.ParseJID(name)
	return j, "sasl_auth", err
}

func (o owned) OffersTokens(string) bool { return true }

func (o owned) VerifyToken(ctx context.Context, user stanza.JID, token string) error {
	owner, _, err := o.Token(ctx, token)
	switch {
	case err != nil:
		return err
	case owner != user || !strings.HasSuffix(token, "good"):
		return stanza.ErrNotAuthorized
	}
	return nil
}

func TestBearer(t *testing.T) {
	tokens := func(pairs string) string { return "n,a=user@example.com,\x01" + pairs + "\x01\x01" }
	for _, tt := range []struct {
		name, msg string
		owner     bool
		want      Condition // of a failure; NotAuthorized comes after a challenge
		jid       string
	}{
		{name: "right", msg: tokens("auth=Bearer token-pencil"), jid: "user@example.com"},
		// RFC 7628, section 4.1, with our token
		{name: "RFC", msg: tokens("host=server.example.com\x01port=143\x01auth=Bearer token-pencil"), jid: "user@example.com"},
		{name: "other spelling", msg: "y,a=User@EXAMPLE.com,\x01auth=bearer  token-pencil \x01\x01", jid: "user@example.com"},
		{name: "wrong token", msg: tokens("auth=Bearer token"), want: NotAuthorized},
		{name: "no token", msg: tokens("auth="), want: NotAuthorized},
		{name: "no pairs", msg: "n,a=user@example.com,\x01\x01", want: NotAuthorized},
		{name: "nobody's", msg: "n,a=nobody@example.com,\x01auth=Bearer token-pencil\x01\x01", want: NotAuthorized},
		{name: "disabled", msg: "n,a=disabled@example.com,\x01auth=Bearer token-pencil\x01\x01", want: AccountDisabled},
		{name: "host is broken", msg: "n,a=broken@example.com,\x01auth=Bearer token-pencil\x01\x01", want: TemporaryAuthFailure},
		{name: "of another domain", msg: "n,a=user@example.net,\x01auth=Bearer token-pencil\x01\x01", want: NotAuthorized},
		{name: "a domain", msg: "n,a=example.com,\x01auth=Bearer token-pencil\x01\x01", want: NotAuthorized},
		{name: "full address", msg: "n,a=user@example.com/x,\x01auth=Bearer token-pencil\x01\x01", want: InvalidAuthzid},
		{name: "no address", msg: "n,a=@,\x01auth=Bearer token-pencil\x01\x01", want: InvalidAuthzid},
		{name: "says not who", msg: "n,,\x01auth=Bearer token-pencil\x01\x01", want: NotAuthorized},

		{name: "owner", owner: true, msg: "n,,\x01auth=Bearer user@example.com:good\x01\x01", jid: "user@example.com"},
		{name: "owner of another domain", owner: true, msg: "n,,\x01auth=Bearer user@example.net:good\x01\x01", want: NotAuthorized},
		{name: "not for this", owner: true, msg: "n,,\x01auth=Bearer user@example.com:other\x01\x01", want: NotAuthorized},
		{name: "another's", owner: true, msg: tokens("auth=Bearer admin@example.com:good"), want: NotAuthorized},
		{name: "own", owner: true, msg: tokens("auth=Bearer user@example.com:good"), jid: "user@example.com"},

		{name: "empty", msg: "", want: MalformedRequest},
		{name: "separator alone", msg: "\x01", want: MalformedRequest},
		{name: "no header", msg: "\x01auth=Bearer token-pencil\x01\x01", want: MalformedRequest},
		{name: "channel binding", msg: "p=tls-exporter,a=user@example.com,\x01auth=Bearer token-pencil\x01\x01", want: MalformedRequest},
		{name: "header goes on", msg: "n,a=user@example.com,x,\x01auth=Bearer token-pencil\x01\x01", want: MalformedRequest},
		{name: "header ends early", msg: "n,a=user@example.com\x01auth=Bearer token-pencil\x01\x01", want: MalformedRequest},
		{name: "empty name", msg: "n,a=,\x01auth=Bearer token-pencil\x01\x01", want: MalformedRequest},
		{name: "wrong escape", msg: "n,a=us=20er@example.com,\x01auth=Bearer token-pencil\x01\x01", want: MalformedRequest},
		{name: "one separator at the end", msg: "n,a=user@example.com,\x01auth=Bearer token-pencil\x01", want: MalformedRequest},
		{name: "goes on", msg: tokens("auth=Bearer token-pencil") + "x", want: MalformedRequest},
		{name: "no pair", msg: tokens("auth"), want: MalformedRequest},
		{name: "wrong key", msg: tokens("au-th=Bearer token-pencil"), want: MalformedRequest},
		{name: "twice", msg: tokens("auth=Bearer token-pencil\x01auth=Bearer token"), want: MalformedRequest},
		{name: "odd value", msg: tokens("host=ä\x01auth=Bearer token-pencil"), want: MalformedRequest},
		{name: "other scheme", msg: tokens("auth=Basic token-pencil"), want: MalformedRequest},
		{name: "not UTF-8", msg: tokens("host=\xff\x01auth=Bearer token-pencil"), want: MalformedRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig()
			if tt.owner {
				c.Token = owned{}
			}
			e, err := New(c, OAuthBearer)
			if err != nil {
				t.Fatal(err)
			}
			data, done, err := e.Step(t.Context(), []byte(tt.msg))
			if tt.want == NotAuthorized {
				wantRefusal(t, data, done, err)
				data, done, err = e.Step(t.Context(), []byte("\x01"))
			}
			if got := condition(t, err); got != tt.want {
				t.Fatalf("failure: got %q (%v), want %q", got, err, tt.want)
			}
			if done != (tt.want == "") || data != nil || e.User().String() != tt.jid {
				t.Errorf("got done %t with data %q and user %q, want %q", done, data, e.User(), tt.jid)
			}
		})
	}
}

// wantRefusal wants what RFC 7628, section 3.2.2, has for a client that is refused.
func wantRefusal(t *testing.T, data []byte, done bool, err error) {
	t.Helper()
	var why struct{ Status, Scope string }
	if err != nil || done || json.Unmarshal(data, &why) != nil || why.Status != "invalid_token" || why.Scope != "sasl_auth" {
		t.Fatalf("got %q, done %t, %v; want a challenge that says why", data, done, err)
	}
}

// A client that asks for the challenge first has the same number of tries.
func TestBearerWithoutInitialResponse(t *testing.T) {
	e, err := New(testConfig(), OAuthBearer)
	if err != nil {
		t.Fatal(err)
	}
	if data, done, err := e.Step(t.Context(), nil); len(data) > 0 || done || err != nil {
		t.Fatalf("got %q, %t, %v; want an empty challenge", data, done, err)
	}
	data, done, err := e.Step(t.Context(), []byte("n,a=user@example.com,\x01auth=Bearer x\x01\x01"))
	wantRefusal(t, data, done, err)
	// Whatever comes now, it is refused.
	_, done, err = e.Step(t.Context(), []byte("n,a=user@example.com,\x01auth=Bearer token-pencil\x01\x01"))
	if done || condition(t, err) != NotAuthorized || !e.User().IsZero() {
		t.Errorf("got %t, %v, user %q; want not-authorized", done, err, e.User())
	}
}

func TestGS2(t *testing.T) {
	for header, want := range map[string]string{"n,,": "", "y,,": "", "n,a=a=2Cb=3D@x,": "a,b=@x"} {
		if got, err := parseGS2(header); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", header, got, err, want)
		}
	}
}
