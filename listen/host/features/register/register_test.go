package register

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	empty  = "<query xmlns='jabber:iq:register'/>"
	remove = "<query xmlns='jabber:iq:register'><remove/></query>"
	local  = "127.0.0.1"
	far    = "192.0.2.1"
)

// access is a rule.
type access func(acl.Subject) bool

func (a access) Allow(s acl.Subject) bool { return a(s) }

// with returns the default options with a change.
func with(change func(*Options)) Options {
	o := Defaults()
	change(&o)
	return o
}

// XEP-0077, section 3.1, examples 1 to 3.
func TestForm(t *testing.T) {
	const blank = "<query xmlns='jabber:iq:register'><instructions>Choose a user name and a password to register with this server</instructions><username/><password/></query>"
	const known = "<query xmlns='jabber:iq:register'><registered/><username>romeo</username><password/></query>"
	redirect := with(func(o *Options) { o.RedirectURL = "https://a.test/?a&b" })
	const elsewhere = "<query xmlns='jabber:iq:register'><instructions>To register, visit https://a.test/?a&amp;b</instructions>" +
		"<x xmlns='jabber:x:oob'><url>https://a.test/?a&amp;b</url></x></query>"
	tests := []struct {
		name    string
		options Options
		from    string
		want    string
	}{
		{"before login", Defaults(), "", blank},
		{"registered", Defaults(), "romeo@a.test/x", known},
		{"anonymous user", Defaults(), "ghost@a.test/x", "forbidden"},
		{"anonymous user that may", with(func(o *Options) { o.AccessFrom = acl.All }), "ghost@a.test/x", blank},
		{"user of another server", Defaults(), "romeo@far.test/x", "forbidden"},
		{"nobody may", with(func(o *Options) { o.Access = acl.None }), "", "forbidden"},
		{"nobody may, registered", with(func(o *Options) { o.Access = acl.None }), "romeo@a.test/x", known},
		{"address refused", with(func(o *Options) { o.IPAccess = acl.None }), "", "forbidden"},
		{"elsewhere", redirect, "", elsewhere},
		{"elsewhere, registered", redirect, "romeo@a.test/x", known},
		{"only on the web", with(func(o *Options) { o.AllowModules = []string{"mod_register_web"} }), "", "forbidden"},
		{"off", Off(), "", "service-unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(t, tt.options)
			if got := ask(t, s, tt.from, "get", empty, peer(far)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRegister(t *testing.T) {
	fromLocal := access(func(s acl.Subject) bool { return s.IP == netip.MustParseAddr(local) && s.Host == "a.test" })
	tests := []struct {
		name       string
		options    Options
		from, addr string
		query      string
		want       string // condition of the error, "" for success
	}{
		{"before login", Defaults(), "", far, query("juliet", "secret"), ""},
		{"name is prepared", Defaults(), "", far, query("JULIET", "secret"), ""},
		{"taken", Defaults(), "", far, query("romeo", "secret"), "conflict"},
		{"no name", Defaults(), "", far, query("", "secret"), "jid-malformed"},
		{"bad name", Defaults(), "", far, query("ju@liet", "secret"), "jid-malformed"},
		{"empty password", Defaults(), "", far, query("juliet", ""), "not-acceptable"},
		{"no password", Defaults(), "", far, "<query xmlns='jabber:iq:register'><username>juliet</username></query>", "bad-request"},
		{"nothing", Defaults(), "", far, empty, "bad-request"},
		{"other request", Defaults(), "", far, "<query xmlns='jabber:iq:roster'/>", "not supported"},
		{"off", Off(), "", far, query("juliet", "secret"), "service-unavailable"},
		{"nobody may", with(func(o *Options) { o.Access = acl.None }), "", far, query("juliet", "secret"), "forbidden"},
		{"rule refuses the name", with(func(o *Options) {
			o.Access = access(func(s acl.Subject) bool { return s.User != "admin" && s.Server == "a.test" })
		}), "", far, query("Admin", "secret"), "forbidden"},
		{"rule allows the name", with(func(o *Options) {
			o.Access = access(func(s acl.Subject) bool { return s.User == "juliet" && s.Server == "a.test" && s.Host == "a.test" })
		}), "", far, query("juliet", "secret"), ""},
		{"address refused", with(func(o *Options) { o.IPAccess = fromLocal }), "", far, query("juliet", "secret"), "forbidden"},
		{"address allowed", with(func(o *Options) { o.IPAccess = fromLocal }), "", local, query("juliet", "secret"), ""},
		{"no rule for addresses", with(func(o *Options) { o.IPAccess = nil }), "", local, query("juliet", "secret"), "forbidden"},
		{"only on the web", with(func(o *Options) { o.AllowModules = []string{"mod_register_web"} }), "", far, query("juliet", "secret"), "forbidden"},
		{"named module", with(func(o *Options) { o.AllowModules = []string{"mod_register_web", "mod_register"} }), "", far, query("juliet", "secret"), ""},
		{"elsewhere", with(func(o *Options) { o.RedirectURL = "https://a.test/" }), "", far, query("juliet", "secret"), "forbidden"},
		{"weak password", with(func(o *Options) { o.PasswordStrength = 32 }), "", far, query("juliet", "secret"), "not-acceptable"},
		{"strong password", with(func(o *Options) { o.PasswordStrength = 32 }), "", far, query("juliet", "Secr3t!"), ""},
		{"by a user", Defaults(), "romeo@a.test/x", far, query("juliet", "secret"), "forbidden"},
		{"by a user who may", with(func(o *Options) {
			o.AccessFrom = access(func(s acl.Subject) bool { return s.User == "romeo" && s.Server == "a.test" && s.Resource == "x" })
		}), "romeo@a.test/x", far, query("juliet", "secret"), ""},
		{"by a user of another server", Defaults(), "romeo@far.test/x", far, query("juliet", "secret"), "forbidden"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := newService(t, tt.options)
			if got := ask(t, s, tt.from, "set", tt.query, peer(tt.addr)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			_, exists := f.passwords["juliet@a.test"]
			if exists != (tt.want == "") {
				t.Errorf("the account exists: %t, want %t", exists, tt.want == "")
			}
		})
	}
}

// Requests to the accounts of others tell nothing, not even whether there is one.
func TestToOthers(t *testing.T) {
	for _, to := range []string{"romeo@a.test", "nobody@a.test", "romeo@a.test/x"} {
		for typ, payload := range map[string]string{"get": empty, "set": query("romeo", "new"), "other": query("tybalt", "new")} {
			for _, from := range []string{"", "juliet@a.test/x"} {
				s, f := newService(t, Defaults())
				iq := &stanza.Stanza{Kind: stanza.IQ, Type: strings.Replace(typ, "other", "set", 1), ID: "1", To: jid(t, to), Child: stanza.Name{Space: NS, Local: "query"}, Inner: payload}
				if from != "" {
					iq.From = jid(t, from)
				}
				answer, err := s.HandleIQ(t.Context(), iq, peer(far))
				if want := (&stanza.Error{Condition: stanza.ServiceUnavailable}); answer != nil || !errors.Is(err, want) {
					t.Errorf("%s from %q to %s: got %v, %v; want %v", typ, from, to, answer, err, want)
				}
				if len(f.passwords) != 1 || f.passwords["romeo@a.test"] != "old" {
					t.Errorf("%s from %q to %s: the accounts are %v now", typ, from, to, f.passwords)
				}
			}
		}
	}
}

// XEP-0077, section 3.3.
func TestChangePassword(t *testing.T) {
	tests := []struct{ name, from, query, want, password string }{
		{"own", "romeo@a.test/x", query("romeo", "new"), "", "new"},
		{"own, name not prepared", "romeo@a.test/x", query("Romeo", "new"), "", "new"},
		{"empty", "romeo@a.test/x", query("romeo", ""), "bad-request", "old"},
		{"no name", "romeo@a.test/x", "<query xmlns='jabber:iq:register'><password>new</password></query>", "bad-request", "old"},
		{"somebody else's", "juliet@a.test/x", query("romeo", "new"), "forbidden", "old"},
		{"same name elsewhere", "romeo@far.test/x", query("romeo", "new"), "forbidden", "old"},
		{"before login", "", query("romeo", "new"), "conflict", "old"},
		{"weak", "romeo@a.test/x", query("romeo", "a"), "not-acceptable", "old"},
		{"anonymous", "ghost@a.test/x", query("ghost", "new"), "registration-required", "old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := newService(t, with(func(o *Options) { o.PasswordStrength = 5 }))
			if got := ask(t, s, tt.from, "set", tt.query, peer(far)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := f.passwords["romeo@a.test"]; got != tt.password {
				t.Errorf("password is %q, want %q", got, tt.password)
			}
			if kept := fmt.Sprint(f.kicked) == "[all but romeo@a.test/x]"; kept != (tt.want == "") {
				t.Errorf("kicked %v", f.kicked)
			}
		})
	}
}

// XEP-0077, section 3.2: the answer comes first, the stream error after it.
func TestRemove(t *testing.T) {
	nobody := with(func(o *Options) { o.AccessRemove = acl.None })
	tests := []struct {
		name    string
		options Options
		from    string
		query   string
		want    string
	}{
		{"own", Defaults(), "romeo@a.test/x", remove, "none"},
		{"before login", Defaults(), "", remove, "unexpected-request"},
		{"with something else", Defaults(), "romeo@a.test/x", "<query xmlns='jabber:iq:register'><remove/><username>juliet</username></query>", "bad-request"},
		{"not allowed", nobody, "romeo@a.test/x", remove, "forbidden"},
		{"from elsewhere", Defaults(), "romeo@far.test/x", remove, "not-allowed"},
		{"anonymous", Defaults(), "ghost@a.test/x", remove, "registration-required"},
		{"where one cannot register", with(func(o *Options) { o.Access = acl.None }), "romeo@a.test/x", remove, "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := newService(t, tt.options)
			if got := ask(t, s, tt.from, "set", tt.query, peer(far)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			_, exists := f.passwords["romeo@a.test"]
			if exists == (tt.want == "none") {
				t.Errorf("the account exists: %t", exists)
			}
			if tt.want != "none" {
				if len(f.kicked) > 0 || len(f.routed) > 0 {
					t.Errorf("kicked %v, sent %v", f.kicked, f.routed)
				}
				return
			}
			if got := fmt.Sprint(f.routed); got != "[<iq from='a.test' to='romeo@a.test/x' type='result' id='1'/>]" {
				t.Errorf("sent %s", got)
			}
			if got := fmt.Sprint(f.kicked); got != "[all but romeo@a.test/x romeo@a.test/x: not-authorized]" {
				t.Errorf("kicked %s", got)
			}
		})
	}
}

func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock starts in 2000
		s, f := newService(t, with(func(o *Options) {
			o.WelcomeMessage = Welcome{Subject: "Hi & welcome", Body: "Be kind"}
			for _, w := range []string{"admin@a.test", "watch@far.test"} {
				j, err := stanza.ParseJID(w)
				if err != nil {
					t.Fatal(err)
				}
				o.RegistrationWatchers = append(o.RegistrationWatchers, j)
			}
		}))
		if got := ask(t, s, "", "set", query("juliet", "secret"), peer(far)); got != "" {
			t.Fatalf("got %q", got)
		}
		note := "[2000-01-01 00:00:00] juliet@a.test was registered in-band from 192.0.2.1."
		want := []string{
			"<message from='a.test' to='juliet@a.test' type='normal'><subject>Hi &amp; welcome</subject><body>Be kind</body></message>",
			"<message from='a.test' to='admin@a.test' type='chat'><body>" + note + "</body></message>",
			"<message from='a.test' to='watch@far.test' type='chat'><body>" + note + "</body></message>",
		}
		if got := strings.Join(f.routed, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("sent\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	})
}

func TestStreamFeatures(t *testing.T) {
	for _, tt := range []struct {
		name          string
		options       Options
		authenticated bool
		want          string
	}{
		{"default", Defaults(), false, Feature},
		{"after login", Defaults(), true, ""},
		{"off", Off(), false, ""},
		{"nobody may", with(func(o *Options) { o.Access = acl.None }), false, ""},
		{"from nowhere", with(func(o *Options) { o.IPAccess = acl.None }), false, ""},
		{"elsewhere", with(func(o *Options) { o.Access, o.RedirectURL = acl.None, "https://a.test/" }), false, Feature},
		{"only on the web", with(func(o *Options) { o.AllowModules = nil }), false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(t, tt.options)
			if got := s.StreamFeatures("a.test", tt.authenticated); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPerHost(t *testing.T) {
	s, _ := newService(t, Off())
	s.Configure(stanza.PerHost[Options]{Value: Off(), Hosts: map[string]Options{"a.test": Defaults()}})
	if !s.Offered("a.test") || s.Offered("b.test") {
		t.Errorf("offered at a.test: %t, at b.test: %t; want only the first", s.Offered("a.test"), s.Offered("b.test"))
	}
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newService(t, Defaults())
		s.SetTimeout(10 * time.Minute)
		n := 0
		try := func(addr, password, want string) {
			t.Helper()
			n++
			if got := ask(t, s, "", "set", query(fmt.Sprintf("user%d", n), password), peer(addr)); got != want {
				t.Errorf("from %s: got %q, want %q", addr, got, want)
			}
		}
		try(far, "secret", "")
		try(far, "secret", "resource-constraint")
		try("::ffff:"+far, "secret", "resource-constraint")
		try(local, "secret", "")
		try("2001:db8::1", "secret", "")
		try("2001:db8::ffff:2", "secret", "resource-constraint") // the same /64
		try("2001:db8:0:1::1", "secret", "")

		// What failed does not count.
		f.err = &stanza.Error{Condition: stanza.NotAcceptable}
		try("192.0.2.2", "secret", "not-acceptable")
		f.err = nil
		try("192.0.2.2", "", "not-acceptable")
		try("192.0.2.2", "secret", "")

		time.Sleep(10*time.Minute - 1)
		try(far, "secret", "resource-constraint")
		time.Sleep(time.Nanosecond)
		try(far, "secret", "")
		if got, want := s.recent.order.Len(), 1; got != want {
			t.Errorf("%d addresses are remembered after their time, want %d", got, want)
		}
		s.SetTimeout(0)
		try(far, "secret", "")
	})
}

func TestRateLimitTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecent(10)
		r.setTimeout(time.Hour)
		addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
		for i := range 1000 {
			if _, ok := r.enter(addr(i)); !ok {
				t.Fatalf("address %d was refused", i)
			}
		}
		if len(r.places) != 10 || r.order.Len() != 10 {
			t.Errorf("%d and %d addresses are remembered, want 10", len(r.places), r.order.Len())
		}
		for i := 990; i < 1000; i++ {
			if _, ok := r.enter(addr(i)); ok {
				t.Errorf("address %d was forgotten before older ones", i)
			}
		}
	})
}

func TestStoreFailure(t *testing.T) {
	s, f := newService(t, Defaults())
	f.err = fmt.Errorf("disk is full")
	for _, got := range []string{
		ask(t, s, "", "set", query("juliet", "secret"), peer(far)),
		ask(t, s, "romeo@a.test/x", "get", empty, peer(far)),
	} {
		if got != "internal-server-error" {
			t.Errorf("got %q, want internal-server-error", got)
		}
	}
}

func TestEntropy(t *testing.T) {
	for password, want := range map[string]float64{
		"": 0, "1": 3.32, "1234567890": 33.2, "password": 37.6, "Passw0rd": 47.6, "Pa$$w0rd": 52.4, "ü": 7, "pass word": 65.4,
	} {
		if got := entropy(password); got < want-0.1 || got > want+0.1 {
			t.Errorf("entropy(%q) = %.1f, want %.1f", password, got, want)
		}
	}
}
