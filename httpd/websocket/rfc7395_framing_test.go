package websocket_test

import (
	"slices"
	"strings"
	"testing"
)

// stanzaTo is a stanza to somebody who must not get it: $to.
var stanzaTo = message("$to", "dropped")

// dropped is that stanza with another body.
func dropped(body string) string { return strings.Replace(stanzaTo, "text", body, 1) }

// Conditions of stream errors, where a standard leaves the choice.
// See RFC 6120, section 4.9.3.
var (
	malformed  = []string{"not-well-formed", "bad-format", "invalid-xml"}
	prefixed   = append(slices.Clone(malformed), "bad-namespace-prefix")
	restricted = []string{"restricted-xml"}
	forbidden  = append(slices.Clone(malformed), "restricted-xml")
	foreign    = []string{"invalid-namespace", "unsupported-stanza-type"}
	policy     = []string{"policy-violation", "resource-constraint"}
)

// mistake is a message that ends the stream.
type mistake struct {
	name, text string
	conditions []string
}

// mistakes are what a message must not be, in a session.
// See RFC 7395, section 3.3.3, and RFC 6120, sections 4.9.3 and 11.
var mistakes = []mistake{
	{"3.8 white space", " ", malformed},
	{"3.8 a line end", "\n", malformed},
	{"3.3.3 nothing", "", malformed},
	{"3.3.3 text", "text", malformed},
	{"3.3.3 white space first", "\n" + stanzaTo, malformed},
	{"3.3.3 a byte order mark first", "\ufeff" + stanzaTo, malformed},
	{"3.3.3 text behind", stanzaTo + "x", malformed},
	{"3.3.3 two stanzas", stanzaTo + stanzaTo, malformed},
	{"3.3.3 two stanzas and white space", stanzaTo + "\n" + stanzaTo, malformed},
	{"3.3.3 a stanza and the end", stanzaTo + "<close xmlns='" + nsFraming + "'/>", malformed},
	{"3.3.3 half a stanza", stanzaTo[:len(stanzaTo)-3], malformed},
	{"3.3.3 a stanza without end tag", strings.TrimSuffix(stanzaTo, "</message>"), malformed},
	{"3.3.3 an end tag alone", "</message>", malformed},
	{"3.3.3 the end of a stream of TCP", "</stream:stream>", malformed},
	{"3.3.3 another end tag", strings.Replace(stanzaTo, "</message>", "</iq>", 1), malformed},
	{"3.3.3 a prefix that is not declared", "<message xmlns='jabber:client'><x:a/></message>", prefixed},
	{"3.3.3 a prefix of an earlier message", "<stream:message/>", prefixed},
	{"3.3.3 the prefix stream of TCP", "<stream:error><not-authorized xmlns='" + nsStreams + "'/></stream:error>", prefixed},
	{"3.3.3 an attribute twice", "<message xmlns='jabber:client' id='a' id='b'/>", malformed},
	{"3.3.3 an attribute twice by two prefixes", "<message xmlns='jabber:client' xmlns:a='urn:x' xmlns:b='urn:x' a:c='1' b:c='2'/>", malformed},
	{"3.3.3 an attribute without quotes", "<message xmlns='jabber:client' id=a/>", malformed},
	{"3.3.3 < in an attribute", "<message xmlns='jabber:client' id='<'/>", malformed},
	{"3.3.3 & alone", dropped("a & b"), malformed},
	{"3.3.3 ]]> in text", dropped("]]>"), malformed},
	{"3.3.3 a control character", dropped("\x01"), malformed},
	{"3.3.3 NUL", dropped("\x00"), malformed},
	{"3.3.3 U+FFFE", dropped("\ufffe"), malformed},
	{"3.3.3 a reference to a control character", dropped("&#1;"), malformed},
	{"3.3.3 a reference to NUL", dropped("&#0;"), malformed},
	{"3.3.3 a reference to a surrogate", dropped("&#xD800;"), malformed},
	{"3.3.3 a reference beyond Unicode", dropped("&#x110000;"), malformed},
	{"3.3.3 the prefix xml bound to something else", "<message xmlns='jabber:client' xmlns:xml='urn:x'/>", prefixed},
	{"3.3.3 a prefix bound to nothing", "<message xmlns='jabber:client' xmlns:a=''/>", prefixed},
	{"3.3.3 an XML declaration within", dropped("<?xml version='1.0'?>"), forbidden},
	{"3.3.3 an XML declaration behind", stanzaTo + "<?xml version='1.0'?>", forbidden},
	{"3.3.3 an XML declaration alone", "<?xml version='1.0'?>", malformed},
	{"RFC 6120, 11.1 a comment", dropped("<!-- x -->"), restricted},
	{"RFC 6120, 11.1 a comment first", "<!-- x -->" + stanzaTo, restricted},
	{"RFC 6120, 11.1 a comment behind", stanzaTo + "<!-- x -->", forbidden},
	{"RFC 6120, 11.1 a processing instruction", dropped("<?x y?>"), restricted},
	{"RFC 6120, 11.1 a processing instruction first", "<?x y?>" + stanzaTo, restricted},
	{"RFC 6120, 11.1 a document type", "<!DOCTYPE message>" + stanzaTo, restricted},
	{"RFC 6120, 11.1 an entity of HTML", dropped("&nbsp;"), forbidden},
	{"RFC 6120, 11.1 an entity of the document", "<!DOCTYPE message [<!ENTITY a 'b'>]>" + dropped("&a;"), restricted},
	{"RFC 6120, 4.9.3.10 stanzas of servers", strings.Replace(stanzaTo, "jabber:client", "jabber:server", 1), foreign},
	{"RFC 6120, 4.9.3.10 stanzas of components", strings.Replace(stanzaTo, "jabber:client", "jabber:component:accept", 1), foreign},
	{"RFC 6120, 4.9.3.24 a stanza of the framing", strings.Replace(stanzaTo, "jabber:client", nsFraming, 1), foreign},
	{"RFC 6120, 4.9.3.24 no stanza", "<body xmlns='jabber:client'/>", foreign},
	{"RFC 6120, 4.9.3.24 an element of another namespace", "<x xmlns='urn:x'/>", foreign},
	{"RFC 6120, 4.9.3.9 from of somebody else", strings.Replace(stanzaTo, " to=", " from='bo@a.test' to=", 1), []string{"invalid-from"}},
}

func TestElementsFail(t *testing.T) {
	s := newSite(t)
	bo := s.login(t, "bo")
	for _, row := range mistakes {
		t.Run(row.name, func(t *testing.T) {
			w := s.login(t, "ana")
			w.say(strings.ReplaceAll(row.text, "$to", bo.jid), message(bo.jid, "dropped"))
			w.wantEnd(row.conditions...)
			bo.t = t
			bo.wantAlive()
		})
	}
	m := message(bo.jid, "dropped")
	t.Run("3.3.3 a stanza over two messages", func(t *testing.T) {
		w := s.login(t, "ana")
		w.say(m[:30], m[30:])
		w.wantEnd(malformed...)
		bo.t = t
		bo.wantAlive()
	})
	for _, row := range []struct {
		name   string
		frames []frame
	}{
		{"3.2 a binary message", []frame{{op: opBinary, payload: m}}},
		{"3.2 an empty binary message", []frame{{op: opBinary}}},
		{"3.2 a binary message in fragments", []frame{{op: opBinary, more: true, payload: m[:9]}, {payload: m[9:]}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.login(t, "ana")
			w.send(append(row.frames, text(message(bo.jid, "dropped")))...)
			w.wantFailure(1003)
			bo.t = t
			bo.wantAlive()
		})
	}
}

// What a message may be. See RFC 7395, section 3.3.3.
func TestElements(t *testing.T) {
	s := newSite(t)
	bo := s.login(t, "bo")
	const ns = "<message xmlns='jabber:client' id='1' to='"
	for _, row := range []struct{ name, text, body string }{
		{"3.3.3 as it is", ns + bo.jid + "'><body>text</body></message>", "text"},
		{"3.3.3 with a language", ns + bo.jid + "' xml:lang='en'><body>text</body></message>", "text"},
		{"3.3.3 with a prefix for the payload", "<message xmlns='jabber:client' xmlns:x='urn:x' id='1' to='" + bo.jid + "'><body>text</body><x:y x:z='1'/></message>", "text"},
		{"3.3.3 white space behind", ns + bo.jid + "'><body>text</body></message>\n", "text"},
		{"3.3.3 white space within", ns + bo.jid + "'>\n  <body>text</body>\n</message>", "text"},
		{"3.3.3 an XML declaration, which is not forbidden", "<?xml version='1.0'?>" + ns + bo.jid + "'><body>text</body></message>", "text"},
		{"RFC 6120, 11.4 CDATA", ns + bo.jid + "'><body><![CDATA[<text>]]></body></message>", "<text>"},
		{"RFC 6120, 11.4 references", ns + bo.jid + "'><body>&lt;&amp;&gt;&quot;&apos;&#9731;&#x1F600;</body></message>", "<&>\"'☃😀"},
		{"RFC 6120, 11.4 quotes in attributes", ns + bo.jid + `'><body>text</body><x xmlns="urn:x" a="'" b='"'/></message>`, "text"},
		{"RFC 6120, 11.4 line ends", ns + bo.jid + "'><body>a\r\nb\rc\nd</body></message>", "a\nb\nc\nd"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.login(t, "ana")
			bo.t = t
			w.say(row.text)
			n := bo.wantMessage("1")
			if n.attr("from") != w.jid || n.attr("to") != bo.jid {
				t.Errorf("got %s, want it from %s", n.raw, w.jid)
			}
			if got := n.child("body").text; got != row.body || n.child("body").name.Space != nsClient {
				t.Errorf("got the body %q in %q, want %q", got, n.child("body").name.Space, row.body)
			}
			if strings.Contains(row.text, "x:y") && n.child("y").name.Space != "urn:x" {
				t.Errorf("got %s, want its payload", n.raw)
			}
			w.wantAlive()
		})
	}
}
