package forward

import (
	"errors"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var delegation = stanza.Name{Space: "urn:d", Local: "delegation"}

func mustParse(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return s
}

func TestFind(t *testing.T) {
	const (
		open, closed = "<delegation xmlns='urn:d'><forwarded xmlns='urn:xmpp:forward:0'>", "</forwarded></delegation>"
		iq           = "<iq xmlns='jabber:client' type='result' id='1' to='a@a.test'/>"
	)
	errBad := errors.New("bad")
	tests := []struct {
		name, payload string
		want          string
		err           error // errBad: some other
	}{
		{"one", open + iq + closed, "<iq to='a@a.test' type='result' id='1'/>", nil},
		{"beside a delay", open + "<delay xmlns='urn:xmpp:delay' stamp='x'/>" + iq + closed, "<iq to='a@a.test' type='result' id='1'/>", nil},
		{"content as it is", open + "<iq xmlns='jabber:client' type='result' id='1'><x xmlns='urn:x'>a<b/>c&lt;</x></iq>" + closed,
			"<iq type='result' id='1'><x xmlns='urn:x'>a<b/>c&lt;</x></iq>", nil},
		{"prefix from outside", "<delegation xmlns='urn:d' xmlns:p='urn:p'><forwarded xmlns='urn:xmpp:forward:0'>" +
			"<iq xmlns='jabber:client' type='result' id='1'><p:x/></iq>" + closed, "<iq type='result' id='1' xmlns:p='urn:p'><p:x/></iq>", nil},
		{"nothing", "", "", ErrNone},
		{"empty", open + closed, "", ErrNone},
		{"two", open + iq + iq + closed, "", ErrSeveral},
		{"in two", open + iq + closed + open + iq + closed, "", ErrSeveral},
		{"other kind", open + "<message xmlns='jabber:client'/>" + closed, "", ErrNone},
		{"without its namespace", open + "<iq type='result' id='1'/>" + closed, "", ErrNone},
		{"of a component stream", open + "<iq xmlns='jabber:component:accept' type='result' id='1'/>" + closed, "", ErrNone},
		{"not forwarded", "<delegation xmlns='urn:d'>" + iq + "</delegation>", "", ErrNone},
		{"without id", open + "<iq xmlns='jabber:client' type='result'/>" + closed, "", errBad},
		{"request without payload", open + "<iq xmlns='jabber:client' type='get' id='1'/>" + closed, "", errBad},
		{"unknown type", open + "<iq xmlns='jabber:client' type='x' id='1'/>" + closed, "", errBad},
		{"bad address", open + "<iq xmlns='jabber:client' type='result' id='1' to='@'/>" + closed, "", errBad},
		{"bad sender", open + "<iq xmlns='jabber:client' type='result' id='1' from='@'/>" + closed, "", errBad},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Find(mustParse(t, "<message>"+tt.payload+"</message>"), stanza.IQ, delegation, Element())
			switch {
			case tt.err == errBad && err != nil && !errors.Is(err, ErrNone) && !errors.Is(err, ErrSeveral):
			case !errors.Is(err, tt.err):
				t.Errorf("got %v, want %v", err, tt.err)
			case err == nil && got.String() != tt.want:
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	s := mustParse(t, "<message>"+open+"<message xmlns='jabber:component:accept'><body>x</body></message>"+closed+"</message>")
	got, err := FindIn(s, stanza.NSComponent, stanza.Message, delegation, Element())
	if want := "<message><body>x</body></message>"; err != nil || got.String() != want || got.Child.Space != stanza.NSClient {
		t.Errorf("of a component stream: got %v, %v; want %s", got, err, want)
	}
}

// What is wrapped is found again, whatever it is.
func FuzzWrap(f *testing.F) {
	for _, s := range []string{
		"<iq type='get' id='&amp;1' from='a@a.test/x' to='b.test' xml:lang='de'><q xmlns='urn:q' a='1'>x<y/>z</q></iq>",
		"<iq type='result' id='1' xmlns:p='urn:p' p:a='1'><p:x/></iq>",
		"<iq type='error' id='1'><error type='cancel'/><![CDATA[</iq>]]></iq>",
		"<iq type='result' id='1'>\r\n<x xmlns=''/></iq>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, xml string) {
		in, err := stanza.Parse(xml)
		if err != nil || in.Kind != stanza.IQ {
			return
		}
		outer := &stanza.Stanza{Kind: stanza.IQ, Type: stanza.TypeSet, ID: "1", Child: delegation, Inner: Wrap(delegation, in)}
		outer = mustParse(t, outer.String())
		out, err := Find(outer, stanza.IQ, delegation, Element())
		if err != nil {
			t.Fatalf("%s\nin %s: %v", in, outer, err)
		}
		if got, want := flat(t, out), flat(t, in); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// flat returns what a stanza means, without how it is written.
func flat(t *testing.T, s *stanza.Stanza) string {
	e, err := stanza.ParseElement(string(s.AppendTo(nil, stanza.NSClient)))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return string(e.AppendXML(nil))
}
