package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What follows from the text of RFC 6120 for the streams that other servers open:
// p is such a server.
var serverStreamRows = []frow{
	{name: "4.7 the response header", script: `
		dial p
		p > <?xml version='1.0'?><stream:stream $ns from='two.example' to='one.example' version='1.0' xml:lang='en'>
		p < <stream:stream from='one.example' to='two.example' id='*' version='1.0' xml:lang='*'/>
		p < <stream:features/>`},
	{name: "4.8.1, 4.8.2 the namespaces of the response header", do: func(f *federation) {
		f.dial("p", "one.example").send(header("two.example", "one.example"))
		got := f.client("p").take()
		for _, want := range []string{"xmlns='jabber:server'", "xmlns:db='jabber:server:dialback'", "xmlns:stream='" + stanza.NSStream + "'"} {
			if len(got) == 0 || !strings.Contains(strings.ReplaceAll(got[0].raw, `"`, "'"), want) {
				f.fail("got %s, want %s in the header", raw(got), want)
			}
		}
	}},
	{name: "4.7.3 the id differs for each stream", do: func(f *federation) {
		seen := map[string]bool{}
		for i := range 20 {
			name := fmt.Sprint("p", i)
			f.open(name, "two.example", "one.example")
			if id := f.vars["sid_"+name]; id == "" || seen[id] {
				f.fail("got the id %q, want one that is new", id)
			}
			seen[f.vars["sid_"+name]] = true
		}
	}},
	{name: "4.7.3 an id of the peer means nothing", script: `
		dial p
		p > <stream:stream $ns id='mine' from='two.example' to='one.example' version='1.0'>
		p < <stream:stream id='~[^m].*|m[^i].*'/>
		p < <stream:features/>`},
	{name: "4.7.1 no from", script: `
		dial p
		p > <stream:stream $ns to='one.example' version='1.0'>
		p < <stream:stream from='one.example' to='absent' id='*'/>
		p < <stream:features/>
		or
		p < <stream:stream id='*'/>
		p ends improper-addressing|invalid-from|not-authorized`},
	{name: "4.7.1 a from that is no domain", script: `
		dial p
		p > <stream:stream $ns from='two..example' to='one.example' version='1.0'>
		p < <stream:stream id='*'/>
		p < <stream:features/>
		or
		p < <stream:stream id='*'/>
		p ends improper-addressing|invalid-from`},
	{name: "4.7.1 a from with a localpart", script: `
		dial p
		p > <stream:stream $ns from='juliet@two.example' to='one.example' version='1.0'>
		p < <stream:stream id='*'/>
		p < <stream:features/>
		or
		p < <stream:stream id='*'/>
		p ends improper-addressing|invalid-from`},
	{name: "4.7.2, 4.9.1.3 no to", script: `
		dial p
		p > <stream:stream $ns from='two.example' version='1.0'>
		p < <stream:stream from='~(one.example)?' id='*'/>
		p ends improper-addressing|host-unknown`},
	{name: "4.9.1.2, 4.9.1.3, 4.9.3.6 a domain that is not served", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='nowhere.example' version='1.0'>
		p < <stream:stream from='~(one.example)?' id='*'/>
		p ends host-unknown`},
	{name: "4.9.3.6 a name below the domain is another", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='sub.one.example' version='1.0'>
		p < <stream:stream id='*'/>
		p ends host-unknown`},
	{name: "4.7.2 a to that is no domain", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one..example' version='1.0'>
		p < <stream:stream id='*'/>
		p ends host-unknown|improper-addressing`},
	{name: "4.7.2, RFC 7622 3.2 the domain in any letter case", script: `
		dial p
		p > <stream:stream $ns from='TWO.Example' to='ONE.example' version='1.0'>
		p < <stream:stream from='~one.example|ONE.example' to='~two.example|TWO.Example' id='*'/>
		p < <stream:features/>`},
	{name: "4.7.5 a server before XMPP 1.0", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example'>
		p < <stream:stream from='one.example' id='*' version='absent'/>
		or
		p < <stream:stream id='*'/>
		p ends unsupported-version`},
	{name: "4.7.5 a lower version", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='0.9'>
		p < <stream:stream from='one.example' id='*' version='~0.9|absent'/>
		or
		p < <stream:stream from='one.example' id='*' version='absent'/>
		or
		p < <stream:stream id='*'/>
		p ends unsupported-version`},
	{name: "4.7.5 a higher minor version", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.11'>
		p < <stream:stream version='1.0'/>
		p < <stream:features/>`},
	{name: "4.7.5 a higher major version", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='2.0'>
		p < <stream:stream version='1.0'/>
		p < <stream:features/>
		or
		p < <stream:stream/>
		p ends unsupported-version`},
	{name: "4.8.3 another prefix", script: `
		dial p
		p > <s:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:s='http://etherx.jabber.org/streams' from='two.example' to='one.example' version='1.0'>
		p < <stream:stream id='*'/>
		p < <stream:features/>
		or
		p < <stream:stream/>
		p ends bad-namespace-prefix`},
	{name: "4.9.3.10 another namespace of the stream", script: `
		dial p
		p > <stream:stream xmlns='jabber:server' xmlns:stream='http://example.org/streams' from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p ends invalid-namespace`},
	{name: "4.9.3.10 the content namespace of clients", script: `
		dial p
		p > <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p ends invalid-namespace`},
	{name: "4.9.3.10 no content namespace", script: `
		dial p
		p > <stream:stream xmlns:stream='http://etherx.jabber.org/streams' from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p ends invalid-namespace`},
	{name: "4.9.3.1 another root", script: `
		dial p
		p > <query xmlns='jabber:server' from='two.example' to='one.example'>
		p < <stream:stream/>
		p ends bad-format|invalid-namespace|invalid-xml|not-well-formed`},
	{name: "4.9.1.2 no XML at all", script: `
		dial p
		p > GET / HTTP/1.1
		p < <stream:stream/>
		p ends bad-format|not-well-formed|invalid-xml|invalid-namespace
		or
		p < eof`},
	{name: "4.9.3.22 another encoding", script: `
		dial p
		p > <?xml version='1.0' encoding='ISO-8859-1'?><stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p ends unsupported-encoding|bad-format`},
	{name: "4.9.3.14 not well-formed in the header", script: `
		dial p
		p > <stream:stream $ns from='two.example' from='two.example'>
		p < <stream:stream/>
		p ends not-well-formed|bad-format`},
	{name: "4.4 the stream ends in order", script: `
		open p two.example one.example
		p > </stream:stream>
		p ends`},
	{name: "4.4, 4.9.1.1 an error of the peer ends the stream", script: `
		open p two.example one.example
		p > <stream:error><undefined-condition $streams/></stream:error></stream:stream>
		p ends`},
	{name: "4.6.1 spaces keep alive", script: `
		link p two.example
		login ro 1
		p > $space
		p > $space $space
		p > <message from='$j' to='$ro' id='1'/>
		ro < <message from='$j' id='1'/>`},
	{name: "4.9.3.12 a stanza before anything is proved", script: `
		login ro 1
		open p two.example one.example
		p > <message from='$j' to='$ro'><body>!</body></message>
		p ends not-authorized`},
	{name: "4.9.3.12 a request before anything is proved", script: `
		open p two.example one.example
		p > <iq from='$j' to='one.example' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>
		p ends not-authorized`},
	{name: "4.9.3.24 an element that nobody knows, before anything is proved", script: `
		open p two.example one.example
		p > <what xmlns='urn:example:what'/>
		p ends not-authorized|unsupported-stanza-type|policy-violation`},
	{name: "4.9.3.24 an element that nobody knows", script: `
		link p two.example
		p > <what xmlns='urn:example:what'/>
		p ends unsupported-stanza-type
		or`},
	{name: "4.9.3.24 an unknown stanza", script: `
		link p two.example
		p > <pubsub from='$j' to='$r'/>
		p ends unsupported-stanza-type|unsupported-feature`},
	{name: "4.9.3.14 not well-formed", script: `
		link p two.example
		p > <message from='$j' to='$r'></presence>
		p ends not-well-formed|bad-format`},
	{name: "4.9.3.13 bad namespace prefix", script: `
		link p two.example
		p > <message from='$j' to='$r'><x:y/></message>
		p ends bad-namespace-prefix|not-well-formed|bad-format`},
	{name: "11.1 comments", script: `
		link p two.example
		p > <message from='$j' to='$r'><!-- - --></message>
		p ends restricted-xml`},
	{name: "11.1 processing instructions", script: `
		link p two.example
		p > <?php echo?>
		p ends restricted-xml`},
	{name: "11.1 entities", script: `
		link p two.example
		p > <message from='$j' to='$r'><body>&foo;</body></message>
		p ends restricted-xml|not-well-formed`},
	{name: "11.1 document types", script: `
		dial p
		p > <!DOCTYPE x [<!ENTITY a 'b'>]><stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p ends restricted-xml`},
	{name: "11.6 UTF-8 that is none", do: func(f *federation) {
		f.link("p", "two.example", "one.example")
		f.script(`
			p > <message from='$j' to='$r'><body>` + "\xff\xfe" + `</body></message>
			p ends not-well-formed|unsupported-encoding|bad-format|invalid-xml`)
	}},
	{name: "4.9.3.14 too much before anything is proved", do: func(f *federation) {
		f.open("p", "two.example", "one.example")
		f.script(`
			p > <db:result from='two.example' to='one.example'>` + strings.Repeat("0", 20000) + `</db:result>
			p ends policy-violation`)
	}},
	{name: "13.12 a stanza that is too large", with: func(f *federation) { f.site("one.example").options.MaxStanzaSize = 10000 }, do: func(f *federation) {
		f.link("p", "two.example", "one.example")
		f.script(`
			p > <message from='$j' to='$r'><body>` + strings.Repeat("0", 20000) + `</body></message>
			p ends policy-violation`)
	}},
	{name: "13.12 a stanza that is large enough", do: func(f *federation) {
		f.link("p", "two.example", "one.example")
		body := strings.Repeat("0", 10000)
		f.script(`
			login ro 1
			p > <message from='$j' to='$ro'><body>` + body + `</body></message>
			ro < <message from='$j'><body>` + body + `</body></message>`)
	}},
	{name: "4.6.4, 4.9.3.4 nothing comes", with: func(f *federation) {
		f.site("one.example").options.NegotiationTimeout = 30 * time.Second
	}, script: `
		dial p
		pass 29s
		pass 2s
		p < eof
		or
		p < <stream:stream/>
		p ends connection-timeout|policy-violation|not-authorized
		or
		p < <stream:stream/>
		p ends`},
	{name: "4.6.4, 4.9.3.4 nothing is proved", with: func(f *federation) {
		f.site("one.example").options.NegotiationTimeout = 30 * time.Second
	}, script: `
		open p two.example one.example
		pass 29s
		pass 2s
		p ends connection-timeout|policy-violation|not-authorized
		or
		p ends`},
	{name: "4.6.4, 4.9.3.4 a stream on which nothing passes", script: `
		link p two.example
		pass 59m
		pass 11m
		p ends connection-timeout
		or
		p ends`},
	{name: "4.4 rule 2, what comes before the other side has ended its stream counts", do: func(f *federation) {
		f.script("login ro 1\nauto two two.example")
		p := newPeer(stanza.NSServer)
		p.answer = lastWords
		f.begin("p", p, f.order[0].servers.Dial())
		f.script(`
			open p two.example one.example
			prove p two.example one.example
			pass 70m
			p < eof
			ro < <message from='$j' to='$ro' id='last'/>`)
	}},
	{name: "4.9.3.21 the server stops", script: `
		link p two.example
		open p2 three.example one.example
		stop one.example
		p ends system-shutdown
		p2 ends system-shutdown`},
	{name: "4.9.3.13 too many streams from one address", with: func(f *federation) { f.site("one.example").options.MaxStreamsPerIP = 2 }, script: `
		open p two.example one.example
		open p2 two.example one.example
		dial p3
		p3 ? <stream:stream/>
		p3 ends policy-violation|resource-constraint|conflict
		or
		p3 > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p3 ? <stream:stream/>
		p3 ends policy-violation|resource-constraint|conflict
		or
		p2 > </stream:stream>
		p2 ends
		open p4 two.example one.example`},
	{name: "4.3.2 dialback is a feature where there are no certificates", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='one.example' version='1.0'>
		p < <stream:stream/>
		p < <stream:features><starttls $tls no=''/><mechanisms $sasl no=''/><dialback $db><errors $db/></dialback></stream:features>`},
	{name: "4.3.3 a header where none is due", script: `
		link p two.example
		p > <stream:stream $ns from='three.example' to='one.example' version='1.0'/>
		p ends any`},
}

// lastWords answers the end of a stream with a message before the other end.
func lastWords(e *element) (string, bool) {
	return "<message from='juliet@two.example' to='romeo@one.example/orchard' id='last'/>" + streamEnd, e.raw == streamEnd
}

func TestServerStreams(t *testing.T) { runFederation(t, serverStreamRows) }
