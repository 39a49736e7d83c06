package host_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// oauthHost has the accounts romeo, who may have tokens, and tybalt at a.test.
func oauthHost(t *testing.T) *host.Host {
	o := hosts("a.test", "b.test")
	o.OAuthAccess = stanza.PerHost[acl.Access]{Hosts: map[string]acl.Access{"a.test": romeoAlone{}}}
	h, err := host.New(host.Config{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"romeo@a.test", "tybalt@a.test", "romeo@b.test"} {
		create(t, h.Accounts, name, "secret")
	}
	return h
}

type romeoAlone struct{}

func (romeoAlone) Allow(s acl.Subject) bool { return s.User == "romeo" && s.Host == s.Server }

// callAt calls a command as it is in a version of the API.
func callAt(t *testing.T, h *host.Host, version int, name string, values map[string]any) (any, *command.Error) {
	t.Helper()
	c, ok := h.Commands.At(name, version)
	if !ok {
		t.Fatalf("there is no command %s", name)
	}
	a, err := c.Arguments(values)
	if err != nil {
		return nil, command.Fault(err)
	}
	result, err := c.Do(t.Context(), a)
	return result, command.Fault(err)
}

func TestIssueTokenCommand(t *testing.T) {
	h := oauthHost(t)
	for version, scopes := range map[int]any{0: "sasl_auth;ejabberd:user", 1: []any{"sasl_auth", "ejabberd:user"}, command.Newest: []any{"sasl_auth", "ejabberd:user"}} {
		got, fault := callAt(t, h, version, "oauth_issue_token", map[string]any{"jid": "Romeo@a.test/x", "ttl": 3600, "scopes": scopes})
		if fault != nil {
			t.Fatal(fault)
		}
		r := got.(command.Args)
		if !reflect.DeepEqual(r["scopes"], scopes) || r["expires_in"] != "3600 seconds" {
			t.Errorf("version %d: got %v, want scopes %v", version, r, scopes)
		}
		wantToken(t, h, r.Text("token"), "romeo@a.test", "sasl_auth ejabberd:user")
	}
}

func TestIssueTokenCommandFails(t *testing.T) {
	h := oauthHost(t)
	for _, tt := range []struct {
		name, jid string
		ttl       int
		scopes    string
		want      command.Kind
	}{
		{"no address", "@", 1, "x", command.BadArgument},
		{"a domain", "a.test", 1, "x", command.BadArgument},
		{"no time", "romeo@a.test", 0, "x", command.BadArgument},
		{"less than none", "romeo@a.test", -1, "x", command.BadArgument},
		{"for ever", "romeo@a.test", 315_360_001, "x", command.BadArgument},
		{"no scopes", "romeo@a.test", 1, " ;", command.BadArgument},
		{"odd scope", "romeo@a.test", 1, "x;a\"b", command.BadArgument},
		{"may not", "tybalt@a.test", 1, "x", command.NotAllowed},
		{"may not at that host", "romeo@b.test", 1, "x", command.NotAllowed},
		{"no account", "romeo@x.test", 1, "x", command.NotAllowed},
	} {
		_, fault := callAt(t, h, 0, "oauth_issue_token", map[string]any{"jid": tt.jid, "ttl": tt.ttl, "scopes": tt.scopes})
		if fault == nil || fault.Kind != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, fault, tt.want)
		}
	}
	if err := h.Accounts.SetDisabled(t.Context(), jid(t, "romeo@a.test"), true); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{"jid": "romeo@a.test", "ttl": 1, "scopes": []any{"x"}}
	if _, fault := callAt(t, h, 1, "oauth_issue_token", values); fault == nil || fault.Kind != command.NotAllowed {
		t.Errorf("disabled: got %v, want not allowed", fault)
	}
	if err := h.Accounts.Remove(t.Context(), jid(t, "romeo@a.test"), stanza.JID{}); err != nil {
		t.Fatal(err)
	}
	if _, fault := callAt(t, h, 1, "oauth_issue_token", values); fault == nil || fault.Kind != command.NotFound {
		t.Errorf("removed: got %v, want not found", fault)
	}
}

func TestListAndRevokeTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := oauthHost(t)
		list := func() []any {
			t.Helper()
			got, fault := callAt(t, h, command.Newest, "oauth_list_tokens", nil)
			if fault != nil {
				t.Fatal(fault)
			}
			return got.([]any)
		}
		if got := list(); len(got) != 0 {
			t.Errorf("got %v, want no tokens", got)
		}
		token := issue(t, h, accessFor(jid(t, "romeo@a.test"), "sasl_auth x"))
		issue(t, h, codeFor(jid(t, "romeo@a.test"))) // is no token
		time.Sleep(time.Minute)
		got := list()
		if len(got) != 1 {
			t.Fatalf("got %v, want one token", got)
		}
		one := got[0].(command.Args)
		name := one.Text("token")
		if one["user"] != "romeo@a.test" || one["scope"] != "sasl_auth x" || one["expires_in"] != "3540 seconds" {
			t.Errorf("got %v", one)
		}
		wantToken(t, h, name, "", "")
		if strings.Contains(name, token[25:]) {
			t.Errorf("the list has the secret of the token %q", token)
		}
		if _, fault := callAt(t, h, 0, "oauth_revoke_token", map[string]any{"token": name}); fault != nil {
			t.Errorf("by its name: %v", fault)
		}
		wantToken(t, h, token, "", "")
		other := issue(t, h, accessFor(jid(t, "romeo@a.test"), "x"))
		if _, fault := callAt(t, h, 0, "oauth_revoke_token", map[string]any{"token": other}); fault != nil {
			t.Errorf("by itself: %v", fault)
		}
		wantToken(t, h, other, "", "")
		for _, gone := range []string{name, other, "", "x"} {
			if _, fault := callAt(t, h, 0, "oauth_revoke_token", map[string]any{"token": gone}); fault == nil || fault.Kind != command.NotFound {
				t.Errorf("%q: got %v, want not found", gone, fault)
			}
		}
		issue(t, h, accessFor(jid(t, "romeo@a.test"), "x"))
		time.Sleep(time.Hour)
		if got := list(); len(got) != 0 {
			t.Errorf("got %v, want none of those that have expired", got)
		}
	})
}

func TestClientCommands(t *testing.T) {
	h := oauthHost(t)
	for _, tt := range []struct {
		command string
		values  map[string]any
		want    stanza.OAuthClient
	}{
		{"oauth_add_client_password", map[string]any{"client_id": "a", "client_name": "A", "secret": "rope"},
			stanza.OAuthClient{ID: "a", Name: "A", Kind: stanza.OAuthPasswordClient, Confidential: true}},
		{"oauth_add_client_implicit", map[string]any{"client_id": "b", "client_name": "B", "redirect_uri": "https://app.test/"},
			stanza.OAuthClient{ID: "b", Name: "B", Kind: stanza.OAuthImplicitClient, Redirects: []string{"https://app.test/"}}},
		{"oauth_add_client_code", map[string]any{"client_id": "c", "client_name": "", "redirect_uris": []any{"https://app.test/", "test.app:/"}},
			stanza.OAuthClient{ID: "c", Kind: stanza.OAuthCodeClient, Redirects: []string{"https://app.test/", "test.app:/"}}},
		{"oauth_add_client_code", map[string]any{"client_id": "c", "client_name": "C", "redirect_uris": command.Text("http://127.0.0.1/")},
			stanza.OAuthClient{ID: "c", Name: "C", Kind: stanza.OAuthCodeClient, Redirects: []string{"http://127.0.0.1/"}}},
	} {
		if _, fault := callAt(t, h, 0, tt.command, tt.values); fault != nil {
			t.Fatalf("%s: %v", tt.command, fault)
		}
		if got, err := h.Tokens.Client(t.Context(), tt.want.ID); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v; want %+v", tt.command, got, err, tt.want)
		}
	}
	if err := h.Tokens.VerifyClient(t.Context(), "a", "rope"); err != nil {
		t.Error(err)
	}
	bad := map[string]any{"client_id": "d", "client_name": "D", "redirect_uri": "http://app.test/"}
	if _, fault := callAt(t, h, 0, "oauth_add_client_implicit", bad); fault == nil || fault.Kind != command.BadArgument || !strings.Contains(fault.Text, "is not https") {
		t.Errorf("got %v, want a bad argument that is not https", fault)
	}
	if _, fault := callAt(t, h, 0, "oauth_remove_client", map[string]any{"client_id": "a"}); fault != nil {
		t.Error(fault)
	}
	if _, fault := callAt(t, h, 0, "oauth_remove_client", map[string]any{"client_id": "a"}); fault == nil || fault.Kind != command.NotFound {
		t.Errorf("a second time: got %v, want not found", fault)
	}
}
