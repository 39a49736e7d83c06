package c2s_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/host/features/version"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestRFCDisco(t *testing.T) {
	const info, items = "<query xmlns='http://jabber.org/protocol/disco#info'", "<query xmlns='http://jabber.org/protocol/disco#items'"
	get := func(to, payload string) string { return "<iq type='get' id='1'" + to + ">" + payload + "</iq>" }
	const server, account, other = " to='one.example'", " to='romeo@one.example'", " to='juliet@one.example'"
	has := func(inner string) []string {
		return []string{"<iq type='result' id='1'>" + info + ">" + inner + "</query></iq>"}
	}
	unavailable := []string{rfcError("iq", "id='1'", "service-unavailable")}
	rows := []rfcRow{
		{name: "XEP-0030 §3.1 identity of the server", send: get(server, info+"/>"), want: has("<identity category='server' type='im'/>")},
		{name: "XEP-0030 §3.1 identity of an account", send: get(account, info+"/>"), want: has("<identity category='account' type='registered'/>")},
		{name: "XEP-0030 §3.1 identity of an account, no to", send: get("", info+"/>"), want: has("<identity category='account' type='registered'/>")},
		{name: "XEP-0030 §8 strangers learn nothing", send: get(other, info+"/>"), want: unavailable},
		{name: "XEP-0030 §8 nor whether there is an account", send: get(" to='tybalt@one.example'", info+"/>"), want: unavailable},
		{name: "XEP-0030 §3.2 unknown node", send: get(server, info+" node='x'/>"), want: []string{rfcError("iq", "id='1'", "item-not-found")}},
		{name: "XEP-0030 §3.1 set", send: strings.Replace(get(server, info+"/>"), "get", "set", 1), want: []string{rfcError("iq", "id='1'", "bad-request|not-allowed|feature-not-implemented|service-unavailable")}},
		{name: "XEP-0030 §4.1 items of the server", send: get(server, items+"/>"), want: []string{"<iq type='result' id='1'>" + items + "/></iq>"}},
		{name: "XEP-0030 §4.1 items of the own account", send: get(account, items+"/>"), want: []string{"<iq type='result' id='1'>" + items + "/></iq>"}},
		{name: "XEP-0030 §8 items of somebody else", send: get(other, items+"/>"), want: unavailable, or: []string{"<iq type='result' id='1'>" + items + " only=''/></iq>"}},
		{name: "XEP-0030 §4.2 items of an unknown node", send: get(server, items+" node='x'/>"), want: []string{rfcError("iq", "id='1'", "item-not-found")}, or: []string{"<iq type='result' id='1'>" + items + " node='x' only=''/></iq>"}},
		{name: "RFC 6120 §8.3.3.3 unknown element of a known namespace", send: get(server, strings.Replace(info, "query", "x", 1)+"/>"), want: []string{rfcError("iq", "id='1'", "feature-not-implemented|service-unavailable|bad-request")}},
	}
	for _, feature := range []string{"http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "urn:xmpp:ping", "jabber:iq:version", "urn:xmpp:time"} {
		rows = append(rows, rfcRow{name: "XEP-0030 §3.1 " + feature, send: get(server, info+"/>"), want: has("<feature var='" + feature + "'/>")})
	}
	rfcRows(t, rfcBound, nil, rows)
}

func TestRFCServices(t *testing.T) {
	get := func(to, payload string) string { return "<iq type='get' id='1'" + to + ">" + payload + "</iq>" }
	const server, account = " to='one.example'", " to='romeo@one.example'"
	answer := func(inner string) []string { return []string{"<iq type='result' id='1' only=''>" + inner + "</iq>"} }
	refused := []string{rfcError("iq", "id='1'", "bad-request|not-allowed|feature-not-implemented|service-unavailable")}
	const ping, ask, clock = "<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='jabber:iq:version'/>", "<time xmlns='urn:xmpp:time'/>"
	rfcRows(t, rfcBound, func(c *rfcConfig) { c.host.Version = version.Info{Name: "a<b", Version: "1&2"} }, []rfcRow{
		{name: "XEP-0199 §4.2 ping of the server", send: get(server, ping), want: answer("")},
		{name: "XEP-0199 §4.2 ping of the own account", send: get(account, ping), want: answer("")},
		{name: "XEP-0199 §4.2 ping without to", send: get("", ping), want: answer("")},
		{name: "XEP-0199 §4 ping is a get", send: strings.Replace(get(server, ping), "get", "set", 1), want: refused},
		{name: "XEP-0092 §3 version", send: get(server, ask), want: answer("<query xmlns='jabber:iq:version' only=''><name>a&lt;b</name><version>1&amp;2</version></query>")},
		{name: "XEP-0092 §3 version with system", send: get(server, ask), want: answer("<query xmlns='jabber:iq:version'><name>a</name><version>1</version><os>x</os></query>"),
			with: func(c *rfcConfig) { c.host.Version = version.Info{Name: "a", Version: "1", OS: "x"} }},
		{name: "XEP-0092 §3 usual version", send: get(server, ask), want: answer("<query xmlns='jabber:iq:version'><name>*</name><version>*</version></query>"), with: func(*rfcConfig) {}},
		{name: "XEP-0092 §3 version is a get", send: strings.Replace(get(server, ask), "get", "set", 1), want: refused},
		{name: "XEP-0202 §3 time", send: get(server, clock), want: answer("<time xmlns='urn:xmpp:time'><tzo>~Z|[+-]\\d\\d:\\d\\d</tzo><utc>~\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d([.]\\d+)?Z</utc></time>")},
		{name: "XEP-0202 §3 time is a get", send: strings.Replace(get(server, clock), "get", "set", 1), want: refused},
	})
	rfcTest(t, "XEP-0202 §3 right time", nil, func(t *testing.T, s *rfcServer) {
		got := s.dial().login("romeo", "orchard", rfcBound).must(get(server, clock), "<iq type='result'/>")
		utc, err := time.Parse(time.RFC3339, got[0].child("time").child("utc").text)
		if d := time.Since(utc); err != nil || d < 0 || d > time.Second {
			t.Errorf("time: got %s, %v, want that of now", rfcRaw(got), err)
		}
	})
}

const rfcRegister = "xmlns='jabber:iq:register'"

func rfcRegistration(attrs, inner string) string {
	return "<iq id='1' " + attrs + "><query " + rfcRegister + ">" + inner + "</query></iq>"
}

func rfcNewAccount(name, password string) string {
	return rfcRegistration("type='set'", "<username>"+name+"</username><password>"+password+"</password>")
}

// rfcRegistering switches registration on.
func rfcRegistering(change func(*register.Options)) func(*rfcConfig) {
	return func(c *rfcConfig) {
		o := register.Defaults()
		if change != nil {
			change(&o)
		}
		c.host.Register.Value = o
	}
}

func TestRFCRegister(t *testing.T) {
	done := []string{"<iq type='result' id='1'/>"}
	refused := func(conditions string) []string { return []string{rfcError("iq", "id='1'", conditions)} }
	form := "<iq type='result' id='1' from='~|one[.]example'><query " + rfcRegister + "><username/><password/></query></iq>"
	feature := "<stream:features><register xmlns='http://jabber.org/features/iq-register'/></stream:features>"
	denied := refused("not-allowed|forbidden|not-acceptable|service-unavailable")
	none := func(o *register.Options) { o.Access = acl.None }
	rfcRows(t, rfcDialled, rfcRegistering(nil), []rfcRow{{name: "XEP-0077 §8 feature", send: rfcOpen, want: []string{rfcHeader, feature}}})
	rfcRows(t, rfcOpened, rfcRegistering(nil), []rfcRow{
		{name: "XEP-0077 §3.1 form", send: rfcRegistration("type='get'", ""), want: []string{form}},
		{name: "XEP-0077 §3.1 form, to the server", send: rfcRegistration("type='get' to='one.example'", ""), want: []string{form}},
		{name: "XEP-0077 §3.1 account", send: rfcNewAccount("tybalt", "a password"), want: done,
			then: []rfcTurn{{send: rfcPlain("tybalt", "a password"), want: []string{"<success " + rfcSASL + "/>"}}}},
		{name: "XEP-0077 §3.1 account, to the server", send: strings.Replace(rfcNewAccount("tybalt", "pw"), "type=", "to='one.example' type=", 1), want: done},
		{name: "XEP-0077 §3.1 account for another host", send: strings.Replace(rfcNewAccount("tybalt", "pw"), "type=", "to='two.example' type=", 1),
			want: refused("not-allowed|item-not-found|service-unavailable|forbidden|bad-request|not-acceptable|not-authorized"), or: rfcClosed},
		{name: "XEP-0077 §3.1 conflict", send: rfcNewAccount("romeo", "pw"), want: refused("conflict"), then: []rfcTurn{{send: rfcPlain("romeo", rfcPassword), want: []string{"<success " + rfcSASL + "/>"}}}},
		{name: "XEP-0077 §3.1 conflict in other case", send: rfcNewAccount("ROMEO", "pw"), want: refused("conflict")},
		{name: "XEP-0077 §3.1 no password", send: rfcRegistration("type='set'", "<username>tybalt</username>"), want: refused("not-acceptable|bad-request")},
		{name: "XEP-0077 §3.1 empty password", send: rfcNewAccount("tybalt", ""), want: refused("not-acceptable|bad-request")},
		{name: "XEP-0077 §3.1 no name", send: rfcRegistration("type='set'", "<password>pw</password>"), want: refused("not-acceptable|bad-request")},
		{name: "XEP-0077 §3.1 empty name", send: rfcNewAccount("", "pw"), want: refused("not-acceptable|bad-request|jid-malformed")},
		{name: "XEP-0077 §3.1 name that is none", send: rfcNewAccount("a@b", "pw"), want: refused("not-acceptable|bad-request|jid-malformed")},
		{name: "XEP-0077 §3.1 name too long", send: rfcNewAccount(strings.Repeat("x", 1024), "pw"), want: refused("not-acceptable|bad-request|jid-malformed")},
		{name: "XEP-0077 §3.1 empty form", send: rfcRegistration("type='set'", ""), want: refused("not-acceptable|bad-request")},
		{name: "XEP-0077 §3.2 removal before login", send: rfcRegistration("type='set'", "<remove/>"), want: refused("not-allowed|forbidden|registration-required|unexpected-request|not-authorized|bad-request|not-acceptable")},
		{name: "XEP-0077 §3.2 removal before login, named", send: rfcRegistration("type='set'", "<username>romeo</username><remove/>"),
			want: refused("not-allowed|forbidden|registration-required|unexpected-request|not-authorized|bad-request|not-acceptable"),
			then: []rfcTurn{{send: rfcPlain("romeo", rfcPassword), want: []string{"<success " + rfcSASL + "/>"}}}},
		{name: "XEP-0077 §3.1 other requests", send: rfcPing, want: rfcStreamError("not-authorized")},
		{name: "XEP-0077 §3.1 result", send: rfcRegistration("type='result'", ""), want: rfcStreamError("not-authorized"), or: []string{}},
		{name: "XEP-0077 §10 one account for each address and time", send: rfcNewAccount("tybalt", "a password"), want: done,
			then: []rfcTurn{{send: rfcNewAccount("mercutio", "a password"), want: refused("resource-constraint|not-allowed|not-acceptable|policy-violation")}}},
		{name: "allow_modules", with: rfcRegistering(func(o *register.Options) { o.AllowModules = nil }), send: rfcNewAccount("tybalt", "pw"), want: denied, or: rfcClosed},
		{name: "access none", with: rfcRegistering(none), send: rfcNewAccount("tybalt", "pw"), want: denied, or: rfcClosed},
		{name: "ip_access none", with: rfcRegistering(func(o *register.Options) { o.IPAccess = acl.None }), send: rfcNewAccount("tybalt", "pw"), want: denied, or: rfcClosed},
		{name: "password_strength", with: rfcRegistering(func(o *register.Options) { o.PasswordStrength = 32 }), send: rfcNewAccount("tybalt", "aa"), want: refused("not-acceptable"),
			then: []rfcTurn{{send: rfcNewAccount("tybalt", "Y3$bIffwgl8!_d09"), want: done}}},
		{name: "XEP-0077 §5 redirect_url", with: rfcRegistering(func(o *register.Options) { o.RedirectURL = "https://one.example/" }), send: rfcRegistration("type='get'", ""),
			want: []string{"<iq type='result'><query " + rfcRegister + "><x xmlns='jabber:x:oob'><url>https://one.example/</url></x></query></iq>"}},
	})
	off := func(features *rfcElement) bool { return features.child("register") == nil }
	for name, with := range map[string]func(*rfcConfig){"off": nil, "access none": rfcRegistering(none)} {
		rfcTest(t, "XEP-0077 §8 no feature, "+name, with, func(t *testing.T, s *rfcServer) {
			if features := s.dial().open(); name == "off" && !off(features) {
				t.Errorf("features: got %s, want no registration", features.raw)
			}
		})
	}
	rfcTest(t, "XEP-0077 §8 no feature after login", rfcRegistering(nil), func(t *testing.T, s *rfcServer) {
		c := s.dial().login("romeo", "", rfcOpened)
		c.must(rfcPlain("romeo", rfcPassword), "<success "+rfcSASL+"/>")
		if features := c.open(); !off(features) {
			t.Errorf("features: got %s, want no registration", features.raw)
		}
	})
}

func TestRFCRegistered(t *testing.T) {
	done := []string{"<iq type='result' id='1'/>"}
	refused := func(conditions string) []string { return []string{rfcError("iq", "id='1'", conditions)} }
	password := func(name, password string) string {
		return strings.Replace(rfcNewAccount(name, password), "type=", "to='one.example' type=", 1)
	}
	remove := rfcRegistration("type='set'", "<remove/>")
	rfcRows(t, rfcBound, rfcRegistering(nil), []rfcRow{
		{name: "XEP-0077 §3.1 form of who is registered", send: rfcRegistration("type='get'", ""),
			want: []string{"<iq type='result' id='1'><query " + rfcRegister + "><registered/><username>romeo</username></query></iq>"}},
		{name: "XEP-0077 §3.3 password", send: password("romeo", "another"), want: done},
		{name: "XEP-0077 §3.3 password, no to", send: rfcNewAccount("romeo", "another"), want: done},
		{name: "XEP-0077 §3.3 empty password", send: password("romeo", ""), want: refused("bad-request|not-acceptable")},
		{name: "XEP-0077 §3.3 no name", send: rfcRegistration("type='set'", "<password>x</password>"), want: refused("bad-request|not-acceptable")},
		{name: "XEP-0077 §3.3 somebody else's password", send: password("juliet", "another"), want: refused("conflict|not-allowed|forbidden|not-authorized|bad-request")},
		{name: "access_from none", send: password("tybalt", "another"), want: refused("conflict|not-allowed|forbidden|not-authorized|bad-request")},
		{name: "access_from all", with: rfcRegistering(func(o *register.Options) { o.AccessFrom = acl.All }), send: password("tybalt", "another"), want: done},
		{name: "access_from all, taken", with: rfcRegistering(func(o *register.Options) { o.AccessFrom = acl.All }), send: password("juliet", "another"), want: refused("conflict")},
		{name: "XEP-0077 §3.2 removal", send: remove, want: append([]string{done[0]}, rfcClosed...)},
		{name: "XEP-0077 §3.2 removal and more", send: rfcRegistration("type='set'", "<remove/><username>juliet</username><password>x</password>"), want: refused("bad-request")},
		{name: "XEP-0077 §3.2 get", send: rfcRegistration("type='get'", "<remove/>"), want: refused("bad-request"), or: []string{"<iq type='result' id='1'><query " + rfcRegister + "><registered/></query></iq>"}},
		{name: "access_remove none", with: rfcRegistering(func(o *register.Options) { o.AccessRemove = acl.None }), send: remove, want: refused("not-allowed|forbidden")},
		{name: "XEP-0077 §3 to somebody else", send: strings.Replace(remove, "type=", "to='juliet@one.example' type=", 1), want: refused("service-unavailable|forbidden|not-allowed")},
	})
}

func TestRFCRegisteredAfter(t *testing.T) {
	done := "<iq type='result' id='1'/>"
	remove := rfcRegistration("type='set'", "<remove/>")
	logsIn := func(t *testing.T, s *rfcServer, user, password string, want string) {
		t.Helper()
		rfcCheck(t, "login of "+user, s.dial().login("", "", rfcOpened).ask(rfcPlain(user, password)), []string{want})
	}
	ok, no := "<success "+rfcSASL+"/>", rfcFailure("not-authorized")
	rfcTest(t, "XEP-0077 §3.3 the new password counts", rfcRegistering(nil), func(t *testing.T, s *rfcServer) {
		s.dial().login("romeo", "orchard", rfcBound).must(rfcNewAccount("romeo", "another"), done)
		logsIn(t, s, "romeo", "another", ok)
		logsIn(t, s, "romeo", rfcPassword, no)
		logsIn(t, s, "juliet", rfcPassword, ok)
	})
	rfcTest(t, "XEP-0077 §3.2 the account is gone", rfcRegistering(nil), func(t *testing.T, s *rfcServer) {
		other := s.dial().login("romeo", "garden", rfcBound)
		s.dial().login("romeo", "orchard", rfcBound).ask(remove)
		rfcCheck(t, "removal elsewhere", other.take(), rfcClosed, rfcClosed[:2])
		logsIn(t, s, "romeo", rfcPassword, no)
		logsIn(t, s, "juliet", rfcPassword, ok)
	})
	rfcTest(t, "registration_timeout passes", rfcRegistering(nil), func(t *testing.T, s *rfcServer) {
		from := netip.MustParseAddrPort("192.0.2.7:1")
		register := func(name string) []*rfcElement {
			return s.client(s.ln.DialFrom(from)).login("", "", rfcOpened).ask(rfcNewAccount(name, "pw"))
		}
		rfcCheck(t, "registration", register("tybalt"), []string{done})
		rfcCheck(t, "registration", register("mercutio"), []string{rfcError("iq", "id='1'", "resource-constraint|not-allowed|not-acceptable|policy-violation")})
		<-time.After(11 * time.Minute)
		rfcCheck(t, "registration", register("mercutio"), []string{done})
	})
	welcome := func(o *register.Options) {
		o.WelcomeMessage = register.Welcome{Subject: "Hi", Body: "Welcome"}
		o.RegistrationWatchers = []stanza.JID{rfcJID(t, "juliet@one.example")}
	}
	rfcTest(t, "welcome_message and registration_watchers", rfcRegistering(welcome), func(t *testing.T, s *rfcServer) {
		juliet := s.dial().login("juliet", "balcony", rfcBound)
		juliet.must("<presence/>", "<presence/>")
		s.dial().login("", "", rfcOpened).must(rfcNewAccount("tybalt", "pw"), done)
		got := juliet.take()
		rfcCheck(t, "registration", got, []string{"<message from='one.example'><body>*</body></message>"})
		if !regexp.MustCompile("tybalt").MatchString(rfcRaw(got)) {
			t.Errorf("message to a watcher: got %s, want the name in it", rfcRaw(got))
		}
	})
}
