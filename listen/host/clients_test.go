package host_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestCheckRedirect(t *testing.T) {
	for _, good := range []string{
		"https://app.test", "https://app.test/come?x=1", "https://app.test:8443/", "https://[2001:db8::1]/",
		"http://127.0.0.1/", "http://127.0.0.1:9/come", "http://[::1]:9/", "http://localhost:3000/cb",
		"com.example.app:/come", "com.example.app://come/x",
	} {
		if err := host.CheckRedirect(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"": "absolute", "/come": "absolute", "app.test/come": "absolute", "//app.test/": "absolute", "https:": "https", "https:///come": "https",
		"https://app.test/#x": "fragment", "https://app.test/#": "fragment", "https://ana@app.test/": "user", "https://ana:x@app.test/": "user",
		"http://app.test/": "https", "http://127.0.0.1.app.test/": "https", "http://localhost.app.test/": "https", "http://10.0.0.1/": "https",
		"javascript:alert(1)": "dot", "data:text/html,x": "dot", "file:///etc/passwd": "dot", "app:/come": "dot", "about:blank": "dot",
		"https://app.test/a b": "characters", "https://app.test\\@evil.test/": "characters", "https://app.test/\n": "characters",
		"https://äpp.test/": "characters", "https://app.test/" + strings.Repeat("x", 2048): "long",
	} {
		if err := host.CheckRedirect(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want an error about %s", bad, err, want)
		}
	}
}

func TestClients(t *testing.T) {
	h := newHost(t, register.Off())
	ctx := t.Context()
	app := stanza.OAuthClient{ID: "dinghy", Name: "Dinghy", Kind: stanza.OAuthCodeClient, Redirects: []string{"https://app.test/"}}
	legacy := stanza.OAuthClient{ID: "skiff", Kind: stanza.OAuthPasswordClient}
	if err := errors.Join(h.Tokens.SetClient(ctx, app, ""), h.Tokens.SetClient(ctx, legacy, "rope")); err != nil {
		t.Fatal(err)
	}
	legacy.Confidential = true
	for _, c := range []stanza.OAuthClient{app, legacy} {
		if got, err := h.Tokens.Client(ctx, c.ID); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v, %v; want %+v", got, err, c)
		}
	}
	for _, tt := range []struct {
		id, secret string
		want       error
	}{
		{"skiff", "rope", nil},
		{"skiff", "ropes", stanza.ErrNotAuthorized},
		{"skiff", "", stanza.ErrNotAuthorized},
		{"skiff", strings.Repeat("x", 1<<20), stanza.ErrNotAuthorized},
		{"dinghy", "", stanza.ErrNotAuthorized},
		{"raft", "rope", stanza.ErrNotAuthorized},
		{"", "rope", stanza.ErrNotAuthorized},
		{"\x00", "rope", stanza.ErrNotAuthorized},
	} {
		if err := h.Tokens.VerifyClient(ctx, tt.id, tt.secret); !errors.Is(err, tt.want) {
			t.Errorf("%q with %.10q: got %v, want %v", tt.id, tt.secret, err, tt.want)
		}
	}
	// A new secret in place of the old one.
	if err := h.Tokens.SetClient(ctx, legacy, "cable"); err != nil {
		t.Fatal(err)
	}
	if err := h.Tokens.VerifyClient(ctx, "skiff", "rope"); !errors.Is(err, stanza.ErrNotAuthorized) {
		t.Errorf("the old secret: got %v", err)
	}
	// With a client its tokens go.
	o := codeFor(jid(t, "romeo@a.test"))
	token, _ := exchange(t, h, issue(t, h, o))
	others := issue(t, h, accessFor(o.User, "x"))
	if err := h.Tokens.RemoveClient(ctx, "dinghy"); err != nil {
		t.Fatal(err)
	}
	wantToken(t, h, token, "", "")
	wantToken(t, h, others, "romeo@a.test", "x")
	if err := h.Tokens.RemoveClient(ctx, "dinghy"); !errors.Is(err, host.ErrNoClient) {
		t.Errorf("a second time: got %v, want ErrNoClient", err)
	}
	if _, err := h.Tokens.Client(ctx, "dinghy"); !errors.Is(err, stanza.ErrNotAuthorized) {
		t.Errorf("got %v, want ErrNotAuthorized", err)
	}
}

func TestBadClients(t *testing.T) {
	h := newHost(t, register.Off())
	many := make([]string, 21)
	for i := range many {
		many[i] = "https://app.test/"
	}
	for _, tt := range []struct {
		name   string
		c      stanza.OAuthClient
		secret string
	}{
		{"no ID", stanza.OAuthClient{Kind: stanza.OAuthPasswordClient}, "rope"},
		{"long ID", stanza.OAuthClient{ID: strings.Repeat("x", 256), Kind: stanza.OAuthPasswordClient}, "rope"},
		{"odd ID", stanza.OAuthClient{ID: "dinghý", Kind: stanza.OAuthPasswordClient}, "rope"},
		{"odd name", stanza.OAuthClient{ID: "x", Name: "\n", Kind: stanza.OAuthPasswordClient}, "rope"},
		{"no secret", stanza.OAuthClient{ID: "x", Kind: stanza.OAuthPasswordClient}, ""},
		{"odd secret", stanza.OAuthClient{ID: "x", Kind: stanza.OAuthPasswordClient}, "\x00"},
		{"no kind", stanza.OAuthClient{ID: "x"}, "rope"},
		{"unknown kind", stanza.OAuthClient{ID: "x", Kind: 9, Redirects: many[:1]}, ""},
		{"address for nothing", stanza.OAuthClient{ID: "x", Kind: stanza.OAuthPasswordClient, Redirects: many[:1]}, "rope"},
		{"no address", stanza.OAuthClient{ID: "x", Kind: stanza.OAuthCodeClient}, ""},
		{"secret in a browser", stanza.OAuthClient{ID: "x", Kind: stanza.OAuthImplicitClient, Redirects: many[:1]}, "rope"},
		{"too many addresses", stanza.OAuthClient{ID: "x", Kind: stanza.OAuthCodeClient, Redirects: many}, ""},
		{"bad address", stanza.OAuthClient{ID: "x", Kind: stanza.OAuthCodeClient, Redirects: []string{"http://app.test/"}}, ""},
	} {
		err := h.Tokens.SetClient(t.Context(), tt.c, tt.secret)
		if refused, ok := errors.AsType[*stanza.Error](err); !ok || refused.Condition != stanza.NotAcceptable {
			t.Errorf("%s: got %v, want NotAcceptable", tt.name, err)
		}
	}
}

// onAdd is a store that calls before for each grant that is added.
type onAdd struct {
	host.TokenStore
	before func()
}

func (s *onAdd) Add(ctx context.Context, g host.Grant, limit int, now time.Time) error {
	s.before()
	return s.TokenStore.Add(ctx, g, limit, now)
}

// A client that is removed while it gets a token has none after that. One that need not
// be registered has.
func TestRemoveClientMeanwhile(t *testing.T) {
	for registered, want := range map[bool]error{true: stanza.ErrNotAuthorized, false: nil} {
		store := &onAdd{TokenStore: new(host.MemoryTokens)}
		h, err := host.New(host.Config{Options: hosts("a.test"), Stores: host.Stores{Tokens: store}})
		if err != nil {
			t.Fatal(err)
		}
		create(t, h.Accounts, "romeo@a.test", "secret")
		app := stanza.OAuthClient{ID: "dinghy", Kind: stanza.OAuthCodeClient, Redirects: []string{"https://app.test/"}}
		if err := h.Tokens.SetClient(t.Context(), app, ""); err != nil {
			t.Fatal(err)
		}
		store.before = func() {
			if err := h.Tokens.RemoveClient(t.Context(), "dinghy"); err != nil {
				t.Errorf("RemoveClient: %v", err)
			}
		}
		o := codeFor(jid(t, "romeo@a.test"))
		o.Registered = registered
		token, err := h.Tokens.Issue(t.Context(), o)
		list, listErr := store.List(t.Context(), host.GrantID{}, 10)
		if !errors.Is(err, want) || (token == "") != (want != nil) || listErr != nil || (len(list) == 0) != (want != nil) {
			t.Errorf("registered %v: got %q, %v, %d grants; want %v", registered, token, err, len(list), want)
		}
	}
}

// unlisted is a store whose grants cannot be listed for now.
type unlisted struct {
	host.TokenStore
	err error
}

func (s *unlisted) List(ctx context.Context, after host.GrantID, limit int) ([]host.Grant, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.TokenStore.List(ctx, after, limit)
}

// The removal of a client that has broken off can be finished.
func TestRemoveClientAgain(t *testing.T) {
	store := &unlisted{new(host.MemoryTokens), nil}
	h, err := host.New(host.Config{Options: hosts("a.test"), Stores: host.Stores{Tokens: store}})
	if err != nil {
		t.Fatal(err)
	}
	create(t, h.Accounts, "romeo@a.test", "secret")
	app := stanza.OAuthClient{ID: "dinghy", Kind: stanza.OAuthCodeClient, Redirects: []string{"https://app.test/"}}
	if err := h.Tokens.SetClient(t.Context(), app, ""); err != nil {
		t.Fatal(err)
	}
	token, _ := exchange(t, h, issue(t, h, codeFor(jid(t, "romeo@a.test"))))
	store.err = errFull
	if err := h.Tokens.RemoveClient(t.Context(), "dinghy"); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
	store.err = nil
	if err := h.Tokens.RemoveClient(t.Context(), "dinghy"); !errors.Is(err, host.ErrNoClient) {
		t.Errorf("again: got %v, want ErrNoClient", err)
	}
	wantToken(t, h, token, "", "")
}
