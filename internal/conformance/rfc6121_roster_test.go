package conformance

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	longText = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	veryLong = longText + longText + longText + longText + longText + longText + longText + longText
	hugeText = veryLong + veryLong + veryLong + veryLong + veryLong + veryLong + veryLong + veryLong
)

var rosterRows = []row{
	{name: "2.1.4 empty roster", script: `
		login ro
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='result' id='1'><query $roster only=''/></iq>`},
	{name: "2.1.3 get to the own account", script: `
		login ro
		ro > <iq type='get' id='1' to='$r'><query $roster/></iq>
		ro < <iq type='result' id='1'><query $roster only=''/></iq>`},
	{name: "2.1.4 the items with all that they have", script: `
		roster r j both
		roster r t none ask
		login ro
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='result' id='1' to='~($ro)?'><query $roster only=''><item jid='$j' subscription='both' ask='absent'/><item jid='$t' subscription='none' ask='subscribe'/></query></iq>`},
	{name: "2.3.2 result and push", script: `
		login ro
		interested ro
		ro > <iq type='set' id='1'><query $roster><item jid='$j' name='Juliet'><group>Friends</group><group>Lovers</group></item></query></iq>
		ro < <iq type='result' id='1' only=''/>
		ro < <iq type='set' id='*' to='$ro' from='~($r)?'><query $roster only=''><item jid='$j' name='Juliet' subscription='none' ask='absent' only=''><group>Friends</group><group>Lovers</group></item></query></iq>
		ro > <iq type='get' id='2'><query $roster/></iq>
		ro < <iq type='result' id='2'><query $roster only=''><item jid='$j' name='Juliet' subscription='none' only=''><group>Friends</group><group>Lovers</group></item></query></iq>`},
	{name: "2.1.6 pushes go to interested resources only", script: `
		login ro 0
		login rg
		login rh 0
		interested rg
		ro > <iq type='set' id='1'><query $roster><item jid='$j'/></query></iq>
		ro < <iq type='result' id='1'/>
		rg < <iq type='set' to='$rg'><query $roster only=''><item jid='$j' subscription='none'/></query></iq>`},
	{name: "2.1.6 the answer to a push goes nowhere", script: `
		here ro 0
		here rg 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set' id='=push'><query $roster/></iq>
		rg < <iq type='set'/>
		ro > <iq type='result' id='$push'/>
		ro > <iq type='result' id='$push' to='$r'/>
		ro > <iq type='error' id='$push' to='$r'>!service-unavailable</iq>`},
	{name: "2.1.6 a roster push of a client is none", script: `
		here ro 0
		here jb 0
		ro > <iq type='set' id='1' to='$jb'><query $roster><item jid='$t' subscription='both'/></query></iq>
		ro < <iq type='error' id='1'/>`},
	{name: "2.1.6 the end of a session is the end of its interest", script: `
		here ro 0
		login rg
		end ro
		login ro 0
		rg > <iq type='set' id='1'><query $roster><item jid='$j'/></query></iq>
		rg < <iq type='result' id='1'/>`},
	{name: "2.1.2.2 ask of a client is ignored", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' ask='subscribe'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='none' ask='absent'/></query></iq>`},
	{name: "2.1.2.1 approved of a client is ignored", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' approved='true'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'><query $roster><item jid='$j' approved='absent'/></query></iq>`},
	{name: "2.1.2.5 subscription of a client is ignored", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='both'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='none'/></query></iq>`},
	{name: "2.1.2.5 an update leaves the subscription as it is", script: `
		friends r j
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' name='J' subscription='none'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'><query $roster><item jid='$j' name='J' subscription='both'/></query></iq>`},
	{name: "2.1.2 of the JID the server keeps the canonical form", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='JULIET@One.Example'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'><query $roster><item jid='$j'/></query></iq>`},
	{name: "2.2 the roster of somebody else", script: `
		login ro
		login jb 0
		ro > <iq type='get' id='1' to='$j'><query $roster/></iq>
		ro < <iq type='error' id='1' from='$j'>!forbidden</iq> | <iq type='error' id='1' from='$j'>!service-unavailable</iq> | <iq type='error' id='1' from='$j'>!not-allowed</iq>`},
	{name: "2.3.3 somebody else", script: `
		login ro
		login jb 0
		ro > <iq type='set' id='1' to='$j'><query $roster><item jid='$t'/></query></iq>
		ro < <iq type='error' id='1' from='$j'>!forbidden</iq>`},
	{name: "2.3.3 more than one item", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$t'/><item jid='$j'/></query></iq>
		ro < <iq type='error' id='1'><error type='modify'><bad-request $stanzas/></error></iq>
		ro > <iq type='get' id='2'><query $roster/></iq>
		ro < <iq type='result' id='2'><query $roster only=''/></iq>`},
	{name: "2.3.3 no item", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster/></iq>
		ro < <iq type='error' id='1'>!bad-request</iq>`},
	{name: "2.3.3 an item without a JID", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item name='x'/></query></iq>
		ro < <iq type='error' id='1'>!bad-request</iq> | <iq type='error' id='1'>!jid-malformed</iq>`},
	{name: "2.3.3 an item with a broken JID", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='a@b@c'/></query></iq>
		ro < <iq type='error' id='1'>!bad-request</iq> | <iq type='error' id='1'>!jid-malformed</iq>`},
	{name: "2.3.3 duplicate groups", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j'><group>a</group><group>a</group></item></query></iq>
		ro < <iq type='error' id='1'>!bad-request</iq>`},
	{name: "2.3.3 empty group", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j'><group/></item></query></iq>
		ro < <iq type='error' id='1'>!not-acceptable</iq>`},
	{name: "2.3.3 oversized name", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' name='` + hugeText + `'/></query></iq>
		ro < <iq type='error' id='1'>!not-acceptable</iq>`},
	{name: "2.3.3 oversized group", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j'><group>` + hugeText + `</group></item></query></iq>
		ro < <iq type='error' id='1'>!not-acceptable</iq>`},
	{name: "2.3.3 the own account", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$r'/></query></iq>
		ro < <iq type='error' id='1'>!not-allowed</iq> | <iq type='result' id='1'/>
		ro ? <iq type='set'><query $roster/></iq>`},
	{name: "2.4.1 an update replaces name and groups", script: `
		here ro 0
		~ ro > <iq type='set' id='1'><query $roster><item jid='$j' name='Juliet'><group>Friends</group></item></query></iq>
		ro > <iq type='set' id='2'><query $roster><item jid='$j' name='J'><group>Lovers</group></item></query></iq>
		ro < <iq type='result' id='2'/>
		ro < <iq type='set'><query $roster><item jid='$j' name='J' only=''><group>Lovers</group></item></query></iq>
		ro > <iq type='set' id='3'><query $roster><item jid='$j' name=''/></query></iq>
		ro < <iq type='result' id='3'/>
		ro < <iq type='set'><query $roster><item jid='$j' name='~' only=''/></query></iq>
		ro > <iq type='get' id='4'><query $roster/></iq>
		ro < <iq type='result' id='4'><query $roster only=''><item jid='$j' name='~' only=''/></query></iq>`},
	{name: "2.5.2 deleting without a subscription", script: `
		roster r j none
		here ro 0
		here rg 0
		here jb 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set' to='$ro'><query $roster only=''><item jid='$j' subscription='remove'/></query></iq>
		rg < <iq type='set' to='$rg'><query $roster only=''><item jid='$j' subscription='remove'/></query></iq>
		ro > <iq type='get' id='2'><query $roster/></iq>
		ro < <iq type='result' id='2'><query $roster only=''/></iq>`},
	{name: "2.5.2 deleting a mutual subscription ends both", script: `
		friends r j
		here ro 0
		here jb 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='remove'/></query></iq>
		ro ? <presence type='unavailable' from='$jb'/>
		jb < <presence type='unsubscribe' from='$r'/>
		jb < <presence type='unsubscribed' from='$r'/>
		jb < <presence type='unavailable' from='$ro'/>
		jb << <iq type='set'><query $roster><item jid='$r' subscription='~to|from'/></query></iq>
		jb << <iq type='set'><query $roster><item jid='$r' subscription='none' ask='absent'/></query></iq>
		jb > <presence><show>away</show></presence>
		jb < <presence from='$jb'/>
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'/>`},
	{name: "2.5.2 deleting who only sees the user", script: `
		roster r j from
		roster j r to
		here ro 0
		here jb 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='remove'/></query></iq>
		jb << <presence type='unavailable' from='$ro'/>
		jb << <presence type='unsubscribed' from='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none'/></query></iq>`},
	{name: "2.5.2 deleting whom the user only sees", script: `
		roster r j to
		roster j r from
		here ro 0
		here jb 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='remove'/></query></iq>
		ro ? <presence type='unavailable' from='$jb'/>
		jb < <presence type='unsubscribe' from='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none'/></query></iq>`},
	{name: "2.5.2 deleting while the contact is away", script: `
		friends r j
		here ro 0
		~ ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		login jb
		jb > <iq type='get' id='2'><query $roster/></iq>
		jb < <iq type='result' id='2'><query $roster only=''><item jid='$r' subscription='none' ask='absent'/></query></iq>`},
	{name: "2.5.3 deleting what is not there", script: `
		here ro 0
		ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		ro < <iq type='error' id='1'>!item-not-found</iq>`},
	{name: "2.5.3 a request is no item", script: `
		here jb 0
		login ro
		~ ro > <presence type='subscribe' to='$j'/>
		jb > <iq type='set' id='1'><query $roster><item jid='$r' subscription='remove'/></query></iq>
		jb < <iq type='error' id='1'>!item-not-found</iq>`},
	{name: "2.1.4 an off roster is not served", script: `
		off roster
		login ro 0
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='error' id='1'>!service-unavailable</iq>
		ro > <iq type='set' id='2'><query $roster><item jid='$j'/></query></iq>
		ro < <iq type='error' id='2'>!service-unavailable</iq>`},
}

func TestRFC6121Roster(t *testing.T) { run(t, rosterRows) }

var versioningRows = []row{
	{name: "2.6.1 the feature", with: withVersioning, do: func(p *play) {
		p.features("ro", "<stream:features><ver xmlns='urn:xmpp:features:rosterver'/></stream:features>")
	}},
	{name: "2.6.1 no feature without versions", do: func(p *play) {
		p.features("ro", "<stream:features><ver no='' xmlns='urn:xmpp:features:rosterver'/></stream:features>")
	}},
	{name: "3.4 the feature of pre-approval", do: func(p *play) {
		p.features("ro", "<stream:features><sub xmlns='urn:xmpp:features:pre-approval'/></stream:features>")
	}},
	{name: "2.6.3 bootstrapping", with: withVersioning, script: `
		roster r j both
		login ro
		ro > <iq type='get' id='1'><query $roster ver=''/></iq>
		ro < <iq type='result' id='1'><query $roster ver='*' only=''><item jid='$j'/></query></iq>`},
	{name: "2.6.3 bootstrapping an empty roster", with: withVersioning, script: `
		login ro
		ro > <iq type='get' id='1'><query $roster ver=''/></iq>
		ro < <iq type='result' id='1'><query $roster only=''/></iq>`},
	{name: "2.6.3 nothing has changed", with: withVersioning, script: `
		roster r j both
		login ro
		ro > <iq type='get' id='1'><query $roster ver=''/></iq>
		ro < <iq type='result' id='1'><query $roster ver='=v'/></iq>
		end ro
		login ro
		ro > <iq type='get' id='2'><query $roster ver='$v'/></iq>
		ro < <iq type='result' id='2' only=''/> | <iq type='result' id='2'><query $roster ver='$v' only=''><item jid='$j'/></query></iq>`},
	{name: "2.6.3 items have changed", with: withVersioning, script: `
		roster r j both
		roster r t none
		login ro
		ro > <iq type='get' id='1'><query $roster ver=''/></iq>
		ro < <iq type='result' id='1'><query $roster ver='=v'/></iq>
		~ ro > <iq type='set' id='2'><query $roster><item jid='$j' name='A'/></query></iq>
		~ ro > <iq type='set' id='2'><query $roster><item jid='$j' name='B'/></query></iq>
		end ro
		login ro
		ro > <iq type='get' id='3'><query $roster ver='$v'/></iq>
		ro << <iq type='result' id='3' only=''/> | <iq type='result' id='3'><query $roster ver='*' only=''><item jid='$j' name='B'/><item jid='$t'/></query></iq>
		ro ? <iq type='set' to='$ro'><query $roster ver='*' only=''><item jid='$j' name='B' subscription='both'/></query></iq>`},
	{name: "2.6.3 the version of a push is the newest", with: withVersioning, script: `
		login ro
		interested ro
		ro > <iq type='set' id='2'><query $roster><item jid='$j' name='A'/></query></iq>
		ro < <iq type='result' id='2'/>
		ro < <iq type='set'><query $roster ver='=v'><item jid='$j' name='A'/></query></iq>
		end ro
		login ro
		ro > <iq type='get' id='3'><query $roster ver='$v'/></iq>
		ro < <iq type='result' id='3' only=''/> | <iq type='result' id='3'><query $roster ver='$v' only=''><item jid='$j' name='A'/></query></iq>`},
	{name: "2.6.3 an item was removed", with: withVersioning, script: `
		roster r j none
		roster r t none
		login ro
		ro > <iq type='get' id='1'><query $roster ver=''/></iq>
		ro < <iq type='result' id='1'><query $roster ver='=v'/></iq>
		~ ro > <iq type='set' id='2'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		end ro
		login ro
		ro > <iq type='get' id='3'><query $roster ver='$v'/></iq>
		ro << <iq type='result' id='3' only=''/> | <iq type='result' id='3'><query $roster ver='*' only=''><item jid='$t'/></query></iq>
		ro ? <iq type='set'><query $roster ver='*'><item jid='$j' subscription='remove'/></query></iq>`},
	{name: "2.6.3 a version that never was", with: withVersioning, script: `
		roster r j none
		login ro
		ro > <iq type='get' id='1'><query $roster ver='what is that?'/></iq>
		ro < <iq type='result' id='1'><query $roster ver='*' only=''><item jid='$j'/></query></iq>`},
	{name: "2.6.3 a request that nobody answered is no change", with: withVersioning, script: `
		login jb
		roster j t none
		jb > <iq type='get' id='1'><query $roster ver=''/></iq>
		jb < <iq type='result' id='1'><query $roster ver='=v'/></iq>
		login ro
		~ ro > <presence type='subscribe' to='$j'/>
		jb > <iq type='get' id='2'><query $roster ver='$v'/></iq>
		jb < <iq type='result' id='2' only=''/> | <iq type='result' id='2'><query $roster only=''><item jid='$t'/></query></iq>`},
	{name: "2.6.3 pushes have ascending versions and are unique", with: withVersioning, do: func(p *play) {
		p.script("here ro 0\nhere rg 0")
		seen := map[string]bool{}
		for _, name := range []string{"a", "b", "c"} {
			p.vars["name"] = name
			p.script("ro > <iq type='set' id='1'><query $roster><item jid='$j' name='$name'/></query></iq>\nro < <iq type='result'/>\nro < <iq type='set'><query $roster ver='=v1'/></iq>\nrg < <iq type='set'><query $roster ver='=v2'/></iq>")
			if p.vars["v1"] != p.vars["v2"] || seen[p.vars["v1"]] {
				p.fail("got versions %s and %s, want the same, and another one than before", p.vars["v1"], p.vars["v2"])
			}
			seen[p.vars["v1"]] = true
		}
	}},
}

func TestRFC6121RosterVersioning(t *testing.T) { run(t, versioningRows) }

// features logs in and compares the features of the stream with a pattern.
func (p *play) features(name, pattern string) {
	got := p.auth(name)
	want, err := patterns(p.expand(pattern), stanza.NSClient)
	p.must(err)
	if !same(got, []expectation{{any: want}}, p.vars) {
		p.fail("got %s, want %s", raw(got), pattern)
	}
}
