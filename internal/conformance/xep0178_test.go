package conformance

import (
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"
)

const saslNS = "urn:ietf:params:xml:ns:xmpp-sasl"

// authenticates is a row of a server that shows a certificate and opens a stream
// as a domain: it logs in by EXTERNAL, or can not.
func authenticates(name, cert, domain string, may bool) frow {
	return frow{name: name, with: withTLS, do: func(f *federation) {
		if got := f.authenticates(cert, domain); got != may {
			f.fail("logged in: %v, want %v", got, may)
		}
	}}
}

// authenticates reports whether a server that shows a certificate logs in.
// Where the certificate does not do the server may also close the connection.
func (f *federation) authenticates(cert, domain string) bool {
	f.script("dial p")
	p := f.client("p")
	p.send(header(domain, "one.example") + "<starttls xmlns='" + nsTLS + "'/>")
	p.take()
	f.tls("p", cert)
	p.take()
	p.send(header(domain, "one.example"))
	offered := false
	for _, e := range p.take() {
		offered = offered || strings.Contains(e.raw, ">EXTERNAL<")
	}
	p.send("<auth xmlns='" + saslNS + "' mechanism='EXTERNAL'>" + base64.StdEncoding.EncodeToString([]byte(domain)) + "</auth>")
	success := false
	for _, e := range p.take() {
		success = success || e.name.Local == "success"
	}
	if success != offered {
		f.fail("EXTERNAL was offered: %v, but success: %v", offered, success)
	}
	return success
}

// What proves a domain: RFC 6120, sections 13.7.1.2 and 13.7.2, RFC 6125,
// section 6.4, RFC 4985.
var certificateRows = []frow{
	authenticates("3 dNSName", "two.example", "two.example", true),
	authenticates("3 dNSName of another domain", "three.example", "two.example", false),
	authenticates("RFC 6125 6.4.1 dNSName in another letter case", "upper", "two.example", true),
	authenticates("3 one of several dNSNames", "several", "two.example", true),
	authenticates("RFC 6125 6.4.3 a name below the wildcard", "wildcard", "chat.two.example", true),
	authenticates("RFC 6125 6.4.3 the wildcard is not the domain", "wildcard", "two.example", false),
	authenticates("RFC 6125 6.4.3 the wildcard is one label", "wildcard", "a.chat.two.example", false),
	authenticates("RFC 6120 13.7.1.2 a name below without a wildcard", "two.example", "chat.two.example", false),
	authenticates("RFC 4985 SRVName", "srv", "two.example", true),
	authenticates("RFC 4985 SRVName for clients", "srv-other", "two.example", false),
	authenticates("RFC 4985 SRVName of another domain", "srv-three", "two.example", false),
	authenticates("RFC 6120 13.7.1.4 xmppAddr", "addr", "two.example", true),
	authenticates("RFC 6120 13.7.1.4 xmppAddr in another letter case", "addr-upper", "two.example", true),
	authenticates("RFC 6120 13.7.1.4 xmppAddr of a user", "addr-user", "two.example", false),
	authenticates("RFC 6125 6.4.4 a common name beside other names", "cn-san", "two.example", false),
	authenticates("RFC 6125 6.4.2 an A-label", "idn", "bücher.example", true),
	authenticates("RFC 6125 6.4.2 the domain by its A-label", "idn", "xn--bcher-kva.example", true),
	authenticates("RFC 5280 6.1 expired", "expired", "two.example", false),
	authenticates("RFC 5280 6.1 not yet valid", "future", "two.example", false),
	authenticates("RFC 5280 6.1 of a CA that nobody knows", "unknown", "two.example", false),
	authenticates("RFC 5280 6.1 by way of an intermediate CA", "chain", "two.example", true),
	authenticates("RFC 5280 6.1 without the intermediate certificate", "broken-chain", "two.example", false),
	authenticates("3 no certificate", "none", "two.example", false),
	// What certificate authorities give to servers, and what the flow of
	// section 3 is about.
	authenticates("3 a certificate for servers alone", "for-servers", "two.example", true),
	{name: "RFC 6125 6.4.4 a common name alone may do", with: withTLS, do: func(f *federation) {
		f.authenticates("cn", "two.example")
	}},
	{name: "3 step 9, without a match dialback", with: withTLS, script: `
		auto two two.example
		login ro 1
		starttls p three.example two.example one.example
		prove p two.example one.example
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`},
}

// external is a row of a server with the certificate of two.example, which has
// opened a stream as such within TLS.
func external(name, script string) frow {
	return frow{name: name, with: withTLS, script: "login ro 1\nstarttls p two.example two.example one.example\n" + script}
}

var externalRows = []frow{
	external("3 step 10, =", `
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>`),
	external("3 step 10, the authorization identity", `
		p > <auth $sasl mechanism='EXTERNAL'>dHdvLmV4YW1wbGU=</auth>
		p < <success $sasl/>`),
	external("RFC 6120 6.4.2 no initial response", `
		p > <auth $sasl mechanism='EXTERNAL'/>
		p < <challenge $sasl only=''></challenge>
		p > <response $sasl>dHdvLmV4YW1wbGU=</response>
		p < <success $sasl/>`),
	external("RFC 6120 6.4.2 no initial response, an empty one then", `
		p > <auth $sasl mechanism='EXTERNAL'/>
		p < <challenge $sasl/>
		p > <response $sasl/>
		p < <success $sasl/>
		or
		p < <failure $sasl/>`),
	external("3 step 11, another identity", `
		p > <auth $sasl mechanism='EXTERNAL'>dGhyZWUuZXhhbXBsZQ==</auth>
		p < <failure $sasl><invalid-authzid $sasl/></failure> | <failure $sasl><not-authorized $sasl/></failure>
		or
		p < <failure $sasl><invalid-authzid $sasl/></failure> | <failure $sasl><not-authorized $sasl/></failure>
		p ends any`),
	external("3 step 11, a user as the identity", `
		p > <auth $sasl mechanism='EXTERNAL'>anVsaWV0QHR3by5leGFtcGxl</auth>
		p < <failure $sasl><invalid-authzid $sasl/></failure> | <failure $sasl><not-authorized $sasl/></failure>
		or
		p < <failure $sasl><invalid-authzid $sasl/></failure> | <failure $sasl><not-authorized $sasl/></failure>
		p ends any`),
	external("3 the identity in another letter case", `
		p > <auth $sasl mechanism='EXTERNAL'>VFdPLmV4YW1wbGU=</auth>
		p < <success $sasl/>
		or
		p < <failure $sasl/>`),
	external("RFC 6120 6.5.5 what is not base64", `
		p > <auth $sasl mechanism='EXTERNAL'>two.example</auth>
		p < <failure $sasl><incorrect-encoding $sasl/></failure>
		or
		p < <failure $sasl><incorrect-encoding $sasl/></failure>
		p ends any`),
	external("RFC 6120 6.5.7 another mechanism", `
		p > <auth $sasl mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>
		p < <failure $sasl><invalid-mechanism $sasl/></failure>
		or
		p < <failure $sasl><invalid-mechanism $sasl/></failure>
		p ends any`),
	external("RFC 6120 6.4.4, 6.5.1 abort", `
		p > <auth $sasl mechanism='EXTERNAL'/>
		p < <challenge $sasl/>
		p > <abort $sasl/>
		p < <failure $sasl><aborted $sasl/></failure>`),
	external("RFC 6120 6.4.5 once more after a failure", `
		p > <auth $sasl mechanism='EXTERNAL'>dGhyZWUuZXhhbXBsZQ==</auth>
		p < <failure $sasl/>
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>`),
	external("RFC 6120 6.4.5 not for ever", `
		~ p > <auth $sasl mechanism='PLAIN'>=</auth>
		~ p > <auth $sasl mechanism='PLAIN'>=</auth>
		~ p > <auth $sasl mechanism='PLAIN'>=</auth>
		~ p > <auth $sasl mechanism='PLAIN'>=</auth>
		~ p > <auth $sasl mechanism='PLAIN'>=</auth>
		~ p > <auth $sasl mechanism='PLAIN'>=</auth>
		p > <message from='$j' to='$ro'/>
		p ends any
		or`),
	external("3 dialback after a failure", `
		auto two two.example
		p > <auth $sasl mechanism='EXTERNAL'>dGhyZWUuZXhhbXBsZQ==</auth>
		p < <failure $sasl/>
		prove p two.example one.example
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>`),
	external("3 stanzas from the domain, and to it by another stream", `
		auto two two.example
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>
		~ p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>
		ro > <message to='$j' id='2'/>
		two < <message from='$ro' id='2'/>`),
	external("RFC 6120 8.1.2.2 from another domain", `
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>
		~ p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p > <message from='$m' to='$ro' id='forged'/>
		p ends invalid-from`),
	external("RFC 6120 8.1.2.2 another domain by dialback on the same stream", `
		auto three three.example
		p > <auth $sasl mechanism='EXTERNAL'>=</auth>
		p < <success $sasl/>
		~ p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		prove p three.example one.example
		p > <message from='$m' to='$ro' id='1'/>
		ro < <message id='1'/>
		p > <message from='$j' to='$ro' id='2'/>
		ro < <message id='2'/>`),
	{name: "3 several names in the certificate do not prove several domains", with: withTLS, script: `
		login ro 1
		external p several two.example one.example
		p > <message from='$m' to='$ro' id='forged'/>
		p ends invalid-from`},
}

// connects is the beginning of rows in which one.example connects to q by
// STARTTLS, and q shows a certificate.
func connects(cert string) string {
	return `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream from='one.example' to='two.example'/>
		greet q <starttls $tls/>$dialback
		q < <starttls $tls/>
		q > <proceed $tls/>
		tls q ` + cert + `
	`
}

const mechanisms = "<mechanisms xmlns='" + saslNS + "'><mechanism>EXTERNAL</mechanism></mechanisms>"

var outgoingRows = []frow{
	{name: "3 the whole flow from the other side", with: withTLS, script: connects("two.example") + `
		q < <stream:stream from='one.example' to='two.example' version='1.0'/>
		greet q ` + mechanisms + `
		q < <auth $sasl mechanism='EXTERNAL'>b25lLmV4YW1wbGU=</auth> | <auth $sasl mechanism='EXTERNAL'>=</auth>
		q > <success $sasl/>
		q < <stream:stream from='one.example' to='two.example' version='1.0'/>
		greet q $space
		q < <message from='$ro' to='$j' id='1'/>`},
	{name: "3 step 10, note: the identity is sent for older servers", with: withTLS, script: connects("two.example") + `
		q < <stream:stream/>
		greet q ` + mechanisms + `
		q < <auth $sasl mechanism='EXTERNAL'>b25lLmV4YW1wbGU=</auth>`},
	{name: "3 the certificate of the local domain", with: func(f *federation) { f.site("other.example", "one.example").secured() }, do: func(f *federation) {
		f.script(connects("two.example") + "q < <stream:stream/>")
		state := f.client("q").connection().(*tls.Conn).ConnectionState()
		if len(state.PeerCertificates) == 0 || state.PeerCertificates[0].VerifyHostname("one.example") != nil {
			f.fail("got %d certificates, want that of one.example", len(state.PeerCertificates))
		}
	}},
	{name: "3 SASL fails: dialback or another try", with: withTLS, do: func(f *federation) {
		f.script(connects("two.example") + `
			q < <stream:stream/>
			greet q ` + mechanisms + dialbackFeature + `
			q < <auth $sasl/>
			q > <failure $sasl><not-authorized/></failure></stream:stream>
			q ? </stream:stream>
			q ? eof
			q ? <db:result/>
			or
			q ? <db:result/>
			q ? </stream:stream>
			q ? eof
			ro < <message type='error' id='1'>!remote-server-timeout</message>`)
	}},
	{name: "3 no EXTERNAL: dialback", with: withTLS, script: connects("two.example") + `
		q < <stream:stream/>
		greet q
		q < <db:result from='one.example' to='two.example'>*</db:result>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>`},
	{name: "3 a certificate that proves nothing, dialback does", with: withTLS, script: connects("unknown") + `
		q < <stream:stream/>
		greet q
		q < <db:result from='one.example' to='two.example'>*</db:result>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q < <message id='1'/>`},
	{name: "RFC 6120 13.7.2 a certificate that proves nothing, where one is needed", with: withTrusted, do: func(f *federation) { f.untrusted("unknown") }},
	{name: "RFC 6120 13.7.2 expired", with: withTrusted, do: func(f *federation) { f.untrusted("expired") }},
	{name: "RFC 6120 13.7.2 of another domain", with: withTrusted, do: func(f *federation) { f.untrusted("three.example") }},
	{name: "RFC 6120 13.7.2 SRVName for clients", with: withTrusted, do: func(f *federation) { f.untrusted("srv-other") }},
	{name: "RFC 6120 13.7.2 a certificate that does", with: withTrusted, script: connects("srv") + `
		q < <stream:stream/>
		greet q ` + mechanisms + `
		q < <auth $sasl mechanism='EXTERNAL'>*</auth>
		q > <success $sasl/>
		q < <stream:stream/>
		greet q $space
		q < <message id='1'/>`},
	{name: "RFC 6120 5.3.1 no TLS where it is needed", with: withRequired, do: func(f *federation) {
		f.script("login ro 1\nserve q two.example\nro > <message to='$j' id='1'/>\nq < <stream:stream/>")
		f.without("greet q")
		f.returned("q", "remote-server-timeout")
	}},
	{name: "RFC 6120 5.4.2.1 TLS fails where it is needed", with: withRequired, do: func(f *federation) {
		f.script("login ro 1\nserve q two.example\nro > <message to='$j' id='1'/>\nq < <stream:stream/>\ngreet q <starttls $tls/>$dialback\nq < <starttls $tls/>")
		f.without("plain q")
		f.without("q > <failure $tls/></stream:stream>")
		f.returned("q", "remote-server-timeout")
	}},
	{name: "RFC 6120 5.4.3.3 features from before TLS do not count", with: withTLS, script: connects("two.example") + `
		q < <stream:stream/>
		greet q <starttls $tls/>$dialback
		q ends any
		or
		q ends any
		ro < <message type='error' id='1'/>
		or
		q < <db:result/>`},
	{name: "RFC 6120 5.3.4 what is sent in the clear after proceed counts as nothing", with: withTLS, do: func(f *federation) {
		f.script("login ro 1\nserve q two.example\nro > <message to='$j' id='1'/>\nq < <stream:stream/>\ngreet q <starttls $tls/>$dialback\nq < <starttls $tls/>")
		q := f.client("q")
		q.send("<proceed xmlns='" + nsTLS + "'/>" + header("two.example", "one.example") + "<stream:features/><db:result from='two.example' to='one.example' type='valid'/>")
		f.tls("q", "two.example")
		for _, e := range q.take() {
			if e.isStanza() {
				f.fail("got %s", e.raw)
			}
		}
	}},
}

// untrusted has q show a certificate that does not do; ro gets its stanza back.
func (f *federation) untrusted(cert string) {
	f.script("login ro 1\nserve q two.example\nro > <message to='$j' id='1'/>\nq < <stream:stream/>\ngreet q <starttls $tls/>$dialback\nq < <starttls $tls/>")
	f.without("q > <proceed $tls/>")
	f.without("tls q " + cert)
	f.without("greet q " + mechanisms + dialbackFeature)
	f.without("q > <success $sasl/>")
	f.without("q > <db:result from='two.example' to='one.example' type='valid'/>")
	f.without("greet q $space")
	f.returned("q", "remote-server-timeout")
}

func TestXEP0178Certificates(t *testing.T) { runFederation(t, certificateRows) }
func TestXEP0178External(t *testing.T)     { runFederation(t, externalRows) }
func TestXEP0178Outgoing(t *testing.T)     { runFederation(t, outgoingRows) }
