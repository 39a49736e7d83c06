package stanza

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
)

func TestRecontent(t *testing.T) {
	tests := []struct{ name, inner, want string }{
		{"nothing to do", `<body>hi</body>`, `<body>hi</body>`},
		{"only text", `<body>jabber:client</body>`, `<body>jabber:client</body>`},
		{"own declaration", `<body xmlns='jabber:client'>hi</body>`, `<body xmlns='jabber:server'>hi</body>`},
		{"empty child", `<body xmlns="jabber:client"/>`, `<body xmlns="jabber:server"/>`},
		{"second child", `<x xmlns='urn:x'/><body xmlns='jabber:client'/><y xmlns='urn:y'/>`, `<x xmlns='urn:x'/><body xmlns='jabber:server'/><y xmlns='urn:y'/>`},
		{"two children", `<body xmlns='jabber:client'/> <thread xmlns='jabber:client'/>`, `<body xmlns='jabber:server'/> <thread xmlns='jabber:server'/>`},
		{"after another attribute", `<body a="&gt; xmlns='jabber:client'" xmlns = 'jabber:client'/>`, `<body a="&gt; xmlns='jabber:client'" xmlns = 'jabber:server'/>`},
		{"in a value only", `<body a="xmlns='jabber:client'"/>`, `<body a="xmlns='jabber:client'"/>`},
		{"own prefix", `<c:body xmlns:c='jabber:client'/>`, `<c:body xmlns:c='jabber:server'/>`},
		{"prefix of another", `<x xmlns:c='jabber:client' xmlns='urn:x'><c:y/></x>`, `<x xmlns:c='jabber:client' xmlns='urn:x'><c:y/></x>`},
		{"default of what is inside", `<p:x xmlns:p='urn:p' xmlns='jabber:client'><message/></p:x>`, `<p:x xmlns:p='urn:p' xmlns='jabber:client'><message/></p:x>`},
		{"forwarded", `<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>`, `<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>`},
		{"line break in the tag", "<body\n\txmlns='jabber:client'\n>x</body\n>", "<body\n\txmlns='jabber:server'\n>x</body\n>"},
		{"longer namespace", `<body xmlns='jabber:client:x'/>`, `<body xmlns='jabber:client:x'/>`},
		{"CDATA", `<body><![CDATA[<body xmlns='jabber:client'>]]></body>`, `<body><![CDATA[<body xmlns='jabber:client'>]]></body>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &Stanza{Kind: Message, Inner: tt.inner}
			got := s.Recontent(NSClient, NSServer)
			if got.Inner != tt.want {
				t.Errorf("got %s, want %s", got.Inner, tt.want)
			}
			if same := tt.inner == tt.want; same != (got == s) {
				t.Errorf("the same stanza came back: got %t, want %t", got == s, same)
			}
			if s.Inner != tt.inner {
				t.Errorf("the stanza was changed to %s", s.Inner)
			}
		})
	}
}

// FuzzRecontent checks that a payload stays well-formed, that its children come
// into the namespace, and that the way back leads to where it began.
func FuzzRecontent(f *testing.F) {
	f.Add(`<body xmlns='jabber:client'>hi</body>`)
	f.Add(`<c:body xmlns:c = "jabber:client" a='>'/><x xmlns='urn:x'><message xmlns='jabber:client'/></x>`)
	f.Fuzz(func(t *testing.T, inner string) {
		if strings.Contains(inner, NSServer) {
			t.Skip("the way back would change more")
		}
		read := func(inner string) *xmlstream.Element {
			e, err := xmlstream.ParseElement([]byte("<message>"+inner+"</message>"), "", trusted)
			if err != nil {
				return nil
			}
			return e
		}
		if read(inner) == nil {
			t.Skip("not well-formed")
		}
		s := &Stanza{Kind: Message, Inner: inner}
		got := s.Recontent(NSClient, NSServer)
		e := read(got.Inner)
		if e == nil {
			t.Fatalf("%s became %s, which is not well-formed", inner, got.Inner)
		}
		if back := got.Recontent(NSServer, NSClient); back.Inner != inner {
			t.Errorf("there and back: got %s, want %s", back.Inner, inner)
		}
		tree, err := ElementFrom(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range tree.Children {
			if c.Name.Space == NSClient && !strings.Contains(inner, "jabber&") && !strings.Contains(inner, "&#") {
				t.Errorf("%s became %s: %s is in %s", inner, got.Inner, c.Name.Local, NSClient)
			}
		}
	})
}
