package conformance

import "testing"

var privateRows = []row{
	{name: "2.3 stored and read again", script: `
		login ro
		ro > <iq type='set' id='1'><query $private><prefs xmlns='exodus:prefs' a='1'><nick xml:lang='en'>Hamlet &amp; co</nick><x xmlns='urn:x'/></prefs></query></iq>
		ro < <iq type='result' id='1' only=''/>
		end ro
		login rg
		rg > <iq type='get' id='2'><query $private><prefs xmlns='exodus:prefs'/></query></iq>
		rg < <iq type='result' id='2'><query $private only=''><prefs xmlns='exodus:prefs' a='1' only=''><nick xml:lang='en'>Hamlet &amp; co</nick><x xmlns='urn:x'/></prefs></query></iq>`},
	{name: "2.3 to the own account", script: `
		login ro
		ro > <iq type='set' id='1' to='$r'><query $private><a xmlns='urn:a'>x</a></query></iq>
		ro < <iq type='result' id='1'/>
		ro > <iq type='get' id='2' to='$r'><query $private><a xmlns='urn:a'/></query></iq>
		ro < <iq type='result' id='2'><query $private><a xmlns='urn:a'>x</a></query></iq>`},
	{name: "2.3 nothing is stored", script: `
		login ro
		ro > <iq type='get' id='1'><query $private><a xmlns='urn:a'/></query></iq>
		ro < <iq type='result' id='1'><query $private only=''><a xmlns='urn:a' only=''/></query></iq>`},
	{name: "2.3 replaced", script: `
		login ro
		~ ro > <iq type='set' id='1'><query $private><a xmlns='urn:a'><x/></a></query></iq>
		~ ro > <iq type='set' id='1'><query $private><a xmlns='urn:a'><y/></a></query></iq>
		ro > <iq type='get' id='2'><query $private><a xmlns='urn:a'/></query></iq>
		ro < <iq type='result' id='2'><query $private only=''><a xmlns='urn:a' only=''><y/></a></query></iq>`},
	{name: "2.3 names and namespaces are apart", script: `
		login ro
		~ ro > <iq type='set' id='1'><query $private><a xmlns='urn:a'>1</a></query></iq>
		~ ro > <iq type='set' id='1'><query $private><a xmlns='urn:b'>2</a></query></iq>
		ro > <iq type='get' id='2'><query $private><a xmlns='urn:a'/></query></iq>
		ro < <iq type='result' id='2'><query $private only=''><a xmlns='urn:a'>1</a></query></iq>
		ro > <iq type='get' id='3'><query $private><a xmlns='urn:b'/></query></iq>
		ro < <iq type='result' id='3'><query $private only=''><a xmlns='urn:b'>2</a></query></iq>`},
	{name: "2.3 without an element", script: `
		login ro
		ro > <iq type='get' id='1'><query $private/></iq>
		ro < <iq type='error' id='1'>!bad-request</iq> | <iq type='error' id='1'>!not-acceptable</iq> | <iq type='error' id='1'>!bad-format</iq>
		ro > <iq type='set' id='2'><query $private/></iq>
		ro < <iq type='error' id='2'>!not-acceptable</iq> | <iq type='error' id='2'>!bad-request</iq> | <iq type='error' id='2'>!bad-format</iq>`},
	{name: "2.3 without a namespace", script: `
		login ro
		ro > <iq type='set' id='1'><query $private><a>x</a></query></iq>
		ro < <iq type='error' id='1'>!not-acceptable</iq> | <iq type='error' id='1'>!bad-request</iq> | <iq type='error' id='1'>!bad-format</iq>`},
	{name: "2.3 of others", script: `
		login ro
		login jb 0
		ro > <iq type='get' id='1' to='$j'><query $private><a xmlns='urn:a'/></query></iq>
		ro < <iq type='error' id='1' from='$j'>!forbidden</iq> | <iq type='error' id='1' from='$j'>!service-unavailable</iq>
		ro > <iq type='set' id='2' to='$j'><query $private><a xmlns='urn:a'>x</a></query></iq>
		ro < <iq type='error' id='2' from='$j'>!forbidden</iq> | <iq type='error' id='2' from='$j'>!service-unavailable</iq>
		jb > <iq type='get' id='3'><query $private><a xmlns='urn:a'/></query></iq>
		jb < <iq type='result' id='3'><query $private only=''><a xmlns='urn:a' only=''/></query></iq>`},
	{name: "2 off", script: `
		off private
		login ro
		ro > <iq type='get' id='1'><query $private><a xmlns='urn:a'/></query></iq>
		ro < <iq type='error' id='1'>!service-unavailable</iq>`},
}

var vcardRows = []row{
	{name: "3.1 none", script: `
		login ro
		ro > <iq type='get' id='1'><vCard $vcard/></iq>
		ro < <iq type='error' id='1'>!item-not-found</iq> | <iq type='result' id='1'><vCard $vcard only=''/></iq>`},
	{name: "3.2 set, got and replaced", script: `
		login ro
		ro > <iq type='set' id='1'><vCard $vcard><FN>Romeo</FN><N><GIVEN>R</GIVEN></N><PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO></vCard></iq>
		ro < <iq type='result' id='1' only=''/>
		ro > <iq type='get' id='2'><vCard $vcard/></iq>
		ro < <iq type='result' id='2'><vCard $vcard only=''><FN>Romeo</FN><N><GIVEN>R</GIVEN></N><PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO></vCard></iq>
		~ ro > <iq type='set' id='3' to='$r'><vCard $vcard><NICKNAME>r</NICKNAME></vCard></iq>
		end ro
		login ro
		ro > <iq type='get' id='4' to='$r'><vCard $vcard/></iq>
		ro < <iq type='result' id='4'><vCard $vcard only=''><NICKNAME>r</NICKNAME></vCard></iq>`},
	{name: "3.2 of others", script: `
		login ro
		login jb 0
		ro > <iq type='set' id='1' to='$j'><vCard $vcard><FN>x</FN></vCard></iq>
		ro < <iq type='error' id='1' from='$j'>!forbidden</iq> | <iq type='error' id='1' from='$j'>!not-allowed</iq>`},
	{name: "3.3 strangers see it, also when the user is there or away", script: `
		login ro 0
		~ ro > <iq type='set' id='1'><vCard $vcard><FN>Romeo</FN></vCard></iq>
		login jb
		jb > <iq type='get' id='2' to='$r'><vCard $vcard/></iq>
		jb < <iq type='result' id='2' from='$r'><vCard $vcard only=''><FN>Romeo</FN></vCard></iq>
		end ro
		jb > <iq type='get' id='3' to='$r'><vCard $vcard/></iq>
		jb < <iq type='result' id='3' from='$r'><vCard $vcard only=''><FN>Romeo</FN></vCard></iq>`},
	{name: "3.3 nobody can tell an account without one from none", script: `
		login ro
		ro > <iq type='get' id='1' to='$j'><vCard $vcard/></iq>
		ro < <iq type='error' id='1' from='$j'>!service-unavailable</iq>
		ro > <iq type='get' id='2' to='nobody@$d'><vCard $vcard/></iq>
		ro < <iq type='error' id='2' from='nobody@$d'>!service-unavailable</iq>`},
	{name: "3.3 of the server", script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><vCard $vcard/></iq>
		ro < <iq type='result' id='1' from='$d'><vCard $vcard/></iq> | <iq type='error' id='1' from='$d'/>
		ro > <iq type='set' id='2' to='$d'><vCard $vcard><FN>x</FN></vCard></iq>
		ro < <iq type='error' id='2' from='$d'/>`},
	{name: "3 off", script: `
		off vcard
		login ro
		ro > <iq type='get' id='1'><vCard $vcard/></iq>
		ro < <iq type='error' id='1'>!service-unavailable</iq>`},
}

var lastRows = []row{
	{name: "3 a subscriber hears when the user went, and why", script: `
		friends r j
		login ro 0
		login jb
		~ ro > <presence type='unavailable'><status>Heading Home</status></presence>
		end ro
		pass 903s
		jb > <iq type='get' id='1' to='$r'><query $last/></iq>
		jb < <iq type='result' id='1' from='$r'><query $last seconds='903'>~(Heading Home)?</query></iq>`},
	{name: "3 a session that broke", script: `
		friends r j
		login ro 0
		login jb
		cut ro
		pass 10s
		jb > <iq type='get' id='1' to='$r'><query $last/></iq>
		jb < <iq type='result' id='1'><query $last seconds='10'/></iq>`},
	{name: "3 the last of two resources counts", script: `
		friends r j
		login ro 0
		login rg 0
		login jb
		end ro
		rg < <presence type='unavailable'/>
		pass 100s
		end rg
		pass 10s
		jb > <iq type='get' id='1' to='$r'><query $last/></iq>
		jb < <iq type='result' id='1'><query $last seconds='10'/></iq>`},
	{name: "3 who is there", script: `
		friends r j
		login ro 0
		login jb
		pass 10s
		jb > <iq type='get' id='1' to='$r'><query $last/></iq>
		jb < <iq type='result' id='1' from='$r'><query $last seconds='0' only=''/></iq>`},
	{name: "3 strangers", script: `
		roster r j to
		roster j r from
		login ro 0
		login jb
		jb > <iq type='get' id='1' to='$r'><query $last/></iq>
		jb < <iq type='error' id='1' from='$r'><error type='auth'><forbidden $stanzas/></error></iq>
		end ro
		jb > <iq type='get' id='2' to='$r'><query $last/></iq>
		jb < <iq type='error' id='2' from='$r'>!forbidden</iq>`},
	{name: "4 a subscriber asks a resource", script: `
		friends r j
		login ro 0
		login jb
		jb > <iq type='get' id='1' to='$ro'><query $last/></iq>
		jb ? <iq type='result' id='1' from='$ro'><query $last seconds='*'/></iq>
		ro ? <iq type='get' id='1' from='$jb'><query $last/></iq>`},
	{name: "4 a stranger asks a resource", script: `
		login ro 0
		login jb
		jb > <iq type='get' id='1' to='$ro'><query $last/></iq>
		jb < <iq type='error' id='1' from='$ro'>!forbidden</iq>`},
	{name: "8 a stranger asks a resource that is not there", script: `
		login jb
		jb > <iq type='get' id='1' to='$ro'><query $last/></iq>
		jb < <iq type='error' id='1' from='$ro'>!forbidden</iq> | <iq type='error' id='1' from='$ro'>!service-unavailable</iq>`},
	{name: "8 a stranger cannot tell who exists", script: `
		login jb
		jb > <iq type='get' id='1' to='nobody@$d'><query $last/></iq>
		jb < <iq type='error' id='1' from='nobody@$d'>!service-unavailable</iq> | <iq type='error' id='1' from='nobody@$d'>!forbidden</iq>`},
	{name: "5 the server", script: `
		login jb
		pass 100s
		jb > <iq type='get' id='1' to='$d'><query $last/></iq>
		jb < <iq type='result' id='1' from='$d'><query $last seconds='100' only=''/></iq>`},
	{name: "3 a session without connection is there", script: `
		friends r j
		login ro 0
		enable ro
		login jb
		cut ro
		pass 100s
		jb > <iq type='get' id='1' to='$r'><query $last/></iq>
		jb < <iq type='result' id='1'><query $last seconds='0'/></iq>`},
	{name: "3 off", script: `
		friends r j
		off last
		login jb
		jb > <iq type='get' id='1' to='$r'><query $last/></iq>
		jb < <iq type='error' id='1' from='$r'>!service-unavailable</iq>`},
}

var stanzaIDRows = []row{
	{name: "3 each message gets one of the account", script: `
		login ro 0
		login jb 0
		ro > <message to='$jb' type='chat'><body>1</body></message>
		jb < <message from='$ro' only=''><body>1</body><stanza-id $sid by='$j' id='=id1' only=''/></message>
		ro > <message to='$jb' type='chat'><body>1</body></message>
		jb < <message from='$ro' only=''><body>1</body><stanza-id $sid by='$j' id='=id2' only=''/></message>`},
	{name: "3 a forged id is removed", script: `
		login ro 0
		login jb 0
		ro > <message to='$jb' type='chat'><body>1</body><stanza-id $sid by='$j' id='forged'/><stanza-id $sid by='JULIET@$d' id='forged'/></message>
		jb < <message from='$ro' only=''><body>1</body><stanza-id $sid by='$j' id='~[^f].*|f[^o].*'/></message>`},
	{name: "3 ids of others and of the client stay", script: `
		login ro 0
		login jb 0
		ro > <message to='$jb' type='chat'><body>1</body><stanza-id $sid by='room@elsewhere.example' id='x'/><origin-id $sid id='o'/></message>
		jb < <message from='$ro' only=''><body>1</body><stanza-id $sid by='room@elsewhere.example' id='x'/><origin-id $sid id='o'/><stanza-id $sid by='$j' id='*'/></message>`},
	{name: "3 all resources see the same id", script: `
		login ro 0
		login jb 0
		login jc 0
		carbons jc
		ro > <message to='$j' type='chat'><body>1</body></message>
		jb < <message><stanza-id $sid by='$j' id='=one'/></message>
		jc < <message><stanza-id $sid by='$j' id='=two'/></message>
		ro > <message to='$jb' type='chat'><body>1</body></message>
		jb < <message><stanza-id $sid by='$j' id='=three'/></message>
		jc < <message><received $carbons><forwarded $forward><message $client><stanza-id $sid by='$j' id='=four'/></message></forwarded></received></message>
		same one two
		same three four`},
	{name: "3 offline messages keep theirs, and have one", script: `
		login ro 0
		ro > <message to='$j' type='chat'><body>1</body><stanza-id $sid by='$j' id='forged'/></message>
		login jb
		enable jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <message only=''><body>1</body><stanza-id $sid by='$j' id='=first'/><delay $delay/></message>
		cut jb
		pass 6m
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <message only=''><body>1</body><stanza-id $sid by='$j' id='=second'/><delay $delay/></message>
		same first second`},
	{name: "5 the feature", script: `
		login ro
		ro > <iq type='get' id='1' to='$r'><query $info/></iq>
		ro < <iq type='result' id='1'><query $info><feature var='urn:xmpp:sid:0'/></query></iq>`},
	{name: "3 off", script: `
		off stanzaid
		login ro 0
		login jb 0
		ro > <message to='$jb' type='chat'><body>1</body></message>
		jb < <message only=''><body>1</body></message>`},
}

func TestXEP0049(t *testing.T) { run(t, privateRows) }

func TestXEP0054(t *testing.T) { run(t, vcardRows) }

func TestXEP0012(t *testing.T) { run(t, lastRows) }

func TestXEP0359(t *testing.T) { run(t, stanzaIDRows) }
