package conformance

import "testing"

// Section 3 of XEP-0368, by the numbers of its rules.
var directRows = []frow{
	{name: "3 rule 2, TLS from the first byte", with: withTLS, script: `
		login ro 1
		srv xmpps-server two.example 10 0 5270 xmpp.two.example
		ip xmpp.two.example 198.51.100.7
		serves q 198.51.100.7:5270 two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream from='one.example' to='two.example' version='1.0'/>
		greet q ` + mechanisms + `
		q < <auth $sasl mechanism='EXTERNAL'>*</auth>
		q > <success $sasl/>
		q < <stream:stream/>
		greet q $space
		q < <message id='1'/>`},
	{name: "3 rules 6, 7 and 9, SNI and ALPN", with: withTLS, do: func(f *federation) {
		f.script(`
			login ro 1
			srv xmpps-server two.example 10 0 5270 xmpp.two.example
			ip xmpp.two.example 198.51.100.7
			serves q 198.51.100.7:5270 two.example
			ro > <message to='$j' id='1'/>
			q < <stream:stream/>`)
		if q := f.client("q"); q.sni != "two.example" || q.alpn != "xmpp-server" {
			f.fail("got the name %q and the protocols %q, want two.example and xmpp-server", q.sni, q.alpn)
		}
	}},
	{name: "RFC 6120 5.4.3.1, RFC 6066 SNI with STARTTLS", with: withTLS, do: func(f *federation) {
		f.script(connects("two.example") + "q < <stream:stream/>")
		if q := f.client("q"); q.sni != "two.example" {
			f.fail("got the name %q, want two.example", q.sni)
		}
	}},
	{name: "3 rule 1, the priorities of both records are mixed", with: withTLS, script: `
		login ro 1
		srv xmpp-server two.example 10 0 5269 first.two.example
		srv xmpps-server two.example 20 0 5270 second.two.example
		srv xmpp-server two.example 30 0 5269 third.two.example
		ip first.two.example 198.51.100.1
		ip second.two.example 198.51.100.2
		ip third.two.example 198.51.100.3
		serve q 198.51.100.3:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		dialled 198.51.100.1:5269 198.51.100.2:5270 198.51.100.3:5269`},
	{name: "3 rule 3, no TLS from the first byte with the other records", with: withTLS, script: `
		login ro 1
		srv xmpp-server two.example 10 0 5270 xmpp.two.example
		ip xmpp.two.example 198.51.100.7
		serve q 198.51.100.7:5270
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>`},
	{name: "3 rule 5, no STARTTLS within TLS", with: withTLS, script: `
		login ro 1
		srv xmpps-server two.example 10 0 5270 xmpp.two.example
		ip xmpp.two.example 198.51.100.7
		serves q 198.51.100.7:5270 two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q <starttls $tls/>` + mechanisms + `
		q < <auth $sasl mechanism='EXTERNAL'>*</auth>
		or
		q ends any
		ro < <message type='error'/>`},
	{name: "3 rule 4, certificates are verified", with: withTrusted, do: func(f *federation) {
		f.script(`
			login ro 1
			srv xmpps-server two.example 10 0 5270 xmpp.two.example
			ip xmpp.two.example 198.51.100.7
			serves q 198.51.100.7:5270 unknown`)
		f.without("ro > <message to='$j' id='1'/>")
		f.without("greet q " + mechanisms)
		f.without("q > <success $sasl/>")
		f.without("greet q $space")
		f.returned("q", "remote-server-timeout")
	}},
	{name: "5 a target that is the root means the other records", with: withTLS, script: `
		login ro 1
		srv xmpps-server two.example 0 0 0 .
		srv xmpp-server two.example 10 0 5269 xmpp.two.example
		ip xmpp.two.example 198.51.100.7
		ip two.example 198.51.100.8
		serve q 198.51.100.7:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		dialled 198.51.100.7:5269`},
	{name: "5 a target that is the root, and no other records", with: withTLS, script: `
		login ro 1
		srv xmpps-server two.example 0 0 0 .
		ip two.example 198.51.100.8
		serve q 198.51.100.8:5269
		ro > <message to='$j' id='1'/>
		ro < <message type='error' id='1'>!remote-server-not-found</message> | <message type='error' id='1'>!remote-server-timeout</message>
		dialled`},
	{name: "3 a listener with TLS from the first byte", with: withTLS, script: `
		login ro 1
		direct p two.example
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream from='one.example'/>
		p < <stream:features><starttls $tls no=''/><mechanisms $sasl><mechanism $sasl>EXTERNAL</mechanism></mechanisms></stream:features>
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>
		~ p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
	{name: "3 a listener with TLS from the first byte, without a certificate dialback", with: withRequired, script: `
		auto two two.example valid two.example
		direct p none
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream from='one.example'/>
		p < <stream:features><starttls $tls no=''/><mechanisms $sasl no=''/></stream:features>
		prove p two.example one.example`},
	{name: "3 rule 5, STARTTLS on a listener with TLS from the first byte", with: withTLS, script: `
		direct p two.example
		~ p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p > <starttls $tls/>
		p << <failure $tls/>
		p << </stream:stream>
		p << eof
		or
		p ends any`},
}

func TestXEP0368BetweenServers(t *testing.T) { runFederation(t, directRows) }
