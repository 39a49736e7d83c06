package conformance

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const bidiFeature = "<bidi xmlns='urn:xmpp:features:bidi'/>"

// withoutBidi does not use streams in both directions.
func withoutBidi(f *federation) {
	f.site("one.example").settings.Bidi = stanza.PerHost[bool]{Value: false}
}

var bidiRows = []frow{
	{name: "2.1 the feature", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features><bidi $bidis/></stream:features>`},
	{name: "2.1 the feature before and after TLS", with: withTLS, script: `
		open p two.example one.example
		p > <starttls $tls/>
		p < <proceed $tls/>
		tls p two.example
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features><mechanisms $sasl/><bidi $bidis/></stream:features>`},
	{name: "2.1 no feature where it is off", with: withoutBidi, script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features><bidi $bidis no=''/></stream:features>`},
	{name: "3 the example with SASL", with: withTLS, script: `
		login ro 1
		starttls p two.example two.example one.example
		p > <bidi $bidi/>
		p > <auth $sasl mechanism='EXTERNAL'>dHdvLmV4YW1wbGU=</auth>
		p < <success $sasl/>
		~ p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p > <iq from='$jb' to='one.example' type='get' id='1'><ping $ping/></iq>
		p < <iq from='one.example' to='$jb' type='result' id='1'/>
		ro > <message to='$j' id='2'/>
		p < <message from='$ro' to='$j' id='2'/>
		p > <message from='$j' to='$ro' id='3'/>
		ro < <message id='3'/>
		dialled`},
	{name: "3 the example with dialback", script: `
		login ro 1
		auto two two.example
		open p two.example one.example
		p > <bidi $bidi/>
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='valid'/>
		p > <iq from='$jb' to='one.example' type='get' id='1'><ping $ping/></iq>
		p < <iq from='one.example' to='$jb' type='result' id='1'/>
		ro > <message to='$j' id='2'/>
		p < <message from='$ro' to='$j' id='2'/>`},
	{name: "2.2 the key is not verified on the same connection", script: `
		serve a two.example
		open p two.example one.example
		p > <bidi $bidi/><db:result from='two.example' to='one.example'>c0ffee</db:result>
		a < <stream:stream/>
		greet a
		a < <db:verify from='one.example' to='two.example' id='$sid_p'>c0ffee</db:verify>
		a ? <db:result/>`},
	{name: "2.2 no stanzas before the peer is verified", script: `
		login ro 1
		auto two two.example silent
		open p two.example one.example
		p > <bidi $bidi/>
		ro > <message to='$j' id='1'/>
		two < <message id='1'/>
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		ro > <message to='$j' id='2'/>
		two < <message id='2'/>`},
	{name: "2.2 stanzas for the domains that are verified alone", with: withTwo, script: `
		component c echo.one.example
		auto three three.example
		auto two two.example
		open p two.example one.example
		p > <bidi $bidi/>
		prove p two.example one.example
		c > <message from='x@echo.one.example' to='$m' id='1'/>
		three < <message id='1'/>`},
	{name: "2.2 with SASL: from the domain in to", with: withTLS, script: `
		component c echo.one.example
		login ro 1
		auto two two.example
		starttls p two.example two.example one.example
		p > <bidi $bidi/>
		p > <auth $sasl mechanism='EXTERNAL'>dHdvLmV4YW1wbGU=</auth>
		p < <success $sasl/>
		~ p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		c > <message from='x@echo.one.example' to='$j' id='1'/>
		two < <message from='x@echo.one.example' id='1'/>
		or
		p < <db:result from='echo.one.example' to='two.example'>*</db:result>`},
	{name: "2.2 with dialback: the inverse of the pair", script: `
		component c echo.one.example
		auto two two.example
		open p two.example one.example
		p > <bidi $bidi/>
		prove p two.example one.example
		c > <message from='x@echo.one.example' to='$j' id='1'/>
		two < <message from='x@echo.one.example' id='1'/>
		or
		p < <db:result from='echo.one.example' to='two.example'>*</db:result>`},
	{name: "2.2 without bidi nothing comes back on the stream", script: `
		login ro 1
		link p two.example
		ro > <message to='$j' id='1'/>
		two < <message id='1'/>`},
	{name: "2.2 bidi is not offered", with: withoutBidi, script: `
		login ro 1
		auto two two.example
		open p two.example one.example
		p > <bidi $bidi/>
		p ends any
		or
		prove p two.example one.example
		ro > <message to='$j' id='1'/>
		two < <message id='1'/>`},
	{name: "2.2 what the peer sends is checked as ever", script: `
		login ro 1
		auto two two.example
		open p two.example one.example
		p > <bidi $bidi/>
		prove p two.example one.example
		p > <message from='$m' to='$ro' id='forged'/>
		p ends invalid-from`},
	{name: "2.2 the stream ends, the next stanza goes by another", script: `
		login ro 1
		auto two two.example
		open p two.example one.example
		p > <bidi $bidi/>
		prove p two.example one.example
		ro > <message to='$j' id='1'/>
		p < <message id='1'/>
		p > </stream:stream>
		p ends
		ro > <message to='$j' id='2'/>
		two < <message id='2'/>`},
	{name: "4 a valid result that nobody has asked for", with: withTwo, script: `
		login ro 1
		component c echo.one.example
		auto two two.example
		auto three three.example
		open p two.example one.example
		p > <bidi $bidi/>
		prove p two.example one.example
		p > <db:result from='three.example' to='one.example' type='valid'/>
		p ends any
		or
		ro > <message to='$m' id='1'/>
		three < <message from='$ro' id='1'/>`},
	{name: "4 a valid result that nobody has asked for, for the server itself", script: `
		login ro 1
		auto two two.example silent
		open p two.example one.example
		p > <bidi $bidi/>
		p > <db:result from='two.example' to='one.example' type='valid'/>
		p ends any
		or
		p > <message from='$j' to='$ro' id='forged'/>
		p ends any
		or`},
	{name: "2.1 the connecting server asks for it", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q $dialback` + bidiFeature + `
		q << <bidi $bidi/>
		q << <db:result from='one.example' to='two.example'>*</db:result>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message from='$ro' to='$j' id='1'/>
		q > <message from='$j' to='$ro' id='2'/>
		ro < <message from='$j' id='2'/>`},
	{name: "2.1 not where it is off", with: withoutBidi, script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q $dialback` + bidiFeature + `
		q < <db:result from='one.example' to='two.example'>*</db:result>`},
	{name: "2.1 after TLS", with: withTLS, script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q <starttls $tls/>` + bidiFeature + `
		q < <starttls $tls/>
		q > <proceed $tls/>
		tls q two.example
		q < <stream:stream/>
		greet q ` + mechanisms + bidiFeature + `
		q << <bidi $bidi/>
		q << <auth $sasl/>
		q > <success $sasl/>
		q < <stream:stream/>
		greet q $space
		q < <message id='1'/>
		q > <message from='$j' to='$ro' id='2'/>
		ro < <message from='$j' id='2'/>`},
	{name: "2.2 stanzas of the receiving server before anything is verified", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q $dialback` + bidiFeature + `
		q < <bidi $bidi/>
		q < <db:result/>
		q > <message from='$j' to='$ro' id='early'/>
		q ends any
		or
		q ends any
		ro < <message type='error' id='1'/>
		or`},
	{name: "RFC 6120 8.1.2.2 what the receiving server sends is checked", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q $dialback` + bidiFeature + `
		q < <bidi $bidi/>
		q < <db:result/>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>
		q > <message from='$m' to='$ro' id='forged'/>
		q ends invalid-from`},
	{name: "2.2 the receiving server proves further domains", script: `
		login ro 1
		serve q two.example
		auto rooms rooms.two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q $dialback` + bidiFeature + `
		q < <bidi $bidi/>
		q < <db:result/>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>
		q > <db:result from='rooms.two.example' to='one.example'>c0ffee</db:result>
		q < <db:result from='one.example' to='rooms.two.example' type='valid'/>
		or
		q < <db:result from='one.example' to='rooms.two.example' type='error'><error type='*'><resource-constraint $stanzas/></error></db:result>
		q > <message from='$j' to='$ro' id='2'/>
		ro < <message id='2'/>`},
	{name: "2.2 the receiving server asks for the verification of another key", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q $dialback` + bidiFeature + `
		q < <bidi $bidi/>
		q < <db:result/>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>
		q > <db:verify from='two.example' to='one.example' id='x'>c0ffee</db:verify>
		q < <db:verify from='one.example' to='two.example' id='x' type='invalid'/>
		or
		q ends any`},
	{name: "2.2, RFC 6120 4.4 both servers connect at once, and both streams are used", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q $dialback` + bidiFeature + `
		q < <bidi $bidi/>
		q < <db:result/>
		auto two two.example
		open p two.example one.example
		p > <bidi $bidi/>
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		q < <db:verify id='$sid_p'>c0ffee</db:verify>
		or
		p < <db:result type='valid'/>
		or
		p < <db:result type='valid'/>
		p < <message id='1'/>
		q > <db:verify from='two.example' to='one.example' id='$sid_p' type='valid'/>
		p < <db:result type='valid'/>
		or
		p < <db:result type='valid'/>
		p < <message id='1'/>
		or
		q > <db:result from='two.example' to='one.example' type='valid'/><message from='$j' to='$ro' id='2'/>
		ro < <message id='2'/>
		q ? </stream:stream>
		q ? eof
		or
		ro < <message id='2'/>
		q < <message id='1'/>
		p > <message from='$j' to='$ro' id='3'/>
		ro < <message id='3'/>`},
	{name: "2.2, RFC 6120 4.4 rule 2, what comes before the other side has ended its stream counts", do: func(f *federation) {
		f.script("login ro 1\nserve q two.example")
		f.client("q").answer = lastWords
		f.script(`
			ro > <message to='$j' id='1'/>
			q < <stream:stream/>
			greet q $dialback` + bidiFeature + `
			q < <bidi $bidi/>
			q < <db:result/>
			q > <db:result from='two.example' to='one.example' type='valid'/>
			q < <message id='1'/>
			pass 70m
			q < eof
			ro < <message from='$j' to='$ro' id='last'/>`)
	}},
	{name: "1 one connection serves both", script: `
		login ro 1
		auto two two.example
		open p two.example one.example
		p > <bidi $bidi/>
		prove p two.example one.example
		dialled *
		ro > <message to='$j' id='1'/><message to='$j' id='2'/>
		p << <message id='1'/>
		p << <message id='2'/>
		dialled`},
}

func TestXEP0288(t *testing.T) { runFederation(t, bidiRows) }
