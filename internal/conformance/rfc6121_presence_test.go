package conformance

import "testing"

var presenceRows = []row{
	{name: "4.2.2 initial presence", script: `
		friends r j
		roster r t to
		roster t r from
		login ro 0
		login rg
		login jb 0
		login ts 0
		login rh
		rh > <presence id='p'><show>chat</show><status>hi</status><x xmlns='urn:x'/></presence>
		ro < <presence type='absent' from='$rh' id='p'><show>chat</show><status>hi</status><x xmlns='urn:x'/></presence>
		rh < <presence type='absent' from='$rh' id='p'/>
		rh < <presence type='absent' from='$ro'/>
		rh < <presence type='absent' from='$jb'/>
		rh < <presence type='absent' from='$ts'/>
		jb < <presence type='absent' from='$rh' id='p'><show>chat</show><status>hi</status><x xmlns='urn:x'/></presence>`},
	{name: "4.2.2 a subscriber without presence gets none", script: `
		friends r j
		login jb
		interested jb
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "4.3.1 who comes gets the presence of those he sees, as it was sent last", script: `
		roster r j to
		roster j r from
		login jb
		login jc
		~ jb > <presence id='a'><show>away</show><status>1</status></presence>
		~ jb > <presence id='b'><show>dnd</show><status>2</status><x xmlns='urn:x'/></presence>
		~ jc > <presence id='c'/>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <presence type='absent' from='$jb' id='b'><show>dnd</show><status>2</status><x xmlns='urn:x'/></presence>
		ro < <presence type='absent' from='$jc' id='c'/>`},
	{name: "4.3.1 directed presence is not what a probe tells", script: `
		roster r j to
		roster j r from
		login jb
		~ jb > <presence id='a'><status>all</status></presence>
		~ jb > <presence id='b' to='$t'><status>tybalt</status></presence>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <presence from='$jb' id='a'><status>all</status></presence>`},
	{name: "4.3.2 a probe of a subscriber", script: `
		roster r j to
		roster j r from
		login jb
		~ jb > <presence id='a'><show>away</show></presence>
		login jc 0
		login ro
		ro > <presence type='probe' to='$j' id='x'/>
		ro < <presence type='absent' from='$jb' id='a'><show>away</show></presence>
		ro < <presence type='absent' from='$jc'/>`},
	{name: "4.3.2 a probe of a subscriber for who is away", script: `
		roster r j to
		roster j r from
		login ro
		ro > <presence type='probe' to='$j' id='x'/>
		ro ? <presence type='unavailable' from='$j'/>`},
	{name: "4.3.2.1 the answer for who is away has the id of the probe", script: `
		roster r j to
		roster j r from
		login ro
		ro > <presence type='probe' to='$j' id='x'/>
		ro ? <presence type='unavailable' from='$j' id='x'/>`},
	{name: "4.3.2 a probe of a stranger", script: `
		login jb 0
		login ro 0
		ro > <presence type='probe' to='$j' id='x'/>
		ro ? <presence type='unsubscribed' from='$j' only=''/>
		ro > <presence type='probe' to='$jb' id='x'/>
		ro ? <presence type='unsubscribed' from='$j' only=''/>`},
	{name: "4.3.2 a probe of who is seen himself is a stranger's", script: `
		roster r j from
		roster j r to
		login jb
		~ jb > <presence/>
		login ro
		ro > <presence type='probe' to='$j' id='x'/>
		ro ? <presence type='unsubscribed' from='$j' only=''/>`},
	{name: "4.3.2 a probe for an account that does not exist", script: `
		login ro 0
		ro > <presence type='probe' to='nobody@$d' id='x'/>
		ro ? <presence type='unsubscribed' from='nobody@$d' only=''/>`},
	{name: "4.3.2 a probe for one resource", script: `
		roster r j to
		roster j r from
		login jb 0
		login jc 0
		login ro
		ro > <presence type='probe' to='$jb'/>
		ro < <presence type='absent' from='$jb'/>
		ro > <presence type='probe' to='$j/attic'/>
		ro ? <presence type='unavailable' from='$j/attic'/> | <presence type='unavailable' from='$j'/>`},
	{name: "4.4.2 later presence goes to the same", script: `
		friends r j
		roster t r to
		roster r t from
		login ro 0
		login rg 0
		login jb 0
		login jc 0
		login ts 0
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'><show>away</show></presence>
		rg < <presence from='$ro'><show>away</show></presence>
		jb < <presence from='$ro'><show>away</show></presence>
		jc < <presence from='$ro'><show>away</show></presence>
		ts < <presence from='$ro'><show>away</show></presence>`},
	{name: "4.5.2 unavailable presence as it was sent", script: `
		friends r j
		login ro 0
		login rg 0
		login jb 0
		ro > <presence type='unavailable' id='u'><status>bye</status></presence>
		ro < <presence type='unavailable' from='$ro' id='u'><status>bye</status></presence>
		rg < <presence type='unavailable' from='$ro' id='u'><status>bye</status></presence>
		jb < <presence type='unavailable' from='$ro' id='u'><status>bye</status></presence>
		jb > <presence><show>xa</show></presence>
		jb < <presence from='$jb'/>
		rg < <presence from='$jb'/>
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <presence from='$rg'/>
		ro < <presence from='$jb'/>
		rg < <presence from='$ro'/>
		jb < <presence from='$ro'/>`},
	{name: "4.5.2 the polite end", script: `
		friends r j
		login ro 0
		login rg 0
		login jb 0
		end ro
		rg < <presence type='unavailable' from='$ro'/>
		jb < <presence type='unavailable' from='$ro'/>
		end rg
		jb < <presence type='unavailable' from='$rg'/>`},
	{name: "4.5.2 after unavailable presence the end says nothing", script: `
		friends r j
		login ro 0
		login jb 0
		~ ro > <presence type='unavailable'/>
		end ro`},
	{name: "4.5.2 a broken connection", script: `
		friends r j
		login ro 0
		login jb 0
		cut ro
		jb < <presence type='unavailable' from='$ro'/>`},
	{name: "4.5.2 the resource is taken over", script: `
		friends r j
		login ro 0
		login jb 0
		auth rg
		rg > <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>
		rg < <iq type='result' id='b'/>
		ro < <stream:error><conflict $streams/></stream:error>
		ro < </stream:stream>
		ro < eof
		jb < <presence type='unavailable' from='$ro'/>`},
	{name: "4.2.2 presence of contacts stops with unavailable presence", script: `
		friends r j
		login ro 0
		login jb 0
		~ ro > <presence type='unavailable'/>
		jb > <presence><show>away</show></presence>
		jb < <presence from='$jb'/>`},
}

var directedRows = []row{
	{name: "4.6.3 to a stranger and to his end", script: `
		login ro 0
		login jb 0
		login jc 0
		ro > <presence to='$j'><status>you</status></presence>
		jb < <presence from='$ro' to='$j'><status>you</status></presence>
		jc < <presence from='$ro' to='$j'><status>you</status></presence>
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'/>
		end ro
		jb < <presence type='unavailable' from='$ro'/>
		jc < <presence type='unavailable' from='$ro'/>`},
	{name: "4.6.3 unavailable presence goes to a stranger, too", script: `
		login ro 0
		login jb 0
		~ ro > <presence to='$jb'/>
		ro > <presence type='unavailable'><status>bye</status></presence>
		ro < <presence type='unavailable' from='$ro'/>
		jb < <presence type='unavailable' from='$ro'/>
		end ro`},
	{name: "4.6.3 directed unavailable presence ends it", script: `
		login ro 0
		login jb 0
		~ ro > <presence to='$jb'/>
		ro > <presence to='$jb' type='unavailable'/>
		jb < <presence type='unavailable' from='$ro'/>
		end ro`},
	{name: "4.6.3 without initial presence", script: `
		login ro
		login jb 0
		ro > <presence to='$jb'/>
		jb < <presence from='$ro'/>
		cut ro
		jb < <presence type='unavailable' from='$ro'/>`},
	{name: "4.6.3 to a subscriber changes nothing of the broadcast", script: `
		friends r j
		login ro 0
		login jb 0
		ro > <presence to='$j'><show>dnd</show></presence>
		jb < <presence from='$ro'><show>dnd</show></presence>
		ro > <presence to='$j' type='unavailable'/>
		jb < <presence from='$ro' type='unavailable'/>
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'/>
		jb < <presence from='$ro'><show>away</show></presence>
		end ro
		jb < <presence from='$ro' type='unavailable'/>`},
	{name: "4.6.1 a subscription takes precedence", script: `
		here ro 0
		here jb 0
		~ ro > <presence to='$j'/>
		~ jb > <presence type='subscribe' to='$r'/>
		~ ro > <presence type='subscribed' to='$j'/>
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'/>
		jb < <presence from='$ro'><show>away</show></presence>
		ro > <presence type='unsubscribed' to='$j'/>
		ro < <iq type='set'/>
		jb < <presence type='unavailable' from='$ro'/>
		jb < <presence type='unsubscribed' from='$r'/>
		jb < <iq type='set'/>`},
	{name: "4.6.1 unavailable presence of the other ends it", script: `
		login ro 0
		login jb 0
		~ ro > <presence to='$jb'/>
		~ jb > <presence to='$ro'/>
		jb > <presence type='unavailable' to='$ro'/>
		ro < <presence type='unavailable' from='$jb'/>
		end ro`},
	{name: "8.5.3.2.2 to a resource that is not there", script: `
		login ro 0
		login jb 0
		ro > <presence to='$j/attic'/>
		ro > <presence to='$j/attic' type='unavailable'/>`},
	{name: "8.5.3.1 to a resource that is only connected", script: `
		login ro 0
		login jb
		ro > <presence to='$jb'/>
		jb < <presence from='$ro'/>`},
	{name: "8.5.2.1.2 to an account only available resources get it", script: `
		login ro 0
		login jb
		login jc -1
		ro > <presence to='$j'/>
		jc < <presence from='$ro' to='$j'/>`},
	{name: "8.5.1 to an account that does not exist", script: `
		login ro 0
		ro > <presence to='nobody@$d'/>
		ro > <presence to='nobody@$d' type='unavailable'/>`},
}

func TestRFC6121Presence(t *testing.T) { run(t, presenceRows) }

func TestRFC6121Directed(t *testing.T) { run(t, directedRows) }
