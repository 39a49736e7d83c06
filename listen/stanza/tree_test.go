package stanza

import (
	"reflect"
	"strings"
	"testing"
)

func TestElementFrom(t *testing.T) {
	got, err := ElementFrom(readChild(t, NSClient, `<auth xmlns='urn:a' mechanism='PLAIN' xml:lang='en' o:x='&lt;1 2'>AG&#x41;<![CDATA[<]]>`+"\r\n"+`<b xmlns='' y='1'/>x<stream:c>d</stream:c><e/></auth>`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Element{
		Name: Name{"urn:a", "auth"},
		Attrs: []Attr{
			{Name{"", "mechanism"}, "PLAIN"},
			{Name{"http://www.w3.org/XML/1998/namespace", "lang"}, "en"},
			{Name{"urn:o", "x"}, "<1 2"},
		},
		Children: []*Element{
			{Name: Name{"", "b"}, Attrs: []Attr{{Name{"", "y"}, "1"}}},
			{Name: Name{NSStream, "c"}, Text: "d"},
			{Name: Name{"urn:a", "e"}},
		},
		Text: "AGA<\nx",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\nwant %s", got.AppendXML(nil), want.AppendXML(nil))
	}
	if got := got.Attr("mechanism"); got != "PLAIN" {
		t.Errorf("got mechanism %q, want PLAIN", got)
	}
	if got := got.Attr("lang"); got != "" {
		t.Errorf("got %q for an attribute with a prefix, want nothing", got)
	}
	if c := got.Child(NSStream, "c"); c != want.Children[1] && (c == nil || c.Text != "d") {
		t.Errorf("got child %v, want c", c)
	}
	if c := got.Child("urn:a", "c"); c != nil {
		t.Errorf("got child %v of another namespace, want none", c)
	}
}

func TestElementAppendXML(t *testing.T) {
	tests := []struct {
		name string
		e    Element
		want string
	}{
		{"empty", Element{Name: Name{"urn:a", "a"}}, "<a xmlns='urn:a'/>"},
		{"no namespace", Element{Name: Name{"", "a"}}, "<a/>"},
		{"of the stanza", Element{Name: Name{NSClient, "body"}, Text: "<&>"}, "<body>&lt;&amp;&gt;</body>"},
		{
			"children", Element{Name: Name{"urn:a", "a"}, Children: []*Element{{Name: Name{"urn:a", "b"}}, {Name: Name{"urn:c", "c"}}, {Name: Name{"", "d"}}, {Name: Name{NSClient, "e"}}}},
			"<a xmlns='urn:a'><b/><c xmlns='urn:c'/><d xmlns=''/><e xmlns='jabber:client'/></a>",
		},
		{
			"attributes", Element{Name: Name{"", "a"}, Attrs: []Attr{{Name{"", "b"}, "'\"\n"}, {Name{"urn:p", "c"}, "1"}, {Name{"http://www.w3.org/XML/1998/namespace", "lang"}, "en"}}},
			"<a b='&apos;&quot;&#10;' xmlns:a1='urn:p' a1:c='1' xml:lang='en'/>",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(tt.e.AppendXML([]byte("x"))); got != "x"+tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	tests := []struct {
		name, xml, want string
	}{
		{"none", `<presence/>`, ""},
		{"text only", `<message> a </message>`, ""},
		{"first", `<message>a<b xmlns='urn:b'>c</b><d/></message>`, "<b xmlns='urn:b'>c</b>"},
		{"content namespace", `<message><body>c</body></message>`, "<body>c</body>"},
		{"prefix of the stanza", `<message xmlns:p='urn:p'><p:a p:b='1'/></message>`, "<a xmlns='urn:p' xmlns:a0='urn:p' a0:b='1'/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(tt.xml)
			if err != nil {
				t.Fatal(err)
			}
			e, err := s.Payload()
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if e != nil {
				got = string(e.AppendXML(nil))
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	broken := &Stanza{Kind: Message, Inner: "<a>"}
	if e, err := broken.Payload(); err == nil {
		t.Errorf("got %v of a broken stanza, want an error", e)
	}
}

// TestManyPieces makes a tree of an element whose text comes in very many
// pieces.
func TestManyPieces(t *testing.T) {
	const n = 50000
	e, err := ParseElement("<a>" + strings.Repeat("x<b/>", n) + "</a>")
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Children) != n || len(e.Text) != n {
		t.Errorf("got %d children and %d bytes of text, want %d of both", len(e.Children), len(e.Text), n)
	}
}

func TestParseElement(t *testing.T) {
	for _, xml := range []string{"", "x", "<a>", "<a/><b/>", "<p:a/>", "<!-- --><a/>", "<?xml version='1.0'?><a/>"} {
		if e, err := ParseElement(xml); err == nil {
			t.Errorf("%q: got %v, want an error", xml, e)
		}
	}
}

// FuzzElement checks that a tree written as XML is read back the same.
func FuzzElement(f *testing.F) {
	for _, xml := range traffic {
		f.Add(strings.ReplaceAll(xml, "stream:", ""))
	}
	f.Add(`<a xmlns:p='u' xmlns:q="u'" p:b='&#13;' q:b='' xml:lang='x'><p:c xmlns=''/>&#13;<q:d/></a>`)
	f.Fuzz(func(t *testing.T, xml string) {
		e, err := ParseElement(xml)
		if err != nil || e.Name.Space == "" || e.Name.Space == NSClient {
			return // AppendXML leaves these namespaces to the stanza
		}
		written := string(e.AppendXML(nil))
		again, err := ParseElement(written)
		if err != nil {
			t.Fatalf("%q written as %q: %v", xml, written, err)
		}
		if !reflect.DeepEqual(again, e) {
			t.Fatalf("%q written as %q:\ngot  %+v\nwant %+v", xml, written, again, e)
		}
	})
}
