package roster

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// FuzzEntry checks that what is taken from a client is within its bounds and
// comes out of the roster as it came in.
func FuzzEntry(f *testing.F) {
	for _, s := range []string{
		"<item jid='romeo@b.test' name='Romeo'><group>Friends</group></item>", "<item jid='a@b/c' subscription='remove'/>",
		"<item jid='a@b'/><item jid='b@c'/>", "<item jid='a@b'><group/></item>", "<item jid='a@b'><group>a</group><group>a</group></item>",
		"<x:item xmlns:x='jabber:iq:roster' jid='b.test/&lt;&#39;' name='&quot;&amp;&gt;'/>", "<item jid='a@b' name='\u202e'/>", "<item/>", "",
		"<item jid='a@b' name='&#10;'/>", "<item jid='a@b'><group><![CDATA[<&]]>x</group></item>",
	} {
		f.Add(s)
	}
	user := jid(f, juliet)
	f.Fuzz(func(t *testing.T, s string) {
		q, err := stanza.ParseElement("<query xmlns='jabber:iq:roster'>" + s + "</query>")
		if err != nil {
			return
		}
		e, err := parseEntry(q, user)
		if err != nil {
			if !errors.As(err, new(*stanza.Error)) {
				t.Fatalf("got %v, want a stanza error", err)
			}
			return
		}
		if e.remove {
			q, err = stanza.ParseElement("<query xmlns='jabber:iq:roster'>" + string(appendRemoved(nil, e.contact)) + "</query>")
		} else {
			i := Item{Contact: e.contact, Name: e.name, Groups: e.groups}
			if len(strings.Join(e.groups, ""))+len(e.name) > maxText || len(e.groups) > maxGroups {
				t.Errorf("%q is too long", s)
			}
			q, err = stanza.ParseElement("<query xmlns='jabber:iq:roster'>" + string(i.appendXML(nil)) + "</query>")
		}
		if err != nil {
			t.Fatalf("%q does not come out well-formed: %v", s, err)
		}
		again, err := parseEntry(q, user)
		if err != nil || again.contact != e.contact || again.remove != e.remove || again.name != e.name ||
			strings.Join(again.groups, "\n") != strings.Join(e.groups, "\n") {
			t.Errorf("%q: got %+v, then %+v, %v", s, e, again, err)
		}
	})
}

// FuzzRequest checks that a request of subscription is kept as it is or without
// its payload.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"<presence from='a@b' to='c@d' type='subscribe'/>", "<presence from='a@b' to='c@d' type='subscribe' id='&lt;'><status>&amp;</status></presence>",
		"<presence xmlns='jabber:server' from='a@b' to='c@d' type='subscribe' xmlns:x='urn:x' x:y='&#39;'><x:z/><w/></presence>",
		"<presence from='a@b' to='c@d' type='subscribe' xml:lang='&#9;'><status>" + strings.Repeat("x", MaxRequest) + "</status></presence>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, xml string) {
		s, err := stanza.Parse(xml)
		if err != nil || s.Kind != stanza.Presence || s.From.IsZero() || s.To.IsZero() {
			return
		}
		s.Type = stanza.TypeSubscribe
		kept := requestXML(s)
		got, err := stanza.Parse(kept)
		if err != nil {
			t.Fatalf("%q is kept as %q: %v", xml, kept, err)
		}
		plain := plainRequest(s.From, s.To)
		if len(kept) > MaxRequest && kept != plain.String() {
			t.Errorf("%q: got %d bytes, want at most %d", xml, len(kept), MaxRequest)
		}
		if got.String() != s.String() && got.String() != plain.String() {
			t.Errorf("%q: got %q", xml, got)
		}
	})
}
