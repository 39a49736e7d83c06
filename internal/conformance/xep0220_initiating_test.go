package conformance

import "testing"

// asks is the beginning of rows in which ro sends something to q, the receiving
// server, which gets a key.
const asks = `
	login ro 1
	serve q two.example
	ro > <message to='$j' id='1'/>
	q < <stream:stream from='one.example' to='two.example'/>
	greet q
	q < <db:result from='one.example' to='two.example' type='absent'>=key</db:result>
`

// refuses is a row in which the stanza is returned, once.
func refuses(name, does string, conditions ...string) frow {
	return frow{name: name, do: func(f *federation) {
		f.script(asks)
		f.without(does)
		f.returned("q", conditions...)
	}}
}

// XEP-0220, sections 2.1.1 and 2.2.2: one.example is the initiating server, and
// the authoritative one.
var initiatingRows = []frow{
	{name: "2.1.1 examples 1 and 2", script: asks + `
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message from='$ro' to='$j' id='1'/>`},
	{name: "2.1.1 no stanzas before the result", script: asks + `
		ro > <message to='$j' id='2'/>
		pass 10s
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q << <message id='1'/>
		q << <message id='2'/>`},
	{name: "2.2.2 the key is verified by another stream, example 15", script: asks + `
		open p two.example one.example
		p > <db:verify from='two.example' to='one.example' id='id-q'>$key</db:verify>
		p < <db:verify from='one.example' to='two.example' id='id-q' type='valid'/>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>`},
	{name: "2.2.2 example 16, another key", script: asks + `
		open p two.example one.example
		p > <db:verify from='two.example' to='one.example' id='id-q'>37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643</db:verify>
		p < <db:verify from='one.example' to='two.example' id='id-q' type='invalid'/>`},
	{name: "2.2.2 an empty key", script: asks + `
		open p two.example one.example
		p > <db:verify from='two.example' to='one.example' id='id-q'/>
		p < <db:verify from='one.example' to='two.example' id='id-q' type='invalid'/>
		or
		p ends any`},
	{name: "2.2.2 the key for another id", script: asks + `
		open p two.example one.example
		p > <db:verify from='two.example' to='one.example' id='id-p'>$key</db:verify>
		p < <db:verify from='one.example' to='two.example' id='id-p' type='invalid'/>`},
	{name: "2.2.2 the key for another domain", script: asks + `
		open p three.example one.example
		p > <db:verify from='three.example' to='one.example' id='id-q'>$key</db:verify>
		p < <db:verify from='one.example' to='three.example' id='id-q' type='invalid'/>`},
	{name: "2.2.2 the key of another local domain", with: withTwo, script: asks + `
		open p two.example one.example
		p > <db:verify from='two.example' to='other.example' id='id-q'>$key</db:verify>
		p < <db:verify from='other.example' to='two.example' id='id-q' type='invalid'/>`},
	{name: "2.2.2 example 14, a domain that is not served", script: `
		open p two.example one.example
		p > <db:verify from='two.example' to='nowhere.example' id='x'>c0ffee</db:verify>
		p < <db:verify from='nowhere.example' to='two.example' id='x' type='error'><error type='*'><item-not-found $stanzas/></error></db:verify>
		p > <db:verify from='two.example' to='one.example' id='x'>c0ffee</db:verify>
		p < <db:verify from='one.example' to='two.example' id='x' type='invalid'/>`},
	{name: "2.2.2 spaces around the key", script: asks + `
		open p two.example one.example
		p > <db:verify from='two.example' to='one.example' id='id-q'>$space $key $space</db:verify>
		p < <db:verify from='one.example' to='two.example' id='id-q' type='valid'/>`},
	{name: "2.2.2 verification does not need a stream that is verified", script: asks + `
		dial p
		~ p > <stream:stream $ns from='two.example' to='one.example'>
		p > <db:verify from='two.example' to='one.example' id='id-q'>$key</db:verify>
		p < <db:verify from='one.example' to='two.example' id='id-q' type='valid'/>`},
	{name: "2.2.2 an id with special characters", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		q > <stream:stream $ns id='&lt;a&amp;&apos;&quot; b' from='two.example' to='one.example' version='1.0'><stream:features>$dialback</stream:features>
		q < <db:result>=key</db:result>
		open p two.example one.example
		p > <db:verify from='two.example' to='one.example' id='&lt;a&amp;&apos;&quot; b'>$key</db:verify>
		p < <db:verify from='one.example' to='two.example' id='&lt;a&amp;&apos;&quot; b' type='valid'/>`},
	{name: "2.2.2 verification without from", script: `
		open p two.example one.example
		p > <db:verify to='one.example' id='x'>c0ffee</db:verify>
		p ends any
		or
		p < <db:verify type='error'/>
		or
		p < <db:verify type='invalid'/>`},
	{name: "2.2.2 verification without id", script: `
		open p two.example one.example
		p > <db:verify from='two.example' to='one.example'>c0ffee</db:verify>
		p ends any
		or
		p < <db:verify type='error'/>
		or
		p < <db:verify type='invalid'/>`},
	refuses("2.1.1 example 3, invalid", "q > <db:result from='two.example' to='one.example' type='invalid'/>", "internal-server-error", "remote-server-timeout"),
	refuses("2.1.1 example 4, item-not-found", "q > <db:result from='two.example' to='one.example' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>", "remote-server-timeout"),
	refuses("2.5 remote-connection-failed", "q > <db:result from='two.example' to='one.example' type='error'><error type='cancel'><remote-connection-failed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>", "remote-server-timeout"),
	refuses("2.5 policy-violation", "q > <db:result from='two.example' to='one.example' type='error'><error type='cancel'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>", "remote-server-timeout"),
	refuses("2.5 not-authorized", "q > <db:result from='two.example' to='one.example' type='error'><error type='cancel'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>", "remote-server-timeout"),
	refuses("2.5 resource-constraint", "q > <db:result from='two.example' to='one.example' type='error'><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>", "remote-server-timeout"),
	refuses("2.5 an error without a condition", "q > <db:result from='two.example' to='one.example' type='error'/>", "remote-server-timeout"),
	refuses("2.1.1 a type that nobody knows", "q > <db:result from='two.example' to='one.example' type='perhaps'/>", "remote-server-timeout", "internal-server-error"),
	refuses("2.1.1 the stream ends before the result", "q > </stream:stream>", "remote-server-timeout"),
	refuses("2.1.1 the connection breaks before the result", "cut q", "remote-server-timeout"),
	refuses("2.1.1 no result comes", "pass 1s", "remote-server-timeout"),
	refuses("2.1.1 an error of the stream before the result", "q > <stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>", "remote-server-timeout"),
	{name: "2.1.1 dialback without the feature, by the namespace alone", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><stream:features/>
		q < <db:result from='one.example' to='two.example'>*</db:result>`},
	{name: "2.1.1 another prefix than db in the answer", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		q > <stream:stream xmlns='jabber:server' xmlns:d='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams' id='x' from='two.example' to='one.example' version='1.0'><stream:features>$dialback</stream:features>
		q < <db:result>*</db:result>
		q > <d:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>`},
	{name: "2.1.1 from each local domain by its own key", script: asks + `
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>
		serve q2 two.example
		component c echo.one.example
		c > <message from='x@echo.one.example' to='$j' id='2'/>
		q < <db:result from='echo.one.example' to='two.example'>*</db:result>
		or
		q2 < <stream:stream from='echo.one.example' to='two.example'/>`},
	{name: "2.6.2 no target multiplexing without dialback errors", script: `
		srv xmpp-server two.example 10 0 5269 xmpp.two.example
		srv xmpp-server rooms.two.example 10 0 5269 xmpp.two.example
		ip xmpp.two.example 198.51.100.7
		login ro 1
		serve q 198.51.100.7:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream to='two.example'/>
		greet q <dialback $db/>
		q < <db:result/>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>
		serve q2 198.51.100.7:5269
		ro > <message to='x@rooms.two.example' id='2'/>
		q2 < <stream:stream to='rooms.two.example'/>`},
	{name: "2.6.2 target multiplexing may be used with them", script: `
		srv xmpp-server two.example 10 0 5269 xmpp.two.example
		srv xmpp-server rooms.two.example 10 0 5269 xmpp.two.example
		ip xmpp.two.example 198.51.100.7
		login ro 1
		serve q 198.51.100.7:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream to='two.example'/>
		greet q
		q < <db:result/>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>
		serve q2 198.51.100.7:5269
		ro > <message to='x@rooms.two.example' id='2'/>
		q2 < <stream:stream to='rooms.two.example'/>
		or
		q < <db:result from='one.example' to='rooms.two.example'>*</db:result>`},
	{name: "2.2 a request for verification on an outgoing stream", script: asks + `
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>
		q > <db:verify from='two.example' to='one.example' id='id-q'>$key</db:verify>
		q ends any
		or
		q < <db:verify from='one.example' to='two.example' id='id-q' type='valid'/>
		or`},
	{name: "2.1.1 a second pair is refused, the first goes on", script: asks + `
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>
		auto two two.example
		component c echo.one.example
		c > <message from='x@echo.one.example' to='$j' id='2'/>
		q < <db:result from='echo.one.example' to='two.example'>*</db:result>
		or
		two < <message id='2'/>
		ro > <message to='$j' id='3'/>
		q < <message id='3'/>`},
}

func TestXEP0220Initiating(t *testing.T) { runFederation(t, initiatingRows) }
