package c2s_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const (
	rfcR = "romeo/orchard"
	rfcJ = "juliet/balcony"
)

var rfcPair = []string{rfcR + " 0", rfcJ + " 0"}

// rfcOne is a scene of one step by romeo/orchard.
func rfcOne(name, send string, want rfcWant) rfcScene {
	return rfcScene{name, rfcPair, []rfcStep{{rfcR, send, want}}}
}

// rfcJulietGets and rfcRomeoGets are what one of them gets.
func rfcJulietGets(want ...string) rfcWant { return rfcWant{rfcJ: want} }
func rfcRomeoGets(want ...string) rfcWant  { return rfcWant{rfcR: want} }

func TestRFC6120Addresses(t *testing.T) {
	const from, to = "from='romeo@one.example/orchard'", "to='juliet@one.example/balcony'"
	ping := "<ping xmlns='urn:xmpp:ping'/>"
	rfcScenes(t, nil, []rfcScene{
		rfcOne("8.1.2.1 from is stamped", "<message "+to+"/>", rfcJulietGets("<message "+from+" "+to+"/>")),
		rfcOne("8.1.2.1 bare from becomes full", "<message from='romeo@one.example' "+to+"/>", rfcJulietGets("<message "+from+"/>")),
		rfcOne("8.1.2.1 full from stays", "<message "+from+" "+to+"/>", rfcJulietGets("<message "+from+"/>")),
		rfcOne("8.1.2.1 presence", "<presence "+to+"/>", rfcJulietGets("<presence "+from+" "+to+"/>")),
		rfcOne("8.1.2.1 request", "<iq type='get' id='1' "+to+">"+ping+"</iq>", rfcJulietGets("<iq type='get' id='1' "+from+">"+ping+"</iq>")),
		rfcOne("8.1.2.1 subscription from the bare JID", "<presence type='subscribe' to='juliet@one.example'/>", rfcJulietGets("<presence type='subscribe' from='romeo@one.example' to='juliet@one.example'/>")),
		rfcOne("8.1.1.1 message without to", "<message id='1'><body>x</body></message>", rfcRomeoGets("<message "+from+" id='1'/>")),
		rfcOne("8.1.1.1 request without to", "<iq type='get' id='1'>"+ping+"</iq>", rfcRomeoGets("<iq type='result' id='1' from='~|romeo@one[.]example'/>")),
		rfcOne("8.1.1.1 empty to", "<iq type='get' id='1' to=''>"+ping+"</iq>", rfcRomeoGets("<iq type='result' id='1'/> | "+rfcError("iq", "id='1'", "jid-malformed"))),
		rfcOne("8.3.3.8 message to no address", "<message to='@/' id='1'/>", rfcRomeoGets(rfcError("message", "id='1'", "jid-malformed"))),
		rfcOne("8.3.3.8 request to no address", "<iq type='get' id='1' to='@/'>"+ping+"</iq>", rfcRomeoGets(rfcError("iq", "id='1'", "jid-malformed"))),
		rfcOne("8.3.3.8 presence to no address", "<presence to='@/' id='1'/>", rfcRomeoGets(rfcError("presence", "id='1'", "jid-malformed"))),
		rfcOne("8.3.3.8 error to no address", "<message type='error' to='@/' id='1'/>", nil),
		rfcOne("8.3.3.8 result to no address", "<iq type='result' to='@/' id='1'/>", nil),
		rfcOne("8.3.3.8 localpart too long", "<message to='"+strings.Repeat("x", 1024)+"@one.example' id='1'/>", rfcRomeoGets(rfcError("message", "id='1'", "jid-malformed"))),
		rfcOne("8.3.1 addresses are swapped", "<iq type='get' id='1' to='juliet@one.example/nowhere'>"+ping+"</iq>",
			rfcRomeoGets("<iq type='error' id='1' from='juliet@one.example/nowhere' to='romeo@one.example/orchard'/>")),
		rfcOne("8.3.1 addresses of an error to the server", "<iq type='get' id='1' to='one.example'><x xmlns='urn:x'/></iq>",
			rfcRomeoGets("<iq type='error' id='1' from='one.example' to='romeo@one.example/orchard'/>")),
		rfcOne("8.1.3 ids are echoed", "<iq type='get' id='&lt;&amp;&quot;&apos;\u00e9' to='one.example'>"+ping+"</iq>", rfcRomeoGets("<iq type='result' id='&lt;&amp;\"&apos;\u00e9'/>")),
		rfcOne("8.1.3 ids go through", "<message id='&lt;&amp;&quot;&apos;' "+to+"/>", rfcJulietGets("<message id='&lt;&amp;\"&apos;'/>")),
		rfcOne("8.1.1 to is prepared", "<message to='JULIET@ONE.example/balcony'/>", rfcJulietGets("<message/>")),
	})
}

func TestRFC6120IQ(t *testing.T) {
	ping := "<ping xmlns='urn:xmpp:ping'/>"
	badRequest := rfcRomeoGets(rfcError("iq", "id='1'", "bad-request"))
	unavailable := func(id string) rfcWant { return rfcRomeoGets(rfcError("iq", "id='"+id+"'", "service-unavailable")) }
	scenes := []rfcScene{
		rfcOne("8.3.2 type of an error", "<iq type='get' id='1' to='one.example'><x xmlns='urn:x'/></iq>",
			rfcRomeoGets("<iq type='error' id='1'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")),
		rfcOne("8.4 unknown payload without to", "<iq type='get' id='1'><x xmlns='urn:x'/></iq>", unavailable("1")),
		rfcOne("8.4 unknown payload to oneself", "<iq type='set' id='1' to='romeo@one.example'><x xmlns='urn:x'/></iq>", unavailable("1")),
		rfcOne("8.4 payload without namespace", "<iq type='get' id='1' to='one.example'><x/></iq>", unavailable("1")),
		rfcOne("8.4 roster, which this build has not", "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", unavailable("1")),
		rfcOne("8.2.3 result of nothing", "<iq type='result' id='1' to='one.example'/>", nil),
		rfcOne("8.2.3 error of nothing", "<iq type='error' id='1' to='one.example'><error type='cancel'/></iq>", nil),
		rfcOne("8.2.3 result without to", "<iq type='result' id='1'/>", nil),
		rfcOne("8.2.3 result to nobody", "<iq type='result' id='1' to='juliet@one.example/nowhere'/>", nil),
		rfcOne("8.2.3 error to an account", "<iq type='error' id='1' to='juliet@one.example'/>", nil),
		rfcOne("8.2.3 result for another domain", "<iq type='result' id='1' to='three.example'/>", nil),
		rfcOne("8.2.3 text besides the payload", "<iq type='get' id='1' to='one.example'>\n"+ping+"\n</iq>", rfcRomeoGets("<iq type='result' id='1'/>")),
		{"8.2.3 request and answer", rfcPair, []rfcStep{
			{rfcR, "<iq type='set' id='1' to='juliet@one.example/balcony'><x xmlns='urn:x'/></iq>", rfcJulietGets("<iq type='set' id='1'><x xmlns='urn:x'/></iq>")},
			{rfcJ, "<iq type='result' id='1' to='romeo@one.example/orchard'/>", rfcRomeoGets("<iq type='result' id='1' from='juliet@one.example/balcony' only=''/>")},
		}},
		{"8.2.3 request and error", rfcPair, []rfcStep{
			{rfcR, "<iq type='get' id='1' to='juliet@one.example/balcony'><x xmlns='urn:x'/></iq>", rfcJulietGets("<iq type='get' id='1'/>")},
			{rfcJ, "<iq type='error' id='1' to='romeo@one.example/orchard'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", rfcRomeoGets(rfcError("iq", "id='1'", "gone"))},
		}},
	}
	for _, to := range []string{"", " to='one.example'", " to='juliet@one.example'", " to='juliet@one.example/balcony'", " to='three.example'"} {
		for name, send := range map[string]string{
			"8.2.3 unknown type":    "<iq type='foo' id='1'" + to + ">" + ping + "</iq>",
			"8.2.3 type has case":   "<iq type='GET' id='1'" + to + ">" + ping + "</iq>",
			"8.2.3 no type":         "<iq id='1'" + to + ">" + ping + "</iq>",
			"8.2.3 get, no payload": "<iq type='get' id='1'" + to + "/>",
			"8.2.3 set, text only":  "<iq type='set' id='1'" + to + ">text</iq>",
			"8.2.3 two payloads":    "<iq type='get' id='1'" + to + ">" + ping + ping + "</iq>",
		} {
			scenes = append(scenes, rfcOne(name+to, send, badRequest))
		}
		scenes = append(scenes, rfcOne("8.1.3 no id"+to, "<iq type='get'"+to+">"+ping+"</iq>", rfcRomeoGets(rfcError("iq", "id='absent'", "bad-request"))))
	}
	rfcScenes(t, nil, scenes)
}

func TestRFC6120Payload(t *testing.T) {
	const to = " to='juliet@one.example/balcony'"
	for name, inner := range map[string]string{
		"8 body":                      "<body>Wherefore art thou?</body>",
		"8 default namespace":         "<x xmlns='urn:x'><y a='1' b=\"2\"/></x>",
		"8 prefix of its own":         "<p:x xmlns:p='urn:x' p:a='1'><p:y/></p:x>",
		"8 namespaces come back":      "<x xmlns='urn:x'><body xmlns='jabber:client'/><z xmlns=''/></x>",
		"8.1.5 language of the body":  "<body xml:lang='cs'>Pro\u010de\u017e jsi ty</body><body>x</body>",
		"8.4 unknown namespaces":      "<x xmlns='urn:unknown'/><y xmlns='urn:unknown:2'>text</y>",
		"11.1 predefined entities":    "<body>&lt;&gt;&amp;&quot;&apos;</body>",
		"11.1 character references":   "<body>&#65;&#x42;&#13;&#10;&#x1F600;</body>",
		"11.1 CDATA":                  "<body><![CDATA[<a href='&amp;'>]]></body>",
		"11.6 outside the BMP":        "<body>\U0001F600\U00020000</body>",
		"11.6 right to left":          "<body>\u05d0\u05d1 \u202eabc</body>",
		"11.6 zero width no break":    "<body>\ufeffx</body>",
		"11 white space":              "\n\t<body> a \n b </body>\n",
		"11 quotes within quotes":     "<x xmlns='urn:x' a=\"it's\" b='&quot;'/>",
		"11 greater than in a value":  "<x xmlns='urn:x' a='>'/>",
		"11 space within tags":        "<x  xmlns = 'urn:x' ><y ></y ></x >",
		"11 empty element, long form": "<body></body>",
	} {
		rfcTest(t, name, nil, func(t *testing.T, s *rfcServer) {
			romeo, juliet := s.dial().login("romeo", "orchard", rfcBound), s.dial().login("juliet", "balcony", rfcBound)
			rfcCheck(t, inner, romeo.ask("<message"+to+" type='chat' id='1'>"+inner+"</message>"), nil)
			got := juliet.take()
			rfcCheck(t, inner, got, []string{"<message type='chat' id='1'/>"})
			if !strings.Contains(rfcRaw(got), ">"+inner+"</message>") {
				t.Errorf("payload: got %s, want %s in it byte for byte", rfcRaw(got), inner)
			}
		})
	}
	const e = "http://etherx.jabber.org/streams"
	for name, row := range map[string]struct{ header, send, want string }{
		"4.8.4 prefix of the header":                {"xmlns:e='urn:e'", "<message" + to + "><e:x><e:y/></e:x></message>", "<message><x xmlns='urn:e'><y/></x></message>"},
		"4.8.4 prefix of the header for attributes": {"xmlns:e='urn:e'", "<message" + to + "><x xmlns='urn:x' e:a='1'/></message>", "<message><x xmlns='urn:x' xmlns:e='urn:e' e:a='1'/></message>"},
		"4.8.4 prefix of the header on the stanza":  {"xmlns:e='urn:e'", "<message" + to + " e:a='1'/>", "<message xmlns:e='urn:e' e:a='1'/>"},
		"4.8.4 prefix of the header, declared anew": {"xmlns:e='urn:e'", "<message" + to + "><e:x xmlns:e='urn:f'/></message>", "<message><x xmlns='urn:f'/></message>"},
		"4.8.4 two prefixes of the header":          {"xmlns:e='urn:e' xmlns:f='urn:f'", "<message" + to + "><e:x><f:y/></e:x></message>", "<message><e:x xmlns:e='urn:e'><f:y xmlns:f='urn:f'/></e:x></message>"},
		"4.8.4 prefix of streams in a payload":      {"", "<message" + to + "><stream:x/></message>", "<message><s:x xmlns:s='" + e + "'/></message>"},
		"4.8.4 namespace with quotes":               {`xmlns:e="urn:e'&amp;"`, "<message" + to + "><e:x/></message>", "<message><x xmlns='urn:e&apos;&amp;'/></message>"},
		"8 prefix of the stanza":                    {"", "<message" + to + " xmlns:p='urn:p'><p:x/></message>", "<message><x xmlns='urn:p'/></message>"},
		"8 attribute of the stanza with prefix":     {"", "<message" + to + " xmlns:p='urn:p' p:a='1&lt;'/>", "<message xmlns:p='urn:p' p:a='1&lt;'/>"},
		"8 default namespace of the stanza":         {"", "<message xmlns='jabber:client'" + to + "><body>x</body></message>", "<message><body>x</body></message>"},
		"8.1.5 language is kept":                    {"", "<message xml:lang='de'" + to + "/>", "<message xml:lang='de'/>"},
		"8.1.5 language of the stream":              {"xml:lang='cs'", "<message" + to + "/>", "<message xml:lang='cs'/>"},
		"8.1.5 language of the stanza wins":         {"xml:lang='cs'", "<message xml:lang='de'" + to + "/>", "<message xml:lang='de'/>"},
		"8.1.5 presence":                            {"xml:lang='cs'", "<presence" + to + "/>", "<presence xml:lang='cs'/>"},
	} {
		rfcTest(t, name, nil, func(t *testing.T, s *rfcServer) {
			juliet := s.dial().login("juliet", "balcony", rfcBound)
			c := s.dial().login("romeo", "", rfcOpened)
			c.must(rfcPlain("romeo", rfcPassword), "<success "+rfcSASL+"/>")
			c.must(rfcTo("to='one.example' version='1.0' "+row.header), rfcHeader, rfcFeatures)
			c.must(rfcBindIQ("orchard"), "<iq type='result'/>")
			rfcCheck(t, row.send, c.ask(row.send), nil)
			rfcCheck(t, row.send, juliet.take(), []string{row.want})
		})
	}
}

func TestRFC6120Routing(t *testing.T) {
	remote := "remote-server-not-found"
	rfcScenes(t, nil, []rfcScene{
		rfcOne("10.4 message to another domain", "<message id='1' to='x@three.example/y'><body>x</body></message>", rfcRomeoGets(rfcError("message", "id='1' from='x@three.example/y' to='romeo@one.example/orchard'", remote))),
		rfcOne("10.4 request to another domain", "<iq type='get' id='1' to='three.example'><ping xmlns='urn:xmpp:ping'/></iq>", rfcRomeoGets(rfcError("iq", "id='1' from='three.example'", remote))),
		rfcOne("10.4 subdomains are other domains", "<iq type='get' id='1' to='x.one.example'><ping xmlns='urn:xmpp:ping'/></iq>", rfcRomeoGets(rfcError("iq", "id='1'", remote))),
		rfcOne("10.4 error to another domain", "<message type='error' id='1' to='three.example'/>", nil),
		rfcOne("10.4 presence to another domain", "<presence id='1' to='three.example'/>", rfcRomeoGets("?"+rfcError("presence", "id='1'", remote))),
		rfcOne("10.5.1 request to the server", rfcPing, rfcRomeoGets(rfcPong)),
		rfcOne("10.5.1 request to another local domain", "<iq type='get' id='1' to='two.example'><ping xmlns='urn:xmpp:ping'/></iq>", rfcRomeoGets("<iq type='result' id='1' from='two.example'/>")),
		rfcOne("10.5.1 message to the server", "<message id='1' to='one.example'><body>x</body></message>", rfcRomeoGets("?<message type='error' id='1' from='one.example'/>")),
		rfcOne("10.5.2 request to a resource of the server", "<iq type='get' id='1' to='one.example/x'><ping xmlns='urn:xmpp:ping'/></iq>",
			rfcRomeoGets("<iq type='result' id='1' from='one.example/x'/> | "+rfcError("iq", "id='1' from='one.example/x'", "service-unavailable|item-not-found"))),
		rfcOne("10.5.3.1 request to no account", "<iq type='get' id='1' to='tybalt@one.example'><ping xmlns='urn:xmpp:ping'/></iq>", rfcRomeoGets(rfcError("iq", "id='1' from='tybalt@one.example'", "service-unavailable"))),
		rfcOne("10.5.3.1 message to no account", "<message id='1' to='tybalt@one.example'><body>x</body></message>", rfcRomeoGets("?"+rfcError("message", "id='1'", "service-unavailable"))),
		rfcOne("10.5.3.1 presence to no account", "<presence id='1' to='tybalt@one.example'/>", nil),
		rfcOne("10.5.3.1 account of the other domain", "<message id='1' to='romeo@two.example'><body>x</body></message>", rfcRomeoGets("?"+rfcError("message", "id='1'", "service-unavailable"))),
	})
	rfcTest(t, "10.1 in order", nil, func(t *testing.T, s *rfcServer) {
		romeo, juliet := s.dial().login("romeo", "orchard", rfcBound), s.dial().login("juliet", "balcony", rfcBound)
		juliet.ask("<presence/>")
		var send strings.Builder
		var want []string
		for i := range 300 {
			kind := []string{"message", "presence", "iq type='get'"}[i%3]
			name, _, _ := strings.Cut(kind, " ")
			fmt.Fprintf(&send, "<%s id='%d' to='juliet@one.example/balcony'><x xmlns='urn:x'/></%s>", kind, i, name)
			want = append(want, fmt.Sprintf("<%s id='%d'/>", name, i))
		}
		rfcCheck(t, "300 stanzas", romeo.ask(send.String()), nil)
		rfcCheck(t, "300 stanzas", juliet.take(), want)
	})
	rfcTest(t, "10.1 answers in order", nil, func(t *testing.T, s *rfcServer) {
		var send strings.Builder
		var want []string
		for i := range 100 {
			payload := []string{"<ping xmlns='urn:xmpp:ping'/>", "<x xmlns='urn:x'/>", "<query xmlns='jabber:iq:version'/>"}[i%3]
			fmt.Fprintf(&send, "<iq type='get' id='%d' to='one.example'>%s</iq>", i, payload)
			want = append(want, fmt.Sprintf("<iq id='%d'/>", i))
		}
		rfcCheck(t, "100 requests", s.dial().login("romeo", "orchard", rfcBound).ask(send.String()), want)
	})
}

// TestRFC6120References: what attributes say with references stays what it is,
// also where the server writes them anew.
func TestRFC6120References(t *testing.T) {
	const ping = "<ping xmlns='urn:xmpp:ping'/>"
	rfcScenes(t, nil, []rfcScene{
		rfcOne("8.1.1 reference in to", "<message to='juliet&#64;one.example/balcony'/>", rfcJulietGets("<message to='juliet@one.example/balcony'/>")),
		rfcOne("8.1.4 reference in the type", "<iq type='g&#101;t' id='1' to='one.example'>"+ping+"</iq>", rfcRomeoGets("<iq type='result' id='1'/>")),
		rfcOne("8.1.1 white space in to", "<message id='1' to=' juliet@one.example/balcony'/>", rfcRomeoGets(rfcError("message", "id='1'", "jid-malformed"))),
	})
	for name, row := range map[string]struct{ send, by string }{
		"8.1.3 line break in an answered id":  {"<iq type='get' id='a&#10;b&#9;c' to='one.example'>" + ping + "</iq>", "romeo"},
		"8.1.3 line break in a refused id":    {"<iq type='get' id='a&#10;b&#9;c' to='one.example'/>", "romeo"},
		"8.1.3 line break in an id forwarded": {"<message id='a&#10;b&#9;c' to='juliet@one.example/balcony'/>", "juliet"},
		"8 line break in a further attribute": {"<message xmlns:p='urn:p' p:id='a&#10;b&#9;c' to='juliet@one.example/balcony'/>", "juliet"},
	} {
		rfcTest(t, name, nil, func(t *testing.T, s *rfcServer) {
			clients := map[string]*rfcClient{"romeo": s.dial().login("romeo", "orchard", rfcBound), "juliet": s.dial().login("juliet", "balcony", rfcBound)}
			clients["romeo"].send(row.send)
			raw := rfcRaw(clients[row.by].take())
			// A line break as it is would be read as a space (XML, section 3.3.3).
			if !regexp.MustCompile("id=['\"]a&#(10|x0*[aA]);b&#(9|x0*9);c['\"]").MatchString(raw) {
				t.Errorf("sent %s, got %s, want the line break and the tab as references", row.send, raw)
			}
		})
	}
	rfcTest(t, "11.6 a character in two pieces", nil, func(t *testing.T, s *rfcServer) {
		romeo := s.dial().login("romeo", "orchard", rfcBound)
		text := "<message to='romeo@one.example/orchard' id='\U0001F600'><body>\U0001F600\u00e9&#x1F600;<![CDATA[]]]]></body></message>"
		for i := range len(text) {
			rfcCheck(t, text[:i], romeo.take(), nil)
			romeo.send(text[i : i+1])
		}
		rfcCheck(t, text, romeo.take(), []string{"<message id='\U0001F600'><body>\U0001F600\u00e9\U0001F600]]</body></message>"})
	})
	rfcTest(t, "13.12 default limit", nil, func(t *testing.T, s *rfcServer) {
		romeo := s.dial().login("romeo", "orchard", rfcBound)
		text := "<message to='romeo@one.example/orchard'><body>" + strings.Repeat("x", 262000) + "</body></message>"
		rfcCheck(t, text, romeo.ask(text), []string{"<message/>"})
		rfcCheck(t, text, romeo.ask(strings.Replace(text, "xxx", strings.Repeat("x", 1000), 1)), rfcStreamError("policy-violation"))
	})
}
