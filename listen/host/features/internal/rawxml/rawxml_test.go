package rawxml

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func all(*xmlstream.Start) bool { return true }

func TestFind(t *testing.T) {
	tests := []struct {
		name, attrs, payload string
		level                int
		want                 []string // standalone
	}{
		{"nothing", "", "", 1, nil},
		{"text", "", "a", 1, nil},
		{"children", "", "<a/>x<b xmlns='urn:b'>y<c/></b>", 1, []string{"<a xmlns='jabber:client'/>", "<b xmlns='urn:b'>y<c/></b>"}},
		{"grandchildren", "", "<a><b/></a><c xmlns='urn:c'><d/><e xmlns=''/></c>", 2, []string{"<b xmlns='jabber:client'/>", "<d xmlns='urn:c'/>", "<e xmlns=''/>"}},
		{"deeper", "", "<a><b><c>1</c></b></a>", 3, []string{"<c xmlns='jabber:client'>1</c>"}},
		{"mixed content", "", "<a>x<b/>y<![CDATA[</a>]]>&lt;z</a>", 1, []string{"<a xmlns='jabber:client'>x<b/>y<![CDATA[</a>]]>&lt;z</a>"}},
		{"section before", "", "<![CDATA[<a>]]><b/>", 1, []string{"<b xmlns='jabber:client'/>"}},
		{"values like tags", "", `<a x='>' y="'/>"><b z='/a>'/></a>`, 1, []string{`<a xmlns='jabber:client' x='>' y="'/>"><b z='/a>'/></a>`}},
		{"prefix of the stanza", " xmlns:p='urn:p'", "<p:a/>", 1, []string{"<p:a xmlns='jabber:client' xmlns:p='urn:p'/>"}},
		{"prefix of the parent", "", "<q xmlns='urn:q' xmlns:p='urn:p'><p:a p:b='1'/></q>", 2, []string{"<p:a xmlns='urn:q' xmlns:p='urn:p' p:b='1'/>"}},
		{"prefix declared anew by the parent", " xmlns:p='urn:1'", "<q xmlns:p='urn:2'><p:a/></q>", 2, []string{"<p:a xmlns='jabber:client' xmlns:p='urn:2'/>"}},
		{"prefix declared anew by itself", " xmlns:p='urn:1'", "<p:a xmlns:p='urn:2'/>", 1, []string{"<p:a xmlns='jabber:client' xmlns:p='urn:2'/>"}},
		{"prefix out of scope", "", "<q xmlns:p='urn:p'/><r><a/></r>", 2, []string{"<a xmlns='jabber:client'/>"}},
		{"prefix of another after one that was found", "", "<q xmlns:p='urn:1'><p:a/></q><q xmlns:p='urn:2'><p:b/></q>", 2,
			[]string{"<p:a xmlns='jabber:client' xmlns:p='urn:1'/>", "<p:b xmlns='jabber:client' xmlns:p='urn:2'/>"}},
		{"space in tags", "", "<a\n\tb = '1'\r\n></a ><c />", 1, []string{"<a xmlns='jabber:client'\n\tb = '1'\r\n></a >", "<c xmlns='jabber:client' />"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := stanza.Parse("<message" + tt.attrs + ">" + tt.payload + "</message>")
			if err != nil {
				t.Fatal(err)
			}
			found, err := Find(s, tt.level, all)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range found {
				got = append(got, e.XML())
				if raw := s.Inner[e.From:e.End]; raw != e.raw {
					t.Errorf("it stands at %q, want %q", raw, e.raw)
				}
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	for payload, want := range map[string]bool{
		"<a/>": true, "<a></a>": true, "<a xmlns='urn:a'></a>": true, "<a xmlns='urn:a' />": true,
		"<a b='1'/>": false, "<a> </a>": false, "<a><b/></a>": false, "<a><![CDATA[]]></a>": false,
	} {
		s, err := stanza.Parse("<message>" + payload + "</message>")
		if err != nil {
			t.Fatal(err)
		}
		found, err := Find(s, 1, all)
		if err != nil || len(found) != 1 || found[0].Empty != want {
			t.Errorf("%s: got %+v, %v; want Empty %v", payload, found, err, want)
		}
	}
}

func TestFindWanted(t *testing.T) {
	s, err := stanza.Parse("<message><a/><b xmlns='urn:b'><b/></b><c/></message>")
	if err != nil {
		t.Fatal(err)
	}
	found, err := Find(s, 1, func(t *xmlstream.Start) bool { return t.Name.Is("urn:b", "b") })
	if err != nil || len(found) != 1 || found[0].Name != (stanza.Name{Space: "urn:b", Local: "b"}) {
		t.Errorf("got %+v, %v; want b alone", found, err)
	}
}

func TestFindBroken(t *testing.T) {
	for _, inner := range []string{"<a", "<a>", "</a>", "<p:a/>", "<a></message>"} {
		if found, err := Find(&stanza.Stanza{Kind: stanza.Message, Inner: inner}, 1, all); err == nil {
			t.Errorf("%q: got %+v, want an error", inner, found)
		}
	}
}

// FuzzFind compares what was found with the tree of the stanza.
func FuzzFind(f *testing.F) {
	f.Add(" xmlns:p='urn:p'", "<q xmlns='urn:q'>x<p:a p:b='1'>y<c/></p:a><![CDATA[<]]><d xmlns='' e='>'/></q>")
	f.Add("", "<q xmlns:p='urn:1'><p:a xmlns:p='urn:2'/></q><r><s/></r>")
	f.Fuzz(func(t *testing.T, attrs, payload string) {
		s, err := stanza.Parse("<message" + attrs + ">" + payload + "</message>")
		if err != nil || s.Kind != stanza.Message {
			return
		}
		root, err := stanza.ParseElement(string(s.AppendTo(nil, stanza.NSClient)))
		if err != nil {
			t.Fatal(err)
		}
		var grandchildren []*stanza.Element
		for _, c := range root.Children {
			grandchildren = append(grandchildren, c.Children...)
		}
		for level, want := range [][]*stanza.Element{1: root.Children, 2: grandchildren} {
			if level == 0 {
				continue
			}
			found, err := Find(s, level, all)
			if err != nil || len(found) != len(want) {
				t.Fatalf("level %d: got %d, %v; want %d", level, len(found), err, len(want))
			}
			for i := range found {
				got, err := stanza.ParseElement(found[i].XML())
				if err != nil {
					t.Fatalf("%s: %v", found[i].XML(), err)
				}
				if !reflect.DeepEqual(got, want[i]) {
					t.Errorf("got %s of %s", found[i].XML(), s)
				}
			}
		}
	})
}

func TestFindAt(t *testing.T) {
	path := []stanza.Name{{Space: "urn:a", Local: "a"}, {Space: "urn:b", Local: "b"}, {Space: stanza.NSClient, Local: "c"}}
	tests := []struct {
		name, payload string
		want          []string
	}{
		{"one", "<a xmlns='urn:a'><b xmlns='urn:b'><c xmlns='jabber:client'>x<d/>y</c></b></a>", []string{"<c xmlns='jabber:client'>x<d/>y</c>"}},
		{"several", "<a xmlns='urn:a'><b xmlns='urn:b'><c xmlns='jabber:client'/><e/><c xmlns='jabber:client'>1</c></b></a>", []string{"<c xmlns='jabber:client'/>", "<c xmlns='jabber:client'>1</c>"}},
		{"in several", "<a xmlns='urn:a'><b xmlns='urn:b'><c xmlns='jabber:client'/></b><b xmlns='urn:b'><c xmlns='jabber:client'>1</c></b></a>", []string{"<c xmlns='jabber:client'/>", "<c xmlns='jabber:client'>1</c>"}},
		{"other namespace", "<a xmlns='urn:a'><b xmlns='urn:b'><c/></b></a>", nil},
		{"other parent", "<a xmlns='urn:a'><b xmlns='urn:b'/><e><c xmlns='jabber:client'/></e></a>", nil},
		{"other grandparent", "<a xmlns='urn:a'/><e><b xmlns='urn:b'><c xmlns='jabber:client'/></b></e>", nil},
		{"higher", "<c/>", nil},
		{"lower", "<e><a xmlns='urn:a'><b xmlns='urn:b'><c xmlns='jabber:client'/></b></a></e>", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := stanza.Parse("<message>" + tt.payload + "</message>")
			if err != nil {
				t.Fatal(err)
			}
			found, err := FindAt(s, path...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range found {
				got = append(got, e.XML())
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
