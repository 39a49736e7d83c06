package conformance

import "testing"

var enableRows = []row{
	{name: "2 the feature comes after the login", do: func(p *play) {
		p.features("ro", "<stream:features><sm $sm/></stream:features>")
	}},
	{name: "2 the feature does not come before", script: `
		connect ro
		ro > ` + open + `
		ro < <stream:stream/>
		ro < <stream:features><sm $sm no=''/></stream:features>`},
	{name: "3 without resumption", script: `
		login ro
		ro > <enable $sm/>
		ro < <enabled $sm resume='~(false|0)?'/>`},
	{name: "3 resume is false", script: `
		login ro
		ro > <enable $sm resume='false'/>
		ro < <enabled $sm resume='~(false|0)?'/>`},
	{name: "3 with resumption", script: `
		login ro
		ro > <enable $sm resume='true'/>
		ro < <enabled $sm resume='~true|1' id='~.{1,1000}' max='~[0-9]*'/>`},
	{name: "3 a boolean may be 1", script: `
		login ro
		ro > <enable $sm resume='1' max='100'/>
		ro < <enabled $sm resume='~true|1' id='*' max='~[0-9]*'/>`},
	{name: "3 ids are never the same", do: func(p *play) {
		p.script("login ro\nenable ro")
		first := p.client("ro").id
		p.script("end ro\nlogin ro\nenable ro")
		if second := p.client("ro").id; first == second {
			p.fail("got the id %s twice", first)
		}
	}},
	{name: "3 not before the login", script: `
		connect ro
		~ ro > ` + open + `
		ro > <enable $sm/>
		ro ? <failed $sm/>
		ro ? <a $sm h='0'/>
		ro ? <stream:error/>
		ro ? </stream:stream>
		ro ? eof`},
	{name: "3 not before a resource is bound", script: `
		auth ro
		ro > <enable $sm resume='true'/>
		ro < <failed $sm><unexpected-request $stanzas/></failed>
		ro > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
		ro < <iq type='result' id='b'/>
		ro > <enable $sm resume='true'/>
		ro < <enabled $sm id='*'/>`},
	{name: "3 not twice", script: `
		login ro
		~ ro > <enable $sm/>
		ro > <enable $sm/>
		ro ? <failed $sm><unexpected-request $stanzas/></failed>
		ro ? <a $sm h='0'/>
		ro ? <stream:error/>
		ro ? </stream:stream>
		ro ? eof`},
	{name: "3 not after resumption", script: `
		login ro
		enable ro
		cut ro
		resume ro
		ro < <resumed $sm/>
		ro > <enable $sm/>
		ro ? <failed $sm><unexpected-request $stanzas/></failed>
		ro ? <a $sm h='0'/>
		ro ? <stream:error/>
		ro ? </stream:stream>
		ro ? eof`},
	{name: "3 without the feature", with: noManagement, script: `
		login ro
		ro > <enable $sm/>
		ro ? <failed $sm/>
		ro ? <a $sm h='0'/>
		ro ? <stream:error/>
		ro ? </stream:stream>
		ro ? eof`},
	{name: "3 switched off without the feature", with: noManagement, do: func(p *play) {
		p.features("ro", "<stream:features><sm $sm no=''/></stream:features>")
	}},
	{name: "5 resumption is switched off", with: func(s *server) { s.sm.ResumeTimeout = 0 }, script: `
		login ro
		ro > <enable $sm resume='true'/>
		ro < <enabled $sm resume='~(false|0)?'/>
		auth rg
		ro > <r $sm/>
		ro < <a $sm h='0'/>
		rg > <resume $sm previd='x' h='0'/>
		rg < <failed $sm><feature-not-implemented $stanzas/></failed> | <failed $sm><item-not-found $stanzas/></failed>`},
	{name: "5 an unknown stream", script: `
		auth ro
		ro > <resume $sm previd='x' h='0'/>
		ro < <failed $sm h='absent'><item-not-found $stanzas/></failed>
		ro > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
		ro < <iq type='result' id='b'/>
		ro > <enable $sm resume='true'/>
		ro < <enabled $sm id='*'/>`},
	{name: "5 previd is missing", script: `
		auth ro
		ro > <resume $sm h='0'/>
		ro < <failed $sm/>`},
	{name: "5 h is missing", script: `
		login ro 0
		enable ro
		cut ro
		auth rg
		rg > <resume $sm previd='$id_ro'/>
		rg < <failed $sm/>`},
	{name: "5 h is no number", script: `
		login ro 0
		enable ro
		cut ro
		auth rg
		rg > <resume $sm previd='$id_ro' h='-1'/>
		rg < <failed $sm/>
		rg > <resume $sm previd='$id_ro' h='0'/>
		rg < <resumed $sm/>`},
	{name: "5 not with a resource of one's own", script: `
		login ro 0
		enable ro
		cut ro
		login rg 0
		rg > <resume $sm previd='$id_ro' h='0'/>
		rg ? <failed $sm/>
		rg ? <stream:error/>
		rg ? </stream:stream>
		rg ? eof`},
	{name: "5 not before the login", script: `
		connect ro
		~ ro > ` + open + `
		ro > <resume $sm previd='x' h='0'/>
		ro ? <failed $sm/>
		ro ? <a $sm h='0'/>
		ro ? <stream:error/>
		ro ? </stream:stream>
		ro ? eof`},
}

// noManagement leaves stream management off.
func noManagement(s *server) { s.unmanaged = true }

var ackRows = []row{
	{name: "4 what counts", script: `
		login ro
		login jb 0
		~ ro > <presence/>
		enable ro
		ro > <r $sm/>
		ro < <a $sm h='0'/>
		~ ro > <message to='$jb'/>
		ro > <r $sm/>
		ro < <a $sm h='1'/>
		~ ro > <presence/>
		ro > <r $sm/>
		ro < <a $sm h='2'/>
		~ ro > <iq type='get' id='1'><ping $ping/></iq>
		~ ro > <iq type='result' id='1' to='$d'/>
		~ ro > <iq type='error' id='1' to='$jb'>!bad-request</iq>
		ro > <r $sm/>
		ro < <a $sm h='5'/>
		ro > <a $sm h='$h_ro'/>
		ro > $space
		ro > <r $sm/>
		ro < <a $sm h='5'/>`},
	{name: "4 what was refused counts", script: `
		login ro
		enable ro
		~ ro > <message to='a@elsewhere.example'><body>x</body></message>
		~ ro > <message to='a@@b'><body>x</body></message>
		~ ro > <presence type='foo'/>
		~ ro > <iq type='foo' id='1'/>
		~ ro > <iq type='get' id='1'/>
		ro > <r $sm/>
		ro < <a $sm h='5'/>`},
	{name: "4 counting begins with enable", script: `
		login ro
		~ ro > <presence/><message to='$j'><body>x</body></message>
		ro > <enable $sm/><message to='$j'><body>x</body></message><r $sm/>
		ro << <enabled $sm/>
		ro << <a $sm h='1'/>`},
	{name: "4 many in one go", script: `
		login ro 0
		enable ro
		ro > <iq type='get' id='1'><ping $ping/></iq><iq type='get' id='2'><ping $ping/></iq><r $sm/><iq type='get' id='3'><ping $ping/></iq><r $sm/>
		ro << <iq id='1'/>
		ro << <iq id='2'/>
		ro << <iq id='3'/>
		ro ? <a $sm h='2'/>
		ro < <a $sm h='3'/>`},
	{name: "4 the server asks, too", do: func(p *play) {
		p.script("login ro 0\nenable ro\nlogin jb\njb > <message to='$ro'><body>x</body></message>\nro < <message/>\npass 50s")
		if p.client("ro").asked == 0 {
			p.fail("got no request for an acknowledgement")
		}
	}},
	{name: "4 who does not answer has lost the connection", script: `
		login ro 0
		enable ro
		login jb
		jb > <message to='$ro'><body>x</body></message>
		ro < <message/>
		pass 3m
		ro ? <a $sm h='0'/>
		ro ? <stream:error/>
		ro ? </stream:stream>
		ro < eof
		resume ro
		ro << <resumed $sm/>`},
	{name: "6 more acknowledged than was sent", script: `
		login ro 0
		enable ro
		ro > <a $sm h='1'/>
		ro ? <a $sm h='0'/>
		ro < <stream:error><undefined-condition $streams/><handled-count-too-high $sm h='1' send-count='0'/></stream:error>
		ro < </stream:stream>
		ro < eof`},
	{name: "6 more acknowledged than was sent, by resuming", script: `
		login ro 0
		enable ro
		cut ro
		auth ro-1
		ro-1 > <resume $sm previd='$id_ro' h='7'/>
		ro-1 ? <failed $sm/>
		ro-1 ? <stream:error/>
		ro-1 ? </stream:stream>
		ro-1 ? eof`},
	{name: "4 h is missing", script: `
		login ro 0
		enable ro
		ro > <a $sm/>
		ro ? <a $sm h='0'/>
		ro ? <stream:error/>
		ro ? </stream:stream>
		ro ? eof`},
	{name: "7 the end of the stream is the end of the session", script: `
		friends r j
		login ro 0
		enable ro
		login jb 0
		end ro
		jb < <presence type='unavailable' from='$ro'/>
		resume ro
		ro < <failed $sm><item-not-found $stanzas/></failed>`},
	{name: "7 a stream that is not to be resumed ends with its connection", script: `
		friends r j
		login ro 0
		login jb 0
		~ ro > <enable $sm/>
		cut ro
		jb < <presence type='unavailable' from='$ro'/>`},
	{name: "7 what was not acknowledged is not lost without resumption", script: `
		login ro 0
		~ ro > <enable $sm/>
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		~ jb > <message to='$r' type='chat'><body>2</body></message>
		cut ro
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro << <message from='$jb'><body>1</body><delay $delay/></message>
		ro << <message from='$jb'><body>2</body><delay $delay/></message>`},
}

func TestXEP0198Enable(t *testing.T) { run(t, enableRows) }

func TestXEP0198Acks(t *testing.T) { run(t, ackRows) }
