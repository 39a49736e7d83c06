package stanza

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
)

func mustJID(t testing.TB, s string) JID {
	t.Helper()
	j, err := ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// readChild returns the first child of a stream with this content namespace.
func readChild(t testing.TB, space, xml string) *xmlstream.Element {
	t.Helper()
	header := `<stream:stream xmlns:stream='` + NSStream + `' xmlns:o='urn:o' xmlns='` + space + `'>`
	s := xmlstream.NewScanner(strings.NewReader(header+xml), xmlstream.Limits{})
	if _, err := s.Header(); err != nil {
		t.Fatal(err)
	}
	e, err := s.Next()
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return e
}

func TestFromElement(t *testing.T) {
	romeo, juliet := mustJID(t, "romeo@montague.example/orchard"), mustJID(t, "juliet@capulet.example")
	tests := []struct {
		name, space, xml string
		want             Stanza
	}{
		{
			"message", NSClient,
			`<message from='romeo@montague.example/orchard' to='Juliet@capulet.example' type='chat' id='1' xml:lang='en'><body>hi</body><x xmlns='urn:x'/></message>`,
			Stanza{Kind: Message, Type: TypeChat, ID: "1", Lang: "en", From: romeo, To: juliet, Child: Name{NSClient, "body"}, Inner: `<body>hi</body><x xmlns='urn:x'/>`},
		},
		{"bare presence", NSClient, `<presence/>`, Stanza{Kind: Presence}},
		{"empty element with end tag", NSClient, `<presence></presence>`, Stanza{Kind: Presence}},
		{"text only", NSClient, `<message> x </message>`, Stanza{Kind: Message, Inner: " x "}},
		{
			"iq of a server", NSServer,
			`<iq from='romeo@montague.example/orchard' to='juliet@capulet.example' type="get" id="a&lt;&#x62;"><q xmlns="urn:q"/></iq>`,
			Stanza{Kind: IQ, Type: TypeGet, ID: "a<b", From: romeo, To: juliet, Child: Name{"urn:q", "q"}, Inner: `<q xmlns="urn:q"/>`},
		},
		{
			"payload of a server without namespace", NSServer,
			`<message from='romeo@montague.example/orchard' to='juliet@capulet.example'><body/></message>`,
			Stanza{Kind: Message, From: romeo, To: juliet, Child: Name{NSClient, "body"}, Inner: "<body/>"},
		},
		{
			"payload in no namespace", NSClient,
			`<message><a xmlns=''/></message>`,
			Stanza{Kind: Message, Child: Name{"", "a"}, Inner: "<a xmlns=''/>"},
		},
		{
			"namespace of its own", NSClient,
			`<message xmlns='jabber:client'><body/></message>`,
			Stanza{Kind: Message, Child: Name{NSClient, "body"}, Inner: "<body/>"},
		},
		{
			"other attributes and declarations", NSClient,
			`<message a = "1" xmlns:p='urn:p' p:id='2' xml:space='preserve' id='3'><p:b/></message>`,
			Stanza{Kind: Message, ID: "3", Child: Name{"urn:p", "b"}, Attrs: ` xmlns:p='urn:p' a = "1" p:id='2' xml:space='preserve'`, Inner: "<p:b/>"},
		},
		{
			"prefixes of the stream", NSClient,
			`<message o:a='1'><stream:b/></message>`,
			Stanza{Kind: Message, Child: Name{NSStream, "b"}, Attrs: ` o:a='1' xmlns:stream='` + NSStream + `' xmlns:o='urn:o'`, Inner: "<stream:b/>"},
		},
		{"unknown type of a message", NSClient, `<message type='x'/>`, Stanza{Kind: Message, Type: TypeNormal}},
		{"empty id", NSClient, `<message id=''/>`, Stanza{Kind: Message}},
		{"result without child", NSClient, `<iq type='result' id='1'/>`, Stanza{Kind: IQ, Type: TypeResult, ID: "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, jids := range []*JIDCache{nil, {}} {
				got, err := FromElement(readChild(t, tt.space, tt.xml), jids)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(*got, tt.want) {
					t.Errorf("got  %+v\nwant %+v", *got, tt.want)
				}
				// What is sent on must be understood without the stream it came by.
				again, err := Parse(string(got.AppendTo(nil, NSClient)))
				if err != nil || again.Child != got.Child && got.Child.Space != NSClient {
					t.Errorf("%s: cannot be read again: %v", got, err)
				}
			}
		})
	}
}

func TestTypes(t *testing.T) {
	for kind, types := range map[Kind][]string{
		Message:  {"chat", "error", "groupchat", "headline", "normal"},
		Presence: {"error", "probe", "subscribe", "subscribed", "unavailable", "unsubscribe", "unsubscribed"},
		IQ:       {"error", "get", "result", "set"},
	} {
		for _, typ := range types {
			s, err := Parse("<" + kind.String() + " id='1' type='" + typ + "'><a/></" + kind.String() + ">")
			if err != nil || s.Type != typ || s.Kind != kind {
				t.Errorf("%v of type %s: got %v, %v", kind, typ, s, err)
			}
		}
	}
}

func TestFromElementErrors(t *testing.T) {
	streamError := func(c StreamCondition) error { return &StreamError{Condition: c} }
	stanzaError := func(c Condition) error { return &Error{Condition: c} }
	tests := []struct {
		name, space, xml string
		want             error
	}{
		{"no stanza", NSClient, "<foo/>", streamError(StreamUnsupportedStanzaType)},
		{"upper case", NSClient, "<Message/>", streamError(StreamUnsupportedStanzaType)},
		{"other namespace", NSClient, "<message xmlns='urn:x'/>", streamError(StreamUnsupportedStanzaType)},
		{"no namespace", NSClient, "<message xmlns=''/>", streamError(StreamUnsupportedStanzaType)},
		{"namespace of another stream", NSClient, "<message xmlns='jabber:server'/>", streamError(StreamUnsupportedStanzaType)},
		{"prefix", NSClient, "<x:message xmlns:x='jabber:client'/>", streamError(StreamBadNamespacePrefix)},
		{"prefix and other namespace", NSClient, "<stream:iq/>", streamError(StreamUnsupportedStanzaType)},
		{"client's from", NSClient, "<message from='@'/>", streamError(StreamInvalidFrom)},
		{"client's empty from", NSClient, "<message from=''/>", streamError(StreamInvalidFrom)},
		{"client's to", NSClient, "<message to='a b@c'/>", stanzaError(JIDMalformed)},
		{"client's empty to", NSClient, "<message to=''/>", stanzaError(JIDMalformed)},
		{"spoofed domain", NSClient, "<message to='u@xn--example-.com'/>", stanzaError(JIDMalformed)},
		{"server's from", NSServer, "<message from='@' to='a@b'/>", stanzaError(JIDMalformed)},
		{"server's to", NSServer, "<message from='a@b' to='@'/>", stanzaError(JIDMalformed)},
		{"server's empty from", NSServer, "<message from='' to='a@b'/>", streamError(StreamImproperAddressing)},
		{"server's empty to", NSServer, "<message from='a@b' to=''/>", streamError(StreamImproperAddressing)},
		{"server without from", NSServer, "<message to='a@b'/>", streamError(StreamImproperAddressing)},
		{"server without to", NSServer, "<message from='a@b'/>", streamError(StreamImproperAddressing)},
		{"component's to", NSComponent, "<message to='@'/>", stanzaError(JIDMalformed)},
		{"component's from", NSComponent, "<message from='@'/>", stanzaError(JIDMalformed)},
		{"type of a presence", NSClient, "<presence type='available'/>", stanzaError(BadRequest)},
		{"empty type of a presence", NSClient, "<presence type=''/>", stanzaError(BadRequest)},
		{"type of an iq", NSClient, "<iq id='1' type='put'><a/></iq>", stanzaError(BadRequest)},
		{"iq without type", NSClient, "<iq id='1'><a/></iq>", stanzaError(BadRequest)},
		{"iq without id", NSClient, "<iq type='get'><a/></iq>", stanzaError(BadRequest)},
		{"iq with empty id", NSClient, "<iq type='get' id=''><a/></iq>", stanzaError(BadRequest)},
		{"request without child", NSClient, "<iq type='get' id='1'/>", stanzaError(BadRequest)},
		{"request with two children", NSClient, "<iq type='set' id='1'><a/><b/></iq>", stanzaError(BadRequest)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := FromElement(readChild(t, tt.space, tt.xml), nil)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			var refused *Error
			if errors.As(err, &refused) && s == nil {
				t.Error("got no stanza to answer with an error")
			}
			var end *StreamError
			if errors.As(err, &end) && s != nil {
				t.Errorf("got stanza %v with a stream error, want none", s)
			}
		})
	}
}

// TestRefusedStanza checks that what is refused can be answered.
func TestRefusedStanza(t *testing.T) {
	s, err := FromElement(readChild(t, NSClient, `<iq from='a@b/c' to='not valid@' id='7' type='get'><x/></iq>`), nil)
	var refused *Error
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a *Error", err)
	}
	want := `<iq to='a@b/c' type='error' id='7'><error type='modify'><jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`
	if got := s.ErrorReply(refused).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !s.MayBounce() {
		t.Error("a request may not be answered, want that it may")
	}
}

// TestFromElementKeepsNothing overwrites the buffer that a stanza was read from.
func TestFromElementKeepsNothing(t *testing.T) {
	doc := []byte(`<message to='a@b' id='c&amp;d' xml:lang='e' x='y'><f xmlns='g'>h</f></message>`)
	var jids JIDCache
	e, err := xmlstream.ParseElement(doc, NSClient, xmlstream.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := FromElement(e, &jids)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := ElementFrom(e)
	if err != nil {
		t.Fatal(err)
	}
	before, treeBefore := s.String(), string(tree.AppendXML(nil))
	clear(doc)
	if got := s.String(); got != before || s.Child != (Name{"g", "f"}) {
		t.Errorf("got %q, want %q", got, before)
	}
	if got := string(tree.AppendXML(nil)); got != treeBefore {
		t.Errorf("got %q, want %q", got, treeBefore)
	}
}

func TestParse(t *testing.T) {
	for _, xml := range []string{"", "x", "<message>", "<message/><message/>", "<message", "<a/>", "<message xmlns='jabber:server'/>"} {
		if s, err := Parse(xml); err == nil {
			t.Errorf("%q: got %v, want an error", xml, s)
		}
	}
	s, err := Parse(" <message xmlns='jabber:client' id='1'/>\n")
	if err != nil || s.ID != "1" || s.Attrs != "" {
		t.Errorf("got %v, %v, want a message with id 1", s, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, xml := range traffic {
		f.Add(xml)
	}
	f.Add(`<message to='É@x/&#10;' id="'" a='"' xmlns:p="'" p:q='&lt;'>]]&gt;<![CDATA[<]]></message>`)
	f.Add(`<iq type='set' id='&#9;' xml:lang=''><a xmlns=''/></iq>`)
	f.Fuzz(func(t *testing.T, xml string) {
		s, err := Parse(xml)
		if err != nil {
			return
		}
		for _, space := range []string{"", NSClient} {
			sent := string(s.AppendTo(nil, space))
			again, err := Parse(sent)
			if err != nil {
				t.Fatalf("%q sent as %q: %v", xml, sent, err)
			}
			if !reflect.DeepEqual(again, s) {
				t.Fatalf("%q sent as %q:\ngot  %+v\nwant %+v", xml, sent, again, s)
			}
		}
		payload, err := s.Payload()
		if err != nil || (payload == nil) != (s.Child == Name{}) || payload != nil && payload.Name != s.Child {
			t.Fatalf("%q: got payload %+v, %v, want %v", xml, payload, err, s.Child)
		}
	})
}
