package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/s2s"
)

// abroadly makes rows of those about one server: romeo and tybalt are at
// one.example, juliet is at two.example, and what they see is the same. Rows
// that say more of their server stay at home.
func abroadly(with func(*federation), d string, lists ...[]row) []frow {
	var rows []frow
	for _, r := range slices.Concat(lists...) {
		if r.with == nil && r.do == nil && r.finding == "" && !atHome[r.name] && !ofHost.MatchString(r.script) {
			rows = append(rows, frow{name: r.name, script: r.script, with: meaning(with, d)})
		}
	}
	return rows
}

// meaning has $d in scripts mean a server.
func meaning(with func(*federation), d string) func(*federation) {
	return func(f *federation) { with(f); f.vars["d"] = d }
}

// ofHost finds commands about the one server of play.
var ofHost = regexp.MustCompile(`(?m)^\s*(~ )?(off|hold|release|remove|password) `)

// atHome are the rows that are different between servers.
var atHome = map[string]bool{
	"4.2.2 a subscriber without presence gets none": true, // his server may say that he is not there
	"7 the own domain": true,
}

// worlds are how the servers trust one another.
var worlds = map[string]func(*federation){"dialback": world, "certificates": secureWorld}

func eachWorld(t *testing.T, rows func(with func(*federation)) []frow) {
	for name, with := range worlds {
		t.Run(name, func(t *testing.T) { runFederation(t, rows(with)) })
	}
}

func TestFederatedSubscriptions(t *testing.T) {
	eachWorld(t, func(with func(*federation)) []frow {
		return abroadly(with, "two.example", subscriptionRows, cancellationRows, approvalRows)
	})
}

func TestFederatedPresence(t *testing.T) {
	eachWorld(t, func(with func(*federation)) []frow { return abroadly(with, "two.example", presenceRows, directedRows) })
}

func TestFederatedAddresses(t *testing.T) {
	eachWorld(t, func(with func(*federation)) []frow {
		return slices.Concat(abroadly(with, "two.example", deliveryRows), abroadly(with, "one.example", offlineRows, blockingRows))
	})
}

func TestFederatedDelivery(t *testing.T) {
	eachWorld(t, func(with func(*federation)) []frow {
		var rows []frow
		for _, c := range deliveryCases {
			for i, kind := range []string{"normal", "chat", "groupchat", "headline"} {
				rows = append(rows, frow{name: fmt.Sprintf("8.5.4 %s, %s", c.condition, kind), with: meaning(with, "two.example"), do: func(f *federation) {
					f.script("login ro 0\n" + c.setup)
					if got := f.fate(kind, c.to); !strings.Contains(c.allowed[i], string(got)) {
						f.fail("got %s for %s to %s, want one of %s", got, kind, c.to, c.allowed[i])
					}
				}})
			}
		}
		return rows
	})
}

func TestFederatedStates(t *testing.T) {
	eachWorld(t, func(with func(*federation)) []frow {
		var rows []frow
		for _, s := range states {
			for _, kind := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
				for _, contact := range []state{s.other(), {}} {
					rows = append(rows, frow{name: fmt.Sprintf("A %s, %s, contact %s", s, kind, contact), with: with, do: func(f *federation) {
						f.transition(kind, s, contact)
					}})
				}
			}
		}
		return rows
	})
}

// Rows about several servers.
var federationRows = []frow{
	{name: "3.1 somebody in each of three domains", script: `
		friends r j
		friends r m
		friends j m
		login ro 0
		login jb 0
		login me
		me > <presence id='1'/>
		me < <presence from='$me' id='1'/>
		me < <presence from='$ro'/>
		me < <presence from='$jb'/>
		ro < <presence from='$me' id='1'/>
		jb < <presence from='$me' id='1'/>
		cut me
		ro < <presence type='unavailable' from='$me'/>
		jb < <presence type='unavailable' from='$me'/>`},
	{name: "4.2 nobody else sees presence", script: `
		friends r j
		login nu 0
		login me 0
		login jb 0
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <presence from='$jb'/>
		jb < <presence from='$ro'/>`},
	{name: "5 a conversation of three", script: `
		login ro 0
		login jb 0
		login me 0
		ro > <message to='$jb' id='1'><body>1</body></message>
		jb < <message from='$ro' id='1'/>
		jb > <message to='$me' id='2'><body>2</body></message>
		me < <message from='$jb' id='2'/>
		me > <message to='$ro' id='3'><body>3</body></message>
		ro < <message from='$me' id='3'/>`},
	{name: "8.4 servers ask one another", script: `
		login ro 0
		ro > <iq to='two.example' type='get' id='1'><query $info/></iq>
		ro < <iq from='two.example' type='result' id='1'><query $info><identity xmlns='http://jabber.org/protocol/disco#info' category='server'/></query></iq>
		ro > <iq to='three.example' type='get' id='2'><ping $ping/></iq>
		ro < <iq from='three.example' type='result' id='2'/>`},
	{name: "RFC 6120 10.1 many messages in both directions, in order", do: func(f *federation) {
		f.script("login ro 0\nlogin jb 0")
		for i := range 200 {
			f.client("ro").send(fmt.Sprintf("<message to='juliet@two.example/balcony' id='%d'/>", i))
			f.client("jb").send(fmt.Sprintf("<message to='romeo@one.example/orchard' id='%d'/>", i))
		}
		for _, name := range []string{"ro", "jb"} {
			got := f.client(name).take()
			if len(got) != 200 {
				f.fail("%s got %d messages, want 200", name, len(got))
			}
			for i, e := range got {
				if e.attr("id") != fmt.Sprint(i) {
					f.fatal("%s got %s, want the id %d", name, e.raw, i)
				}
			}
		}
	}},
	{name: "RFC 6120 10.4 the server of another domain stops, and is back", script: `
		login ro 0
		login jb 0
		ro > <message to='$jb' id='1'/>
		jb < <message id='1'/>
		shutdown one.example
		ro > <message to='$jb' id='2'/>
		ro < <message type='error' from='$jb' id='2'/>`},
	{name: "RFC 6121 2.1.6 a roster is its owner's alone", script: `
		roster r j both
		login ro 0
		interested ro
		login jb 0
		jb > <iq to='$r' type='get' id='1'><query $roster/></iq>
		jb < <iq from='$r' type='error' id='1'><error type='*'/></iq>
		jb > <iq to='$r' type='set' id='2'><query $roster><item jid='evil@two.example'/></query></iq>
		jb < <iq from='$r' type='error' id='2'><error type='*'/></iq>
		jb > <iq to='$ro' type='set' id='3'><query $roster><item jid='evil@two.example'/></query></iq>
		jb < <iq from='$ro' type='error' id='3'><error type='*'/></iq>
		or
		ro < <iq from='$jb' type='set' id='3'/>`},
	{name: "XEP-0114 3 a component for users everywhere", script: `
		component c echo.one.example
		login ro 0
		login jb 0
		login me 0
		jb > <presence to='room@echo.one.example/j'/>
		c < <presence from='$jb' to='room@echo.one.example/j'/>
		me > <message to='room@echo.one.example' id='1' type='groupchat'><body>1</body></message>
		c < <message from='$me' to='room@echo.one.example' id='1'/>
		c > <message from='room@echo.one.example/m' to='$jb' id='1' type='groupchat'><body>1</body></message>
		jb < <message from='room@echo.one.example/m' id='1' type='groupchat'><body>1</body></message>
		c > <message from='room@echo.one.example/m' to='$ro' id='1' type='groupchat'><body>1</body></message>
		ro < <message from='room@echo.one.example/m' id='1'/>
		jb > <iq to='echo.one.example' type='get' id='2'><ping $ping/></iq>
		c < <iq from='$jb' to='echo.one.example' type='get' id='2'><ping $ping/></iq>
		c > <iq from='echo.one.example' to='$jb' type='result' id='2'/>
		jb < <iq from='echo.one.example' type='result' id='2'/>
		cut jb
		c < <presence type='unavailable' from='$jb' to='room@echo.one.example/j'/>`},
	{name: "XEP-0114 3 the component goes", script: `
		component c echo.one.example
		login jb 0
		jb > <message to='x@echo.one.example' id='1'/>
		c < <message id='1'/>
		cut c
		pass 2h
		jb > <message to='x@echo.one.example' id='2'/>
		jb < <message type='error' from='x@echo.one.example' id='2'/>`},
	{name: "3.1 subscription to a contact of a component", script: `
		component c echo.one.example
		here jb 0
		jb > <presence type='subscribe' to='x@echo.one.example' id='1'/>
		jb < <iq type='set'><query $roster><item jid='x@echo.one.example' ask='subscribe'/></query></iq>
		jb ? <presence type='unavailable' from='x@echo.one.example'/>
		c < <presence type='subscribe' from='$j' to='x@echo.one.example' id='1'/>
		c > <presence type='subscribed' from='x@echo.one.example' to='$j'/><presence from='x@echo.one.example/r' to='$j'/>
		jb << <presence type='subscribed' from='x@echo.one.example'/>
		jb << <iq type='set'><query $roster><item jid='x@echo.one.example' subscription='to'/></query></iq>
		jb << <presence from='x@echo.one.example/r'/>`},
}

// manners are further ways in which servers may be joined: what the first is
// set up with, and what the others are.
var manners = map[string][2]func(*site){
	"dialback":                      {nil, nil},
	"certificates":                  {(*site).certify, (*site).certify},
	"TLS is needed":                 {setTLS(s2s.TLSRequired), setTLS(s2s.TLSRequired)},
	"certificates are needed":       {setTLS(s2s.TLSRequiredTrusted), setTLS(s2s.TLSRequiredTrusted)},
	"TLS here, none there":          {(*site).certify, nil},
	"TLS there, none here":          {nil, (*site).certify},
	"TLS is optional, needed there": {(*site).certify, setTLS(s2s.TLSRequired)},
	"no streams in both directions": {setBidi, setBidi},
	"both directions here alone":    {nil, setBidi},
	"both directions there alone":   {setBidi, nil},
	"no dialback":                   {setDialback, setDialback},
	"no acknowledgements":           {setAcks, (*site).certify},
}

func (s *site) certify() { s.secure = true }

func setTLS(how s2s.StartTLS) func(*site) {
	return func(s *site) { s.secure, s.settings.UseStartTLS.Value = true, how }
}

func setBidi(s *site) { s.settings.Bidi.Value = false }

func setDialback(s *site) { s.secure, s.settings.Dialback.Value = true, false }

func setAcks(s *site) { s.secure, s.settings.AckTimeout = true, 0 }

func TestFederation(t *testing.T) {
	for name, set := range manners {
		with := func(f *federation) {
			for i, domain := range []string{"one.example", "two.example", "three.example"} {
				if s := f.site(domain); set[min(i, 1)] != nil {
					set[min(i, 1)](s)
				}
			}
		}
		rows := slices.Clone(federationRows)
		for i := range rows {
			rows[i].with = with
		}
		t.Run(name, func(t *testing.T) { runFederation(t, rows) })
	}
}

// What the other server sees: two is all that gets to two.example.
var federatedWireRows = []frow{
	{name: "3.1.2 the request has bare addresses", script: `
		auto two two.example
		here ro 0
		ro > <presence type='subscribe' to='$jb' id='1'><status>Please!</status></presence>
		two < <presence type='subscribe' from='$r' to='$j' id='1'><status>Please!</status></presence>
		ro < <iq type='set'><query $roster><item jid='$j' ask='subscribe'/></query></iq>
		ro ? <presence type='unavailable' from='$j'/>`},
	{name: "3.1.5, 4.3 the approval has bare addresses, presence follows", script: `
		auto two two.example
		link p two.example
		here ro 0
		p > <presence type='subscribe' from='$j' to='$r' id='1'/>
		ro < <presence type='subscribe' from='$j' id='1'/>
		ro > <presence type='subscribed' to='$jb' id='2'/>
		two << <presence type='subscribed' from='$r' to='$j' id='2'/>
		two << <presence type='absent' from='$ro' to='$j'/>
		ro < <iq type='set'><query $roster><item jid='$j' subscription='from'/></query></iq>`},
	{name: "3.2.2 the cancellation", script: `
		roster r j from
		auto two two.example
		here ro
		~ ro > <presence/>
		ro > <presence type='unsubscribed' to='$j' id='1'/>
		two << <presence type='unavailable' from='$ro'/>
		two << <presence type='unsubscribed' from='$r' to='$j' id='1'/>
		ro < <iq type='set'/>`},
	{name: "3.3.2 the end of the own subscription", script: `
		roster r j to
		auto two two.example
		here ro
		~ ro > <presence/>
		ro > <presence type='unsubscribe' to='$jb' id='1'/>
		two < <presence type='unsubscribe' from='$r' to='$j' id='1'/>
		ro < <iq type='set'/>
		ro ? <presence type='unavailable' from='$j'/>`},
	{name: "2.5.2 removal from the roster", script: `
		roster r j both
		auto two two.example
		here ro
		~ ro > <presence/>
		ro > <iq type='set' id='1'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		ro < <iq type='result' id='1'/>
		ro < <iq type='set'/>
		two < <presence type='unsubscribe' from='$r' to='$j'/>
		two < <presence type='unsubscribed' from='$r' to='$j'/>
		two ? <presence type='unavailable' from='$ro'/>
		ro ? <presence type='unavailable' from='$j'/>`},
	{name: "3.1.3 who sees the user already is told so at once", script: `
		roster r j from
		link p two.example
		p > <presence type='subscribe' from='$j' to='$r' id='1'/>
		two < <presence type='subscribed' from='$r' to='$j'/>`},
	{name: "3.1.3 a request for nobody", script: `
		link p two.example
		p > <presence type='subscribe' from='$j' to='nobody@one.example' id='1'/>
		two ? <presence type='unsubscribed' from='nobody@one.example' to='$j'/>`},
	{name: "4.2.2 initial presence", script: `
		roster r j from
		auto two two.example
		login ro
		ro > <presence id='1'><show>away</show></presence>
		ro < <presence from='$ro' id='1'/>
		two < <presence type='absent' from='$ro' to='$j' id='1'><show>away</show></presence>`},
	{name: "4.2.2, 4.3.1 initial presence asks for that of the contact", script: `
		roster r j to
		auto two two.example
		login ro
		ro > <presence id='1'/>
		ro < <presence from='$ro' id='1'/>
		two < <presence type='probe' from='~romeo@one.example(/orchard)?' to='$j'/>`},
	{name: "4.4.2 only the first presence asks", script: `
		roster r j both
		auto two two.example
		login ro
		~ ro > <presence/>
		ro > <presence><show>dnd</show></presence>
		ro < <presence from='$ro'/>
		two < <presence from='$ro' to='$j' type='absent'><show>dnd</show></presence>`},
	{name: "4.5.2 unavailable presence", script: `
		roster r j both
		auto two two.example
		login ro
		~ ro > <presence/>
		ro > <presence type='unavailable' id='2'><status>gone</status></presence>
		ro < <presence type='unavailable' from='$ro'/>
		two < <presence type='unavailable' from='$ro' to='$j' id='2'><status>gone</status></presence>`},
	{name: "4.5.2 a broken connection", script: `
		roster r j both
		auto two two.example
		login ro
		~ ro > <presence/>
		cut ro
		two < <presence type='unavailable' from='$ro' to='$j'/>`},
	{name: "4.3.2 a probe of a subscriber", script: `
		roster r j from
		link p two.example
		login ro
		ro > <presence id='1'><show>xa</show></presence>
		ro < <presence/>
		two < <presence from='$ro'/>
		p > <presence type='probe' from='$j' to='$r' id='x'/>
		two < <presence type='absent' from='$ro' to='$j' id='1'><show>xa</show></presence>`},
	{name: "4.3.2 a probe of a subscriber with a full address", script: `
		roster r j from
		link p two.example
		login ro 0
		~ ro > <presence id='1'/>
		p > <presence type='probe' from='$jb' to='$r' id='x'/>
		two < <presence type='absent' from='$ro' to='~juliet@two.example(/balcony)?'/>`},
	{name: "4.3.2 a probe for who is away", script: `
		roster r j from
		link p two.example
		p > <presence type='probe' from='$j' to='$r' id='x'/>
		two ? <presence type='unavailable' from='$r' to='$j'/>`},
	{name: "4.3.2 a probe of a stranger", script: `
		link p two.example
		login ro 0
		p > <presence type='probe' from='$j' to='$r' id='x'/>
		two ? <presence type='unsubscribed' from='$r' to='$j' only=''/> | <presence type='error' from='$r' to='$j'>!forbidden</presence>`},
	{name: "4.3.2 a probe for nobody", script: `
		link p two.example
		p > <presence type='probe' from='$j' to='nobody@one.example' id='x'/>
		two ? <presence type='unsubscribed' from='nobody@one.example' to='$j' only=''/> | <presence type='error' from='nobody@one.example' to='$j'/>`},
	{name: "4.6.3 directed presence, and its end", script: `
		auto two two.example
		login ro 0
		ro > <presence to='$jb' id='1'/>
		two < <presence from='$ro' to='$jb' id='1'/>
		cut ro
		two < <presence type='unavailable' from='$ro' to='$jb'/>`},
	{name: "4.6.3 no end for who has gone himself", script: `
		link p two.example
		login ro 0
		ro > <presence to='$jb' id='1'/>
		two < <presence from='$ro' to='$jb' id='1'/>
		p > <presence type='unavailable' from='$jb' to='$ro'/>
		ro < <presence type='unavailable' from='$jb'/>
		cut ro
		two ? <presence type='unavailable' from='$ro' to='$jb'/>`},
	{name: "4.4.3 presence of a contact for all resources", script: `
		roster r j to
		link p two.example
		login ro 0
		login rg 0
		p > <presence from='$jb' to='$r' id='1'><show>chat</show></presence>
		ro < <presence from='$jb' id='1'/>
		rg < <presence from='$jb' id='1'/>`},
	{name: "4.2.3 presence for who does not see the sender", script: `
		link p two.example
		login ro 0
		p > <presence from='$jb' to='$r' id='1'/>
		ro ? <presence from='$jb' id='1'/>`},
	{name: "8.5.1 a message for nobody", script: `
		link p two.example
		p > <message from='$jb' to='nobody@one.example' type='chat' id='1'><body>?</body></message>
		two ? <message type='error' from='nobody@one.example' to='$jb' id='1'>!service-unavailable</message>`},
	{name: "8.5.2.2.1 a message for who is away", script: `
		link p two.example
		p > <message from='$jb' to='$r' type='chat' id='1'><body>1</body></message>
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro < <message from='$jb' to='$r' id='1'><body>1</body><delay $delay from='one.example'/></message>`},
	{name: "8.5.2.1.3 requests to an account", script: `
		link p two.example
		p > <iq from='$jb' to='$r' type='get' id='1'><query $vcard/></iq>
		two < <iq from='$r' to='$jb' type='~error|result' id='1'/>`},
	{name: "8.5.3.2.3 requests to a resource that is not there", script: `
		link p two.example
		p > <iq from='$jb' to='$ro' type='get' id='1'><query xmlns='urn:x'/></iq>
		two < <iq from='$ro' to='$jb' type='error' id='1'>!service-unavailable</iq>`},
	{name: "10.4.3 RFC 6120 presence for a server that is not there", script: `
		roster r j both
		login ro
		ro > <presence/>
		ro < <presence from='$ro'/>
		ro ? <presence type='error' from='$j'>!remote-server-not-found</presence>
		ro ? <presence type='error' from='$j'>!remote-server-not-found</presence>`},
}

func TestFederatedWire(t *testing.T) { runFederation(t, federatedWireRows) }
