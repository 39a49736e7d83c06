package websocket_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// session is after the login of ana.
func (s *site) session(t testing.TB) *wire { return s.login(t, "ana") }

// bomb is a document type with entities that stand for 3 * 10^20 bytes.
func bomb() string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE message [<!ENTITY a0 'lol'>")
	for i := range 20 {
		fmt.Fprintf(&b, "<!ENTITY a%d '%s'>", i+1, strings.Repeat(fmt.Sprintf("&a%d;", i), 10))
	}
	return b.String() + "]>"
}

func wide(n int) string { return dropped(strings.Repeat("<x/>", n)) }
func deep(n int) string { return dropped(strings.Repeat("<x>", n) + strings.Repeat("</x>", n)) }
func long(n int) string { return dropped(strings.Repeat("x", n)) }

// hostileElements are more than is taken.
var hostileElements = []struct {
	name       string
	at         func(*site, testing.TB) *wire
	frames     []frame
	conditions []string
}{
	{"a stanza above the limit", (*site).session, []frame{text(long(262144))}, policy},
	{"a stanza of 10 MB", (*site).session, []frame{text(long(10 << 20))}, policy},
	{"a stanza above the limit, in fragments", (*site).session, fragments(split(long(300000), 1000)...), policy},
	{"a stanza above the limit, in small fragments", (*site).session, fragments(split(long(300000), 7)...), policy},
	{"an attribute above the limit", (*site).session, []frame{text("<message xmlns='jabber:client' id='" + strings.Repeat("x", 262144) + "'/>")}, policy},
	{"a name above the limit", (*site).session, []frame{text("<" + strings.Repeat("x", 262144) + "/>")}, policy},
	{"white space above the limit", (*site).session, []frame{text("<message xmlns='jabber:client'" + strings.Repeat(" ", 262144) + "/>")}, policy},
	{"10,001 elements", (*site).session, []frame{text(wide(10001))}, policy},
	{"60,000 elements", (*site).session, []frame{text(wide(60000))}, policy},
	{"10,000 deep", (*site).session, []frame{text(deep(9990))}, policy},
	{"37,000 deep", (*site).session, []frame{text(deep(37000))}, policy},
	{"129 deep", (*site).session, []frame{text(deep(129))}, policy},
	{"10,000 attributes", (*site).session, []frame{text("<message xmlns='jabber:client' " + attributes(10000) + "/>")}, policy},
	{"an entity bomb", (*site).session, []frame{text(bomb() + dropped("&a20;"))}, restricted},
	{"an entity bomb in a header", (*site).upgraded, []frame{text(bomb() + opening("to='&a20;' version='1.0'"))}, restricted},
	{"an external entity", (*site).session, []frame{text("<!DOCTYPE m [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + dropped("&x;"))}, restricted},
	{"an external document type", (*site).session, []frame{text("<!DOCTYPE m SYSTEM 'http://a.test/'>" + stanzaTo)}, restricted},
	{"a header above the limit", (*site).upgraded, []frame{text(opening("to='a.test' version='1.0' id='" + strings.Repeat("x", 8192) + "'"))}, policy},
	{"a login above the limit", (*site).opened, []frame{text("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + strings.Repeat("A", 8192) + "</auth>")}, policy},
	{"33 elements before the login", (*site).opened, []frame{text("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + strings.Repeat("<x/>", 33) + "</auth>")}, policy},
	{"900 attributes before the login", (*site).opened, []frame{text("<auth xmlns='" + nsSASL + "' " + attributes(900) + "/>")}, append([]string{"not-authorized"}, policy...)},
}

// Elements that are more than is taken end the stream, and cost no more than the limit.
// See RFC 6120, sections 4.9.3.14 and 13.12.
func TestHostileElements(t *testing.T) {
	s := newSite(t)
	bo := s.login(t, "bo")
	for _, row := range hostileElements {
		t.Run(row.name, func(t *testing.T) {
			w := row.at(s, t)
			before := heap()
			w.send(append(slices.Clone(row.frames), text(message(bo.jid, "dropped")))...)
			first := w.element()
			if first.name.Local == "open" || first.name.Local == "failure" { // the stream that was not there yet
				first = w.element()
			}
			if !slices.ContainsFunc(row.conditions, first.has) {
				t.Fatalf("got %s, want one of %q", first.raw, row.conditions)
			}
			w.want(nsFraming, "close")
			w.say("<close xmlns='" + nsFraming + "'/>")
			w.wantClose()
			wantGrowth(t, before, 2<<20)
			bo.t = t
			bo.wantAlive()
		})
	}
}

// What is just within the limits arrives.
func TestLargeElements(t *testing.T) {
	s := newSite(t)
	bo := s.login(t, "bo")
	for _, row := range []struct{ name, text string }{
		{"a stanza", long(262144 - len(message(bo.jid, "dropped")) + len("text"))},
		{"9,990 elements", wide(9990)},
		{"120 deep", deep(120)},
		{"50 attributes", strings.Replace(stanzaTo, " to=", " xmlns:x='urn:x' "+attributes(50)+"to=", 1)},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.login(t, "ana")
			w.say(strings.ReplaceAll(row.text, "$to", bo.jid))
			bo.t = t
			bo.wantMessage("dropped")
			w.wantAlive()
		})
	}
}

// split cuts text into pieces of n bytes.
func split(s string, n int) []string {
	var pieces []string
	for len(s) > n {
		pieces, s = append(pieces, s[:n]), s[n:]
	}
	return append(pieces, s)
}

// attributes are n of them.
func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d='' ", i)
	}
	return b.String()
}
