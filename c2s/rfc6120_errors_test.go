package c2s_test

import (
	"strings"
	"testing"
)

// rfcClosed is any stream error.
var rfcClosed = []string{"<stream:error/>", rfcEnd, rfcEOF}

func TestRFC6120StreamErrors(t *testing.T) {
	pong := []string{"<iq type='result' id='1' from='one.example'/>"}
	ping := func(attrs string) string {
		return "<iq type='get' id='1' to='one.example' " + attrs + "><ping xmlns='urn:xmpp:ping'/></iq>"
	}
	invalidFrom := rfcStreamError("invalid-from")
	rfcRows(t, rfcBound, nil, []rfcRow{
		{name: "4.9.3.1 text between stanzas", send: "hello" + rfcPing, want: rfcStreamError("bad-format|invalid-xml|not-well-formed")},
		{name: "4.9.3.1 CDATA between stanzas", send: "<![CDATA[hello]]>" + rfcPing, want: rfcStreamError("bad-format|invalid-xml|not-well-formed|restricted-xml")},
		{name: "4.9.3.1 stream within the stream", send: rfcTo("to='one.example' version='1.0'") + "</stream:stream>", want: rfcClosed},
		{name: "4.9.3.2 undeclared prefix", send: "<x:message to='juliet@one.example'/>", want: rfcStreamError("bad-namespace-prefix|not-well-formed")},
		{name: "4.9.3.2 prefix for the content namespace", send: "<c:iq xmlns:c='jabber:client' type='get' id='1' to='one.example'><ping xmlns='urn:xmpp:ping'/></c:iq>",
			want: rfcStreamError("bad-namespace-prefix"), or: pong},
		{name: "4.9.3.9 from is somebody else", send: ping("from='juliet@one.example'"), want: invalidFrom},
		{name: "4.9.3.9 from is another domain", send: ping("from='romeo@two.example'"), want: invalidFrom},
		{name: "4.9.3.9 from is a remote domain", send: ping("from='three.example'"), want: invalidFrom},
		{name: "4.9.3.9 from is the server", send: ping("from='one.example'"), want: invalidFrom},
		{name: "4.9.3.9 from is another resource", send: ping("from='romeo@one.example/balcony'"), want: invalidFrom},
		{name: "4.9.3.9 from is no address", send: ping("from='@/'"), want: rfcStreamError("invalid-from|improper-addressing")},
		{name: "8.1.2.1 from is the own bare JID", send: ping("from='romeo@one.example'"), want: pong},
		{name: "8.1.2.1 from is the own full JID", send: ping("from='romeo@one.example/orchard'"), want: pong},
		{name: "8.1.2.1 from in other case", send: ping("from='ROMEO@One.Example/orchard'"), want: pong},
		{name: "8.1.2.1 resources have case", send: ping("from='romeo@one.example/Orchard'"), want: invalidFrom},
		{name: "4.9.3.10 stanza of servers", send: "<message xmlns='jabber:server' to='juliet@one.example'/>", want: rfcStreamError("invalid-namespace|unsupported-stanza-type")},
		{name: "4.9.3.24 unknown element", send: "<foo/>", want: rfcStreamError("unsupported-stanza-type")},
		{name: "4.9.3.24 unknown element of its own namespace", send: "<foo xmlns='urn:x'/>", want: rfcStreamError("unsupported-stanza-type")},
		{name: "4.9.3.24 names have case", send: "<IQ type='get' id='1'><ping xmlns='urn:xmpp:ping'/></IQ>", want: rfcStreamError("unsupported-stanza-type")},
		{name: "4.9.3.24 stanza without namespace", send: "<message xmlns='' to='juliet@one.example'/>", want: rfcStreamError("invalid-namespace|unsupported-stanza-type")},
		{name: "4.9.3.24 features", send: "<stream:features/>", want: rfcStreamError("unsupported-stanza-type|bad-format|invalid-xml")},
		{name: "4.9.3.24 component handshake", send: "<handshake>00</handshake>", want: rfcStreamError("unsupported-stanza-type")},
		{name: "6.4.6 login after login", send: rfcPlain("juliet", rfcPassword), want: rfcClosed, or: []string{"<failure " + rfcSASL + "/>"}},
		{name: "5.4.1 STARTTLS that is not offered", send: "<starttls " + rfcTLS + "/>", want: rfcClosed, or: []string{"<failure " + rfcTLS + "/>", rfcEnd, rfcEOF}},
	})
	notAuthorized := rfcStreamError("not-authorized")
	rfcRows(t, rfcOpened, nil, []rfcRow{
		{name: "4.9.3.12 message before login", send: "<message to='juliet@one.example'><body>x</body></message>", want: notAuthorized},
		{name: "4.9.3.12 presence before login", send: "<presence/>", want: notAuthorized},
		{name: "4.9.3.12 request before login", send: rfcPing, want: notAuthorized},
		{name: "4.9.3.12 bind before login", send: rfcBindIQ("x"), want: notAuthorized},
		{name: "4.9.3.12 registration that is off", send: "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>", want: notAuthorized,
			or: []string{rfcError("iq", "id='1'", "service-unavailable|not-allowed|forbidden")}},
		{name: "4.9.3.24 unknown element before login", send: "<foo xmlns='urn:x'/>", want: rfcStreamError("not-authorized|unsupported-stanza-type")},
		{name: "4.3 stream within the stream", send: rfcTo("to='one.example' version='1.0'") + "</stream:stream>", want: rfcClosed},
		{name: "4.9.1.1 nothing is read after an error", send: "<message/>" + rfcPlain("romeo", rfcPassword), want: notAuthorized},
	})
	rfcRows(t, rfcOpened, nil, []rfcRow{
		{name: "6.4.6 stanza in place of the restart", send: rfcPlain("romeo", rfcPassword), want: []string{"<success " + rfcSASL + "/>"},
			then: []rfcTurn{{send: rfcBindIQ("x"), want: append([]string{"<stream:stream id='*'/>"}, rfcClosed...), or: rfcClosed}}},
		{name: "6.4.6 restart for another host", send: rfcPlain("romeo", rfcPassword), want: []string{"<success " + rfcSASL + "/>"},
			then: []rfcTurn{{send: rfcTo("to='two.example' version='1.0'"), want: append([]string{"<stream:stream id='*'/>"}, rfcClosed...)}}},
	})
	rfcRows(t, rfcAuthenticated, nil, []rfcRow{
		{name: "6.4.6 second login", send: rfcPlain("juliet", rfcPassword), want: rfcClosed, or: []string{"<failure " + rfcSASL + "/>"}},
	})
}

func TestRFC6120WellFormed(t *testing.T) {
	broken := rfcStreamError("not-well-formed")
	encoding := rfcStreamError("unsupported-encoding|not-well-formed|bad-format")
	var rows []rfcRow
	for name, send := range map[string]string{
		"wrong end tag":                        "<message></iq>",
		"end tag of nothing":                   "</message>",
		"end tag of the stream without prefix": "</stream>",
		"attribute twice":                      "<message id='1' id='2'/>",
		"attribute twice by namespace":         "<message xmlns:p='urn:x' xmlns:q='urn:x' p:a='1' q:a='2'/>",
		"declaration twice":                    "<message xmlns:p='urn:x' xmlns:p='urn:x'/>",
		"value without quotes":                 "<message id=1/>",
		"attribute without value":              "<message id/>",
		"no space between attributes":          "<message id='1'type='chat'/>",
		"less than in a value":                 "<message id='<'/>",
		"ampersand alone":                      "<message><body>a & b</body></message>",
		"ampersand in a value":                 "<message id='a&b'/>",
		"reference without semicolon":          "<message><body>&lt </body></message>",
		"end of CDATA in text":                 "<message><body>]]></body></message>",
		"name that begins with a digit":        "<message><1/></message>",
		"space before a name":                  "< message/>",
		"two colons":                           "<message><a:b:c xmlns:a='urn:x'/></message>",
		"colon first":                          "<message><:a/></message>",
		"colon last":                           "<message><a: xmlns:a='urn:x'/></message>",
		"undeclared prefix":                    "<message><p:a/></message>",
		"undeclared prefix of an attribute":    "<message p:a='1'/>",
		"prefix declared empty":                "<message><p:a xmlns:p=''/></message>",
		"prefix xml for another namespace":     "<message><a xmlns:xml='urn:x'/></message>",
		"prefix xmlns":                         "<message><a xmlns:xmlns='urn:x'/></message>",
		"another prefix for xmlns":             "<message><a xmlns:p='http://www.w3.org/2000/xmlns/'/></message>",
		"control character":                    "<message><body>\x01</body></message>",
		"control character in a value":         "<message id='\x02'/>",
		"NUL":                                  "<message><body>\x00</body></message>",
		"reference to a control character":     "<message><body>&#1;</body></message>",
		"reference to NUL":                     "<message><body>&#0;</body></message>",
		"reference to a surrogate":             "<message><body>&#xD800;</body></message>",
		"reference to no character":            "<message><body>&#xFFFE;</body></message>",
		"reference beyond Unicode":             "<message><body>&#x110000;</body></message>",
		"reference without digits":             "<message><body>&#;</body></message>",
		"reference with X":                     "<message><body>&#X41;</body></message>",
		"no character U+FFFF":                  "<message><body>\uffff</body></message>",
		"slash within a tag":                   "<message/ >",
		"attributes of an end tag":             "<message></message id='1'>",
	} {
		row := rfcRow{name: "11.2 " + name, send: send + rfcPing, want: broken}
		if strings.Contains(name, "refix") {
			row.want = rfcStreamError("not-well-formed|bad-namespace-prefix")
		}
		rows = append(rows, row)
	}
	for name, text := range map[string]string{
		"no UTF-8": "\xff", "overlong": "\xc0\xaf", "surrogate": "\xed\xa0\x80", "cut short": "\xe2\x82", "beyond Unicode": "\xf4\x90\x80\x80", "lone continuation": "\x80",
	} {
		rows = append(rows, rfcRow{name: "11.6 " + name, send: "<message><body>" + text + "</body></message>", want: encoding},
			rfcRow{name: "11.6 " + name + " in a value", send: "<message id='" + text + "'/>", want: encoding})
	}
	rfcRows(t, rfcBound, nil, rows)
}

func TestRFC6120Restricted(t *testing.T) {
	restricted := rfcStreamError("restricted-xml")
	message := func(text string) string { return "<message to='romeo@one.example/orchard'>" + text + "</message>" }
	var rows []rfcRow
	for name, text := range map[string]string{
		"comment":                "<!-- x -->",
		"comment that is empty":  "<!---->",
		"processing instruction": "<?php x ?>",
		"internal entity":        "&foo;",
		"entity of HTML":         "&nbsp;",
		"document type":          "<!DOCTYPE x>",
	} {
		rows = append(rows, rfcRow{name: "11.1 " + name + " in a stanza", send: message("<body>" + text + "</body>"), want: restricted})
		if !strings.HasPrefix(text, "&") {
			rows = append(rows, rfcRow{name: "11.1 " + name + " between stanzas", send: text + rfcPing, want: restricted})
		}
	}
	rows = append(rows,
		rfcRow{name: "11.1 entity in a value", send: "<message to='romeo@one.example/orchard' id='&foo;'/>", want: restricted},
		rfcRow{name: "11.1 XML declaration within the stream", send: "<?xml version='1.0'?>" + rfcPing, want: rfcStreamError("restricted-xml|not-well-formed")},
		rfcRow{name: "11.1 CDATA is allowed", send: message("<body><![CDATA[<&>]]></body>"), want: []string{"<message><body>&lt;&amp;&gt;</body></message>"}},
		rfcRow{name: "11.1 the predefined entities are allowed", send: message("<body>&amp;&lt;&gt;&quot;&apos;</body>"), want: []string{"<message><body>&amp;&lt;&gt;\"'</body></message>"}},
		rfcRow{name: "11.1 character references are allowed", send: message("<body>&#65;&#x1F600;</body>"), want: []string{"<message><body>A\U0001F600</body></message>"}},
	)
	rfcRows(t, rfcBound, nil, rows)
	rfcRows(t, rfcOpened, nil, []rfcRow{
		{name: "11.1 comment before login", send: "<!-- x -->", want: restricted},
		{name: "11.1 processing instruction before login", send: "<?x?>", want: restricted},
		{name: "11.1 entity before login", send: rfcAuth("PLAIN", "&foo;"), want: restricted},
		{name: "11.2 broken before login", send: "<auth></response>", want: rfcStreamError("not-well-formed")},
	})
}

func TestRFC6120Limits(t *testing.T) {
	violation := rfcStreamError("policy-violation")
	x := func(n int) string { return strings.Repeat("x", n) }
	self := func(inner string) string { return "<message to='romeo@one.example/orchard'>" + inner + "</message>" }
	fewer := func(c *rfcConfig) { c.options.MaxStanzaSize, c.options.MaxStanzaElements = 20000, 50 }
	rfcRows(t, rfcBound, fewer, []rfcRow{
		{name: "13.12 10,000 bytes go through", send: self("<body>" + x(9900) + "</body>"), want: []string{"<message><body>*</body></message>"}},
		{name: "13.12 larger than the limit", send: self("<body>" + x(20000) + "</body>"), want: violation},
		{name: "13.12 attribute larger than the limit", send: "<message id='" + x(20001) + "'/>", want: violation},
		{name: "13.12 name larger than the limit", send: "<" + x(20001), want: violation},
		{name: "13.12 stanza that does not end", send: "<message><body>" + x(21000), want: violation},
		{name: "13.12 tag that does not end", send: "<message " + strings.Repeat(" ", 21000), want: violation},
		{name: "13.12 many elements", send: self(strings.Repeat("<a/>", 60)), want: violation},
		{name: "13.12 as many elements as allowed", send: self(strings.Repeat("<a xmlns='urn:x'/>", 40)), want: []string{"<message/>"}},
	})
	rfcRows(t, rfcBound, nil, []rfcRow{
		{name: "13.12 deep", send: self(strings.Repeat("<a>", 5000) + strings.Repeat("</a>", 5000)), want: violation},
		{name: "13.12 many attributes", send: "<message" + func() string {
			var b strings.Builder
			for i := range 10000 {
				b.WriteString(" a" + strings.Repeat("b", i%7) + x(1+i/7) + "='1'")
				if b.Len() > 200000 {
					break
				}
			}
			return b.String()
		}() + "/>" + rfcPing, want: violation, or: []string{rfcPong}},
	})
	rfcRows(t, rfcOpened, nil, []rfcRow{
		{name: "13.12 large before login", send: rfcAuth("PLAIN", x(9000)), want: violation},
		{name: "13.12 endless before login", send: "<auth " + rfcSASL + " mechanism='" + x(9000), want: violation},
		{name: "13.12 many elements before login", send: "<auth " + rfcSASL + " mechanism='PLAIN'>" + strings.Repeat("<a/>", 40), want: violation},
		{name: "13.12 deep before login", send: strings.Repeat("<a>", 1000), want: violation},
	})
	header := append([]string{"<stream:stream/>"}, violation...)
	rfcRows(t, rfcDialled, nil, []rfcRow{
		{name: "13.12 endless header", send: "<stream:stream to='" + x(20000), want: header},
		{name: "13.12 endless name", send: "<" + x(20000), want: header},
		{name: "13.12 endless declaration", send: "<?xml " + x(20000), want: append([]string{"<stream:stream/>"}, rfcStreamError("policy-violation|restricted-xml|not-well-formed")...)},
	})
}
