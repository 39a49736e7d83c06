package conformance

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fails is a row of a server q that does something to the header it gets, after
// which the stanza is returned, for the want of anything else with
// remote-server-timeout (RFC 6120, section 10.4.3).
func fails(name, does string, conditions ...string) frow {
	return frow{name: name, do: func(f *federation) {
		f.script("login ro 1\nserve q two.example\nro > <message to='$j' id='1'/>\nq < <stream:stream from='one.example' to='two.example'/>")
		for line := range strings.SplitSeq(does, "\n") {
			f.without(line)
		}
		f.returned("q", append(conditions, "remote-server-timeout")...)
	}}
}

// without does what a line of a script says without a look at what follows.
func (f *federation) without(line string) {
	f.action = line
	if m := sending.FindStringSubmatch(line); m != nil {
		f.client(m[2]).send(f.expand(m[3]))
	} else {
		f.play.command(strings.Fields(line))
	}
	synctest.Wait()
}

// returned wants ro to get its stanza back within some minutes, once, with one
// of the conditions, and that q does not get it.
func (f *federation) returned(name string, conditions ...string) {
	var got []*element
	for range 10 {
		got = append(got, f.client("ro").take()...)
		<-time.After(time.Minute)
	}
	if len(got) != 1 || got[0].attr("type") != "error" || got[0].attr("id") != "1" || got[0].child("error") == nil ||
		!slices.ContainsFunc(conditions, func(c string) bool { return got[0].child("error").child(c) != nil }) {
		f.fail("ro got %s, want the stanza, once, with the error %q", raw(got), conditions)
	}
	for _, e := range f.client(name).take() {
		if e.isStanza() {
			f.fail("%s got %s", name, e.raw)
		}
	}
}

// What the servers do that one.example connects to.
var openingRows = []frow{
	{name: "4.7, 4.7.3 the attributes of the initial header", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream from='one.example' to='two.example' version='1.0' id='absent'/>`},
	{name: "4.7.1, 4.7.2 for each of the local domains", with: withTwo, script: `
		serve q two.example
		component c echo.one.example
		c > <message from='x@echo.one.example' to='$j' id='1'/>
		q < <stream:stream from='echo.one.example' to='two.example'/>`},
	{name: "4.3.2 no stanzas before the features", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		q > <?xml version='1.0'?><stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'>
		q > <stream:features>$dialback</stream:features>
		q < <db:result from='one.example' to='two.example'>*</db:result>`},
	{name: "4.7.5 a server before XMPP 1.0 has no features", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		q > <stream:stream $ns id='x' from='two.example' to='one.example'>
		q < <db:result from='one.example' to='two.example'>*</db:result>
		or
		q ends any
		ro < <message type='error' id='1'>!remote-server-timeout</message>`},
	{name: "4.7.1 no from in the response", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		q > <stream:stream $ns id='x' version='1.0'><stream:features>$dialback</stream:features>
		q < <db:result from='one.example' to='two.example'>*</db:result>
		or
		q ends any
		ro < <message type='error' id='1'>!remote-server-timeout</message>`},
	fails("4.7.3 no id in the response", "q > <stream:stream $ns from='two.example' to='one.example' version='1.0'><stream:features>$dialback</stream:features>"),
	fails("4.9.3.10 another namespace of the stream", "q > <stream:stream xmlns='jabber:server' xmlns:stream='urn:x' id='x' from='two.example' to='one.example' version='1.0'>"),
	fails("4.9.3.10 another content namespace", "q > <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' from='two.example' to='one.example' version='1.0'><stream:features>$dialback</stream:features>"),
	fails("4.9.3.14 not well-formed", "q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><stream:features></stream:stream>"),
	fails("11.1 restricted", "q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><!-- - --><stream:features>$dialback</stream:features>"),
	fails("no XML at all", "q > 220 two.example ESMTP"),
	fails("4.9 an error in place of features", "q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><stream:error><host-unknown $streams/></stream:error></stream:stream>", "remote-server-not-found"),
	fails("4.9.3.17 the server is too busy", "q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><stream:error><resource-constraint $streams/></stream:error></stream:stream>"),
	fails("4.4 the stream ends", "q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'></stream:stream>"),
	fails("4.6 the connection breaks", "cut q"),
	fails("4.6.4 nothing comes", "pass 5m"),
	fails("4.6.4 no features come", "q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'>"),
	fails("4.3.2 features with which nothing can be done", "q > <stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' id='x' from='two.example' to='one.example' version='1.0'><stream:features/>"),
	fails("6 no mechanism that is known", "greet q <mechanisms $sasl><mechanism>SCRAM-SHA-1</mechanism></mechanisms>"),
	fails("a stanza in place of features", "q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><message from='$j' to='$ro'/>"),
	fails("5.3.1 TLS is required, and the server has none to use", "greet q <starttls $tls><required/></starttls><what xmlns='urn:x'/>\nq > <failure $tls/></stream:stream>"),
	fails("4.9.3.19 see other host, again and again", "q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><stream:error><see-other-host $streams>two.example</see-other-host></stream:error></stream:stream>"),
	{name: "10.4.3 another address after a failure", script: `
		srv xmpp-server two.example 10 0 5269 first.two.example
		srv xmpp-server two.example 20 0 5269 second.two.example
		ip first.two.example 198.51.100.1
		ip second.two.example 198.51.100.2
		login ro 1
		serve q 198.51.100.1:5269
		serve q2 198.51.100.2:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		q > <stream:stream $ns id='x' from='two.example' to='one.example' version='1.0'><stream:error><system-shutdown $streams/></stream:error></stream:stream>
		q ? </stream:stream>
		q < eof
		q2 < <stream:stream/>
		or
		q ? </stream:stream>
		q < eof
		ro < <message type='error' id='1'>!remote-server-timeout</message>`},
	{name: "4.9.1.1 an error later ends the stream, the next stanza opens one", script: `
		login ro 1
		reach q two.example
		q > <stream:error><system-shutdown $streams/></stream:error></stream:stream>
		q ends
		auto two two.example
		pass 10m
		ro > <message to='$j' id='2'/>
		two < <message from='$ro' to='$j' id='2'/>`},
	{name: "4.4 the peer ends the stream, the next stanza opens one", script: `
		login ro 1
		reach q two.example
		q > </stream:stream>
		q ends
		auto two two.example
		pass 10m
		ro > <message to='$j' id='2'/>
		two < <message from='$ro' to='$j' id='2'/>`},
	{name: "4.6.2 the connection breaks, the next stanza opens another", script: `
		login ro 1
		reach q two.example
		cut q
		auto two two.example
		pass 10m
		ro > <message to='$j' id='2'/>
		two < <message from='$ro' to='$j' id='2'/>`},
	{name: "4.5 the stream goes in one direction", script: `
		login ro 1
		reach q two.example
		q > <message from='$j' to='$ro' id='1'/>
		q ends any
		or`},
	{name: "4.5 nor does it before anything is proved", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/>
		q < <stream:stream/>
		greet q
		q < <db:result/>
		q > <message from='$j' to='$ro' id='2'/>
		q ends any
		or
		q ends any
		ro < <message type='error' id='1'/>
		or`},
	{name: "4.6.1 spaces keep alive", script: `
		login ro 1
		reach q two.example
		q > $space
		ro > <message to='$j' id='1'/>
		q < <message id='1'/>`},
	{name: "10.1 what waits goes in order", script: `
		login ro 1
		serve q two.example
		ro > <message to='$j' id='1'/><iq to='$jb' type='get' id='2'><ping $ping/></iq><presence to='$jb' id='3'/><message to='$jb' id='4'/>
		q < <stream:stream/>
		greet q
		q < <db:result/>
		q > <db:result from='two.example' to='one.example' type='valid'/>
		q << <message from='$ro' to='$j' id='1'/>
		q << <iq from='$ro' to='$jb' type='get' id='2'><ping $ping/></iq>
		q << <presence from='$ro' to='$jb' id='3'/>
		q << <message from='$ro' to='$jb' id='4'/>
		ro > <message to='$j' id='5'/>
		q < <message id='5'/>`},
	{name: "4.8.2 the content namespace is that of servers", do: func(f *federation) {
		f.script("login ro 1\nreach q two.example")
		f.client("ro").send("<message to='juliet@two.example' id='1'><body>a</body><x xmlns='urn:x'/></message>")
		f.script(`
			q < <message from='$ro' to='$j' id='1' only=''><body>a</body><x xmlns='urn:x'/></message>`)
	}},
	{name: "8.1 everything of a stanza", script: `
		login ro 1
		reach q two.example
		ro > <message to='$jb' type='chat' id="a&amp;b'" xml:lang='cs'><body>a &lt; b</body><thread parent='x'>t</thread><x xmlns='urn:x'><y z='1'/></x></message>
		q < <message from='$ro' to='$jb' type='chat' id="a&amp;b'" xml:lang='cs' only=''><body>a &lt; b</body><thread parent='x'>t</thread><x xmlns='urn:x' only=''><y xmlns='urn:x' z='1'/></x></message>`},
	{name: "8.1.2.1 a client can not say who it is not", script: `
		login ro 1
		reach q two.example
		ro > <message from='$ro' to='$j' id='1'/>
		q < <message from='$ro' to='$j' id='1'/>
		ro > <message from='$t' to='$j' id='2'/>
		ro ends invalid-from
		q ? <presence type='unavailable'/>`},
}

func TestServerOpens(t *testing.T) { runFederation(t, openingRows) }
