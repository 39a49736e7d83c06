package conformance

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
)

var offlineRows = []row{
	{name: "2 stored and delivered in order with delay", script: `
		login jb
		jb > <message to='$r' id='1' xml:lang='de'><subject>s</subject><body>1</body><x xmlns='urn:x'/></message>
		pass 5s
		jb > <message to='$ro' type='chat' id='2'><body>2</body></message>
		pass 1h
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro << <message from='$jb' to='$r' id='1' xml:lang='de'><subject>s</subject><body>1</body><x xmlns='urn:x'/><delay $delay from='~$d|$r' stamp='~2000-01-01T00:00:00(\.\d+)?Z'/></message>
		ro << <message from='$jb' to='$ro' type='chat' id='2'><body>2</body><delay $delay from='~$d|$r' stamp='~2000-01-01T00:00:05(\.\d+)?Z'/></message>
		end ro
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "2 a negative priority gets none", script: `
		login jb
		jb > <message to='$r' type='chat'><body>1</body></message>
		login ro
		ro > <presence><priority>-1</priority></presence>
		ro < <presence from='$ro'/>
		jb > <message to='$r' type='chat'><body>2</body></message>
		ro > <presence><priority>0</priority></presence>
		ro < <presence from='$ro'/>
		ro << <message><body>1</body><delay $delay/></message>
		ro << <message><body>2</body><delay $delay/></message>
		ro > <presence><priority>1</priority></presence>
		ro < <presence from='$ro'/>`},
	{name: "2 connected without presence", script: `
		login ro
		login jb
		jb > <message to='$r' type='chat'><body>1</body></message>
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message><body>1</body><delay $delay/></message>`},
	{name: "2 after unavailable presence", script: `
		login ro 0
		login jb
		~ ro > <presence type='unavailable'/>
		jb > <message to='$r' type='chat'><body>1</body></message>
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message><body>1</body><delay $delay/></message>`},
	{name: "2 the second resource gets none", script: `
		login jb
		jb > <message to='$r' type='chat'><body>1</body></message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message><body>1</body></message>
		login rg
		rg > <presence/>
		ro < <presence from='$rg'/>
		rg < <presence from='$rg'/>
		rg < <presence from='$ro'/>`},
	{name: "2 too many", with: withOffline(func(o *offline.Options) { o.AccessMaxUserMessages = limit(2) }), script: `
		login jb
		jb > <message to='$r' type='chat' id='1'><body>1</body></message>
		jb > <message to='$r' type='chat' id='2'><body>2</body></message>
		jb > <message to='$r' type='chat' id='3'><body>3</body></message>
		jb < <message type='error' id='3' from='$r'>!service-unavailable</message> | <message type='error' id='3' from='$r'>!resource-constraint</message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro << <message><body>1</body></message>
		ro << <message><body>2</body></message>`},
	{name: "2 off", script: `
		off offline
		login jb
		jb > <message to='$r' type='chat' id='1'><body>1</body></message>
		jb < <message type='error' id='1' from='$r'>!service-unavailable</message>`},
	{name: "3 a chat state alone is not stored", script: `
		login jb
		jb > <message to='$r' type='chat'><composing $states/></message>
		jb > <message to='$r' type='chat'><active $states/><thread>t</thread></message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "3 a chat state with a body is stored", script: `
		login jb
		jb > <message to='$r' type='chat'><body>1</body><active $states/></message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message><body>1</body><active $states/></message>`},
	{name: "3 errors, headlines and groupchat are not stored", script: `
		login jb
		jb > <message to='$r' type='error' id='1'>!bad-request</message>
		jb > <message to='$r' type='headline' id='2'><body>x</body></message>
		~ jb > <message to='$r' type='groupchat' id='3'><body>x</body></message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "XEP-0334 no-store is not stored", script: `
		login jb
		jb > <message to='$r' type='chat' id='1'><body>1</body><no-store $hints/></message>
		jb ? <message type='error' id='1' from='$r'/>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "XEP-0334 store is stored without a body", script: `
		login jb
		jb > <message to='$r' type='chat' id='1'><x xmlns='urn:x'/><store $hints/></message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message id='1'><x xmlns='urn:x'/><store $hints/></message>`},
	{name: "XEP-0334 store of an error is ignored", script: `
		login jb
		jb > <message to='$r' type='error' id='1'><body>x</body><store $hints/>!bad-request</message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "XEP-0334 who is there gets everything", script: `
		login jb
		login ro 0
		jb > <message to='$r' type='chat' id='1'><body>1</body><no-store $hints/></message>
		ro < <message id='1'><body>1</body><no-store $hints/></message>`},
	{name: "XEP-0203 a delay of the sender stays and one of the server is added", script: `
		login jb
		jb > <message to='$r' type='chat'><body>1</body><delay $delay from='$jb' stamp='1999-01-01T00:00:00Z'/></message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message><body>1</body><delay $delay from='$jb' stamp='1999-01-01T00:00:00Z'/></message>`},
	{name: "XEP-0203 a delay in the name of the server is forged", script: `
		login jb
		pass 1h
		jb > <message to='$r' type='chat'><body>1</body><delay $delay from='$d' stamp='1999-01-01T00:00:00Z'/></message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message><body>1</body><delay $delay from='~$d|$r' stamp='~2000-01-01T01:00:00(\.\d+)?Z'/><delay no='' $delay stamp='1999-01-01T00:00:00Z'/></message>`},
	{name: "4 the feature", script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $info/></iq>
		ro < <iq type='result' id='1'><query $info><feature var='msgoffline'/></query></iq>`},
}

func TestXEP0160(t *testing.T) { run(t, offlineRows) }

var carbonRows = []row{
	{name: "4 on and off, again and again", script: `
		login ro
		ro > <iq type='set' id='1'><enable $carbons/></iq>
		ro < <iq type='result' id='1' only=''/>
		ro > <iq type='set' id='2'><enable $carbons/></iq>
		ro < <iq type='result' id='2'/>
		ro > <iq type='set' id='3'><disable $carbons/></iq>
		ro < <iq type='result' id='3'/>
		ro > <iq type='set' id='4'><disable $carbons/></iq>
		ro < <iq type='result' id='4'/>
		ro > <iq type='set' id='5' to='$r'><enable $carbons/></iq>
		ro < <iq type='result' id='5'/>`},
	{name: "4.1 not those of others", script: `
		login ro
		login jb 0
		ro > <iq type='set' id='1' to='$j'><enable $carbons/></iq>
		ro < <iq type='error' id='1'/>`},
	{name: "7 a message to one resource goes to the others that want it", script: `
		login ro 0
		login rg 0
		login rh 0
		carbons rg
		login jb 0
		jb > <message to='$ro' type='chat' id='1'><body>1</body><thread>t</thread></message>
		ro < <message from='$jb' to='$ro' type='chat' id='1'><body>1</body></message>
		rg < <message from='$r' to='$rg' type='chat' only=''><received $carbons only=''><forwarded $forward only=''><message $client from='$jb' to='$ro' type='chat' id='1'><body>1</body><thread>t</thread></message></forwarded></received></message>`},
	{name: "7 the addressee gets no copy", script: `
		login ro 0
		carbons ro
		login jb 0
		jb > <message to='$ro' type='chat'><body>1</body></message>
		ro < <message from='$jb'><body>1</body></message>`},
	{name: "7 a message to the account goes once to each", script: `
		login ro 0
		login rg 5
		login rh -1
		carbons ro
		carbons rg
		carbons rh
		login jb 0
		jb > <message to='$r' type='chat'><body>1</body></message>
		rg < <message from='$jb' to='$r'><body>1</body></message>
		ro < <message from='$r' to='$ro'><received $carbons><forwarded $forward><message $client from='$jb' to='$r'><body>1</body></message></forwarded></received></message>
		rh < <message from='$r' to='$rh'><received $carbons/></message>`},
	{name: "7 two that get the message get no copies", script: `
		login ro 0
		login rg 0
		carbons ro
		carbons rg
		login jb 0
		jb > <message to='$r' type='chat'><body>1</body></message>
		ro < <message from='$jb' to='$r'><body>1</body></message>
		rg < <message from='$jb' to='$r'><body>1</body></message>`},
	{name: "7 a resource without presence", script: `
		login ro 0
		login rg
		carbons rg
		login jb 0
		jb > <message to='$ro' type='chat'><body>1</body></message>
		ro < <message from='$jb'/>
		rg < <message from='$r' to='$rg'><received $carbons/></message>`},
	{name: "8 what one resource sends goes to the others that want it", script: `
		login ro 0
		login rg 0
		login rh 0
		carbons ro
		carbons rg
		login jb 0
		ro > <message to='$jb' type='chat' id='1'><body>1</body></message>
		jb < <message from='$ro' to='$jb' type='chat' id='1'><body>1</body></message>
		rg < <message from='$r' to='$rg' type='chat' only=''><sent $carbons only=''><forwarded $forward only=''><message $client from='$ro' to='$jb' type='chat' id='1'><body>1</body></message></forwarded></sent></message>`},
	{name: "8 also to who is away", script: `
		login ro 0
		login rg 0
		carbons rg
		ro > <message to='$j' type='chat'><body>1</body></message>
		rg < <message from='$r' to='$rg'><sent $carbons/></message>
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <message from='$ro' only=''><body>1</body><delay $delay/><stanza-id $sid/></message>`},
	{name: "8 to oneself", script: `
		login ro 0
		login rg 0
		login rh 0
		carbons ro
		carbons rg
		carbons rh
		ro > <message to='$rg' type='chat'><body>1</body></message>
		rg < <message from='$ro' to='$rg'><body>1</body></message>
		rh < <message from='$r' to='$rh'><sent $carbons/></message> | <message from='$r' to='$rh'><received $carbons/></message>
		rh ? <message from='$r' to='$rh'><sent $carbons/></message> | <message from='$r' to='$rh'><received $carbons/></message>
		rg ? <message from='$r' to='$rg'><sent $carbons/></message>
		ro ? <message from='$r' to='$ro'><received $carbons/></message>`},
	{name: "6.1 what is eligible", script: `
		login ro
		login rg 0
		carbons ro
		login jb 0
		jb > <message to='$rg'><body>1</body></message>
		rg < <message from='$jb'/>
		ro < <message><received $carbons/></message>
		jb > <message to='$rg' type='chat'><composing $states/></message>
		rg < <message from='$jb'/>
		ro < <message><received $carbons/></message>
		jb > <message to='$rg'><received $receipts id='x'/></message>
		rg < <message from='$jb'/>
		ro < <message><received $carbons/></message>
		jb > <message to='$rg'><displayed xmlns='urn:xmpp:chat-markers:0' id='x'/></message>
		rg < <message from='$jb'/>
		ro < <message><received $carbons/></message>
		jb > <message to='$rg'><x xmlns='jabber:x:conference' jid='a@b'/></message>
		rg < <message from='$jb'/>
		ro < <message><received $carbons/></message>
		jb > <message to='$rg'><x $muc><invite from='$j'/></x></message>
		rg < <message from='$jb'/>
		ro < <message><received $carbons/></message>`},
	{name: "6.1 what is not eligible", script: `
		login ro
		login rg 0
		carbons ro
		login jb 0
		jb > <message to='$rg'><x xmlns='urn:x'/></message>
		rg < <message from='$jb'/>
		jb > <message to='$rg' type='groupchat'><body>1</body></message>
		rg < <message from='$jb'/>
		jb > <message to='$rg' type='headline'><body>1</body></message>
		rg < <message from='$jb'/>
		jb > <message to='$rg' type='chat'><body>1</body><x $muc/></message>
		rg < <message from='$jb'/>`},
	{name: "6.1 an error for a message that was eligible", script: `
		login ro 0
		login rg 0
		carbons ro
		login jb 0
		~ rg > <message to='$jb' type='chat' id='1'><body>1</body></message>
		jb > <message to='$rg' type='error' id='1'><body>1</body>!gone</message>
		rg < <message type='error' from='$jb' id='1'/>
		ro < <message type='error' from='$r' to='$ro'><received $carbons><forwarded $forward><message $client type='error' from='$jb' to='$rg' id='1'/></forwarded></received></message>`},
	{name: "6.1 an error of the server for a message that was eligible", script: `
		login ro 0
		login rg 0
		carbons ro
		rg > <message to='nobody@$d' type='chat' id='1'><body>1</body></message>
		ro < <message><sent $carbons/></message>
		rg ? <message type='error' from='nobody@$d' id='1'/>
		ro ? <message type='error'><received $carbons/></message>`},
	{name: "9 private messages", script: `
		login ro 0
		login rg 0
		carbons rg
		login jb 0
		login jc 0
		carbons jc
		ro > <message to='$jb' type='chat'><body>1</body><private $carbons/><no-copy $hints/></message>
		jb < <message from='$ro'><body>1</body></message>
		ro > <message to='$jb' type='chat'><body>1</body><private $carbons/></message>
		jb < <message from='$ro'><body>1</body></message>`},
	{name: "XEP-0334 no-copy", script: `
		login ro 0
		login rg 0
		carbons rg
		login jb 0
		login jc 0
		carbons jc
		ro > <message to='$jb' type='chat'><body>1</body><no-copy $hints/></message>
		jb < <message from='$ro'><body>1</body></message>`},
	{name: "10.3 an error for a copy goes nowhere", script: `
		login ro 0
		login rg 0
		carbons rg
		login jb 0
		jb > <message to='$ro' type='chat' id='1'><body>1</body></message>
		ro < <message/>
		rg < <message/>
		rg > <message to='$r' type='error' id='1'>!bad-request</message>`},
	{name: "7 copies end with the session", script: `
		login ro 0
		login rg 0
		carbons rg
		login jb 0
		end rg
		ro < <presence type='unavailable'/>
		login rg 0
		jb > <message to='$ro' type='chat'><body>1</body></message>
		ro < <message/>`},
	{name: "5 switched off", script: `
		login ro 0
		login rg 0
		carbons rg
		login jb 0
		~ rg > <iq type='set' id='3'><disable $carbons/></iq>
		jb > <message to='$ro' type='chat'><body>1</body></message>
		ro < <message/>`},
	{name: "3 off for everybody", script: `
		login ro 0
		login rg 0
		carbons rg
		login jb 0
		off carbons
		jb > <message to='$ro' type='chat'><body>1</body></message>
		ro < <message/>
		rg > <iq type='set' id='1'><enable $carbons/></iq>
		rg < <iq type='error' id='1'>!service-unavailable</iq>`},
	{name: "11 a forged copy is no copy of the account", script: `
		login ro 0
		login ts
		ts > <message to='$r' type='chat'><received $carbons><forwarded $forward><message $client from='$jb' to='$ro' type='chat'><body>1</body></message></forwarded></received></message>
		ro ? <message from='$ts'><received $carbons/></message>
		ts ? <message type='error'/>`},
}

func TestXEP0280(t *testing.T) { run(t, carbonRows) }
