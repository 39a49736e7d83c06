package c2s_test

import (
	"strings"
	"testing"
)

const (
	rfcG = "romeo/garden"
	rfcW = "juliet/window"
)

func TestRFC6121Presence(t *testing.T) {
	own := func(resource, attrs string) string {
		return "<presence from='romeo@one.example/" + resource + "' " + attrs + "/>"
	}
	gone := own("orchard", "type='unavailable'")
	rfcScenes(t, nil, []rfcScene{
		{"4.2.2 initial presence comes back", []string{rfcR, rfcJ + " 0"}, []rfcStep{{rfcR, "<presence/>", rfcRomeoGets(own("orchard", "type='absent'"))}}},
		{"4.2.2 own resources see each other", []string{rfcR, rfcG + " 0"}, []rfcStep{
			{rfcR, "<presence><show>away</show></presence>", rfcWant{
				rfcR: {own("orchard", "") + " | " + own("garden", ""), own("orchard", "") + " | " + own("garden", "")},
				rfcG: {"<presence from='romeo@one.example/orchard'><show>away</show></presence>"},
			}},
		}},
		{"4.2.2 resources without presence see nothing", []string{rfcR, rfcG}, []rfcStep{{rfcR, "<presence/>", rfcRomeoGets(own("orchard", ""))}}},
		{"4.2.2 strangers see nothing", []string{rfcR, rfcJ + " 0"}, []rfcStep{{rfcR, "<presence/>", rfcRomeoGets("<presence/>")}}},
		{"4.4.2 later presence", []string{rfcR + " 0", rfcG + " 0"}, []rfcStep{
			{rfcR, "<presence><show>dnd</show><x xmlns='urn:x'/></presence>", rfcWant{
				rfcR: {own("orchard", "")},
				rfcG: {"<presence from='romeo@one.example/orchard'><show>dnd</show><x xmlns='urn:x'/></presence>"},
			}},
		}},
		{"4.5.2 unavailable", []string{rfcR + " 0", rfcG + " 0"}, []rfcStep{
			{rfcR, "<presence type='unavailable'><status>gone</status></presence>", rfcWant{
				rfcR: {gone}, rfcG: {"<presence type='unavailable' from='romeo@one.example/orchard'><status>gone</status></presence>"},
			}},
			{rfcR, "</stream:stream>", rfcRomeoGets(rfcEnd, rfcEOF)},
		}},
		{"4.5.2 the end of the stream is unavailable presence", []string{rfcR + " 0", rfcG + " 0"}, []rfcStep{
			{rfcR, "</stream:stream>", rfcWant{rfcR: {rfcEnd, rfcEOF}, rfcG: {gone}}},
		}},
		{"4.5.2 a stream error is unavailable presence", []string{rfcR + " 0", rfcG + " 0"}, []rfcStep{
			{rfcR, "<x xmlns='urn:x'/>", rfcWant{rfcR: rfcStreamError("unsupported-stanza-type"), rfcG: {gone}}},
		}},
		{"4.5.2 who was not available does not go", []string{rfcR, rfcG + " 0"}, []rfcStep{{rfcR, "</stream:stream>", rfcRomeoGets(rfcEnd, rfcEOF)}}},
		{"4.3.2 strangers get no answer to a probe", rfcPair, []rfcStep{{rfcR, "<presence type='probe' to='juliet@one.example'/>", rfcRomeoGets("?<presence type='unsubscribed' from='juliet@one.example'/>")}}},
		{"4.7.1 unknown type", rfcPair, []rfcStep{{rfcR, "<presence type='foo' id='1'/>", rfcRomeoGets(rfcError("presence", "id='1'", "bad-request"))}}},
		{"4.7.1 type available is none", rfcPair, []rfcStep{{rfcR, "<presence type='available' id='1'/>", rfcRomeoGets(rfcError("presence", "id='1'", "bad-request"))}}},
		{"4.7.1 unknown type, directed", rfcPair, []rfcStep{{rfcR, "<presence type='foo' id='1' to='juliet@one.example/balcony'/>", rfcRomeoGets(rfcError("presence", "id='1'", "bad-request"))}}},
		{"4.7.2 payload is kept", rfcPair, []rfcStep{{rfcR, "<presence id='1'><show>xa</show><status xml:lang='de'>x</status><priority>1</priority><c xmlns='urn:c'/></presence>",
			rfcRomeoGets("<presence id='1'><show>xa</show><status xml:lang='de'>x</status><priority>1</priority><c xmlns='urn:c'/></presence>")}}},
	})
}

func TestRFC6121Directed(t *testing.T) {
	gone := "<presence type='unavailable' from='romeo@one.example/orchard'/>"
	came := "<presence type='absent' from='romeo@one.example/orchard'/>"
	direct := rfcStep{rfcR, "<presence to='juliet@one.example/balcony'/>", rfcJulietGets(came)}
	end := func(w rfcWant) rfcStep {
		all := rfcWant{rfcR: {rfcEnd, rfcEOF}}
		for name, want := range w {
			all[name] = want
		}
		return rfcStep{rfcR, "</stream:stream>", all}
	}
	both := func(pattern string) rfcWant { return rfcWant{rfcJ: {pattern}, rfcW: {pattern}} }
	without := []string{rfcR, rfcJ + " 0"}
	rfcScenes(t, nil, []rfcScene{
		{"4.6.3 the end of the stream reaches directed presence", rfcPair, []rfcStep{direct, end(rfcJulietGets(gone))}},
		{"4.6.3 without initial presence", without, []rfcStep{direct, end(rfcJulietGets(gone))}},
		{"4.6.3 unavailable reaches it, once", rfcPair, []rfcStep{direct, {rfcR, "<presence type='unavailable'/>", rfcWant{rfcR: {gone}, rfcJ: {gone}}}, end(nil)}},
		{"4.6.3 unavailable without initial presence", without, []rfcStep{direct, {rfcR, "<presence type='unavailable'/>", rfcWant{rfcR: {"?" + gone}, rfcJ: {gone}}}, end(nil)}},
		{"4.6.3 directed unavailable ends it", rfcPair, []rfcStep{direct, {rfcR, "<presence type='unavailable' to='juliet@one.example/balcony'/>", rfcJulietGets(gone)}, end(nil)}},
		{"4.6.3 directed presence again", rfcPair, []rfcStep{direct, {rfcR, "<presence type='unavailable' to='juliet@one.example/balcony'/>", rfcJulietGets(gone)}, direct, end(rfcJulietGets(gone))}},
		{"4.6.3 once for each address", rfcPair, []rfcStep{direct, direct, direct, end(rfcJulietGets(gone))}},
		{"4.6.3 to the bare JID", append([]string{rfcW + " -1"}, rfcPair...), []rfcStep{
			{rfcR, "<presence to='juliet@one.example'/>", both(came)}, end(both(gone))}},
		{"4.6.3 a message is no presence", rfcPair, []rfcStep{{rfcR, "<message to='juliet@one.example/balcony'/>", rfcJulietGets("<message/>")}, end(nil)}},
		{"4.6.3 later presence is not for it", rfcPair, []rfcStep{direct, {rfcR, "<presence><show>away</show></presence>", rfcRomeoGets("<presence/>")}}},
		{"4.6.3 payload of unavailable", rfcPair, []rfcStep{direct, {rfcR, "<presence type='unavailable'><status>bye</status></presence>", rfcWant{
			rfcR: {gone}, rfcJ: {"<presence type='unavailable'><status>bye</status></presence>"}}}}},
		{"4.6.3 when the session is replaced", rfcPair, []rfcStep{direct, {rfcR, "<x xmlns='urn:x'/>", rfcWant{rfcR: rfcStreamError("unsupported-stanza-type"), rfcJ: {gone}}}}},
		{"4.6.3 own resources are not told", append([]string{rfcG + " 0"}, rfcPair...), []rfcStep{direct}},
		{"4.6.5 directed to a stranger does not make available", without, []rfcStep{direct, {rfcJ, "<message to='romeo@one.example' type='headline'/>", nil}}},
	})
}

// rfcDelivery says what becomes of a message of each type.
type rfcDelivery struct {
	name    string
	clients []string
	to      string
	want    map[string]rfcWant // by type
}

func TestRFC6121Messages(t *testing.T) {
	const bare, balcony, nowhere = "juliet@one.example", "juliet@one.example/balcony", "juliet@one.example/nowhere"
	refused := rfcRomeoGets("<message type='error' id='1'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
	maybe := rfcRomeoGets("?" + refused[rfcR][0])
	got := rfcJulietGets("<message id='1'/>")
	most := rfcWant{rfcJ: {"<message id='1'/>"}, rfcW: {"?<message id='1'/>"}}
	everyone := rfcWant{rfcJ: {"<message id='1'/>"}, rfcW: {"<message id='1'/>"}}
	unreachable := map[string]rfcWant{"": refused, "chat": refused, "groupchat": refused, "headline": nil, "error": nil}
	one := map[string]rfcWant{"": got, "normal": got, "foo": got, "chat": got, "groupchat": refused, "headline": got, "error": nil}
	any := map[string]rfcWant{"": got, "chat": got, "groupchat": got, "headline": got, "error": got}
	for _, d := range []rfcDelivery{
		{"8.5.1 no account", []string{rfcR + " 0"}, "tybalt@one.example", map[string]rfcWant{"": maybe, "chat": maybe, "groupchat": maybe, "headline": maybe, "error": nil}},
		{"8.5.1 no account, full JID", []string{rfcR + " 0"}, "tybalt@one.example/x", map[string]rfcWant{"": maybe, "chat": maybe, "groupchat": maybe, "headline": maybe, "error": nil}},
		{"8.5.2.1.1 one available resource", rfcPair, bare, one},
		{"8.5.2.1.1 one available, one only connected", append([]string{rfcW}, rfcPair...), bare, one},
		{"8.5.2.1.1 one available, one negative", append([]string{rfcW + " -1"}, rfcPair...), bare, one},
		{"8.5.2.1.1 two priorities", []string{rfcR + " 0", rfcJ + " 5", rfcW + " 0"}, bare, map[string]rfcWant{"": most, "chat": most, "groupchat": refused, "headline": everyone, "error": nil}},
		{"8.5.2.1.1 negative only", []string{rfcR + " 0", rfcJ + " -1", rfcW + " -128"}, bare, unreachable},
		{"8.5.2.1.1 connected only", []string{rfcR + " 0", rfcJ}, bare, unreachable},
		{"8.5.2.2.1 no resource", []string{rfcR + " 0"}, bare, unreachable},
		{"8.5.3.1 full JID", rfcPair, balcony, any},
		{"8.5.3.1 full JID, one of two", append([]string{rfcW + " 5"}, rfcPair...), balcony, any},
		{"8.5.3.1 full JID, negative", []string{rfcR, rfcJ + " -1"}, balcony, any},
		{"8.5.3.1 full JID, connected", []string{rfcR, rfcJ}, balcony, any},
		{"8.5.3.2.1 full JID that is not there", rfcPair, nowhere, map[string]rfcWant{"": maybe, "chat": got, "groupchat": maybe, "headline": maybe, "error": nil}},
		{"8.5.3.2.1 full JID that is not there, negative only", []string{rfcR, rfcJ + " -1"}, nowhere, map[string]rfcWant{"": maybe, "chat": refused, "groupchat": maybe, "headline": maybe, "error": nil}},
		{"8.5.3.2.1 full JID that is not there, no resource", []string{rfcR}, nowhere, map[string]rfcWant{"": maybe, "chat": refused, "groupchat": maybe, "headline": maybe, "error": nil}},
	} {
		for _, kind := range rfcSorted(d.want) {
			attr := ""
			if kind != "" {
				attr = " type='" + kind + "'"
			}
			send := "<message id='1' to='" + d.to + "'" + attr + "><body>x</body></message>"
			scene := rfcScene{d.name + ", type " + kind, d.clients, []rfcStep{{rfcR, send, d.want[kind]}}}
			rfcScenes(t, nil, []rfcScene{scene})
		}
	}
}

func TestRFC6121Others(t *testing.T) {
	presence := rfcJulietGets("<presence from='romeo@one.example/orchard'/>")
	both := rfcWant{rfcJ: presence[rfcJ], rfcW: presence[rfcJ]}
	three := []string{rfcR + " 0", rfcJ + " 0", rfcW + " -5"}
	from := func(pattern string) rfcWant { return rfcWant{rfcJ: {pattern}, rfcW: {pattern}} }
	unavailable := func(to string) rfcWant {
		return rfcRomeoGets(rfcError("iq", "id='1' from='"+to+"'", "service-unavailable"))
	}
	payload := "<x xmlns='urn:x'/>"
	scenes := []rfcScene{
		{"8.5.2.1.2 presence to the bare JID", three, []rfcStep{{rfcR, "<presence to='juliet@one.example'/>", both}}},
		{"8.5.2.1.2 unavailable to the bare JID", three, []rfcStep{{rfcR, "<presence type='unavailable' to='juliet@one.example'/>", both}}},
		{"8.5.2.1.2 presence, connected only", []string{rfcR, rfcJ}, []rfcStep{{rfcR, "<presence to='juliet@one.example'/>", nil}}},
		{"8.5.2.2.2 presence, no resource", []string{rfcR}, []rfcStep{{rfcR, "<presence to='juliet@one.example'/>", nil}}},
		{"8.5.3.1 presence to the full JID", three, []rfcStep{{rfcR, "<presence to='juliet@one.example/balcony'/>", presence}}},
		{"8.5.3.2.2 presence to a full JID that is not there", three, []rfcStep{{rfcR, "<presence to='juliet@one.example/nowhere'/>", nil}}},
		{"8.5.3.2.2 unavailable to a full JID that is not there", three, []rfcStep{{rfcR, "<presence type='unavailable' to='juliet@one.example/nowhere'/>", nil}}},
		{"8.5.2.1.3 request to the bare JID is the server's", three, []rfcStep{{rfcR, "<iq type='get' id='1' to='juliet@one.example'>" + payload + "</iq>", unavailable("juliet@one.example")}}},
		{"8.5.2.1.3 result to the bare JID is the server's", three, []rfcStep{{rfcR, "<iq type='result' id='1' to='juliet@one.example'/>", nil}}},
		{"8.5.2.2.3 request to the bare JID, no resource", []string{rfcR}, []rfcStep{{rfcR, "<iq type='set' id='1' to='juliet@one.example'>" + payload + "</iq>", unavailable("juliet@one.example")}}},
		{"8.5.3.1 result to the full JID", three, []rfcStep{{rfcR, "<iq type='result' id='1' to='juliet@one.example/window'/>", rfcWant{rfcW: {"<iq type='result' id='1'/>"}}}}},
		{"8.5.3.2.3 request to a full JID that is not there", three, []rfcStep{{rfcR, "<iq type='get' id='1' to='juliet@one.example/nowhere'>" + payload + "</iq>", unavailable("juliet@one.example/nowhere")}}},
		{"8.5.3.2.3 result to a full JID that is not there", three, []rfcStep{{rfcR, "<iq type='result' id='1' to='juliet@one.example/nowhere'/>", nil}}},
		{"8.5.1 request to no account", three, []rfcStep{{rfcR, "<iq type='get' id='1' to='tybalt@one.example'>" + payload + "</iq>", unavailable("tybalt@one.example")}}},
		{"8.5.1 request to no account, full JID", three, []rfcStep{{rfcR, "<iq type='get' id='1' to='tybalt@one.example/x'>" + payload + "</iq>", unavailable("tybalt@one.example/x")}}},
		{"8.5.1 known payload to no account", three, []rfcStep{{rfcR, "<iq type='get' id='1' to='tybalt@one.example'><ping xmlns='urn:xmpp:ping'/></iq>", unavailable("tybalt@one.example")}}},
		{"8.5.1 subscription to no account", three, []rfcStep{{rfcR, "<presence type='subscribe' to='tybalt@one.example'/>", rfcRomeoGets("?<presence type='unsubscribed'/>")}}},
		{"8.5.1 probe to no account", three, []rfcStep{{rfcR, "<presence type='probe' to='tybalt@one.example'/>", rfcRomeoGets("?<presence type='unsubscribed'/>")}}},
		{"8.1.1 message without to, not available", []string{rfcR}, []rfcStep{{rfcR, "<message id='1'><body>x</body></message>", rfcRomeoGets(rfcError("message", "id='1'", "service-unavailable"))}}},
		{"8.1.1 message without to, to the other resource", []string{rfcR, rfcG + " 0"}, []rfcStep{{rfcR, "<message id='1'><body>x</body></message>", rfcWant{rfcG: {"<message id='1'/>"}}}}},
	}
	for _, kind := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
		scenes = append(scenes, rfcScene{"3.1.2 " + kind + " comes from the bare JID", three, []rfcStep{
			{rfcR, "<presence type='" + kind + "' to='juliet@one.example/balcony'/>", from("<presence type='" + kind + "' from='romeo@one.example' to='juliet@one.example'/>")}}})
	}
	rfcScenes(t, nil, scenes)
}

// TestRFC6121Priority: an integer from -128 to 127, 0 by default.
// See RFC 6121, section 4.7.2.3.
func TestRFC6121Priority(t *testing.T) {
	got, none := rfcWant{rfcJ: {"<message/>"}}, rfcWant{rfcR: {"<message type='error'/>"}}
	for priority, want := range map[string]rfcWant{
		"": got, "<priority>0</priority>": got, "<priority>127</priority>": got, "<priority>-0</priority>": got, "<priority>+1</priority>": got, "<priority> 1 </priority>": got,
		"<priority>-1</priority>": none, "<priority>-128</priority>": none, "<priority><![CDATA[-1]]></priority>": none, "<priority>&#45;1</priority>": none,
		"<x xmlns='urn:x'><priority xmlns='jabber:client'>-1</priority></x>": got, "<priority xmlns='urn:x'>-1</priority>": got,
	} {
		rfcScenes(t, nil, []rfcScene{{"4.7.2.3 " + strings.ReplaceAll(priority, "/", ""), []string{rfcR, rfcJ}, []rfcStep{
			{rfcJ, "<presence>" + priority + "</presence>", rfcJulietGets("<presence/>")},
			{rfcR, "<message to='juliet@one.example'><body>x</body></message>", want},
		}}})
	}
	for _, priority := range []string{"128", "-129", "x", "1.5", "99999999999999999999"} {
		rfcScenes(t, nil, []rfcScene{{"4.7.2.3 no priority: " + priority, []string{rfcR, rfcJ}, []rfcStep{
			{rfcJ, "<presence id='1'><priority>" + priority + "</priority></presence>", rfcJulietGets(rfcError("presence", "id='1'", "bad-request") + " | <presence type='absent'/>")},
		}}})
	}
}
