package stanzaid

import (
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// newService returns one that stamps for a.test.
func newService() *Service {
	s := New(Config{})
	s.Configure(stanza.PerHost[*Options]{Hosts: map[string]*Options{"a.test": {}}})
	return s
}

func parse(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return s
}

// tree reads a stanza as a client would.
func tree(t testing.TB, s *stanza.Stanza) *stanza.Element {
	t.Helper()
	e, err := stanza.ParseElement(string(s.AppendTo(nil, stanza.NSClient)))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return e
}

// withoutID cuts off the last child, which must be the id of an account.
func withoutID(t testing.TB, e *stanza.Element, by string) (id string) {
	t.Helper()
	if len(e.Children) == 0 {
		t.Fatalf("there is no stanza-id")
	}
	last := e.Children[len(e.Children)-1]
	e.Children = e.Children[:len(e.Children)-1]
	if (last.Name != stanza.Name{Space: NS, Local: "stanza-id"}) || last.Attr("by") != by || len(last.Attr("id")) < 16 ||
		len(last.Attrs) != 2 || len(last.Children) > 0 || last.Text != "" {
		t.Fatalf("the last child is %+v, want a stanza-id by %s", last, by)
	}
	return last.Attr("id")
}

// XEP-0359, section 5.
func TestStamp(t *testing.T) {
	const forged = "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test' id='forged'/>"
	tests := []struct {
		name, attrs, payload string
		want                 string // payload before the new id
	}{
		{"nothing", "", "", ""},
		{"body", "", "<body>a</body>", "<body>a</body>"},
		{"text alone", "", "a", "a"},
		{"forged", "", "<body>a</body>" + forged, "<body>a</body>"},
		{"forged first", "", forged + "<body>a</body>", "<body>a</body>"},
		{"forged alone", "", forged, ""},
		{"forged twice", "", forged + "<body>a</body>" + forged + "<b xmlns='urn:b'/>", "<body>a</body><b xmlns='urn:b'/>"},
		{"forged with content", "", "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test' id='1'><a/>b<![CDATA[</stanza-id>]]></stanza-id>", ""},
		{"forged with values that look like tags", "", `<stanza-id a='>' b="'>" xmlns='urn:xmpp:sid:0' by='romeo@a.test' id='/>'/><body/>`, "<body/>"},
		{"forged, spelled out", "", "<stanza-id xmlns='urn:xmpp:sid&#58;0' by='rome&#x6f;@a.test' id='1'/>", ""},
		{"forged, not canonical", "", "<stanza-id xmlns='urn:xmpp:sid:0' by='ROMEO@A.test' id='1'/>", ""},
		{"forged, with a resource", "", "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test/x' id='1'/>", ""},
		{"forged for another account", "", "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@a.test' id='1'/>", ""},
		{"forged without id", "", "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test'/>", ""},
		{"forged, prefixed", "", "<s:stanza-id xmlns:s='urn:xmpp:sid:0' by='romeo@a.test' id='1'></s:stanza-id>", ""},
		{"forged, prefix of the message", " xmlns:s='urn:xmpp:sid:0'", "<s:stanza-id by='romeo@a.test' id='1'/><body/>", "<body/>"},
		{"forged, prefix declared anew", " xmlns:s='urn:x'", "<s:stanza-id xmlns:s='urn:xmpp:sid:0' by='romeo@a.test' id='1'/>", ""},
		{"prefix of another namespace", " xmlns:s='urn:xmpp:sid:0'", "<s:stanza-id xmlns:s='urn:x' by='romeo@a.test' id='1'/>", "<s:stanza-id xmlns:s='urn:x' by='romeo@a.test' id='1'/>"},
		{"of another namespace", "", "<stanza-id by='romeo@a.test' id='1'/>", "<stanza-id by='romeo@a.test' id='1'/>"},
		{"by in another namespace", " xmlns:x='urn:x'", "<stanza-id xmlns='urn:xmpp:sid:0' x:by='romeo@a.test' id='1'/>", "<stanza-id xmlns='urn:xmpp:sid:0' x:by='romeo@a.test' id='1'/>"},
		{"of a room", "", "<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.a.test' id='1'/>", "<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.a.test' id='1'/>"},
		{"of the sender's server", "", "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@b.test' id='1'/>", "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@b.test' id='1'/>"},
		{"of nobody", "", "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>", "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>"},
		{"of no address", "", "<stanza-id xmlns='urn:xmpp:sid:0' by='@' id='1'/>", "<stanza-id xmlns='urn:xmpp:sid:0' by='@' id='1'/>"},
		{"origin-id", "", "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>", "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>"},
		{"further down", "", "<f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>" + forged + "</message></f>", "<f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>" + forged + "</message></f>"},
		{"in the text", "", "<body>&lt;stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test'/></body>", "<body>&lt;stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test'/></body>"},
		{"in a section", "", "<body><![CDATA[" + forged + "]]></body><![CDATA[<a>]]>" + forged, "<body><![CDATA[" + forged + "]]></body><![CDATA[<a>]]>"},
	}
	s := newService()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, "<message type='chat' from='juliet@b.test/x' to='romeo@a.test/y' id='1'"+tt.attrs+">"+tt.payload+"</message>")
			before := *m
			got := s.Stamp(m)
			if *m != before {
				t.Errorf("the message itself was changed to %s", m)
			}
			inner, _, _ := strings.Cut(got.Inner, "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test' id='"+withoutID(t, tree(t, got), "romeo@a.test"))
			if inner != tt.want {
				t.Errorf("got  %s\nwant %s", inner, tt.want)
			}
			if again := parse(t, got.String()); again.Child != got.Child {
				t.Errorf("Child is %v, want %v", got.Child, again.Child)
			}
			got2 := *got
			got2.Inner, got2.Child = m.Inner, m.Child
			if got2 != *m {
				t.Errorf("more than the payload has changed: %s", got)
			}
		})
	}
}

// What is stamped and what only loses forged ids.
func TestStampKinds(t *testing.T) {
	const forged = "<body/><stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test' id='forged'/>"
	tests := []struct {
		name, xml       string
		kept            uint64
		stamped, forged bool // afterwards
	}{
		{"normal", "<message to='romeo@a.test'>" + forged + "</message>", 0, true, false},
		{"chat", "<message to='romeo@a.test' type='chat'>" + forged + "</message>", 0, true, false},
		{"headline", "<message to='romeo@a.test' type='headline'>" + forged + "</message>", 0, true, false},
		{"groupchat", "<message to='romeo@a.test/x' type='groupchat'>" + forged + "</message>", 0, false, false},
		{"error", "<message to='romeo@a.test/x' type='error'>" + forged + "</message>", 0, false, false},
		{"from the store", "<message to='romeo@a.test'>" + forged + "</message>", 3, false, true},
		{"to another server", "<message to='romeo@b.test'>" + forged + "</message>", 0, false, true},
		{"to the server", "<message to='a.test'>" + forged + "</message>", 0, false, true},
		{"presence", "<presence to='romeo@a.test'>" + forged + "</presence>", 0, false, true},
		{"iq", "<iq to='romeo@a.test' type='result' id='1'>" + forged + "</iq>", 0, false, true},
	}
	s := newService()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, tt.xml)
			m.Kept = tt.kept
			got := s.Stamp(m)
			var stamped, forged bool
			for _, c := range tree(t, got).Children {
				if c.Name.Local == "stanza-id" {
					forged = forged || c.Attr("id") == "forged"
					stamped = stamped || c.Attr("id") != "forged"
				}
			}
			if stamped != tt.stamped || forged != tt.forged {
				t.Errorf("stamped %v, forged %v; want %v, %v: %s", stamped, forged, tt.stamped, tt.forged, got)
			}
		})
	}
}

func TestOffByDefault(t *testing.T) {
	m := parse(t, "<message to='romeo@a.test'/>")
	if s := New(Config{}); s.Offered("a.test") || s.Stamp(m) != m {
		t.Errorf("a new Service stamps, want off until it is configured")
	}
}

func TestIDsAreUnique(t *testing.T) {
	s, m := newService(), parse(t, "<message to='romeo@a.test'/>")
	seen := make(map[string]bool)
	for range 1000 {
		id := withoutID(t, tree(t, s.Stamp(m)), "romeo@a.test")
		if seen[id] {
			t.Fatalf("id %s came twice", id)
		}
		seen[id] = true
	}
}

// What breaks the promise of Stanza.Inner stays as it is and does no harm.
func TestStampBroken(t *testing.T) {
	for _, inner := range []string{"<stanza-id", "<stanza-id>", "</stanza-id>", "<stanza-id a='", "<![CDATA[stanza-id", "<x><stanza-id/>", "<>stanza-id", "<p:stanza-id/>"} {
		m := &stanza.Stanza{Kind: stanza.Message, To: parse(t, "<message to='romeo@a.test'/>").To, Inner: inner}
		if got := newService().Stamp(m); got != m {
			t.Errorf("%q became %s", inner, got)
		}
	}
}

// What a message can cost is bounded by its size: its start tag is looked at once
// however many ids it has.
func TestStampHostile(t *testing.T) {
	m := parse(t, "<message to='romeo@a.test' a='"+strings.Repeat("a", 100_000)+"'>"+strings.Repeat("<stanza-id xmlns='urn:xmpp:sid:0' by='r@a.test'/>", 2000)+"</message>")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := newService().Stamp(m)
	runtime.ReadMemStats(&after)
	if n := len(tree(t, got).Children); n != 1 {
		t.Errorf("got %d children, want the new id", n)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 10<<20 {
		t.Errorf("it took %d bytes of memory, want less than 10 MiB", used)
	}
}

func TestStampAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := newService()
	m := parse(t, "<message to='romeo@a.test/x' type='chat'><body>"+strings.Repeat("a", 100)+"</body><origin-id xmlns='urn:xmpp:sid:0' id='1'/></message>")
	if n := testing.AllocsPerRun(100, func() { s.Stamp(m) }); n > 2 {
		t.Errorf("got %v allocations, want at most 2", n)
	}
}

func BenchmarkStamp(b *testing.B) {
	s := newService()
	m := parse(b, "<message to='romeo@a.test/x' type='chat'><body>"+strings.Repeat("a", 100)+"</body><origin-id xmlns='urn:xmpp:sid:0' id='1'/></message>")
	b.ReportAllocs()
	for b.Loop() {
		s.Stamp(m)
	}
}

func BenchmarkStampForged(b *testing.B) {
	s := newService()
	m := parse(b, "<message to='romeo@a.test/x' type='chat'><body>"+strings.Repeat("a", 100)+"</body><stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test' id='1'/></message>")
	b.ReportAllocs()
	for b.Loop() {
		s.Stamp(m)
	}
}

// FuzzStamp compares with what the tree of the message says.
func FuzzStamp(f *testing.F) {
	for _, payload := range []string{
		"<body>a</body><stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.test' id='1'/>",
		"<s:stanza-id by='romeo@a.test' id='1'/>a<b xmlns:s='urn:b'><s:stanza-id/></b><![CDATA[<stanza-id/>]]>",
		"<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.test' id='>'>&lt;</stanza-id>",
	} {
		f.Add(" xmlns:s='urn:xmpp:sid:0' xmlns:x='urn:x'", payload)
	}
	s := newService()
	f.Fuzz(func(t *testing.T, attrs, payload string) {
		m, err := stanza.Parse("<message to='romeo@a.test/x' type='chat'" + attrs + ">" + payload + "</message>")
		if err != nil || m.Kind != stanza.Message || m.To.String() != "romeo@a.test/x" || m.Type != stanza.TypeChat {
			return
		}
		want := tree(t, m)
		var children []*stanza.Element
		for _, c := range want.Children {
			by, err := stanza.ParseJID(c.Attr("by"))
			if c.Name.Space != NS || c.Name.Local != "stanza-id" || err != nil || by.Local() == "" || by.Domain() != "a.test" {
				children = append(children, c)
			}
		}
		want.Children = children
		stamped := s.Stamp(m)
		got := tree(t, stamped)
		withoutID(t, got, "romeo@a.test")
		if len(got.Children) == 0 {
			got.Children = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s became %s", m, stamped)
		}
		if again := parse(t, stamped.String()); again.Child != stamped.Child {
			t.Errorf("Child is %v, want %v", stamped.Child, again.Child)
		}
	})
}
