package conformance

import (
	"slices"
	"testing"
)

var expiryRows = []row{
	{name: "4 the delay has the time of the message", script: `
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		pass 20s
		cut ro
		pass 6m
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro << <message from='$jb'><body>1</body><delay $delay stamp='~2000-01-01T00:00:00(\.\d+)?Z'/></message>`},
	{name: "4 what goes to another resource at once has a delay", script: `
		login ro 0
		~ ro > <enable $sm/>
		login rg 0
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		pass 10s
		cut ro
		rg < <presence type='unavailable' from='$ro'/>
		rg < <message><body>1</body><delay $delay stamp='~2000-01-01T00:00:00(\.\d+)?Z'/></message>`},
	// It may come at once, to the full JID, or with the presence.
	{name: "4 what goes to the next session at once comes before what is new", do: func(p *play) {
		p.script("login ro\nenable ro\nlogin jb\n~ ro > <presence/>\nlose ro")
		p.script("~ jb > <message to='$ro' type='chat'><body>0</body></message>\npass 10s\nauth rh")
		rh := p.client("rh")
		rh.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>")
		rh.send("<presence/>")
		p.client("jb").take() // when all is done
		p.client("jb").send("<message to='" + words["r"] + "' type='chat'><body>1</body></message>")
		var got []string
		for _, e := range rh.take() {
			if e.name.Local == "message" {
				got = append(got, e.child("body").text)
				if d := e.child("delay"); d != nil {
					got = append(got, d.attr("stamp")[:19])
				}
			}
		}
		if want := []string{"0", "2000-01-01T00:00:00", "1"}; !slices.Equal(got, want) {
			p.fail("rh got %q, want %q", got, want)
		}
	}},
	{name: "4 what a session without acknowledgements has written does not go to the next", script: `
		login ro
		login jb
		~ ro > <presence/>
		jb > <message to='$ro' type='chat'><body>0</body></message>
		ro < <message><body>0</body></message>
		lose ro
		auth rh
		rh > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>
		rh < <iq type='result' id='b'/>
		ro ? eof
		jb > <message to='$ro' type='chat'><body>1</body></message>
		rh < <message><body>1</body></message>
		pass 10s`},
	{name: "4 messages go to offline storage in order", script: `
		login ro 0
		enable ro
		login jb
		lose ro
		pass 10s
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		pass 10s
		~ jb > <message to='$r' type='chat'><body>2</body></message>
		~ jb > <message to='$ro'><body>3</body></message>
		cut ro
		pass 10s
		jb > <message to='$r'><body>4</body></message>
		jb > <message to='$ro' type='chat'><body>5</body></message>
		pass 6m
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro << <message from='$jb'><body>1</body><delay $delay/></message>
		ro << <message from='$jb'><body>2</body><delay $delay/></message>
		ro << <message from='$jb'><body>3</body><delay $delay/></message>
		ro << <message from='$jb'><body>4</body><delay $delay stamp='~2000-01-01T00:00:30(\.\d+)?Z'/></message>
		ro << <message from='$jb'><body>5</body><delay $delay stamp='~2000-01-01T00:00:30(\.\d+)?Z'/></message>
		end ro
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "4 messages go to another resource", script: `
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		cut ro
		jb > <message to='$ro' type='chat'><body>2</body></message>
		login rg
		rg > <presence/>
		rg < <presence from='$rg'/>
		rg < <presence from='$ro'/>
		pass 6m
		rg < <presence type='unavailable' from='$ro'/>
		rg << <message type='chat'><body>1</body></message>
		rg << <message type='chat'><body>2</body></message>
		end rg
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "4 what another resource has got does not come twice", script: `
		login ro 0
		enable ro
		login rg 0
		login jb
		lose ro
		jb > <message to='$r' type='chat'><body>1</body></message>
		rg < <message type='chat'><body>1</body></message>
		cut ro
		jb > <message to='$r' type='chat'><body>2</body></message>
		rg < <message type='chat'><body>2</body></message>
		pass 6m
		rg < <presence type='unavailable' from='$ro'/>
		end rg
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "4 carbons of messages that others have got are dropped", script: `
		login ro 0
		carbons ro
		enable ro
		login rg 0
		login jb
		lose ro
		jb > <message to='$rg' type='chat'><body>1</body></message>
		rg < <message type='chat'><body>1</body></message>
		cut ro
		jb > <message to='$rg' type='chat'><body>2</body></message>
		rg < <message type='chat'><body>2</body></message>
		pass 6m
		rg < <presence type='unavailable' from='$ro'/>
		end rg
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "4 requests are answered", script: `
		friends r j
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <iq type='get' id='1' to='$ro'><x xmlns='urn:x'/></iq>
		cut ro
		pass 6m
		jb < <iq type='error' id='1' from='$ro'>!service-unavailable</iq> | <iq type='error' id='1' from='$ro'>!recipient-unavailable</iq>`},
	{name: "4 requests to a session without connection are answered", script: `
		friends r j
		login ro 0
		enable ro
		login jb
		cut ro
		jb > <iq type='get' id='1' to='$ro'><x xmlns='urn:x'/></iq>
		pass 6m
		jb < <iq type='error' id='1' from='$ro'>!service-unavailable</iq> | <iq type='error' id='1' from='$ro'>!recipient-unavailable</iq>`},
	{name: "4 presence, headlines, errors and answers are dropped", script: `
		friends r j
		login ro 0
		enable ro
		login jb 0
		lose ro
		~ jb > <presence><show>away</show></presence>
		~ jb > <message to='$ro' type='headline'><body>1</body></message>
		~ jb > <message to='$ro' type='error' id='2'>!bad-request</message>
		~ jb > <iq type='result' to='$ro' id='3'/>
		cut ro
		pass 6m
		jb < <presence type='unavailable' from='$ro'/>
		jb ? <message type='error' from='$ro'/>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <presence from='$jb'/>
		jb < <presence from='$ro'/>`},
	{name: "4 hints are kept to", script: `
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat'><body>1</body><no-store $hints/></message>
		cut ro
		pass 6m
		jb ? <message type='error' from='$ro'/>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "4 without offline storage the sender hears of it", script: `
		off offline
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat' id='1'><body>1</body></message>
		cut ro
		pass 6m
		jb < <message type='error' id='1' from='$ro'>!service-unavailable</message> | <message type='error' id='1' from='$ro'>!recipient-unavailable</message>`},
	{name: "4 an error for what was bounced goes to a session without connection", script: `
		login ro 0
		enable ro
		~ ro > <message to='$j' type='groupchat' id='1'><body>x</body></message>
		cut ro
		resume ro
		ro < <resumed $sm h='1'/>`},
	{name: "5 a message to a session without connection, and then all the ways of it", script: `
		login ro 0
		enable ro
		login jb
		cut ro
		jb > <message to='$r' type='chat'><body>1</body></message>
		resume ro
		ro << <resumed $sm/>
		ro << <message><body>1</body></message>
		ro > <a $sm h='$h_ro'/>
		cut ro
		jb > <message to='$r' type='chat'><body>2</body></message>
		pass 6m
		resume ro
		ro < <failed $sm/>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro << <message><body>2</body><delay $delay/></message>
		end ro
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "5 another resource comes while the session has no connection", do: func(p *play) {
		p.script("login ro 0\nenable ro\nlogin jb\ncut ro")
		p.script("jb > <message to='$ro' type='chat'><body>0</body></message>\n~ jb > <message to='$ro' type='chat'><body>1</body></message>\nlogin rg")
		p.client("rg").send("<presence/>")
		for _, e := range p.client("rg").take() {
			if e.name.Local == "message" {
				p.fail("rg got %s, which ro gets", e.raw)
			}
		}
		p.command([]string{"resume", "ro"})
		p.wantBodies("ro", 0, 2)
	}},
	{name: "5 offline messages that were lost on their way come again", script: `
		login jb
		jb > <message to='$r' type='chat'><body>1</body></message>
		pass 1m
		login ro
		enable ro
		lose ro
		~ ro > <presence/>
		cut ro
		resume ro
		ro << <resumed $sm/>
		ro < <presence from='$ro'/>
		ro << <message><body>1</body><delay $delay stamp='~2000-01-01T00:00:00(\.\d+)?Z'/></message>
		ro > <a $sm h='$h_ro'/>
		cut ro
		pass 6m
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "5 offline messages that were never acknowledged", script: `
		login jb
		jb > <message to='$r' type='chat'><body>1</body></message>
		pass 1m
		login ro
		enable ro
		lose ro
		~ ro > <presence/>
		cut ro
		pass 6m
		login rg
		rg > <presence/>
		rg < <presence from='$rg'/>
		rg < <message only=''><body>1</body><delay $delay stamp='~2000-01-01T00:00:00(\.\d+)?Z'/><stanza-id $sid/></message>
		end rg
		login rg
		rg > <presence/>
		rg < <presence from='$rg'/>`},
	{name: "5 offline messages that were acknowledged", script: `
		login jb
		jb > <message to='$r' type='chat'><body>1</body></message>
		login ro
		enable ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message><body>1</body></message>
		ro > <a $sm h='$h_ro'/>
		cut ro
		pass 6m
		login rg
		rg > <presence/>
		rg < <presence from='$rg'/>`},
	{name: "5 a client that acknowledges when it is asked", script: `
		login jb
		jb > <message to='$r' type='chat'><body>1</body></message>
		login ro
		enable ro
		acks ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message><body>1</body></message>
		jb > <message to='$r' type='chat'><body>2</body></message>
		ro < <message><body>2</body></message>
		pass 10m
		cut ro
		pass 6m
		login rg
		rg > <presence/>
		rg < <presence from='$rg'/>`},
	{name: "5 messages before and after the end of the old connection keep their order", do: func(p *play) {
		p.script("login ro 0\nenable ro\nlogin jb\nlose ro")
		p.script("~ jb > <message to='$r' type='chat'><body>0</body></message>\n~ jb > <message to='$ro' type='chat'><body>1</body></message>\ncut ro")
		p.script("jb > <message to='$r' type='chat'><body>2</body></message>\n~ jb > <message to='$ro' type='chat'><body>3</body></message>\npass 6m")
		p.script("jb > <message to='$r' type='chat'><body>4</body></message>\n~ jb > <message to='$ro' type='chat'><body>5</body></message>\nlogin rg")
		p.client("rg").send("<presence/>")
		p.wantBodies("rg", 0, 6)
	}},
}

func TestXEP0198Expiry(t *testing.T) { run(t, expiryRows) }
