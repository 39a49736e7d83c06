package conformance

import "testing"

var subscriptionRows = []row{
	{name: "3.1 the whole handshake in both directions", script: `
		here ro 0
		here rg 1
		here jb 0
		here jc 1
		ro > <presence type='subscribe' to='$j' id='s1'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='none' ask='subscribe'/></query></iq>
		rg < <iq type='set'><query $roster only=''><item jid='$j' subscription='none' ask='subscribe'/></query></iq>
		ro ? <presence type='unavailable' from='$j'/>
		rg ? <presence type='unavailable' from='$j'/>
		jb < <presence type='subscribe' from='$r' to='$j' id='s1'/>
		jc < <presence type='subscribe' from='$r' to='$j' id='s1'/>
		jb > <presence type='subscribed' to='$r' id='s2'/>
		ro < <presence type='subscribed' from='$j' id='s2'/>
		rg < <presence type='subscribed' from='$j' id='s2'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='to' ask='absent'/></query></iq>
		rg < <iq type='set'><query $roster only=''><item jid='$j' subscription='to' ask='absent'/></query></iq>
		ro < <presence type='absent' from='$jb'><priority>0</priority></presence>
		ro < <presence type='absent' from='$jc'><priority>1</priority></presence>
		rg < <presence type='absent' from='$jb'/>
		rg < <presence type='absent' from='$jc'/>
		jb < <iq type='set'><query $roster only=''><item jid='$r' subscription='from' ask='absent'/></query></iq>
		jc < <iq type='set'><query $roster only=''><item jid='$r' subscription='from' ask='absent'/></query></iq>
		jc > <presence type='subscribe' to='$r' id='s3'/>
		jb < <iq type='set'><query $roster only=''><item jid='$r' subscription='from' ask='subscribe'/></query></iq>
		jc < <iq type='set'><query $roster only=''><item jid='$r' subscription='from' ask='subscribe'/></query></iq>
		ro < <presence type='subscribe' from='$j' id='s3'/>
		rg < <presence type='subscribe' from='$j' id='s3'/>
		rg > <presence type='subscribed' to='$j' id='s4'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='both' ask='absent'/></query></iq>
		rg < <iq type='set'><query $roster only=''><item jid='$j' subscription='both' ask='absent'/></query></iq>
		jb < <presence type='subscribed' from='$r' id='s4'/>
		jc < <presence type='subscribed' from='$r' id='s4'/>
		jb < <iq type='set'><query $roster only=''><item jid='$r' subscription='both' ask='absent'/></query></iq>
		jc < <iq type='set'><query $roster only=''><item jid='$r' subscription='both' ask='absent'/></query></iq>
		jb < <presence type='absent' from='$ro'/>
		jb < <presence type='absent' from='$rg'/>
		jc < <presence type='absent' from='$ro'/>
		jc < <presence type='absent' from='$rg'/>`},
	{name: "3.1.6 approval comes before the push", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		jb > <presence type='subscribed' to='$r'/>
		ro << <presence type='subscribed' from='$j'/>
		ro << <iq type='set'><query $roster><item jid='$j' subscription='to'/></query></iq>
		ro << <presence type='absent' from='$jb'/>
		jb < <iq type='set'/>`},
	{name: "3.2.3 cancellation comes before the push", script: `
		roster r j to
		roster j r from
		here ro 0
		here jb 0
		jb > <presence type='unsubscribed' to='$r'/>
		ro << <presence type='unavailable' from='$jb'/>
		ro << <presence type='unsubscribed' from='$j'/>
		ro << <iq type='set'><query $roster><item jid='$j' subscription='none'/></query></iq>
		jb < <iq type='set'/>`},
	{name: "3.3.3 unsubscribing comes before the push", script: `
		roster r j to
		roster j r from
		here ro 0
		here jb 0
		ro > <presence type='unsubscribe' to='$j'/>
		jb << <presence type='unsubscribe' from='$r'/>
		jb << <iq type='set'><query $roster><item jid='$r' subscription='none'/></query></iq>
		ro < <iq type='set'/>
		ro ? <presence type='unavailable' from='$jb'/>`},
	{name: "3.1.6 interested resources that are not available get the approval", script: `
		login ro
		interested ro
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		jb > <presence type='subscribed' to='$r'/>
		ro < <presence type='subscribed' from='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='to'/></query></iq>
		jb < <iq type='set'/>`},
	{name: "3.1.2 a full JID means the account", script: `
		here ro 0
		here jb 0
		here jc 0
		ro > <presence type='subscribe' to='$jb'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='none' ask='subscribe'/></query></iq>
		ro ? <presence type='unavailable' from='$j'/>
		jb < <presence type='subscribe' from='$r' to='$j'/>
		jc < <presence type='subscribe' from='$r' to='$j'/>`},
	{name: "3.1.2 the item keeps its name and groups", script: `
		here ro 0
		~ ro > <iq type='set' id='2'><query $roster><item jid='$j' name='J'><group>G</group></item></query></iq>
		ro > <presence type='subscribe' to='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' name='J' subscription='none' ask='subscribe'><group>G</group></item></query></iq>
		ro ? <presence type='unavailable' from='$j'/>`},
	{name: "3.1.3 the request with all its content", script: `
		here ro 0
		here jb 0
		ro > <presence type='subscribe' to='$j' id='s1' xml:lang='en'><status>Please!</status><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>
		ro < <iq type='set'/>
		ro ? <presence type='unavailable' from='$j'/>
		jb < <presence type='subscribe' from='$r' id='s1' xml:lang='en'><status>Please!</status><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>`},
	{name: "3.1.3 resources that are not available do not get requests", script: `
		here ro 0
		login jb
		interested jb
		ro > <presence type='subscribe' to='$j'/>
		ro < <iq type='set'/>
		ro ? <presence type='unavailable' from='$j'/>`},
	{name: "3.1.3 a request waits for the contact, with all its content, until it is answered", script: `
		here ro 0
		~ ro > <presence type='subscribe' to='$j' id='s1'><status>Please!</status><x xmlns='urn:x'>y</x></presence>
		end ro
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <presence type='subscribe' from='$r' id='s1'><status>Please!</status><x xmlns='urn:x'>y</x></presence>
		jb > <presence><show>away</show></presence>
		jb < <presence from='$jb'/>
		end jb
		login jb
		login jc
		jc > <presence/>
		jc < <presence from='$jc'/>
		jc < <presence type='subscribe' from='$r' id='s1'/>
		jb > <presence/>
		jc < <presence from='$jb'/>
		jb < <presence from='$jb'/>
		jb < <presence from='$jc'/>
		jb < <presence type='subscribe' from='$r' id='s1'/>
		~ jb > <presence type='unsubscribed' to='$r'/>
		end jb
		jc < <presence type='unavailable' from='$jb'/>
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <presence from='$jc'/>
		jc < <presence from='$jb'/>`},
	{name: "3.1.3 also a request that was seen comes again", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		end jb
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <presence type='subscribe' from='$r'/>`},
	{name: "3.1.3 of several requests of one user one is kept", script: `
		here ro 0
		~ ro > <presence type='subscribe' to='$j' id='a'/>
		~ ro > <presence type='subscribe' to='$j' id='b'/>
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <presence type='subscribe' from='$r'/>`},
	{name: "3.1.3 a request is not in the roster of the contact", script: `
		here ro 0
		login jb
		interested jb
		~ ro > <presence type='subscribe' to='$j'/>
		jb > <iq type='get' id='1'><query $roster/></iq>
		jb < <iq type='result' id='1'><query $roster only=''/></iq>`},
	{name: "3.1.3 a request for a contact in the roster", script: `
		here ro 0
		here jb 0
		~ jb > <iq type='set' id='1'><query $roster><item jid='$r' name='R'/></query></iq>
		ro > <presence type='subscribe' to='$j'/>
		ro < <iq type='set'/>
		ro ? <presence type='unavailable' from='$j'/>
		jb < <presence type='subscribe' from='$r'/>
		jb > <iq type='get' id='2'><query $roster/></iq>
		jb < <iq type='result' id='2'><query $roster only=''><item jid='$r' name='R' subscription='none' ask='absent'/></query></iq>`},
	{name: "3.1.3 who is subscribed already gets an answer at once", script: `
		roster r j none ask
		roster j r from
		here ro 0
		here jb 0
		ro > <presence type='subscribe' to='$j' id='x'/>
		ro < <presence type='subscribed' from='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='to' ask='absent'/></query></iq>
		ro < <presence type='absent' from='$jb'/>`},
	{name: "3.1.3 a request of who is subscribed on both sides", script: `
		friends r j
		here ro 0
		here jb 0
		ro > <presence type='subscribe' to='$j'/>
		ro ? <presence type='subscribed' from='$j'/>
		ro ? <presence type='absent' from='$jb'/>`},
	{name: "3.1.5 approval of somebody who is away", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		end ro
		jb > <presence type='subscribed' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='from'/></query></iq>
		login ro
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='result' id='1'><query $roster only=''><item jid='$j' subscription='to' ask='absent'/></query></iq>
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <presence from='$jb'/>
		ro ? <presence type='subscribed' from='$j'/>`},
	{name: "3.1.6 an approval that was not asked for", script: `
		here ro 0
		here jb 0
		~ jb > <presence type='subscribed' to='$r'/>
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='result' id='1'><query $roster only=''/></iq>`},
	{name: "3.1.4 a request denied", script: `
		here ro 0
		here rg 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		jb > <presence type='unsubscribed' to='$r' id='d'/>
		ro < <presence type='unsubscribed' from='$j' id='d'/>
		rg < <presence type='unsubscribed' from='$j' id='d'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='none' ask='absent'/></query></iq>
		rg < <iq type='set'><query $roster><item jid='$j' subscription='none' ask='absent'/></query></iq>
		end jb
		here jb 0
		jb > <iq type='get' id='1'><query $roster/></iq>
		jb < <iq type='result' id='1'><query $roster only=''/></iq>`},
	{name: "3.1.2 a contact that does not exist", script: `
		here ro 0
		ro > <presence type='subscribe' to='nobody@$d' id='1'/>
		ro ? <presence type='error' id='1' from='nobody@$d'/> | <presence type='unsubscribed' from='nobody@$d'/>
		ro ? <iq type='set'><query $roster><item jid='nobody@$d' subscription='none'/></query></iq>
		ro ? <iq type='set'><query $roster><item jid='nobody@$d' subscription='none' ask='absent'/></query></iq>`},
	{name: "3.1.2 a domain that is not reachable", script: `
		here ro 0
		ro > <presence type='subscribe' to='juliet@elsewhere.example' id='1'/>
		ro < <presence type='error' id='1' from='juliet@elsewhere.example'>!remote-server-not-found</presence>
		ro ? <iq type='set'><query $roster><item jid='juliet@elsewhere.example' subscription='none'/></query></iq>`},
	{name: "3.1.2 oneself", script: `
		here ro 0
		ro > <presence type='subscribe' to='$r' id='1'/>
		ro ? <presence type='error' id='1'/> | <presence type='subscribed' from='$r'/>
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'><show>away</show></presence>`},
}

var cancellationRows = []row{
	{name: "3.2.2 cancelling of the four resources", script: `
		friends r j
		here ro 0
		here rg 0
		here jb 0
		here jc 0
		jb > <presence type='unsubscribed' to='$r' id='c'/>
		jb < <iq type='set'><query $roster only=''><item jid='$r' subscription='to' ask='absent'/></query></iq>
		jc < <iq type='set'><query $roster only=''><item jid='$r' subscription='to' ask='absent'/></query></iq>
		ro << <presence type='unavailable' from='$jb'/> | <presence type='unavailable' from='$jc'/>
		ro << <presence type='unavailable' from='$jb'/> | <presence type='unavailable' from='$jc'/>
		ro << <presence type='unsubscribed' from='$j' id='c'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='from' ask='absent'/></query></iq>
		rg << <presence type='unavailable' from='$jb'/> | <presence type='unavailable' from='$jc'/>
		rg << <presence type='unavailable' from='$jb'/> | <presence type='unavailable' from='$jc'/>
		rg << <presence type='unsubscribed' from='$j' id='c'/>
		rg < <iq type='set'><query $roster only=''><item jid='$j' subscription='from' ask='absent'/></query></iq>
		jb > <presence><show>away</show></presence>
		jb < <presence from='$jb'/>
		jc < <presence from='$jb'/>
		ro > <presence><show>away</show></presence>
		ro < <presence from='$ro'/>
		rg < <presence from='$ro'/>
		jb < <presence from='$ro'/>
		jc < <presence from='$ro'/>`},
	{name: "3.2.2 cancelling what was never granted", script: `
		here ro 0
		here jb 0
		jb > <presence type='unsubscribed' to='$r'/>
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='result' id='1'><query $roster only=''/></iq>`},
	{name: "3.2.2 cancelling at somebody who is away", script: `
		friends r j
		here jb 0
		jb > <presence type='unsubscribed' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='to'/></query></iq>
		login ro
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='result' id='1'><query $roster only=''><item jid='$j' subscription='from'/></query></iq>
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro ? <presence type='unsubscribed' from='$j'/>
		jb < <presence from='$ro'/>`},
	{name: "3.3 unsubscribing of the four resources", script: `
		friends r j
		here ro 0
		here rg 0
		here jb 0
		here jc 0
		ro > <presence type='unsubscribe' to='$j' id='u'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='from' ask='absent'/></query></iq>
		rg < <iq type='set'><query $roster only=''><item jid='$j' subscription='from' ask='absent'/></query></iq>
		ro < <presence type='unavailable' from='$jb'/>
		ro < <presence type='unavailable' from='$jc'/>
		rg < <presence type='unavailable' from='$jb'/>
		rg < <presence type='unavailable' from='$jc'/>
		jb < <presence type='unsubscribe' from='$r' id='u'/>
		jc < <presence type='unsubscribe' from='$r' id='u'/>
		jb < <iq type='set'><query $roster only=''><item jid='$r' subscription='to' ask='absent'/></query></iq>
		jc < <iq type='set'><query $roster only=''><item jid='$r' subscription='to' ask='absent'/></query></iq>`},
	{name: "3.3.3 unsubscribing takes a request back", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		ro > <presence type='unsubscribe' to='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='none' ask='absent'/></query></iq>
		jb ? <presence type='unsubscribe' from='$r'/>
		end jb
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>`},
	{name: "3.3.3 unsubscribing takes a request back from who is away", script: `
		here ro 0
		~ ro > <presence type='subscribe' to='$j'/>
		~ ro > <presence type='unsubscribe' to='$j'/>
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>`},
	{name: "3.3.3 unsubscribing without a subscription", script: `
		here ro 0
		here jb 0
		ro > <presence type='unsubscribe' to='$j'/>
		ro ? <iq type='set'><query $roster><item jid='$j' subscription='none'/></query></iq>`},
	{name: "3.3 unsubscribing from who is away", script: `
		friends r j
		here ro 0
		~ ro > <presence type='unsubscribe' to='$j'/>
		login jb
		jb > <iq type='get' id='1'><query $roster/></iq>
		jb < <iq type='result' id='1'><query $roster only=''><item jid='$r' subscription='to'/></query></iq>`},
	{name: "A.2.4 cancelling of one side leaves a request of the other", script: `
		roster r j from ask
		roster j r to
		here ro 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		ro > <presence type='unsubscribed' to='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='none' ask='subscribe'/></query></iq>
		jb < <presence type='unavailable' from='$ro'/>
		jb < <presence type='unsubscribed' from='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='absent'/></query></iq>
		jb > <presence type='subscribed' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='from'/></query></iq>
		ro < <presence type='subscribed' from='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='to' ask='absent'/></query></iq>
		ro < <presence type='absent' from='$jb'/>`},
	{name: "A.3 both ask at once", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		jb > <presence type='subscribe' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>
		jb ? <presence type='unavailable' from='$r'/>
		ro < <presence type='subscribe' from='$j'/>
		jb > <presence type='subscribed' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='from' ask='subscribe'/></query></iq>
		ro < <presence type='subscribed' from='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='to' ask='absent'/></query></iq>
		ro < <presence type='absent' from='$jb'/>
		ro > <presence type='subscribed' to='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='both' ask='absent'/></query></iq>
		jb < <presence type='subscribed' from='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='both' ask='absent'/></query></iq>
		jb < <presence type='absent' from='$ro'/>`},
	{name: "A.3 both ask and one denies", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		~ jb > <presence type='subscribe' to='$r'/>
		jb > <presence type='unsubscribed' to='$r'/>
		ro < <presence type='unsubscribed' from='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='none' ask='absent'/></query></iq>
		jb ? <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>
		end ro
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <presence type='subscribe' from='$j'/>`},
}

var approvalRows = []row{
	{name: "3.4.2 pre-approval of a stranger", script: `
		here ro 0
		here rg 0
		here jb 0
		ro > <presence type='subscribed' to='$j'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='none' approved='true'/></query></iq>
		rg < <iq type='set'><query $roster only=''><item jid='$j' subscription='none' approved='true'/></query></iq>
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='result' id='1'><query $roster only=''><item jid='$j' subscription='none' approved='true'/></query></iq>
		jb > <presence type='subscribe' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>
		jb < <presence type='subscribed' from='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='to' ask='absent'/></query></iq>
		jb < <presence type='absent' from='$ro'/>
		jb < <presence type='absent' from='$rg'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='from'/></query></iq>
		rg < <iq type='set'><query $roster><item jid='$j' subscription='from'/></query></iq>`},
	{name: "3.4.2 pre-approval of who is subscribed to", script: `
		roster r j to
		roster j r from
		here ro 0
		here jb 0
		ro > <presence type='subscribed' to='$j'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='to' approved='true'/></query></iq>`},
	{name: "3.4.2 pre-approval while the own request waits", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribe' to='$j'/>
		ro > <presence type='subscribed' to='$j'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='none' ask='subscribe' approved='true'/></query></iq>`},
	{name: "3.4.2 approval of who sees the user already", script: `
		friends r j
		here ro 0
		here jb 0
		ro > <presence type='subscribed' to='$j'/>`},
	{name: "3.4.2 pre-approval lasts while the user is away", script: `
		here ro 0
		~ ro > <presence type='subscribed' to='$j'/>
		end ro
		here jb 0
		jb > <presence type='subscribe' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>
		jb < <presence type='subscribed' from='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='to' ask='absent'/></query></iq>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		jb < <presence from='$ro'/>`},
	{name: "3.2.2 pre-approval cancelled", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribed' to='$j'/>
		ro > <presence type='unsubscribed' to='$j'/>
		ro < <iq type='set'><query $roster only=''><item jid='$j' subscription='none' approved='absent'/></query></iq>
		jb > <presence type='subscribe' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>
		jb ? <presence type='unavailable' from='$r'/>
		ro < <presence type='subscribe' from='$j'/>`},
	{name: "3.4.2 pre-approval removed with the item", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribed' to='$j'/>
		~ ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		jb > <presence type='subscribe' to='$r'/>
		jb < <iq type='set'><query $roster><item jid='$r' subscription='none' ask='subscribe'/></query></iq>
		jb ? <presence type='unavailable' from='$r'/>
		ro < <presence type='subscribe' from='$j'/>`},
	{name: "4.3.2 a probe does not cancel a pre-approval", script: `
		here ro 0
		here jb 0
		~ ro > <presence type='subscribed' to='$j'/>
		jb > <presence type='probe' to='$r'/>
		jb ? <presence type='unsubscribed' from='$r'/>
		ro > <iq type='get' id='1'><query $roster/></iq>
		ro < <iq type='result' id='1'><query $roster only=''><item jid='$j' approved='true'/></query></iq>`},
}

func TestRFC6121Subscription(t *testing.T) { run(t, subscriptionRows) }

func TestRFC6121Cancellation(t *testing.T) { run(t, cancellationRows) }

func TestRFC6121PreApproval(t *testing.T) { run(t, approvalRows) }
