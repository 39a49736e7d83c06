package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// What p, the server of two.example, may send and what becomes of it. Its server
// two gets what is sent to its domain.
var serverStanzaRows = []frow{
	{name: "8.1.1.2, 4.9.3.7 a message without to", script: `
		link p two.example
		p > <message from='$j'/>
		p ends improper-addressing`},
	{name: "8.1.1.2 presence without to", script: `
		link p two.example
		p > <presence from='$jb'/>
		p ends improper-addressing`},
	{name: "8.1.1.2 a request without to", script: `
		link p two.example
		p > <iq from='$jb' type='get' id='1'><ping $ping/></iq>
		p ends improper-addressing`},
	{name: "4.9.3.7 an empty to", script: `
		link p two.example
		p > <message from='$j' to=''/>
		p ends improper-addressing`},
	{name: "8.1.2.2, 4.9.3.7 a message without from", script: `
		link p two.example
		p > <message to='$r'/>
		p ends improper-addressing|invalid-from`},
	{name: "8.1.2.2 an empty from", script: `
		link p two.example
		p > <message from='' to='$r'/>
		p ends improper-addressing|invalid-from`},
	{name: "4.9.3.7 a from that is no JID", script: `
		login ro 1
		link p two.example
		p > <message from='@two.example' to='$ro'/>
		p ends improper-addressing|invalid-from
		or
		p > <message from='@three.example' to='$ro'/>
		p ends improper-addressing|invalid-from
		or`},
	{name: "4.9.3.7, 8.1.1 a to that is no JID", script: `
		link p two.example
		p > <message from='$j' to='ro meo@one.example' id='1'/>
		p ends improper-addressing
		or
		two < <message type='error' to='$j' id='1'>!jid-malformed</message>`},
	{name: "8.1.2.2, 4.9.3.9 from another domain", script: `
		login ro 1
		link p two.example
		p > <message from='$m' to='$ro'/>
		p ends invalid-from`},
	{name: "8.1.2.2 from a domain below", script: `
		login ro 1
		link p two.example
		p > <message from='juliet@sub.two.example' to='$ro'/>
		p ends invalid-from`},
	{name: "8.1.2.2 from a domain above", script: `
		login ro 1
		auto two sub.two.example
		link p sub.two.example
		p > <message from='$j' to='$ro'/>
		p ends invalid-from`},
	{name: "8.1.2.2 from a user of the receiving server", script: `
		login ro 1
		link p two.example
		p > <message from='$t' to='$ro'/>
		p ends invalid-from`},
	{name: "8.1.2.2 from the domain of the receiving server", script: `
		login ro 1
		link p two.example
		p > <message from='one.example' to='$ro'/>
		p ends invalid-from`},
	{name: "8.1.2.2 what came before the forgery counts", script: `
		login ro 1
		link p two.example
		p > <message from='$j' to='$ro' id='1'/><message from='$m' to='$ro' id='2'/><message from='$j' to='$ro' id='3'/>
		ro < <message id='1'/>
		p ends invalid-from`},
	{name: "8.1.2.2 from in any letter case", script: `
		login ro 1
		link p two.example
		p > <message from='Juliet@TWO.example' to='ROMEO@One.example/orchard' id='1'/>
		ro < <message from='$j' to='$ro' id='1'/>`},
	{name: "8.1.2.2, RFC 7622 3.2 the final dot of a domain", script: `
		login ro 1
		link p two.example
		p > <message from='juliet@two.example./balcony' to='$ro' id='1'/>
		ro < <message from='$jb' id='1'/>`},
	{name: "8.1.2.2, RFC 7622 3.2.1 A-labels are U-labels", script: `
		login ro 1
		auto b xn--bcher-kva.example
		open p xn--bcher-kva.example one.example
		p > <db:result from='xn--bcher-kva.example' to='one.example'>c0ffee</db:result>
		p < <db:result from='one.example' to='~xn--bcher-kva.example|bücher.example' type='valid'/>
		p > <message from='x@bücher.example' to='$ro' id='1'/><message from='x@xn--bcher-kva.example' to='$ro' id='2'/>
		ro << <message from='x@bücher.example' id='1'/>
		ro << <message from='x@bücher.example' id='2'/>`},
	{name: "4.5 a second stream of the same server", script: `
		login ro 1
		link p two.example
		link p2 two.example
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message id='1'/>
		p2 > <message from='$j' to='$ro' id='2'/>
		ro < <message id='2'/>
		p > <message from='$j' to='$ro' id='3'/>
		ro < <message id='3'/>`},
	{name: "8.1.2.2 from the server itself", script: `
		login ro 1
		link p two.example
		p > <message from='two.example' to='$ro' id='1'/>
		ro < <message from='two.example' to='$ro' id='1'/>`},
	{name: "10.4 a third domain is nothing to the receiving server", script: `
		auto three three.example
		link p two.example
		p > <message from='$j' to='$m' id='1'/>
		p ends host-unknown|improper-addressing|not-authorized|policy-violation
		or
		two < <message type='error' to='$j' from='$m' id='1'><error type='*'/></message>`},
	{name: "10.4 nor is a domain below", script: `
		link p two.example
		p > <message from='$j' to='x@sub.one.example' id='1'/>
		p ends host-unknown|improper-addressing|not-authorized|policy-violation
		or
		two < <message type='error' to='$j' from='x@sub.one.example' id='1'><error type='*'/></message>`},
	{name: "4.8.3, 8 everything of a message", script: `
		login ro 1
		link p two.example
		p > <message from='$jb' to='$ro' type='chat' id='a&amp;b&apos;' xml:lang='cs'><body>a &lt; b</body><thread parent='x'>t</thread><x xmlns='urn:x'><y z='1'/></x></message>
		ro < <message from='$jb' to='$ro' type='chat' id="a&amp;b'" xml:lang='cs' only=''><body>a &lt; b</body><thread parent='x'>t</thread><x xmlns='urn:x' only=''><y xmlns='urn:x' z='1'/></x></message>`},
	{name: "4.8.2 the content namespace is that of the recipient's stream", script: `
		login ro 1
		link p two.example
		p > <iq from='$jb' to='$ro' type='error' id='1'><query xmlns='urn:x'/><error type='cancel'><gone $stanzas>xmpp:x@y</gone></error></iq>
		ro < <iq from='$jb' type='error' id='1' only=''><query xmlns='urn:x'/><error type='cancel' only=''><gone $stanzas>xmpp:x@y</gone></error></iq>`},
	{name: "4.8.2 prefixes that the header has declared", script: `
		login ro 1
		auto two two.example
		dial p
		~ p > <stream:stream $ns xmlns:x='urn:x' from='two.example' to='one.example' version='1.0'>
		prove p two.example one.example
		p > <message from='$jb' to='$ro' id='1' x:a='1'><x:y/></message>
		ro < <message id='1'><y xmlns='urn:x'/></message>`},
	{name: "4.8.2 stanzas of clients on a stream of servers", script: `
		login ro 1
		link p two.example
		p > <message xmlns='jabber:client' from='$jb' to='$ro' id='1'/>
		p ends unsupported-stanza-type|invalid-namespace|bad-namespace-prefix
		or
		ro < <message id='1'/>`},
	{name: "8.2.3 a request to the server", script: `
		link p two.example
		p > <iq from='$jb' to='one.example' type='get' id='1'><ping $ping/></iq>
		two < <iq from='one.example' to='$jb' type='result' id='1' only=''/>`},
	{name: "8.2.3, 8.4 a request that nobody knows", script: `
		link p two.example
		p > <iq from='$jb' to='one.example' type='set' id='1'><what xmlns='urn:example:what'/></iq>
		two < <iq from='one.example' to='$jb' type='error' id='1'>!service-unavailable</iq> | <iq from='one.example' to='$jb' type='error' id='1'>!feature-not-implemented</iq>`},
	{name: "8.2.3 a request without content", script: `
		link p two.example
		p > <iq from='$jb' to='one.example' type='get' id='1'/>
		two < <iq from='one.example' to='$jb' type='error' id='1'>!bad-request</iq>`},
	{name: "8.2.3 a request with too much content", script: `
		link p two.example
		p > <iq from='$jb' to='one.example' type='get' id='1'><ping $ping/><ping $ping/></iq>
		two < <iq from='one.example' to='$jb' type='error' id='1'>!bad-request</iq>`},
	{name: "8.2.3 a request of an unknown type", script: `
		link p two.example
		p > <iq from='$jb' to='one.example' type='ask' id='1'><ping $ping/></iq>
		two < <iq from='one.example' to='$jb' type='error' id='1'>!bad-request</iq>`},
	{name: "8.2.3, 8.3.1 answers and errors are not answered", script: `
		link p two.example
		p > <iq from='$jb' to='one.example' type='result' id='1'/>
		p > <iq from='$jb' to='one.example' type='error' id='2'><error type='cancel'><gone $stanzas/></error></iq>
		p > <message from='$jb' to='nobody@one.example' type='error' id='3'><error type='cancel'><gone $stanzas/></error></message>
		p > <presence from='$jb' to='nobody@one.example' type='error' id='4'><error type='cancel'><gone $stanzas/></error></presence>`},
	{name: "8.2.3 a request to a client, and its answer", script: `
		login ro 1
		link p two.example
		p > <iq from='$jb' to='$ro' type='get' id='1'><version $version/></iq>
		ro < <iq from='$jb' to='$ro' type='get' id='1'><version $version/></iq>
		ro > <iq to='$jb' type='result' id='1'><version $version/></iq>
		two < <iq from='$ro' to='$jb' type='result' id='1'><version $version/></iq>`},
	{name: "8.3.3.19 a request to a client that is not there", script: `
		link p two.example
		p > <iq from='$jb' to='$ro' type='get' id='1'><ping $ping/></iq>
		two < <iq from='$ro' to='$jb' type='error' id='1'>!service-unavailable</iq>`},
	{name: "10.5.1 to a user that does not exist", script: `
		link p two.example
		p > <message from='$jb' to='nobody@one.example' id='1'><body>?</body></message>
		two < <message from='nobody@one.example' to='$jb' type='error' id='1'>!service-unavailable</message> | <message from='nobody@one.example' to='$jb' type='error' id='1'>!item-not-found</message>`},
	{name: "10.1 in order", do: func(f *federation) {
		f.script("login ro 1\nlink p two.example")
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, "<message from='juliet@two.example' to='romeo@one.example/orchard' id='%d'/>", i)
		}
		f.client("p").send(b.String())
		for i, e := range f.client("ro").take() {
			if e.attr("id") != fmt.Sprint(i) {
				f.fatal("got %s, want the id %d", e.raw, i)
			}
		}
	}},
	{name: "10.1 requests and messages in order", script: `
		link p two.example
		login ro 1
		p > <iq from='$jb' to='$ro' type='get' id='1'><ping $ping/></iq><message from='$jb' to='$ro' id='2'/><presence from='$jb' to='$ro' id='3'/><message from='$jb' to='$ro' id='4'/>
		ro << <iq id='1'/>
		ro << <message id='2'/>
		ro << <presence id='3'/>
		ro << <message id='4'/>`},
	{name: "8.1.3 an id is kept, and its absence", script: `
		login ro 1
		link p two.example
		p > <message from='$jb' to='$ro'/>
		ro < <message from='$jb' id='absent'/>`},
	{name: "8.1.5 a language is kept, and its absence", script: `
		login ro 1
		link p two.example
		p > <message from='$jb' to='$ro' xml:lang='de'/><message from='$jb' to='$ro'/>
		ro << <message from='$jb' xml:lang='de'/>
		ro << <message from='$jb' xml:lang='absent'/> | <message from='$jb' xml:lang='en'/>`},
	{name: "4.5 stanzas to p go by another stream", script: `
		login ro 1
		link p two.example
		ro > <message to='$j' id='1'/>
		two < <message from='$ro' to='$j' id='1'/>`},
}

func TestServerStanzas(t *testing.T) { runFederation(t, serverStanzaRows) }
