package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var resumeRows = []row{
	{name: "5 what was sent in between", script: `
		friends r j
		here ro 0
		enable ro
		here jb 0
		cut ro
		jb > <message to='$ro' type='chat'><body>1</body></message>
		jb > <message to='$r' type='chat'><body>2</body></message>
		jb > <presence><show>away</show></presence>
		jb < <presence from='$jb'/>
		jb > <message to='$ro'><body>3</body></message>
		jb > <message to='$ro' type='headline'><body>4</body></message>
		resume ro
		ro << <resumed $sm previd='$id_ro' h='0'/>
		ro << <message from='$jb' type='chat'><body>1</body></message>
		ro << <message from='$jb' type='chat'><body>2</body></message>
		ro < <presence from='$jb'><show>away</show></presence>
		ro << <message from='$jb'><body>3</body></message>
		ro < <message from='$jb' type='headline'><body>4</body></message>`},
	{name: "5 a login from before the password was changed takes over nothing", do: func(p *play) {
		p.script("login ro\nenable ro\nauth rg\npass 1s")
		own, err := stanza.ParseJID(words["ro"])
		p.must(err)
		p.s.host.Local.Kick(own.Bare(), own, &stanza.StreamError{Condition: stanza.StreamReset})
		p.script(`
		rg > <resume $sm previd='$id_ro' h='0'/>
		rg < <failed $sm><not-authorized $stanzas/></failed>
		rg > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
		rg < <iq type='error' id='b'>!not-authorized</iq>
		auth rh
		rh > <resume $sm previd='$id_ro' h='0'/>
		rh < <resumed $sm/>
		ro ? <stream:error><conflict $streams/></stream:error>
		ro ? </stream:stream>
		ro ? eof`)
	}},
	{name: "5 nobody hears that the connection was gone", script: `
		friends r j
		here ro 0
		enable ro
		login rg 0
		login jb 0
		cut ro
		pass 1m
		jb > <presence type='probe' to='$r'/>
		jb < <presence type='absent' from='$ro'/>
		jb < <presence type='absent' from='$rg'/>
		resume ro
		ro < <resumed $sm/>
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'/>
		rg < <presence from='$ro'/>
		jb < <presence from='$ro'/>`},
	{name: "5 a session without presence", script: `
		login ro
		enable ro
		login jb 0
		cut ro
		jb > <message to='$ro'><body>1</body></message>
		resume ro
		ro << <resumed $sm/>
		ro << <message><body>1</body></message>
		ro > <message to='$jb'><body>2</body></message>
		jb < <message from='$ro'><body>2</body></message>`},
	{name: "5 changes of the roster come after resumption", script: `
		here ro 0
		enable ro
		here rg 0
		cut ro
		~ rg > <iq type='set' id='1'><query $roster><item jid='$j' name='a'/></query></iq>
		~ rg > <iq type='set' id='2'><query $roster><item jid='$j' name='b'/></query></iq>
		resume ro
		ro << <resumed $sm/>
		ro << <iq type='set'><query $roster><item jid='$j' name='a'/></query></iq>
		ro << <iq type='set'><query $roster><item jid='$j' name='b'/></query></iq>`},
	{name: "5 carbons stay on", script: `
		login ro 0
		carbons ro
		enable ro
		login rg 0
		login jb 0
		cut ro
		jb > <message to='$rg' type='chat'><body>1</body></message>
		rg < <message><body>1</body></message>
		resume ro
		ro << <resumed $sm/>
		ro << <message from='$r' to='$ro'><received $carbons><forwarded $forward><message $client from='$jb' to='$rg'><body>1</body></message></forwarded></received></message>
		rg > <message to='$jb' type='chat'><body>2</body></message>
		jb < <message><body>2</body></message>
		ro < <message from='$r' to='$ro'><sent $carbons/></message>`},
	{name: "5 requests wait or are refused", script: `
		friends r j
		login ro 0
		enable ro
		login jb 0
		cut ro
		jb > <iq type='get' id='1' to='$ro'><x xmlns='urn:x'/></iq>
		jb ? <iq type='error' id='1' from='$ro'/>
		resume ro
		ro << <resumed $sm/>
		ro ? <iq type='get' id='1' from='$jb'/>`},
	{name: "5 answers wait", script: `
		friends r j
		login ro 0
		enable ro
		login jb 0
		ro > <iq type='get' id='1' to='$jb'><x xmlns='urn:x'/></iq>
		jb < <iq type='get' id='1'/>
		cut ro
		jb > <iq type='result' id='1' to='$ro'/>
		resume ro
		ro << <resumed $sm h='1'/>
		ro << <iq type='result' id='1' from='$jb'/>`},
	{name: "5 the old connection is still there", script: `
		friends r j
		login ro 0
		enable ro
		login jb 0
		jb > <message to='$ro' type='chat'><body>1</body></message>
		ro < <message><body>1</body></message>
		lose ro
		~ jb > <message to='$ro' type='chat'><body>2</body></message>
		resume ro
		ro << <resumed $sm/>
		ro << <message><body>2</body></message>
		ro-old < eof
		jb > <message to='$r' type='chat'><body>3</body></message>
		ro < <message><body>3</body></message>
		ro > <message to='$jb' type='chat'><body>4</body></message>
		jb < <message><body>4</body></message>`},
	{name: "5 the old connection ends with conflict", script: `
		login ro 0
		enable ro
		resume ro
		ro < <resumed $sm/>
		ro-old ? <a $sm h='0'/>
		ro-old < <stream:error><conflict $streams/></stream:error>
		ro-old < </stream:stream>
		ro-old < eof`},
	{name: "5 another account", script: `
		login ro 0
		enable ro
		login jb 0
		cut ro
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		auth ts
		ts > <resume $sm previd='$id_ro' h='0'/>
		ts < <failed $sm h='absent'><item-not-found $stanzas/></failed>
		resume ro
		ro << <resumed $sm/>
		ro << <message><body>1</body></message>`},
	{name: "5 another account while the connection is there", script: `
		login ro 0
		enable ro
		auth ts
		ts > <resume $sm previd='$id_ro' h='0'/>
		ts < <failed $sm h='absent'><item-not-found $stanzas/></failed>
		ro > <r $sm/>
		ro < <a $sm h='0'/>`},
	{name: "5 again and again", script: `
		login ro 0
		enable ro
		login jb 0
		~ ro > <message to='$jb'><body>1</body></message>
		cut ro
		jb > <message to='$ro' type='chat'><body>a</body></message>
		resume ro
		ro << <resumed $sm h='1'/>
		ro << <message><body>a</body></message>
		~ ro > <message to='$jb'><body>2</body></message>
		cut ro
		resume ro
		ro << <resumed $sm h='2'/>
		lose ro
		~ jb > <message to='$ro' type='chat'><body>b</body></message>
		cut ro
		resume ro
		ro << <resumed $sm h='2'/>
		ro << <message><body>b</body></message>
		ro > <r $sm/>
		ro < <a $sm h='2'/>`},
	{name: "5 what was acknowledged is not sent again", script: `
		login ro 0
		enable ro
		login jb
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		ro > <a $sm h='1'/>
		~ jb > <message to='$ro' type='chat'><body>2</body></message>
		cut ro
		auth rg
		rg > <resume $sm previd='$id_ro' h='1'/>
		rg << <resumed $sm/>
		rg << <message><body>2</body></message>`},
	{name: "5 less acknowledged than before", script: `
		login ro 0
		enable ro
		login jb
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		ro > <a $sm h='1'/>
		cut ro
		auth rg
		rg > <resume $sm previd='$id_ro' h='0'/>
		rg ? <resumed $sm/> | <failed $sm/>
		rg ? <stream:error/>
		rg ? </stream:stream>
		rg ? eof`},
	{name: "5 the resource is bound anew meanwhile", script: `
		friends r j
		login ro 0
		enable ro
		login jb
		cut ro
		jb > <message to='$ro' type='chat'><body>1</body></message>
		login rg
		rg > <presence/>
		rg < <presence from='$rg'/>
		rg ? <presence from='$ro'/>
		auth rh
		rh > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>
		rh < <iq type='result' id='b'/>
		rg < <presence type='unavailable' from='$ro'/>
		rg < <message type='chat'><body>1</body></message>
		resume ro
		ro < <failed $sm><item-not-found $stanzas/></failed>`},
	{name: "5 the time that the client asks for", script: `
		friends r j
		login ro 0
		login jb 0
		ro > <enable $sm resume='true' max='10'/>
		ro < <enabled $sm max='~10?'/>
		cut ro
		pass 11s
		jb < <presence type='unavailable' from='$ro'/>
		resume ro
		ro < <failed $sm><item-not-found $stanzas/></failed>`},
	{name: "5 the time is over", script: `
		friends r j
		login ro 0
		login jb 0
		enable ro
		~ ro > <message to='$jb'/>
		cut ro
		pass 299s
		pass 2s
		jb < <presence type='unavailable' from='$ro'/>
		resume ro
		ro < <failed $sm h='~1?'><item-not-found $stanzas/></failed>
		ro > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
		ro < <iq type='result' id='b'/>`},
	{name: "5 a failed attempt to resume does not shorten the time", script: `
		login ro 0
		enable ro
		cut ro
		pass 200s
		auth ts
		~ ts > <resume $sm previd='$id_ro' h='0'/>
		pass 90s
		resume ro
		ro < <resumed $sm/>`},
	{name: "5 each resumption gives the whole time", script: `
		login ro 0
		enable ro
		cut ro
		pass 200s
		resume ro
		ro < <resumed $sm/>
		cut ro
		pass 200s
		resume ro
		ro < <resumed $sm/>`},
}

func TestXEP0198Resume(t *testing.T) { run(t, resumeRows) }

// TestXEP0198ToClient cuts the connection after each of ten messages to a
// client, of which the last ones are lost on their way, and sends ten more
// before the client comes back.
func TestXEP0198ToClient(t *testing.T) {
	var rows []row
	for arrived := range 11 {
		for _, to := range []string{"$ro", "$r"} {
			rows = append(rows, row{name: fmt.Sprintf("5 %d messages to %s arrive", arrived, to), do: func(p *play) {
				p.script("login ro 0\nenable ro\nlogin jb")
				for n := range 20 {
					switch n {
					case arrived:
						p.script("lose ro")
					case 10:
						p.client("ro").close()
					}
					p.client("jb").send(p.expand(fmt.Sprintf("<message to='%s' type='chat'><body>%d</body></message>", to, n)))
					if n < arrived {
						p.drop()
					}
				}
				p.drop()
				p.command([]string{"resume", "ro"})
				p.wantBodies("ro", arrived, 20)
			}})
		}
	}
	run(t, rows)
}

// wantBodies compares the messages that a client has got with numbers.
func (p *play) wantBodies(name string, from, to int) {
	var got, want []string
	for _, e := range p.client(name).take() {
		if e.name.Local == "message" && e.child("body") != nil {
			got = append(got, e.child("body").text)
		}
	}
	for n := from; n < to; n++ {
		want = append(want, fmt.Sprint(n))
	}
	if g, w := strings.Join(got, " "), strings.Join(want, " "); g != w {
		p.fail("%s got %q, want %q", name, g, w)
	}
}

// TestXEP0198FromClient cuts the connection at each byte, or nearly, of what a
// client sends; the client sends again what the server has not handled.
func TestXEP0198FromClient(t *testing.T) {
	const count = 6
	var sent []string
	for n := range count {
		sent = append(sent, fmt.Sprintf("<message to='juliet@one.example/balcony' type='chat'><body>%d</body></message>", n))
	}
	text := strings.Join(sent, "")
	var rows []row
	for at := 0; at <= len(text); at += 13 {
		rows = append(rows, row{name: fmt.Sprintf("5 cut after %d bytes", at), do: func(p *play) {
			p.script("login jb 0\nlogin ro 0\nenable ro")
			p.client("ro").send(text[:at])
			p.client("ro").close()
			p.command([]string{"resume", "ro"})
			var handled int
			for _, e := range p.client("ro").take() {
				if _, err := fmt.Sscan(e.attr("h"), &handled); e.name.Local != "resumed" || err != nil {
					p.fatal("got %s", e.raw)
				}
			}
			if whole := strings.Count(text[:at], "</message>"); handled > whole {
				p.fatal("got h=%d of %d stanzas", handled, whole)
			}
			p.client("ro").send(strings.Join(sent[handled:], ""))
			p.wantBodies("jb", 0, count)
		}})
	}
	run(t, rows)
}
