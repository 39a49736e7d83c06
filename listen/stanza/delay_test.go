package stanza

import (
	"strings"
	"testing"
	"time"
)

// the delay that the tests add.
const (
	ours  = "<delay xmlns='urn:xmpp:delay' from='a.test' stamp='2000-01-01T00:00:00.120Z'/>"
	body  = "<body>a &amp; b</body>"
	store = "<store xmlns='urn:xmpp:hints'/>"
)

var since = time.Date(2000, 1, 1, 2, 0, 0, 123e6, time.FixedZone("EET", 2*60*60)).Add(-3 * time.Millisecond)

func TestWithDelay(t *testing.T) {
	const other = "<delay xmlns='urn:xmpp:delay' from='room@b.test' stamp='1999-01-01T00:00:00Z'/>"
	forge := func(name, from string) string {
		return "<" + name + " from='" + from + "' stamp='1999-01-01T00:00:00Z'>Offline &gt; <![CDATA[</delay>]]></" + strings.Fields(name)[0] + ">"
	}
	const delay = "delay xmlns='urn:xmpp:delay'"
	tests := []struct{ name, inner, want, child string }{
		{"plain", body, body + ours, "body"},
		{"empty", "", ours, "delay"},
		{"delay of another", body + other, body + other + ours, "body"},
		{"forged", body + forge(delay, "a.test"), body + ours, "body"},
		{"forged and empty", "<" + delay + " from='a.test'/>" + body, body + ours, "body"},
		{"forged first", forge(delay, "a.test") + body, body + ours, "body"},
		{"forged alone", forge(delay, "a.test") + store, store + ours, "store"},
		{"nothing but forged", forge(delay, "a.test"), ours, "delay"},
		{"forged twice", forge(delay, "a.test") + " \n" + body + forge(delay, "a.test"), " \n" + body + ours, "body"},
		{"forged in capitals", body + forge(delay, "A.Test."), body + ours, "body"},
		{"forged with a prefix", body + forge("d:delay xmlns:d='urn:xmpp:delay'", "a.test"), body + ours, "body"},
		{"forged with a prefix of the stanza", body + forge("e:delay", "a.test"), body + ours, "body"},
		{"forged with a reference", body + forge("delay xmlns='urn:xmpp&#58;delay'", "a&#46;test"), body + ours, "body"},
		{"of another namespace", body + "<delay xmlns='urn:x' from='a.test'/>", body + "<delay xmlns='urn:x' from='a.test'/>" + ours, "body"},
		{"without from", body + "<delay xmlns='urn:xmpp:delay'/>", body + "<delay xmlns='urn:xmpp:delay'/>" + ours, "body"},
		{"of a user of this server", body + "<delay xmlns='urn:xmpp:delay' from='x@a.test'/>", body + "<delay xmlns='urn:xmpp:delay' from='x@a.test'/>" + ours, "body"},
		{"within", "<x xmlns='urn:x' a='/>'><delay xmlns='urn:xmpp:delay' from='a.test'/></x>" + store,
			"<x xmlns='urn:x' a='/>'><delay xmlns='urn:xmpp:delay' from='a.test'/></x>" + store + ours, "x"},
		{"in the text", "<body>a delay</body>", "<body>a delay</body>" + ours, "body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse("<message from='romeo@b.test/o' to='juliet@a.test/r' id='&lt;1>' xml:lang='en' xmlns:e='urn:xmpp:delay' e:x='1'>" + tt.inner + "</message>")
			if err != nil {
				t.Fatal(err)
			}
			before := *s
			got, err := s.WithDelay(since)
			if err != nil {
				t.Fatal(err)
			}
			want := before
			want.Inner, want.Child.Local, want.Child.Space, want.Delayed = tt.want, tt.child, got.Child.Space, true
			if *got != want {
				t.Errorf("got  %+v\nwant %+v", *got, want)
			}
			if *s != before {
				t.Errorf("the stanza has become %s", s)
			}
			again, err := got.WithDelay(since.Add(time.Hour))
			if err != nil || *again != *got || again == got {
				t.Errorf("once more: got %s, %v, want a copy of %s", again, err, got)
			}
			wantWithoutForged(t, s, strings.TrimSuffix(tt.want, ours))
			if same, err := got.WithoutForgedDelay(); same != got || err != nil {
				t.Errorf("without forged ones: got %s, %v, want the delayed one itself", same, err)
			}
		})
	}
}

// wantWithoutForged wants that a stanza without the delays that are forged has
// this payload, and is the stanza itself where there are none.
func wantWithoutForged(t *testing.T, s *Stanza, inner string) {
	t.Helper()
	before := *s
	got, err := s.WithoutForgedDelay()
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.Inner, want.Child = inner, Name{}
	if first, err := want.Payload(); err != nil {
		t.Fatal(err)
	} else if first != nil {
		want.Child = first.Name
	}
	if *got != want || *s != before {
		t.Errorf("without forged ones: got %+v, want %+v", *got, want)
	}
	if same := got == s; same != (inner == before.Inner) {
		t.Errorf("without forged ones: got the stanza itself: %t", same)
	}
}

// What has no delay costs nothing.
func TestWithoutForgedDelayAllocates(t *testing.T) {
	s, err := Parse("<message to='juliet@a.test'>" + body + "</message>")
	if err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(100, func() { _, _ = s.WithoutForgedDelay() })
	if n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// A stanza that has been delayed is what it was, but for the delays of this
// server, of which it has one.
func FuzzWithDelay(f *testing.F) {
	for _, s := range []string{"", body, body + ours, "x<d:delay xmlns:d='urn:xmpp:delay' from='A.test'/>]]&gt;<a b='/>'><delay/></a>", "<a><![CDATA[<delay/>]]></a><delay xmlns='urn:xmpp:delay' from='a.test'> </delay>y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, inner string) {
		s, err := Parse("<message to='juliet@a.test'>" + inner + "</message>")
		if err != nil {
			return
		}
		delayed, err := s.WithDelay(since)
		if err != nil {
			t.Fatalf("%q: %v", inner, err)
		}
		again, err := Parse(string(delayed.AppendTo(nil, NSClient)))
		if err != nil {
			t.Fatalf("%q: %v", inner, err)
		}
		if again.Delayed = true; *again != *delayed {
			t.Fatalf("%q: got %+v, want %+v", inner, again, delayed)
		}
		want, before := withoutOurs(t, s)
		got, now := withoutOurs(t, delayed)
		if got != want || now != 1 {
			t.Fatalf("%q with %d delays: got %q with %d, want %q with 1", inner, before, got, now, want)
		}
	})
}

// withoutOurs returns what a stanza has besides the delays of a.test, and how
// many of these.
func withoutOurs(t *testing.T, s *Stanza) (others string, delays int) {
	e, err := ParseElement(string(s.AppendTo(nil, NSClient)))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	e.Attrs = nil
	all := e.Children
	e.Children = nil
	for _, c := range all {
		from, err := ParseJID(c.Attr("from"))
		if c.Name == (Name{NSDelay, "delay"}) && err == nil && from.String() == "a.test" {
			delays++
		} else {
			e.Children = append(e.Children, c)
		}
	}
	return string(e.AppendXML(nil)), delays
}
