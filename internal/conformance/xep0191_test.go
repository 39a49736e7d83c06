package conformance

import "testing"

var blocklistRows = []row{
	{name: "3.1 the feature", script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $info/></iq>
		ro < <iq type='result' id='1'><query $info><feature var='urn:xmpp:blocking'/></query></iq>`},
	{name: "3.2 the empty list", script: `
		login ro
		ro > <iq type='get' id='1'><blocklist $blocking/></iq>
		ro < <iq type='result' id='1'><blocklist $blocking only=''/></iq>`},
	{name: "3.3 blocking", script: `
		login ro
		login rg
		login rh
		~ ro > <iq type='get' id='0'><blocklist $blocking/></iq>
		~ rg > <iq type='get' id='0'><blocklist $blocking/></iq>
		ro > <iq type='set' id='1'><block $blocking><item jid='$j'/><item jid='$ts'/></block></iq>
		ro < <iq type='result' id='1' only=''/>
		ro < <iq type='set' id='*' to='$ro' from='~($r)?'><block $blocking only=''><item jid='$j'/><item jid='$ts'/></block></iq>
		rg < <iq type='set' id='*' to='$rg' from='~($r)?'><block $blocking only=''><item jid='$j'/><item jid='$ts'/></block></iq>
		rh > <iq type='get' id='2'><blocklist $blocking/></iq>
		rh < <iq type='result' id='2'><blocklist $blocking only=''><item jid='$j'/><item jid='$ts'/></blocklist></iq>`},
	{name: "3.3 the list lasts", script: `
		login ro
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		end ro
		login ro
		ro > <iq type='get' id='2'><blocklist $blocking/></iq>
		ro < <iq type='result' id='2'><blocklist $blocking only=''><item jid='$j'/></blocklist></iq>`},
	{name: "3.3 no item", script: `
		login ro
		ro > <iq type='set' id='1'><block $blocking/></iq>
		ro < <iq type='error' id='1'><error type='modify'><bad-request $stanzas/></error></iq>`},
	{name: "3.3 broken items", script: `
		login ro
		ro > <iq type='set' id='1'><block $blocking><item/></block></iq>
		ro < <iq type='error' id='1'>!bad-request</iq> | <iq type='error' id='1'>!jid-malformed</iq>
		ro > <iq type='set' id='2'><block $blocking><item jid='$j'/><item jid='a@@b'/></block></iq>
		ro < <iq type='error' id='2'>!bad-request</iq> | <iq type='error' id='2'>!jid-malformed</iq>
		ro > <iq type='get' id='3'><blocklist $blocking/></iq>
		ro < <iq type='result' id='3'><blocklist $blocking only=''/></iq>`},
	{name: "3.3 twice is once", script: `
		login ro
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro > <iq type='set' id='2'><block $blocking><item jid='JULIET@$d'/></block></iq>
		ro < <iq type='result' id='2'/>
		ro > <iq type='get' id='3'><blocklist $blocking/></iq>
		ro < <iq type='result' id='3'><blocklist $blocking only=''><item jid='$j'/></blocklist></iq>`},
	{name: "3.4 unblocking one", script: `
		login ro
		~ ro > <iq type='get' id='0'><blocklist $blocking/></iq>
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/><item jid='$t'/></block></iq>
		ro > <iq type='set' id='2'><unblock $blocking><item jid='$j'/></unblock></iq>
		ro < <iq type='result' id='2'/>
		ro < <iq type='set' to='$ro'><unblock $blocking only=''><item jid='$j'/></unblock></iq>
		ro > <iq type='get' id='3'><blocklist $blocking/></iq>
		ro < <iq type='result' id='3'><blocklist $blocking only=''><item jid='$t'/></blocklist></iq>`},
	{name: "3.5 unblocking all", script: `
		login ro
		login rg
		login jb 0
		~ rg > <iq type='get' id='0'><blocklist $blocking/></iq>
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/><item jid='$t'/></block></iq>
		ro > <iq type='set' id='2'><unblock $blocking/></iq>
		ro < <iq type='result' id='2'/>
		rg < <iq type='set' to='$rg'><unblock $blocking only=''/></iq>
		ro > <iq type='get' id='3'><blocklist $blocking/></iq>
		ro < <iq type='result' id='3'><blocklist $blocking only=''/></iq>
		jb > <message to='$ro'><body>x</body></message>
		ro < <message from='$jb'/>`},
	{name: "3.2 the lists of others", script: `
		login ro
		login jb 0
		ro > <iq type='get' id='1' to='$j'><blocklist $blocking/></iq>
		ro < <iq type='error' id='1'/>
		ro > <iq type='set' id='2' to='$j'><block $blocking><item jid='$t'/></block></iq>
		ro < <iq type='error' id='2'/>`},
	{name: "3 off", script: `
		login ro
		login jb
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		off blocking
		ro > <iq type='get' id='2'><blocklist $blocking/></iq>
		ro < <iq type='error' id='2'>!service-unavailable</iq>`},
}

var blockingRows = []row{
	{name: "3.3 what the blocked one sends", script: `
		friends r j
		login ro 0
		login jb 0
		ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro < <iq type='result' id='1'/>
		ro ? <presence type='unavailable' from='$jb'/>
		jb < <presence type='unavailable' from='$ro'/>
		jb > <message to='$ro' id='1'><body>x</body></message>
		jb < <message type='error' id='1' from='$ro'>!service-unavailable</message>
		jb > <message to='$r' id='2' type='chat'><body>x</body></message>
		jb < <message type='error' id='2' from='$r'>!service-unavailable</message>
		jb > <iq type='get' id='3' to='$ro'><x xmlns='urn:x'/></iq>
		jb < <iq type='error' id='3' from='$ro'>!service-unavailable</iq>
		jb > <iq type='get' id='4' to='$r'><query $vcard/></iq>
		jb < <iq type='error' id='4' from='$r'>!service-unavailable</iq>
		jb > <iq type='result' id='5' to='$ro'/>
		jb > <iq type='error' id='6' to='$ro'>!bad-request</iq>
		jb > <presence to='$ro'/>
		jb > <presence to='$r' type='unavailable'/>
		jb > <presence to='$r' type='probe'/>
		jb > <presence><show>away</show></presence>
		jb < <presence from='$jb'/>
		jb > <message to='$ro' type='error'>!bad-request</message>
		jb > <message to='$ro' type='headline' id='7'><body>x</body></message>
		jb ? <message type='error' id='7' from='$ro'>!service-unavailable</message>`},
	{name: "3.3 a request of the blocked one is ignored", script: `
		here ro 0
		here jb 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		jb > <presence type='subscribe' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>
		end ro
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>`},
	{name: "3.3 what is sent to the blocked one", script: `
		friends r j
		login ro 0
		login jb 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro > <message to='$jb' id='1'><body>x</body></message>
		ro < <message type='error' id='1' from='$jb'><error type='cancel'><not-acceptable $stanzas/><blocked $blocked/></error></message>
		ro > <message to='$j' id='2'><body>x</body></message>
		ro < <message type='error' id='2' from='$j'><error type='cancel'><not-acceptable $stanzas/><blocked $blocked/></error></message>
		ro > <iq type='get' id='3' to='$jb'><x xmlns='urn:x'/></iq>
		ro < <iq type='error' id='3' from='$jb'><error type='cancel'><not-acceptable $stanzas/><blocked $blocked/></error></iq>
		ro > <iq type='get' id='4' to='$j'><query $vcard/></iq>
		ro < <iq type='error' id='4' from='$j'><error type='cancel'><not-acceptable $stanzas/><blocked $blocked/></error></iq>
		ro > <presence to='$jb' id='5'/>
		ro ? <presence type='error' id='5' from='$jb'><error type='cancel'><not-acceptable $stanzas/><blocked $blocked/></error></presence>
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'/>
		ro > <iq type='result' id='6' to='$jb'/>
		ro ? <iq type='error' id='6'/>
		ro > <message to='$jb' type='error' id='7'>!bad-request</message>`},
	{name: "3.3 a subscriber sees the user go", script: `
		roster r j from
		roster j r to
		login ro 0
		login rg 0
		login jb 0
		login ts 0
		ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro < <iq type='result' id='1'/>
		jb < <presence type='unavailable' from='$ro'/>
		jb < <presence type='unavailable' from='$rg'/>`},
	{name: "3.3 strangers hear nothing of it", script: `
		login ro 0
		login jb 0
		ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro < <iq type='result' id='1'/>
		ro > <iq type='set' id='2'><unblock $blocking/></iq>
		ro < <iq type='result' id='2'/>`},
	{name: "3.3 who got directed presence sees the user go", script: `
		login ro 0
		login jb 0
		~ ro > <presence to='$jb'/>
		ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro < <iq type='result' id='1'/>
		jb < <presence type='unavailable' from='$ro'/>`},
	{name: "3.4 a subscriber sees the user come", script: `
		friends r j
		login ro
		~ ro > <presence><show>dnd</show></presence>
		login jb 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro > <iq type='set' id='2'><unblock $blocking><item jid='$j'/></unblock></iq>
		ro < <iq type='result' id='2'/>
		ro ? <presence type='absent' from='$jb'/>
		jb < <presence type='absent' from='$ro'><show>dnd</show></presence>
		jb > <message to='$ro'><body>x</body></message>
		ro < <message from='$jb'><body>x</body></message>
		ro > <message to='$jb'><body>x</body></message>
		jb < <message from='$ro'><body>x</body></message>
		jb > <presence><show>away</show></presence>
		jb < <presence from='$jb'/>
		ro < <presence from='$jb'><show>away</show></presence>`},
	{name: "3.5 after unblocking all the subscribers see the user come", script: `
		friends r j
		roster r t from
		roster t r to
		login ro 0
		login jb 0
		login ts 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/><item jid='$t'/></block></iq>
		ro > <iq type='set' id='2'><unblock $blocking/></iq>
		ro < <iq type='result' id='2'/>
		ro ? <presence type='absent' from='$jb'/>
		jb < <presence type='absent' from='$ro'/>
		ts < <presence type='absent' from='$ro'/>`},
	{name: "3.3 blocked while the user was away", script: `
		friends r j
		login ro
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		end ro
		login jb 0
		jb > <message to='$r' type='chat' id='1'><body>x</body></message>
		jb < <message type='error' id='1' from='$r'>!service-unavailable</message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		jb > <presence><show>away</show></presence>
		jb < <presence from='$jb'/>`},
	{name: "3.3 the end of a session that began blocked", script: `
		friends r j
		login ro
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		end ro
		login jb 0
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		end ro`},
	{name: "3.3 the end of a session that was unavailable in between", script: `
		friends r j
		login ro 0
		login jb 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		ro > <presence type='unavailable'/>
		ro < <presence type='unavailable' from='$ro'/>
		ro > <presence/>
		ro < <presence from='$ro'/>
		cut ro`},
	{name: "3.3 the blocked one comes while the user is there", script: `
		friends r j
		login ro 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		end jb`},
	{name: "3.3 copies of what is refused are not made", script: `
		login ro 0
		carbons ro
		login rg 0
		login jb 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		jb > <message to='$rg' type='chat' id='1'><body>x</body></message>
		jb < <message type='error' id='1'/>`},
	{name: "7 one resource", script: `
		login ro 0
		login jb 0
		login jc 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$jb'/></block></iq>
		jb > <message to='$ro' id='1'><body>x</body></message>
		jb < <message type='error' id='1'/>
		jc > <message to='$ro' id='2'><body>x</body></message>
		ro < <message id='2' from='$jc'/>`},
	{name: "7 another domain", script: `
		login ro 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='elsewhere.example'/></block></iq>
		ro > <message to='a@elsewhere.example' id='1'><body>x</body></message>
		ro < <message type='error' id='1'>!not-acceptable</message>
		ro > <message to='elsewhere.example/x' id='2'><body>x</body></message>
		ro < <message type='error' id='2'>!not-acceptable</message>
		ro > <message to='a@sub.elsewhere.example' id='3'><body>x</body></message>
		ro < <message type='error' id='3'>!remote-server-not-found</message>`},
	{name: "7 the own domain", script: `
		login ro 0
		login rg 0
		login jb 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$d'/></block></iq>
		jb > <message to='$ro' id='1'><body>x</body></message>
		jb < <message type='error' id='1'/>
		rg > <message to='$ro' id='2'><body>x</body></message>
		ro < <message id='2' from='$rg'/>
		ro > <iq type='get' id='3'><query $roster/></iq>
		ro < <iq type='result' id='3'/>
		ro > <iq type='get' id='4'><blocklist $blocking/></iq>
		ro < <iq type='result' id='4'><blocklist $blocking><item jid='$d'/></blocklist></iq>
		ro > <iq type='set' id='5'><unblock $blocking/></iq>
		ro < <iq type='set'><unblock $blocking/></iq>
		ro < <iq type='result' id='5'/>`},
	{name: "6 oneself cannot be blocked", script: `
		login ro 0
		login rg 0
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$r'/></block></iq>
		rg > <message to='$ro' id='1'><body>x</body></message>
		ro < <message id='1' from='$rg'/>
		rg > <presence><show>away</show></presence>
		rg < <presence from='$rg'/>
		ro < <presence from='$rg'/>`},
	{name: "3.3 blocking of a session without connection", script: `
		friends r j
		login ro 0
		enable ro
		login rg 0
		login jb 0
		cut ro
		~ rg > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		jb > <message to='$ro' type='chat' id='1'><body>x</body></message>
		jb < <message type='error' id='1'/>
		pass 6m
		rg < <presence type='unavailable' from='$ro'/>`},
	{name: "3 a blocked account cannot tell that it is blocked from its vCard and last activity", script: `
		friends r j
		login ro 0
		login jb 0
		~ ro > <iq type='set' id='1'><vCard $vcard><FN>R</FN></vCard></iq>
		~ ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		jb > <iq type='get' id='1' to='$r'><vCard $vcard/></iq>
		jb < <iq type='error' id='1' from='$r'>!service-unavailable</iq>
		jb > <iq type='get' id='2' to='$r'><query $last/></iq>
		jb < <iq type='error' id='2' from='$r'>!service-unavailable</iq> | <iq type='error' id='2' from='$r'>!forbidden</iq>`},
}

func TestXEP0191Lists(t *testing.T) { run(t, blocklistRows) }

func TestXEP0191(t *testing.T) { run(t, blockingRows) }
