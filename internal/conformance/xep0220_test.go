package conformance

import (
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// The examples of XEP-0220 with one.example for the server under test: in
// section 2.2 it takes the connections. a is the authoritative server.
var receivingRows = []frow{
	{name: "2.2.1 examples 9 and 11, 2.1.2 examples 5 and 6", script: `
		serve a two.example
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		a < <stream:stream from='one.example' to='two.example' version='1.0'/>
		greet a
		a < <db:verify from='one.example' to='two.example' id='$sid_p'>c0ffee</db:verify>
		a ? <db:result from='one.example' to='two.example'>*</db:result>
		a > <db:verify from='two.example' to='one.example' id='$sid_p' type='valid'/>
		p < <db:result from='one.example' to='two.example' type='valid'/>
		a ? </stream:stream>
		a ? eof`},
	{name: "2.2.1 stanzas are taken from then on", script: `
		login ro 1
		auto two two.example
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='valid'/>
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "2.2.1 spaces around the key", script: `
		serve a two.example
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>$space c0ffee$space </db:result>
		a < <stream:stream/>
		greet a
		a < <db:verify from='one.example' to='two.example' id='$sid_p'>~ *c0ffee *</db:verify>
		a ? <db:result/>`},
	{name: "2.2.1 example 12, no other pair: the stream ends", script: `
		login ro 1
		auto two two.example invalid
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result><message from='$j' to='$ro' id='forged'/>
		p < <db:result from='one.example' to='two.example' type='invalid'/>
		p ends any
		or
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><forbidden $stanzas/></error></db:result>
		p ends any
		or
		p ends any`},
	{name: "2.2.1 invalid, no other pair: the result, and the end of the stream", script: `
		auto two two.example invalid
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='invalid'/>
		p ends any
		or
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><forbidden $stanzas/></error></db:result>
		p > </stream:stream>
		p ends
		or`},
	{name: "2.2.1, 2.5 invalid, with another pair that is valid", script: `
		login ro 1
		auto three three.example invalid
		link p two.example
		p > <db:result from='three.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='three.example' type='error'><error type='*'><forbidden $stanzas/></error></db:result>
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>
		p > <message from='$m' to='$ro' id='forged'/>
		p ends invalid-from|not-authorized`},
	{name: "2.2.1 example 10, a domain that is not served", script: `
		login ro 1
		open p two.example one.example
		p > <db:result from='two.example' to='nowhere.example'>c0ffee</db:result>
		p < <db:result from='nowhere.example' to='two.example' type='error'><error type='*'><item-not-found $stanzas/></error></db:result>
		auto two two.example
		prove p two.example one.example
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "2.5 the authoritative server is not to be found", script: `
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-server-not-found $stanzas/></error></db:result>`},
	{name: "2.5 no connection to the authoritative server", script: `
		host two.example
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-connection-failed $stanzas/></error></db:result> | <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-server-timeout $stanzas/></error></db:result> | <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-server-not-found $stanzas/></error></db:result>`},
	{name: "2.4.2, 2.5 the authoritative server does not know the domain", script: `
		auto two two.example item-not-found
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-server-not-found $stanzas/></error></db:result>`},
	{name: "2.5 the stream to the authoritative server is refused with host-unknown", script: `
		serve a two.example
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		a < <stream:stream/>
		a > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><stream:error><host-unknown $streams/></stream:error></stream:stream>
		a ? </stream:stream>
		a < eof
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-server-not-found $stanzas/></error></db:result>`},
	{name: "2.5 the authoritative server ends the stream", script: `
		auto two two.example closes
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-server-timeout $stanzas/></error></db:result> | <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-server-not-found $stanzas/></error></db:result>`},
	{name: "2.1.1 the authoritative server does not answer", do: func(f *federation) {
		f.script(`
			auto two two.example silent
			open p two.example one.example
			p > <db:result from='two.example' to='one.example'>c0ffee</db:result>`)
		var got []*element
		for range 6 {
			<-time.After(time.Minute)
			got = append(got, f.client("p").take()...)
		}
		if len(got) == 0 || got[len(got)-1].raw != eof && got[0].attr("type") != "error" {
			f.fail("got %s, want an error or the end", raw(got))
		}
	}},
	{name: "2.5 the error is not the end of the stream", script: `
		login ro 1
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='error'><error type='*'><remote-server-not-found $stanzas/></error></db:result>
		auto three three.example
		prove p three.example one.example
		p > <message from='$m' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "2.2.1 stanzas are not taken before the result", script: `
		login ro 1
		auto two two.example silent
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p > <message from='$j' to='$ro' id='early'/>
		p ends not-authorized|invalid-from`},
	{name: "2.2.1 stanzas of a verified pair are taken meanwhile", script: `
		login ro 1
		auto three three.example silent
		link p two.example
		p > <db:result from='three.example' to='one.example'>c0ffee</db:result>
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "2.2.1 two pairs at once", with: withTwo, script: `
		login ro 1
		auto two two.example
		auto three three.example
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>1</db:result><db:result from='three.example' to='one.example'>2</db:result>
		p < <db:result from='one.example' to='two.example' type='valid'/>
		p < <db:result from='one.example' to='three.example' type='valid'/>
		p > <message from='$j' to='$ro' id='1'/><message from='$m' to='$ro' id='2'/>
		ro << <message id='1'/>
		ro << <message id='2'/>`},
	{name: "2.6.1 sender multiplexing", script: `
		login ro 1
		auto rooms rooms.two.example
		link p two.example
		prove p rooms.two.example one.example
		p > <message from='x@rooms.two.example' to='$ro' id='1'/>
		ro < <message from='x@rooms.two.example' id='1'/>`},
	{name: "2.6.2 target multiplexing", with: withTwo, script: `
		link p two.example
		prove p two.example other.example
		p > <iq from='$j' to='other.example' type='get' id='1'><ping $ping/></iq>
		two < <iq from='other.example' to='$j' type='result' id='1'/>`},
	{name: "1.4 the result is for a pair of domains", with: withTwo, script: `
		link p two.example
		p > <iq from='$j' to='other.example' type='get' id='1'><ping $ping/></iq>
		two < <iq from='other.example' to='$j' type='result' id='1'/>
		or
		p ends any
		or
		two < <iq from='other.example' to='$j' type='error' id='1'/>`},
	{name: "2.2.1 to the domain of a component", script: `
		component c echo.one.example
		auto two two.example
		open p two.example echo.one.example
		prove p two.example echo.one.example
		p > <message from='$j' to='x@echo.one.example' id='1'/>
		c < <message from='$j' to='x@echo.one.example' id='1'/>`},
	{name: "2.4.1 another prefix than db", script: `
		auto two two.example
		dial p
		~ p > <stream:stream xmlns='jabber:server' xmlns:dialback='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams' from='two.example' to='one.example' version='1.0'>
		p > <dialback:result from='two.example' to='one.example'>c0ffee</dialback:result>
		p < <db:result from='one.example' to='two.example' type='valid'/>
		or
		p ends any`},
	{name: "2.4.1 a server before XMPP 1.0", script: `
		login ro 1
		auto two two.example
		dial p
		p > <stream:stream $ns from='two.example' to='one.example'>
		p < <stream:stream id='*' version='absent'/>
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='valid'/>
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "2.4.1 without addresses in the header", script: `
		auto two two.example
		dial p
		p > <stream:stream $ns to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features/>
		or
		p < <stream:stream/>
		p ends any
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='valid'/>
		or`},
	{name: "2.4.2 the feature", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features><dialback $db><errors $db/></dialback></stream:features>`},
	{name: "2.4 no dialback", with: func(f *federation) {
		f.site("one.example").settings.Dialback = stanza.PerHost[bool]{Value: false}
	}, do: func(f *federation) {
		f.script(`
			auto two two.example
			login ro 1
			dial p
			p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
			p < <stream:stream/>
			p < <stream:features><dialback $db no=''/></stream:features>
			or
			p < <stream:stream/>
			p ends any`)
		p := f.client("p")
		p.send("<db:result from='two.example' to='one.example'>c0ffee</db:result><message from='juliet@two.example' to='romeo@one.example/orchard'/>")
		for _, e := range p.take() {
			if e.attr("type") == "valid" {
				f.fail("got %s", e.raw)
			}
		}
		f.nothing("ro")
	}},
	{name: "2.2.1 a result without from", script: `
		open p two.example one.example
		p > <db:result to='one.example'>c0ffee</db:result>
		p ends any
		or
		p < <db:result type='error'/>`},
	{name: "2.2.1 a result without to", script: `
		open p two.example one.example
		p > <db:result from='two.example'>c0ffee</db:result>
		p ends any
		or
		p < <db:result type='error'/>`},
	{name: "2.2.1 a result from what is no domain", script: `
		open p two.example one.example
		p > <db:result from='juliet@two.example' to='one.example'>c0ffee</db:result>
		p ends any
		or
		p < <db:result type='error'/>`},
	{name: "2.2.1 the domain of the receiving server itself", script: `
		login ro 1
		open p two.example one.example
		p > <db:result from='one.example' to='one.example'>c0ffee</db:result>
		p ends any
		or
		p < <db:result type='error'/>
		or
		p < <db:result type='invalid'/>
		p ends any
		p > <message from='$t' to='$ro' id='forged'/>
		p ends any
		or`},
	{name: "2.2.1 once more for a pair that is verified", script: `
		login ro 1
		link p two.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='two.example' type='valid'/>
		or
		p < <db:result from='one.example' to='two.example' type='error'/>
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
}

// Section 4.1: answers that nobody has asked for.
var unsolicitedRows = []frow{
	{name: "4.1 a valid result on an incoming stream", script: `
		login ro 1
		open p two.example one.example
		p > <db:result from='two.example' to='one.example' type='valid'/>
		p ends any
		or
		p > <message from='$j' to='$ro' id='forged'/>
		p ends any
		or`},
	{name: "4.1 a verification on an incoming stream", script: `
		login ro 1
		auto two two.example silent
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p > <db:verify from='two.example' to='one.example' id='$sid_p' type='valid'/>
		p ends any
		or
		p > <message from='$j' to='$ro' id='forged'/>
		p ends any
		or`},
	{name: "4.1 a verification on another stream", script: `
		login ro 1
		auto two two.example silent
		login ts 1
		serve q three.example
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		ts > <message to='$m' id='1'/>
		q < <stream:stream/>
		q > <stream:stream $ns id='x' from='three.example' to='one.example' version='1.0'><stream:features>$dialback</stream:features>
		q < <db:result from='one.example' to='three.example'>*</db:result>
		q > <db:verify from='two.example' to='one.example' id='$sid_p' type='valid'/>
		q ends any
		or
		q ends any
		ts < <message type='error'/>
		or
		p > <message from='$j' to='$ro' id='forged'/>
		p ends not-authorized|invalid-from`},
	{name: "4.1 a verification with the addresses of the request", script: `
		login ro 1
		auto two two.example swapped
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p ? <db:result from='one.example' to='two.example' type='error'/>
		p > <message from='$j' to='$ro' id='forged'/>
		p ends any`},
	{name: "4.1 a verification for another id", script: `
		login ro 1
		auto two two.example other-id
		open p two.example one.example
		p > <db:result from='two.example' to='one.example'>c0ffee</db:result>
		p ? <db:result from='one.example' to='two.example' type='error'/>
		p > <message from='$j' to='$ro' id='forged'/>
		p ends any`},
	{name: "4.1 a result for a pair that was not asked about", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q
		q < <db:result/>
		q > <db:result from='three.example' to='one.example' type='valid'/>
		q ends any
		or
		q ends any
		ro < <message type='error' id='1'/>
		or
		serve q3 three.example
		ro > <message to='$m' id='2'/>
		q3 < <stream:stream to='three.example'/>`},
	{name: "4.1 a result with the addresses of the request", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q
		q < <db:result/>
		q > <db:result from='one.example' to='two.example' type='valid'/>
		q ends any
		or
		q ends any
		ro < <message type='error' id='1'/>
		or
		q < <db:result from='two.example' to='one.example' type='error'/>`},
	{name: "4.1 a result before the key", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><db:result from='two.example' to='one.example' type='valid'/>
		q ends any
		or
		q ends any
		ro < <message type='error' id='1'/>
		or`},
}

func TestXEP0220Receiving(t *testing.T)   { runFederation(t, receivingRows) }
func TestXEP0220Unsolicited(t *testing.T) { runFederation(t, unsolicitedRows) }
