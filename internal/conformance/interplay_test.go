package conformance

import (
	"context"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// interplayRows are about sessions without connection, slow stores, blocking and
// the rest together. The numbers are sections of XEP-0198.
var interplayRows = []row{
	{name: "5 two connections resume one after the other", script: `
		login ro 0
		enable ro
		login jb
		resume ro
		ro < <resumed $sm/>
		ro-old ? <a $sm/>
		ro-old < <stream:error/>
		ro-old < </stream:stream>
		ro-old < eof
		resume ro
		ro < <resumed $sm/>
		ro-old ? <a $sm/>
		ro-old < <stream:error/>
		ro-old < </stream:stream>
		ro-old < eof
		jb > <message to='$ro'><body>1</body></message>
		ro < <message/>`},
	{name: "5 requests of subscription wait for a session without connection", script: `
		here jb 0
		enable jb
		here ro 0
		cut jb
		~ ro > <presence type='subscribe' to='$j'/>
		resume jb
		jb << <resumed $sm/>
		jb << <presence type='subscribe' from='$r'/>
		cut jb
		pass 6m
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <presence type='subscribe' from='$r'/>`},
	{name: "5 the session comes back while the store is slow", with: gated, script: `
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		~ jb > <message to='$ro' type='chat'><body>2</body></message>
		hold add
		cut ro
		jb > <message to='$r' type='chat'><body>3</body></message>
		resume ro
		ro ? <resumed $sm/>
		ro ? <message><body>1</body></message>
		ro ? <message><body>2</body></message>
		ro ? <message><body>3</body></message>
		release add
		ro ? <resumed $sm/>
		ro ? <message><body>1</body></message>
		ro ? <message><body>2</body></message>
		ro ? <message><body>3</body></message>
		jb > <message to='$r' type='chat'><body>4</body></message>
		ro < <message><body>4</body></message>
		ro > <a $sm h='$h_ro'/>
		same_count ro 4
		cut ro
		pass 6m
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "4 the time is over while the store is slow", with: gated, script: `
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		hold add
		cut ro
		jb > <message to='$r' type='chat'><body>2</body></message>
		pass 6m
		release add
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro << <message><body>1</body><delay $delay/></message>
		ro << <message><body>2</body><delay $delay/></message>
		end ro
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "4 another resource comes while the store is slow and the time is over", with: gated, script: `
		login ro 0
		enable ro
		login jb
		cut ro
		hold add
		jb > <message to='$ro' type='chat'><body>1</body></message>
		pass 6m
		login rg
		rg > <presence/>
		rg ? <presence/>
		release add
		rg ? <presence/>
		rg < <message><body>1</body></message>`},
	{name: "4 the resource is bound anew while the store is slow", with: gated, script: `
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$ro' type='chat'><body>1</body></message>
		cut ro
		hold add
		jb > <message to='$ro' type='chat'><body>2</body></message>
		auth ro
		ro > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>
		ro ? <iq type='result' id='b'/>
		release add
		ro ? <iq type='result' id='b'/>
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro << <message><body>1</body></message>
		ro << <message><body>2</body></message>`},
	{name: "4 messages for the next session come after what the last one has left", with: gated, script: `
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$r' type='chat'><body>0</body></message>
		hold add
		login ro
		~ ro > <presence/>
		~ jb > <message to='$r' type='chat'><body>1</body></message>
		release add
		ro << <message><body>0</body></message>
		ro << <message><body>1</body></message>`},
	{name: "4 messages for the next session come once", with: gated, script: `
		login ro 0
		enable ro
		login jb
		lose ro
		~ jb > <message to='$r' type='chat'><body>0</body></message>
		hold add
		login ro
		enable ro
		~ ro > <presence/>
		~ jb > <message to='$r' type='chat'><body>1</body></message>
		release add
		ro < <message><body>0</body></message>
		ro < <message><body>1</body></message>`},
	{name: "5 offline messages are switched off while the session has no connection", script: `
		login ro 0
		enable ro
		login jb
		cut ro
		jb > <message to='$ro' type='chat'><body>1</body></message>
		off offline
		resume ro
		ro << <resumed $sm/>
		ro << <message><body>1</body></message>`},
	{name: "5 the account is removed", script: `
		friends r j
		login ro 0
		enable ro
		here jb 0
		cut ro
		remove r
		jb < <presence type='unavailable' from='$ro'/>
		jb ? <presence type='unavailable' from='$ro'/>
		jb ? <presence type='unsubscribe' from='$r'/>
		jb ? <presence type='unsubscribed' from='$r'/>
		jb ? <iq type='set'><query $roster/></iq>
		jb ? <iq type='set'><query $roster/></iq>
		jb > <iq type='get' id='1'><query $roster/></iq>
		jb < <iq type='result' id='1'><query $roster only=''><item jid='$r' subscription='none'/></query></iq>`},
	{name: "5 the password changes", script: `
		friends r j
		login ro 0
		enable ro
		login jb 0
		cut ro
		password r
		jb < <presence type='unavailable' from='$ro'/>
		resume ro
		ro < <failed $sm><item-not-found $stanzas/></failed>`},
	{name: "XEP-0191 3.3 a request of before the block", script: `
		here jb 0
		~ jb > <presence type='subscribe' to='$r'/>
		login ro
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro > <iq type='set' id='2'><unblock $blocking/></iq>
		ro < <iq type='result' id='2'/>
		ro ? <presence type='subscribe' from='$j'/>
		end ro
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <presence type='subscribe' from='$j'/>`},
	{name: "XEP-0191 3.3 the server does not answer for who is subscribed", script: `
		roster r j from
		roster j r none
		here ro 0
		here jb 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		jb > <presence type='subscribe' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>`},
	{name: "XEP-0191 3.3 the server does not answer for who is pre-approved", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribed' to='$j'/>
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		jb > <presence type='subscribe' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>`},
	{name: "XEP-0191 3.3 messages that the blocked one sends to a session without connection before", script: `
		login ro 0
		enable ro
		login rg 0
		login jb
		cut ro
		jb > <message to='$ro' type='chat'><body>1</body></message>
		~ rg > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		resume ro
		ro << <resumed $sm/>
		ro ? <message><body>1</body></message>`},
	{name: "XEP-0030 8 no address is the own account", script: `
		login ro
		ro > <iq type='get' id='1'><query $info/></iq>
		ro < <iq type='result' id='1'><query $info><identity category='account' type='registered'/></query></iq>`},
	{name: "XEP-0280 7 a message to the own account", script: `
		login ro 0
		login rg 1
		carbons ro
		carbons rg
		ro > <message to='$r' type='chat' id='1'><body>1</body></message>
		rg < <message from='$ro' to='$r' id='1'/>
		rg ? <message><sent $carbons/></message>
		ro ? <message><received $carbons/></message>`},
	{name: "the server stops and starts", do: restart},
}

// restart stops a server with what one client has not acknowledged, what waits
// for one without connection, and what is stored, and starts it again.
func restart(p *play) {
	p.script(`
		login ro 0
		enable ro
		login jb 0
		enable jb
		login ts
		lose ro
		~ ts > <message to='$j' type='chat'><body>0</body></message>
		jb > <a $sm h='$h_jb'/>
		cut jb
		ts > <message to='$j' type='chat'><body>1</body></message>
		~ ts > <message to='$r' type='chat'><body>0</body></message>
		~ ts > <message to='$ro' type='chat'><body>1</body></message>
		~ ts > <message to='$r' type='chat'><body>2</body></message>`)
	stores := p.s.config.Stores
	p.s.stop()
	p.close()
	p.clients = map[string]*client{}
	p.s = newServer(p.t, func(s *server) { s.config.Stores = stores })
	p.script("login ro\nlogin jb")
	p.client("ro").send("<presence/>")
	p.wantBodies("ro", 0, 3)
	p.client("jb").send("<presence/>")
	p.wantBodies("jb", 1, 2)
}

func (p *play) account(user string) stanza.JID {
	u, err := stanza.ParseJID(words[user])
	p.must(err)
	return u
}

func (p *play) remove(user string) error {
	return p.s.host.Accounts.Remove(context.Background(), p.account(user), stanza.JID{})
}

func (p *play) setPassword(user string) error {
	return p.s.host.Accounts.SetPassword(context.Background(), p.account(user), password, stanza.JID{})
}

func TestInterplay(t *testing.T) { run(t, interplayRows) }
