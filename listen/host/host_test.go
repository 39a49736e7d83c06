package host_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/internal/conf"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// The services fit what the modules ask for.
var (
	_ c2s.Domains             = (*host.Local)(nil)
	_ c2s.Router              = (*host.Local)(nil)
	_ c2s.SessionEvents       = (*host.Local)(nil)
	_ c2s.SCRAMVerifier       = (*host.Accounts)(nil)
	_ c2s.PasswordVerifier    = (*host.Accounts)(nil)
	_ c2s.CertificateVerifier = (*host.Accounts)(nil)
	_ c2s.AnonymousVerifier   = (*host.Accounts)(nil)
	_ c2s.IQHandler           = (*host.Dispatcher)(nil)
	_ c2s.IQHandler           = (*register.Service)(nil)
	_ c2s.Features            = (*register.Service)(nil)
)

// The options can be read from a configuration file.
func TestSchemas(t *testing.T) {
	for _, tt := range []struct {
		schema conf.Schema
		want   string
	}{
		{conf.SchemaOf(host.Defaults), "hosts auth_method auth_password_format auth_scram_hash anonymous_protocol max_user_sessions registration_timeout oauth_access"},
		{conf.SchemaOf(register.Defaults), "access access_from access_remove allow_modules captcha_protected ip_access password_strength redirect_url registration_watchers welcome_message"},
	} {
		var names []string
		for _, f := range tt.schema.Fields() {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("options are %s, want %s", got, tt.want)
		}
	}
}

// newHost returns a host for a.test and b.test with the account romeo@a.test.
func newHost(t *testing.T, r register.Options) *host.Host {
	t.Helper()
	h, err := host.New(host.Config{
		Options:  hosts("a.test", "b.test"),
		Register: stanza.PerHost[register.Options]{Value: r},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Accounts.Create(t.Context(), jid(t, "romeo@a.test"), "secret"); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestZeroConfig(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if !h.Local.IsLocal("localhost") {
		t.Error("localhost is not served")
	}
	if h.Register.Offered("localhost") {
		t.Error("registration is open, want it off")
	}
	if h.Accounts.OffersAnonymous("localhost") {
		t.Error("anonymous users are let in")
	}
}

func TestBadConfig(t *testing.T) {
	if _, err := host.New(host.Config{Options: hosts("not a domain")}); err == nil {
		t.Error("got no error")
	}
}

// What service discovery lists is what is answered.
func TestDiscovery(t *testing.T) {
	for _, tt := range []struct {
		to       string
		register register.Options
		features string
	}{
		{"a.test", register.Off(), "http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items jabber:iq:version urn:xmpp:ping urn:xmpp:time"},
		{"a.test", register.Defaults(), "http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items jabber:iq:register jabber:iq:version urn:xmpp:ping urn:xmpp:time"},
		{"romeo@a.test", register.Defaults(), "http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items urn:xmpp:ping"},
	} {
		h := newHost(t, tt.register)
		iq := &stanza.Stanza{
			Kind: stanza.IQ, Type: stanza.TypeGet, ID: "1", From: jid(t, "romeo@a.test/x"), To: jid(t, tt.to),
			Child: stanza.Name{Space: "http://jabber.org/protocol/disco#info", Local: "query"},
			Inner: "<query xmlns='http://jabber.org/protocol/disco#info'/>",
		}
		answer, err := h.IQ.HandleIQ(t.Context(), iq, stanza.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		q, err := answer.Payload()
		if err != nil {
			t.Fatal(err)
		}
		var features []string
		for _, c := range q.Children {
			if c.Name.Local == "feature" {
				features = append(features, c.Attr("var"))
			}
		}
		if got := strings.Join(features, " "); got != tt.features {
			t.Errorf("%s: features are %s, want %s", tt.to, got, tt.features)
		}
		element := map[string]string{"urn:xmpp:ping": "ping", "urn:xmpp:time": "time"}
		for _, f := range features {
			name := element[f]
			if name == "" {
				name = "query"
			}
			iq.Child = stanza.Name{Space: f, Local: name}
			iq.Inner = fmt.Sprintf("<%s xmlns='%s'/>", name, f)
			if _, err := h.IQ.HandleIQ(t.Context(), iq, stanza.Peer{}); err != nil {
				t.Errorf("%s lists %s and answers %v", tt.to, f, err)
			}
		}
	}
}

func TestDiscoveryItems(t *testing.T) {
	h := newHost(t, register.Off())
	for _, d := range []string{"rooms.a.test", "echo.a.test"} {
		release, err := h.Local.RegisterDomain(d, new(listentest.Sink))
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	const q = "<query xmlns='http://jabber.org/protocol/disco#items'"
	for to, want := range map[string]string{
		"a.test":       q + "><item jid='echo.a.test'/><item jid='rooms.a.test'/></query>",
		"romeo@a.test": q + "></query>",
	} {
		answer, err := h.IQ.HandleIQ(t.Context(), &stanza.Stanza{
			Kind: stanza.IQ, Type: stanza.TypeGet, ID: "1", From: jid(t, "romeo@a.test/x"), To: jid(t, to),
			Child: stanza.Name{Space: "http://jabber.org/protocol/disco#items", Local: "query"}, Inner: q + "/>",
		}, stanza.Peer{})
		if err != nil || answer.Inner != want {
			t.Errorf("%s: got %v, %v; want %s", to, answer, err, want)
		}
	}
}

// A user who removes the account hears so, and then all sessions end; one who
// changes the password keeps the session that asked.
func TestRegisterEndsSessions(t *testing.T) {
	tests := []struct {
		name, query string
		asking      string // how the asking session ends, "" if it does not
		other       string
		sees        int // stanzas at the asking session
	}{
		{"remove", "<query xmlns='jabber:iq:register'><remove/></query>", "not-authorized", "not-authorized", 1},
		{"password", "<query xmlns='jabber:iq:register'><username>romeo</username><password>new</password></query>", "", "reset", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, register.Defaults())
			asking, other := new(listentest.Sink), new(listentest.Sink)
			from := jid(t, "romeo@a.test/asking")
			for _, b := range []stanza.Binding{{JID: from, Sink: asking}, {JID: from.Bare(), Sink: other}} {
				if _, err := h.Local.Bind(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			iq := &stanza.Stanza{
				Kind: stanza.IQ, Type: stanza.TypeSet, ID: "1", From: from,
				Child: stanza.Name{Space: register.NS, Local: "query"}, Inner: tt.query,
			}
			if _, err := h.IQ.HandleIQ(t.Context(), iq, stanza.Peer{}); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[*listentest.Sink]string{asking: tt.asking, other: tt.other} {
				got := ""
				if r, kicked := name.Kicked(); kicked {
					got = string(r.Condition)
				}
				if got != want {
					t.Errorf("session ended with %q, want %q", got, want)
				}
			}
			if n := len(asking.Stanzas()); n != tt.sees {
				t.Errorf("the asking session got %d stanzas, want %d", n, tt.sees)
			}
			want := stanza.ErrNotAuthorized
			if tt.name == "remove" {
				want = stanza.ErrNoAccount
			}
			if err := h.Accounts.VerifyPassword(t.Context(), from.Bare(), "secret"); !errors.Is(err, want) {
				t.Errorf("old password: got %v, want %v", err, want)
			}
		})
	}
}

func TestHostConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, register.Defaults())
		o := hosts("a.test", "c.test")
		o.AuthMethod.Hosts = map[string][]string{"c.test": {"anonymous"}}
		o.RegistrationTimeout = time.Hour
		if err := h.Configure(o); err != nil {
			t.Fatal(err)
		}
		if got := h.Local.Hosts(); !slices.Equal(got, []string{"a.test", "c.test"}) {
			t.Errorf("hosts are %q", got)
		}
		if !h.Accounts.OffersAnonymous("c.test") {
			t.Error("the accounts have the old options")
		}
		register := func(user string) error {
			_, err := h.Register.HandleIQ(t.Context(), &stanza.Stanza{
				Kind: stanza.IQ, Type: stanza.TypeSet, ID: "1", To: jid(t, "a.test"),
				Child: stanza.Name{Space: register.NS, Local: "query"},
				Inner: "<query xmlns='jabber:iq:register'><username>" + user + "</username><password>x</password></query>",
			}, stanza.Peer{})
			return err
		}
		if err := register("juliet"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if err := register("nurse"); !errors.Is(err, &stanza.Error{Condition: stanza.ResourceConstraint}) {
			t.Errorf("second account within the hour: got %v, want resource-constraint", err)
		}
		if err := h.Configure(hosts()); err == nil {
			t.Error("no hosts: got no error")
		}
		if !h.Local.IsLocal("c.test") || !h.Accounts.OffersAnonymous("c.test") {
			t.Error("refused options changed something")
		}
	})
}
