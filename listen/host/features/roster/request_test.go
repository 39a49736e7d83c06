package roster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// RFC 6121, sections 2.1.5, 2.3.3, 2.4.3 and 2.5.3.
func TestSet(t *testing.T) {
	group := func(n int) string { return "<group>" + strings.Repeat("g", n) + "</group>" }
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<group>%d</group>", i)
		}
		return b.String()
	}
	tests := []struct {
		name, items string
		want        string // condition, or "" and
		roster      string // what is there then
	}{
		{"no item", "", "bad-request", ""},
		{"two items", "<item jid='a@b.test'/><item jid='b@b.test'/>", "bad-request", ""},
		{"foreign element", "<item xmlns='urn:x' jid='a@b.test'/>", "bad-request", ""},
		{"no jid", "<item name='Romeo'/>", "bad-request", ""},
		{"empty jid", "<item jid=''/>", "bad-request", ""},
		{"bad jid", "<item jid='a b@c'/>", "jid-malformed", ""},
		{"oneself", "<item jid='juliet@a.test'/>", "not-allowed", ""},
		{"oneself in other letters", "<item jid='Juliet@A.test/x'/>", "not-allowed", ""},
		{"remove oneself", "<item jid='juliet@a.test' subscription='remove'/>", "not-allowed", ""},
		{"plain", "<item jid='romeo@b.test'/>", "", "<item jid='romeo@b.test' subscription='none'/>"},
		{"canonical", "<item jid='Romeo@B.test'/>", "", "<item jid='romeo@b.test' subscription='none'/>"},
		{"domain", "<item jid='icq.b.test/registered'/>", "", "<item jid='icq.b.test/registered' subscription='none'/>"},
		{"name and groups", "<item jid='romeo@b.test' name='Romeo'><group>Friends</group><group>Lovers</group></item>", "",
			"<item jid='romeo@b.test' name='Romeo' subscription='none'><group>Friends</group><group>Lovers</group></item>"},
		{"what only the server says", "<item jid='romeo@b.test' subscription='both' ask='subscribe' approved='true'/>", "", "<item jid='romeo@b.test' subscription='none'/>"},
		{"escaping", "<item jid='b.test/o&apos;hara&lt;' name='&lt;&amp;&apos;&quot;&gt;'><group>&lt;/group&gt;</group></item>", "",
			"<item jid='b.test/o&apos;hara&lt;' name='&lt;&amp;&apos;&quot;&gt;' subscription='none'><group>&lt;/group&gt;</group></item>"},
		{"name without groups of others", "<item jid='romeo@b.test'><group xmlns='urn:x'>x</group></item>", "", "<item jid='romeo@b.test' subscription='none'/>"},
		{"right to left", "<item jid='romeo@b.test' name='\u05e8\u05d5\u05de\u05d9\u05d0\u200f'/>", "", "<item jid='romeo@b.test' name='\u05e8\u05d5\u05de\u05d9\u05d0\u200f' subscription='none'/>"},
		{"same group twice", "<item jid='romeo@b.test'><group>a</group><group>b</group><group>a</group></item>", "bad-request", ""},
		{"empty group", "<item jid='romeo@b.test'><group/></item>", "not-acceptable", ""},
		{"longest name", "<item jid='romeo@b.test' name='" + strings.Repeat("n", 1023) + "'/>", "", "<item jid='romeo@b.test' name='" + strings.Repeat("n", 1023) + "' subscription='none'/>"},
		{"too long name", "<item jid='romeo@b.test' name='" + strings.Repeat("n", 1024) + "'/>", "not-acceptable", ""},
		{"name of too many bytes", "<item jid='romeo@b.test' name='" + strings.Repeat("é", 512) + "'/>", "not-acceptable", ""},
		{"longest group", "<item jid='romeo@b.test'>" + group(1023) + "</item>", "", "<item jid='romeo@b.test' subscription='none'>" + group(1023) + "</item>"},
		{"too long group", "<item jid='romeo@b.test'>" + group(1024) + "</item>", "not-acceptable", ""},
		{"most groups", "<item jid='romeo@b.test'>" + many(64) + "</item>", "", "<item jid='romeo@b.test' subscription='none'>" + many(64) + "</item>"},
		{"too many groups", "<item jid='romeo@b.test'>" + many(65) + "</item>", "not-acceptable", ""},
		{"too long together", "<item jid='romeo@b.test' name='n'>" + group(1023) + group(1022) + group(1021) + group(1020) + group(10) + "</item>", "not-acceptable", ""},
		{"remove who is not there", "<item jid='romeo@b.test' subscription='remove'/>", "item-not-found", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := newService(nil)
			f.login(t, balcony, true)
			if got := set(t, s, tt.items); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			var want []string
			if tt.roster != "" {
				want = []string{tt.roster}
			}
			wantStrings(t, "roster", listed(t, s), want...)
			wantStrings(t, "pushes", f.takePushes(t, balcony), want...)
		})
	}
}

// What makes one name look like another one is refused.
func TestForbiddenCharacters(t *testing.T) {
	for _, r := range []rune{'\t', '\n', '\r', 0x7F, 0x80, 0x85, 0x9F, 0x2028, 0x2029, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069} {
		s, _ := newService(nil)
		ref := fmt.Sprintf("a&#%d;b", r)
		for _, items := range []string{"<item jid='romeo@b.test' name='" + ref + "'/>", "<item jid='romeo@b.test'><group>" + ref + "</group></item>"} {
			if got := set(t, s, items); got != "not-acceptable" {
				t.Errorf("%U: got %q, want not-acceptable", r, got)
			}
		}
	}
	for _, r := range []rune{' ', 0xA0, 0x200D, 0x200E, 0x200F, 0x202F, '\U0001F469'} {
		s, _ := newService(nil)
		if got := set(t, s, fmt.Sprintf("<item jid='romeo@b.test' name='a%cb'/>", r)); got != "" {
			t.Errorf("%U: got %q, want it to be taken", r, got)
		}
	}
}

// A set changes the name and the groups and nothing else; what it leaves out is
// gone.
func TestUpdate(t *testing.T) {
	s, f := newService(nil)
	f.login(t, balcony, true)
	f.login(t, chamber, true)
	f.login(t, "juliet@a.test/deaf", false)
	f.login(t, "nurse@a.test/x", true)
	set(t, s, "<item jid='romeo@b.test' name='Romeo'><group>Friends</group></item>")
	out(t, s, stanza.TypeSubscribe)
	in(t, s, stanza.TypeSubscribed)
	in(t, s, stanza.TypeSubscribe)
	f.take(t, balcony)
	f.take(t, chamber)
	set(t, s, "<item jid='romeo@b.test' name='My Romeo'/>")
	want := "<item jid='romeo@b.test' name='My Romeo' subscription='to'/>"
	wantStrings(t, "roster", listed(t, s), want)
	wantStrings(t, "pushes", f.takePushes(t, balcony), want)
	wantStrings(t, "pushes to the other one", f.takePushes(t, chamber), want)
	wantStrings(t, "pushes to who did not ask", f.takePushes(t, "juliet@a.test/deaf"))
	wantStrings(t, "pushes to somebody else", f.takePushes(t, "nurse@a.test/x"))
	if i := item(t, s, romeo); i.Request == "" {
		t.Errorf("got %+v, want the request of the contact", i)
	}
	// Who only asked becomes a contact, the request stays.
	if _, err := inbound(t, s, presence(t, "subscribe", "paris@b.test", juliet)); err != nil {
		t.Fatal(err)
	}
	set(t, s, "<item jid='paris@b.test'/>")
	if i := item(t, s, "paris@b.test"); i.Request == "" || !i.Listed {
		t.Errorf("got %+v, want a contact with a request", i)
	}
	if got := set(t, s, "<item jid='paris@b.test' subscription='remove'/>"); got != "" {
		t.Errorf("got %s", got)
	}
	// Somebody who only asked cannot be removed.
	if _, err := inbound(t, s, presence(t, "subscribe", "paris@b.test", juliet)); err != nil {
		t.Fatal(err)
	}
	if got := set(t, s, "<item jid='paris@b.test' subscription='remove'/>"); got != "item-not-found" {
		t.Errorf("got %q, want item-not-found", got)
	}
}

func TestGet(t *testing.T) {
	s, f := newService(nil)
	f.login(t, balcony, false)
	set(t, s, "<item jid='romeo@b.test' name='Romeo'/>")
	wantStrings(t, "pushes before the request", f.takePushes(t, balcony))
	in(t, s, stanza.TypeSubscribe)
	if _, err := inbound(t, s, presence(t, "subscribe", "stranger@b.test", juliet)); err != nil {
		t.Fatal(err)
	}
	for _, attr := range []string{"", " ver=''", " ver='7'"} { // versioning is off
		inner, pushed := get(t, s, f, attr)
		if want := "<query xmlns='jabber:iq:roster'><item jid='romeo@b.test' name='Romeo' subscription='none'/></query>"; inner != want || len(pushed) > 0 {
			t.Errorf("got %s and %v, want %s", inner, pushed, want)
		}
	}
	set(t, s, "<item jid='romeo@b.test'/>")
	got := f.take(t, balcony)
	if len(got) != 1 || got[0].Inner != "<query xmlns='jabber:iq:roster'><item jid='romeo@b.test' subscription='none'/></query>" {
		t.Errorf("got %v, want a push", got)
	}
}

func TestGetOfEmptyRoster(t *testing.T) {
	s, f := newService(nil)
	f.login(t, balcony, false)
	if inner, _ := get(t, s, f, ""); inner != "<query xmlns='jabber:iq:roster'></query>" {
		t.Errorf("got %s, want an empty query", inner)
	}
}

// The session has ended meanwhile.
func TestGetOfNoSession(t *testing.T) {
	s, _ := newService(nil)
	if got := handle(t, s, request(t, stanza.TypeGet, "<query xmlns='jabber:iq:roster'/>")); got != "" {
		t.Errorf("got %s, want silence", got)
	}
}

// A request that goes to somebody else is refused, and so is one that is
// delivered to a resource as if the server had sent it.
func TestForgedPush(t *testing.T) {
	s, f := newService(nil)
	f.login(t, balcony, true)
	evil := "<query xmlns='jabber:iq:roster'><item jid='mallory@evil.test' subscription='both'/></query>"
	for _, tt := range []struct{ typ, from, to, want string }{
		{"set", "mallory@a.test/x", juliet, "forbidden"},
		{"set", "mallory@evil.test/x", juliet, "forbidden"},
		{"set", "mallory@evil.test", juliet, "forbidden"},
		{"get", "mallory@a.test/x", juliet, "forbidden"},
		{"set", "mallory@a.test/x", "a.test", "forbidden"},
		{"set", balcony, balcony, "forbidden"},
		{"set", balcony, juliet, ""},
	} {
		iq := request(t, tt.typ, evil)
		iq.From, iq.To = jid(t, tt.from), jid(t, tt.to)
		if got := handle(t, s, iq); got != tt.want {
			t.Errorf("%s of %s to %s: got %q, want %q", tt.typ, tt.from, tt.to, got, tt.want)
		}
	}
	for _, tt := range []struct {
		typ, from, to, payload string
		want                   bool
	}{
		{"set", "mallory@a.test/x", balcony, evil, true},
		{"set", "mallory@evil.test", balcony, evil, true},
		{"set", "a.test", balcony, evil, true},
		{"set", chamber, balcony, evil, true},
		{"set", juliet, balcony, evil, false},
		{"get", "mallory@a.test/x", balcony, evil, false},
		{"result", "mallory@a.test/x", balcony, evil, false},
		{"set", "mallory@a.test/x", juliet, evil, false}, // the handler's
		{"set", "mallory@a.test/x", balcony, "<query xmlns='jabber:iq:last'/>", false},
		{"set", "mallory@a.test/x", balcony, "<r:query xmlns:r='jabber:iq:roster'/>", true},
	} {
		iq := request(t, tt.typ, tt.payload)
		iq.From, iq.To = jid(t, tt.from), jid(t, tt.to)
		if got := IsForgedPush(iq); got != tt.want {
			t.Errorf("%s: got %v, want %v", iq, got, tt.want)
		}
	}
}

func TestBadQuery(t *testing.T) {
	s, _ := newService(nil)
	for _, payload := range []string{"<query xmlns='urn:x'/>", "<x xmlns='jabber:iq:roster'/>"} {
		if got := handle(t, s, request(t, "set", payload)); got != "bad-request" {
			t.Errorf("%s: got %q, want bad-request", payload, got)
		}
	}
}

// A session whose queue is full must not learn of a later version than the one
// that it missed.
func TestMissedPush(t *testing.T) {
	s, f := newService(versioned)
	f.login(t, balcony, false)
	inner, _ := get(t, s, f, " ver=''")
	f.full[jid(t, balcony)] = true
	set(t, s, "<item jid='romeo@b.test'/>")
	f.full[jid(t, balcony)] = false
	set(t, s, "<item jid='paris@b.test'/>")
	wantStrings(t, "pushes", f.takePushes(t, balcony))
	_, pushed := get(t, s, f, " ver='"+verOf(t, inner)+"'")
	if len(pushed) != 2 {
		t.Errorf("got %d pushes after the next request, want 2", len(pushed))
	}
}

func TestStreamFeatures(t *testing.T) {
	s, _ := newService(versioned)
	plain := Defaults()
	s.Configure(stanza.PerHost[*Options]{Value: s.optionsOf("a.test"), Hosts: map[string]*Options{"off.test": nil, "plain.test": &plain}})
	for _, tt := range []struct {
		domain        string
		authenticated bool
		want          string
	}{
		{"a.test", true, "<ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>"},
		{"a.test", false, ""},
		{"plain.test", true, "<sub xmlns='urn:xmpp:features:pre-approval'/>"},
		{"off.test", true, ""},
	} {
		if got := s.StreamFeatures(tt.domain, tt.authenticated); got != tt.want {
			t.Errorf("%s, %v: got %s, want %s", tt.domain, tt.authenticated, got, tt.want)
		}
	}
}
