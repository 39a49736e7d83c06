package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/component"
)

// componentNS are the declarations of the stream headers of components.
const componentNS = "xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'"

// withHosts serves two components by name.
func withHosts(f *federation) {
	o := &f.site("one.example").component
	o.Hosts = map[string]component.HostOptions{"a.one.example": {Password: "pa"}, "b.one.example": {Password: "pb"}}
	o.GlobalRoutes = false
}

// attaching is a row about the header of a component.
func attaching(name, script string) frow {
	return frow{name: name, script: "stranger c\n" + script}
}

var attachingRows = []frow{
	attaching("3 the header", `
		c > <stream:stream `+componentNS+` to='echo.one.example'>
		c < <stream:stream from='echo.one.example' id='*' version='absent'/>`),
	attaching("3 with an XML declaration and a version", `
		c > <?xml version='1.0'?><stream:stream `+componentNS+` to='echo.one.example' version='1.0'>
		c < <stream:stream from='echo.one.example' id='*'/>
		c ? <stream:features/>`),
	attaching("3 a domain that belongs to no name here", `
		c > <stream:stream `+componentNS+` to='elsewhere.example'>
		c < <stream:stream from='elsewhere.example' id='*'/>
		or
		c < <stream:stream/>
		c ends host-unknown|conflict|not-authorized`),
	attaching("3 the domain of the server", `
		c > <stream:stream `+componentNS+` to='one.example'>
		c < <stream:stream id='=sid_c'/>
		c ends conflict|host-unknown|not-authorized
		or
		c < <stream:stream id='=sid_c'/>
		handshake c quay
		c ends conflict|host-unknown|not-authorized
		or`),
	attaching("3 no domain", `
		c > <stream:stream `+componentNS+`>
		c < <stream:stream/>
		c ends host-unknown|improper-addressing|bad-format`),
	attaching("3 what is no domain", `
		c > <stream:stream `+componentNS+` to='a..b'>
		c < <stream:stream/>
		c ends host-unknown|improper-addressing`),
	attaching("3 a user", `
		c > <stream:stream `+componentNS+` to='x@echo.one.example'>
		c < <stream:stream/>
		c ends host-unknown|improper-addressing`),
	attaching("3 the namespace of servers", `
		c > <stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' to='echo.one.example'>
		c < <stream:stream/>
		c ends invalid-namespace`),
	attaching("3 the other namespace of components", `
		c > <stream:stream xmlns='jabber:component:connect' xmlns:stream='http://etherx.jabber.org/streams' to='echo.one.example'>
		c < <stream:stream/>
		c ends invalid-namespace`),
	attaching("3 another namespace of the stream", `
		c > <stream:stream xmlns='jabber:component:accept' xmlns:stream='urn:x' to='echo.one.example'>
		c < <stream:stream/>
		c ends invalid-namespace`),
	attaching("RFC 6120 4.9.1.2 no XML at all", `
		c > EHLO echo.one.example
		c < <stream:stream/>
		c ends bad-format|not-well-formed|invalid-xml|invalid-namespace
		or
		c < eof`),
	{name: "3 the ids differ", script: `
		attach c echo.one.example
		attach d echo.one.example
		differ sid_c sid_d`},
	{name: "3 the namespace of the response header", do: func(f *federation) {
		f.script("stranger c")
		f.client("c").send("<stream:stream " + componentNS + " to='echo.one.example'>")
		got := f.client("c").take()
		if len(got) == 0 || !strings.Contains(strings.ReplaceAll(got[0].raw, `"`, "'"), "xmlns='jabber:component:accept'") {
			f.fail("got %s, want the namespace of components", raw(got))
		}
	}},
	{name: "3 the handshake", script: `
		attach c echo.one.example
		handshake c quay
		c < <handshake only=''></handshake>`},
	{name: "3 another secret", script: `
		attach c echo.one.example
		handshake c other
		c ends not-authorized
		or
		c ends`},
	{name: "3 no secret", script: `
		attach c echo.one.example
		c > <handshake/>
		c ends not-authorized
		or
		c ends`},
	{name: "3 step 4, upper case is not lower case", do: func(f *federation) {
		f.script("attach c echo.one.example")
		f.client("c").send("<handshake>" + strings.ToUpper(handshakeOf(f.vars["sid_c"], "quay")) + "</handshake>")
		f.script("pass 1ms\nc ends not-authorized\nor\nc < <handshake/>")
	}},
	{name: "3 the handshake of another stream", do: func(f *federation) {
		f.script("attach c echo.one.example\nattach d echo.one.example")
		f.client("c").send("<handshake>" + handshakeOf(f.vars["sid_d"], "quay") + "</handshake>")
		f.script("pass 1ms\nc ends not-authorized\nor\nc ends")
	}},
	{name: "3 a stanza before the handshake", script: `
		login ro 1
		attach c echo.one.example
		c > <message from='x@echo.one.example' to='$ro'/>
		c ends not-authorized`},
	{name: "3 nothing is routed before the handshake", script: `
		login ro 1
		attach c echo.one.example
		ro > <message to='x@echo.one.example' id='1'/>
		ro < <message type='error' id='1'/>`},
	{name: "3 another element before the handshake", script: `
		attach c echo.one.example
		c > <starttls $tls/>
		c ends any`},
	{name: "3 a second handshake", script: `
		component c echo.one.example
		handshake c quay
		c ends any
		or
		c < <handshake/>
		or`},
	{name: "RFC 6120 4.6.4 no handshake comes", with: func(f *federation) {
		f.site("one.example").component.NegotiationTimeout = 30 * time.Second
	}, script: `
		attach c echo.one.example
		pass 29s
		pass 2s
		c ends any`},
	{name: "3 without any secret nobody attaches", with: func(f *federation) { f.site("one.example").component.Password = "" }, do: func(f *federation) {
		f.script("stranger c")
		f.client("c").send("<stream:stream " + componentNS + " to='echo.one.example'>")
		for _, e := range f.client("c").take() {
			f.vars["sid_c"] += e.attr("id")
		}
		f.handshake("c", "")
		for _, e := range f.client("c").take() {
			if e.name.Local == "handshake" {
				f.fail("got %s", e.raw)
			}
		}
	}},
	{name: "3 each domain has its secret", with: withHosts, script: `
		attach c a.one.example
		handshake c pb
		c ends not-authorized
		component c a.one.example pa
		component d b.one.example pb`},
	{name: "3 with names, others are refused", with: withHosts, script: `
		stranger c
		c > <stream:stream ` + componentNS + ` to='c.one.example'>
		c < <stream:stream/>
		c ends host-unknown|not-authorized|conflict
		or
		c < <stream:stream/>`},
}

var componentRows = []frow{
	{name: "3 stanzas of local users to the component", script: `
		login ro 1
		component c echo.one.example
		ro > <message to='x@echo.one.example/y' id='1' type='chat'><body>1</body></message>
		c < <message from='$ro' to='x@echo.one.example/y' id='1' type='chat' only=''><body>1</body></message>
		ro > <iq to='echo.one.example' type='get' id='2'><ping $ping/></iq>
		c < <iq from='$ro' to='echo.one.example' type='get' id='2'><ping $ping/></iq>
		c > <iq from='echo.one.example' to='$ro' type='result' id='2'/>
		ro < <iq from='echo.one.example' to='$ro' type='result' id='2'/>
		ro > <presence to='room@echo.one.example/ro' id='3'/>
		c < <presence from='$ro' to='room@echo.one.example/ro' id='3'/>`},
	{name: "3 stanzas of the component to local users", script: `
		login ro 1
		component c echo.one.example
		c > <message from='x@echo.one.example' to='$ro' id='1' xml:lang='cs'><body>1</body><x xmlns='urn:x'/></message>
		ro < <message from='x@echo.one.example' to='$ro' id='1' xml:lang='cs' only=''><body>1</body><x xmlns='urn:x'/></message>
		c > <presence from='room@echo.one.example/x' to='$ro' id='2'/>
		ro < <presence from='room@echo.one.example/x' to='$ro' id='2'/>
		c > <iq from='echo.one.example' to='$ro' type='get' id='3'><version $version/></iq>
		ro < <iq from='echo.one.example' to='$ro' type='get' id='3'><version $version/></iq>`},
	{name: "3 requests of the component to the server", script: `
		component c echo.one.example
		c > <iq from='echo.one.example' to='one.example' type='get' id='1'><ping $ping/></iq>
		c < <iq from='one.example' to='echo.one.example' type='result' id='1'/>`},
	{name: "3 from any user of the domain", script: `
		login ro 1
		component c echo.one.example
		c > <message from='anybody@echo.one.example/anything' to='$ro' id='1'/>
		ro < <message from='anybody@echo.one.example/anything' id='1'/>`},
	{name: "3 no from", script: `
		component c echo.one.example
		c > <message to='$r'/>
		c ends improper-addressing|invalid-from`},
	{name: "3 no to", script: `
		component c echo.one.example
		c > <message from='x@echo.one.example'/>
		c ends improper-addressing`},
	{name: "3 from the domain of the server", script: `
		login ro 1
		component c echo.one.example
		c > <message from='$t' to='$ro'/>
		c ends invalid-from`},
	{name: "3 from a domain below", script: `
		login ro 1
		component c echo.one.example
		c > <message from='x@sub.echo.one.example' to='$ro'/>
		c ends invalid-from`},
	{name: "3 from another component", script: `
		login ro 1
		component c echo.one.example
		component d other.one.example
		c > <message from='x@other.one.example' to='$ro'/>
		c ends invalid-from`},
	{name: "3 a from that is no JID", script: `
		login ro 1
		component c echo.one.example
		c > <message from='@echo.one.example' to='$ro'/>
		c ends improper-addressing|invalid-from
		or
		c < <message type='error' from='$ro'>!jid-malformed</message>
		or`},
	{name: "RFC 6120 4.9.3.24 an unknown stanza", script: `
		component c echo.one.example
		c > <route from='x@echo.one.example' to='$r'/>
		c ends unsupported-stanza-type`},
	{name: "RFC 6120 8.3 to nobody", script: `
		component c echo.one.example
		c > <message from='x@echo.one.example' to='nobody@one.example' id='1'><body>?</body></message>
		c < <message from='nobody@one.example' to='x@echo.one.example' type='error' id='1'>!service-unavailable</message> | <message from='nobody@one.example' to='x@echo.one.example' type='error' id='1'>!item-not-found</message>`},
	{name: "RFC 6120 8.2.3 requests without content", script: `
		component c echo.one.example
		c > <iq from='x@echo.one.example' to='one.example' type='get' id='1'/>
		c < <iq from='one.example' to='x@echo.one.example' type='error' id='1'>!bad-request</iq>`},
	{name: "RFC 6120 10.1 in order", script: `
		login ro 1
		component c echo.one.example
		ro > <message to='x@echo.one.example' id='1'/><iq to='echo.one.example' type='get' id='2'><ping $ping/></iq><presence to='x@echo.one.example' id='3'/><message to='echo.one.example' id='4'/>
		c << <message id='1'/>
		c << <iq id='2'/>
		c << <presence id='3'/>
		c << <message id='4'/>`},
	{name: "RFC 6121 4.4.2 the component knows who is there and who goes", script: `
		login ro 1
		component c echo.one.example
		ro > <presence to='room@echo.one.example/ro'/>
		c < <presence from='$ro' to='room@echo.one.example/ro'/>
		cut ro
		c < <presence type='unavailable' from='$ro' to='room@echo.one.example/ro'/>`},
	{name: "3 one component to another", script: `
		component c echo.one.example
		component d other.one.example
		c > <message from='x@echo.one.example' to='y@other.one.example' id='1'/>
		d < <message from='x@echo.one.example' to='y@other.one.example' id='1'/>`},
	{name: "3 the component ends its stream", script: `
		login ro 1
		component c echo.one.example
		c > </stream:stream>
		c ends
		ro > <message to='x@echo.one.example' id='1'/>
		ro < <message type='error' id='1'/>`},
	{name: "3 its connection breaks, and it comes again", script: `
		login ro 1
		component c echo.one.example
		cut c
		ro > <message to='x@echo.one.example' id='1'/>
		ro < <message type='error' id='1'/>
		component c echo.one.example
		ro > <message to='x@echo.one.example' id='2'/>
		c < <message id='2'/>`},
	{name: "3 the server stops", do: func(f *federation) {
		f.script("component c echo.one.example")
		f.sites["one.example"].stopComponents()
		f.script("pass 1ms\nc ends system-shutdown")
	}},
	{name: "3 the domain is served already: the newer is refused", with: func(f *federation) { f.site("one.example").component.Conflict = component.CloseNew }, script: `
		login ro 1
		component c echo.one.example
		stranger d
		d > <stream:stream ` + componentNS + ` to='echo.one.example'>
		d < <stream:stream/>
		d ends conflict
		or
		d < <stream:stream id='=sid_d'/>
		handshake d quay
		d ends conflict
		or
		ro > <message to='x@echo.one.example' id='1'/>
		c < <message id='1'/>`},
	{name: "3 the domain is served already: the older ends", with: func(f *federation) { f.site("one.example").component.Conflict = component.CloseOld }, script: `
		login ro 1
		component c echo.one.example
		attach d echo.one.example
		handshake d quay
		d < <handshake/>
		c ends conflict
		ro > <message to='x@echo.one.example' id='1'/>
		d < <message id='1'/>`},
	{name: "3 other servers reach the component", script: `
		component c echo.one.example
		auto two two.example
		open p two.example echo.one.example
		prove p two.example echo.one.example
		p > <iq from='$jb' to='echo.one.example' type='get' id='1'><ping $ping/></iq>
		c < <iq from='$jb' to='echo.one.example' type='get' id='1'><ping $ping/></iq>
		c > <iq from='echo.one.example' to='$jb' type='result' id='1'/>
		two < <iq from='echo.one.example' to='$jb' type='result' id='1'/>`},
	{name: "3 a component that is not there does not exist for other servers", script: `
		dial p
		p > <stream:stream $ns from='two.example' to='echo.one.example' version='1.0'>
		p < <stream:stream/>
		p ends host-unknown`},
	{name: "RFC 6120 10.4.3 the component hears of domains that are not there", script: `
		component c echo.one.example
		c > <message from='x@echo.one.example' to='$j' id='1'/>
		c < <message from='$j' to='x@echo.one.example' type='error' id='1'>!remote-server-not-found</message>`},
}

func TestXEP0114Attaching(t *testing.T) { runFederation(t, attachingRows) }
func TestXEP0114(t *testing.T)          { runFederation(t, componentRows) }
