package offline

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const stamp = "<delay xmlns='urn:xmpp:delay' from='a.test' stamp='2000-01-01T00:00:00.000Z'/>"

// XEP-0203, section 2: one mark of this server, with the time in UTC.
func TestDelay(t *testing.T) {
	const other = "<delay xmlns='urn:xmpp:delay' from='room@b.test' stamp='1999-01-01T00:00:00Z'/>"
	forge := func(name, from string) string {
		return "<" + name + " from='" + from + "' stamp='1999-01-01T00:00:00Z'>Offline &gt; <![CDATA[</delay>]]></" + strings.Fields(name)[0] + ">"
	}
	tests := []struct{ name, inner, want, child string }{
		{"plain", body, body + stamp, "body"},
		{"empty", "", stamp, "delay"},
		{"mark of another", body + other, body + other + stamp, "body"},
		{"forged", body + forge("delay xmlns='urn:xmpp:delay'", "a.test"), body + stamp, "body"},
		{"forged first", forge("delay xmlns='urn:xmpp:delay'", "a.test") + body, body + stamp, "body"},
		{"forged alone", forge("delay xmlns='urn:xmpp:delay'", "a.test") + store, store + stamp, "store"},
		{"forged twice", forge("delay xmlns='urn:xmpp:delay'", "a.test") + " \n" + body + forge("delay xmlns='urn:xmpp:delay'", "a.test"), " \n" + body + stamp, "body"},
		{"forged in capitals", body + forge("delay xmlns='urn:xmpp:delay'", "A.Test."), body + stamp, "body"},
		{"forged with a prefix", body + forge("d:delay xmlns:d='urn:xmpp:delay'", "a.test"), body + stamp, "body"},
		{"forged with a reference", body + forge("delay xmlns='urn:xmpp&#58;delay'", "a&#46;test"), body + stamp, "body"},
		{"of another namespace", body + "<delay xmlns='urn:x' from='a.test'/>", body + "<delay xmlns='urn:x' from='a.test'/>" + stamp, "body"},
		{"without from", body + "<delay xmlns='urn:xmpp:delay'/>", body + "<delay xmlns='urn:xmpp:delay'/>" + stamp, "body"},
		{"of a user of this server", body + "<delay xmlns='urn:xmpp:delay' from='x@a.test'/>", body + "<delay xmlns='urn:xmpp:delay' from='x@a.test'/>" + stamp, "body"},
		{"within", "<x xmlns='urn:x' a='>'><delay xmlns='urn:xmpp:delay' from='a.test'/></x>" + store,
			"<x xmlns='urn:x' a='>'><delay xmlns='urn:xmpp:delay' from='a.test'/></x>" + store + stamp, "x"},
		{"in the text", "<body>a delay</body>", "<body>a delay</body>" + stamp, "body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := new(Memory)
				s := newService(memory, Options{StoreEmptyBody: "true"})
				m := parse(t, "<message from='romeo@b.test/o' to='juliet@a.test/r' id='&lt;1>' xml:lang='en' xmlns:e='urn:e' e:x='1'>"+tt.inner+"</message>")
				r := keepIt(t, s, m)
				if r.kept == nil {
					t.Fatal(r)
				}
				if r.kept.Inner != tt.want || r.kept.Child.Local != tt.child {
					t.Errorf("got %s with the child %s, want %s with %s", r.kept.Inner, r.kept.Child.Local, tt.want, tt.child)
				}
				if m.Inner != tt.inner || m.Kept != 0 {
					t.Errorf("the message has become %s", m)
				}
				time.Sleep(time.Hour)
				// What another session gets is the same, to the same address.
				got := comes(t, s, "juliet@a.test/other").got
				if len(got) != 1 || *got[0] != *r.kept || got[0].Kept == 0 {
					t.Errorf("delivered %v, want %v", got, r.kept)
				}
				want := *m
				want.Inner, want.Child, want.Kept = got[0].Inner, got[0].Child, got[0].Kept
				if *got[0] != want {
					t.Errorf("got %+v, want %+v", *got[0], want)
				}
				list, err := memory.List(t.Context(), m.To.Bare(), 0, 10)
				if err != nil || len(list) != 1 || !strings.HasPrefix(list[0].XML, "<message xmlns='jabber:client' ") {
					t.Errorf("stored %v, %v, want a stanza in jabber:client", list, err)
				}
			})
		})
	}
}

// A message that is kept is what it was, but for the marks of this server, of
// which it has one.
func FuzzDelayed(f *testing.F) {
	for _, s := range []string{"", body, body + stamp, "x<d:delay xmlns:d='urn:xmpp:delay' from='A.test'/>]]&gt;<a b='/>'><delay/></a>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, inner string) {
		m, err := stanza.Parse("<message to='juliet@a.test'>" + inner + "</message>")
		if err != nil {
			return
		}
		kept, err := delayed(m, time.Now())
		if err != nil {
			t.Fatalf("%q: %v", inner, err)
		}
		again, err := stanza.Parse(string(kept.AppendTo(nil, stanza.NSClient)))
		if err != nil || *again != *kept {
			t.Fatalf("%q: got %+v, %v, want %+v", inner, again, err, kept)
		}
		want, marks := children(t, m)
		got, now := children(t, kept)
		if got != want || now != 1 {
			t.Fatalf("%q with %d marks: got %q with %d, want %q with 1", inner, marks, got, now, want)
		}
	})
}

// children returns what a message has besides the marks of a.test, and how many
// of these.
func children(t *testing.T, m *stanza.Stanza) (others string, marks int) {
	e, err := stanza.ParseElement(string(m.AppendTo(nil, stanza.NSClient)))
	if err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	e.Attrs = nil
	all := e.Children
	e.Children = nil
	for _, c := range all {
		from, err := stanza.ParseJID(c.Attr("from"))
		if c.Name == (stanza.Name{Space: nsDelay, Local: "delay"}) && err == nil && from.String() == "a.test" {
			marks++
		} else {
			e.Children = append(e.Children, c)
		}
	}
	return string(e.AppendXML(nil)), marks
}
