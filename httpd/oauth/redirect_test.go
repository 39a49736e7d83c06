package oauth

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func client(redirects ...string) stanza.OAuthClient { return stanza.OAuthClient{Redirects: redirects} }

// Addresses are compared as they are written (RFC 9700, section 2.1), but for the port on
// the user's own machine (RFC 8252, section 7.3).
func TestDestination(t *testing.T) {
	app := client("https://app.test/come", "https://app.test:8443/x?y=1", "http://127.0.0.1/come", "http://[::1]:7/come", "http://localhost:3000/come", "test.app:/come")
	for _, tt := range []struct{ name, asked, want string }{
		{"exact", "https://app.test/come", "https://app.test/come"},
		{"another one", "https://app.test:8443/x?y=1", "https://app.test:8443/x?y=1"},
		{"own scheme", "test.app:/come", "test.app:/come"},
		{"port of this machine", "http://127.0.0.1:51004/come", "http://127.0.0.1:51004/come"},
		{"no port of this machine", "http://[::1]/come", "http://[::1]/come"},
		{"IPv6 with a port", "http://[::1]:51004/come", "http://[::1]:51004/come"},
		{"localhost as it is", "http://localhost:3000/come", "http://localhost:3000/come"},

		{"none of several", "", ""},
		{"path goes on", "https://app.test/come/../evil", ""},
		{"path goes on without a slash", "https://app.test/comes", ""},
		{"slash at the end", "https://app.test/come/", ""},
		{"query", "https://app.test/come?x=1", ""},
		{"query that goes on", "https://app.test:8443/x?y=1&z=2", ""},
		{"fragment", "https://app.test/come#x", ""},
		{"user", "https://app.test@evil.test/come", ""},
		{"user and password", "https://app.test:x@evil.test/come", ""},
		{"backslash", `https://evil.test\@app.test/come`, ""},
		{"subdomain", "https://evil.app.test/come", ""},
		{"longer domain", "https://app.test.evil.test/come", ""},
		{"suffix", "https://evilapp.test/come", ""},
		{"case of the host", "https://APP.test/come", ""},
		{"case of the scheme", "HTTPS://app.test/come", ""},
		{"case of the path", "https://app.test/Come", ""},
		{"escaped", "https://app.test/%63ome", ""},
		{"without TLS", "http://app.test/come", ""},
		{"default port", "https://app.test:443/come", ""},
		{"other port", "https://app.test:8444/x?y=1", ""},
		{"space", " https://app.test/come", ""},
		{"line", "https://app.test/come\r\nX: y", ""},
		{"zero byte", "https://app.test/come\x00", ""},
		{"without a scheme", "//app.test/come", ""},
		{"path alone", "/come", ""},
		{"javascript", "javascript:alert(1)", ""},

		{"localhost with another port", "http://localhost:3001/come", ""},
		{"localhost for 127.0.0.1", "http://localhost/come", ""},
		{"another address of this machine", "http://127.0.0.2/come", ""},
		{"this machine with TLS", "https://127.0.0.1/come", ""},
		{"this machine, another path", "http://127.0.0.1:9/other", ""},
		{"this machine, path goes on", "http://127.0.0.1:9/come/x", ""},
		{"this machine as a user", "http://127.0.0.1:9@evil.test/come", ""},
		{"this machine as a user of an address", "http://127.0.0.1@192.0.2.1/come", ""},
		{"this machine as a subdomain", "http://127.0.0.1.evil.test/come", ""},
		{"this machine in short", "http://127.1/come", ""},
		{"this machine as a number", "http://2130706433/come", ""},
		{"this machine with a zone", "http://[::1%25lo]/come", ""},
		{"this machine, mapped", "http://[::ffff:127.0.0.1]/come", ""},
		{"this machine, backslash", `http://127.0.0.1\@evil.test/come`, ""},
		{"this machine, no port number", "http://127.0.0.1:x/come", ""},
		{"this machine, port too large", "http://127.0.0.1:65536/come", ""},
		{"this machine without brackets", "http://::1/come", ""},
		{"this machine in brackets", "http://[127.0.0.1]/come", ""},
		{"this machine, half a bracket", "http://[::1/come", ""},
		{"this machine, fragment", "http://127.0.0.1:9/come#x", ""},
		{"another machine", "http://192.0.2.1/come", ""},
	} {
		got, ok := destination(app, tt.asked)
		if ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %q goes to %q, %t; want %q", tt.name, tt.asked, got, ok, tt.want)
		}
	}
	if got, ok := destination(client("https://app.test/"), ""); got != "https://app.test/" || !ok {
		t.Errorf("the only address: got %q, %t", got, ok)
	}
	if got, ok := destination(client(), ""); ok {
		t.Errorf("no address at all: got %q", got)
	}
}

// Whatever is asked for, an answer goes to where a registered address leads, as a URL
// parser understands it, the port on this machine aside.
func FuzzDestination(f *testing.F) {
	app := client("https://app.test/come?x=1", "http://127.0.0.1/come", "http://[::1]:7/come", "test.app:/come")
	for _, s := range append(slices.Clone(app.Redirects), "http://127.0.0.1:9/come", "http://127.0.0.1:9@x/come", "http://[::1]/come") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		got, ok := destination(app, asked)
		if !ok {
			return
		}
		u, err := url.Parse(got)
		if err != nil || got != asked {
			t.Fatalf("%q: got %q, %v", asked, got, err)
		}
		if !slices.ContainsFunc(app.Redirects, func(r string) bool {
			want, err := url.Parse(r)
			return err == nil && u.Scheme == want.Scheme && u.Hostname() == want.Hostname() && u.User == nil && u.Fragment == "" &&
				u.RequestURI() == want.RequestURI() && (u.Port() == want.Port() || u.Scheme == "http")
		}) {
			t.Errorf("%q is no registered address", asked)
		}
	})
}

func TestAnswerURL(t *testing.T) {
	answer := url.Values{"state": {"a&b #"}}
	for _, tt := range []struct {
		address  string
		fragment bool
		want     string
	}{
		{"https://app.test/", false, "https://app.test/?state=a%26b+%23"},
		{"https://app.test/?x=1", false, "https://app.test/?x=1&state=a%26b+%23"},
		{"https://app.test/?x=1", true, "https://app.test/?x=1#state=a%26b+%23"},
		{"test.app:/", false, "test.app:/?state=a%26b+%23"},
	} {
		if got := answerURL(tt.address, answer, tt.fragment); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestSource(t *testing.T) {
	for address, want := range map[string]string{
		"https://app.test:8443/x?y": "https://app.test:8443", "http://127.0.0.1:9/": "http://127.0.0.1:9", "http://[::1]:9/": "http:",
		"https://a.test;script-src'x'/": "https:", "test.app:/x": "test.app:",
	} {
		if got := source(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}

func TestScopes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"sasl_auth", "sasl_auth"},
		{" sasl_auth  ejabberd:user ", "sasl_auth ejabberd:user"},
		{"sasl_auth;ejabberd:user; x", "sasl_auth ejabberd:user x"},
		{"x y x", "x y"},
		{"", ""}, {" ; ", ""}, {"x\"y", ""}, {`x\y`, ""}, {"x\ty", ""}, {"größe", ""}, {"x\x00", ""},
		{strings.Repeat("x", maxScopeBytes+1), ""},
		{strings.Repeat("x ", maxScopes), "x"},
	} {
		list, ok := parseScopes(tt.text)
		if got := strings.Join(list, " "); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%.40q: got %q, %t; want %q", tt.text, got, ok, tt.want)
		}
	}
	var many []string
	for i := range maxScopes + 1 {
		many = append(many, strings.Repeat("x", i+1)[:i%30+1]+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	if list, ok := parseScopes(strings.Join(many, " ")); ok {
		t.Errorf("%d scopes are taken", len(list))
	}
}

// From RFC 7636, appendix B, and its bounds.
func TestProves(t *testing.T) {
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	long := strings.Repeat("x", 128)
	for _, tt := range []struct {
		name, verifier, challenge string
		want                      bool
	}{
		{"RFC", verifier, challenge, true},
		{"another", verifier[:42] + "l", challenge, false},
		{"plain", challenge, challenge, false},
		{"none", "", challenge, false},
		{"nothing for nothing", "", "", false},
		{"too short", verifier[:42], challenge, false},
		{"too long", long + "x", challenge, false},
		{"odd", verifier[:42] + "+", challenge, false},
	} {
		if got := proves(tt.verifier, tt.challenge); got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
	for c, want := range map[string]bool{
		challenge: true, "": false, challenge[:42]: false, challenge + "x": false, challenge + "=": false,
		strings.Repeat("+", 43): false, challenge[:42] + "N": false, challenge[:42] + "\n": false,
	} {
		if got := isChallenge(c); got != want {
			t.Errorf("isChallenge(%q) = %t", c, got)
		}
	}
}

// The reference of every form is that a parameter that is there twice, or is no text, is
// noticed.
func FuzzForm(f *testing.F) {
	f.Add("a=1&b=2")
	f.Add("a=1&a=2")
	f.Add("a=%ff")
	f.Fuzz(func(t *testing.T, body string) {
		v, err := url.ParseQuery(body)
		if err != nil || !form(v).clear() {
			return
		}
		again, err := url.ParseQuery(v.Encode())
		if err != nil || !form(again).clear() {
			t.Fatalf("%q: %v", body, err)
		}
		for name := range v {
			if form(again).get(name) != v.Get(name) {
				t.Errorf("%q is %q and %q", name, v.Get(name), form(again).get(name))
			}
		}
	})
}
