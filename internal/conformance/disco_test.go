package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host/features/disco"
)

// advertised are the features of the server or of an account, by what has to be
// on for them.
var advertised = []struct{ feature, address, name string }{
	{"offline", "$d", "msgoffline"},
	{"last", "$d", "jabber:iq:last"},
	{"vcard", "$d", "vcard-temp"},
	{"blocking", "$d", "urn:xmpp:blocking"},
	{"carbons", "$d", "urn:xmpp:carbons:2"},
	{"carbons", "$d", "urn:xmpp:carbons:rules:0"},
	{"stanzaid", "$r", "urn:xmpp:sid:0"},
}

// TestXEP0030Features asks for features that are on, and then off.
func TestXEP0030Features(t *testing.T) {
	var rows []row
	for _, a := range advertised {
		rows = append(rows, row{name: fmt.Sprintf("3 %s at %s", a.name, a.address), do: func(p *play) {
			p.script("login ro 0")
			if got := p.listed(a.address); !slices.Contains(got, a.name) {
				p.fail("got features %q, want %s", got, a.name)
			}
			p.must(p.s.off(a.feature))
			for _, address := range []string{"$d", "$r"} {
				if got := p.listed(address); slices.Contains(got, a.name) {
					p.fail("got features %q of %s, with %s off", got, address, a.feature)
				}
			}
		}})
	}
	rows = append(rows, row{name: "3 each feature is listed once", do: func(p *play) {
		p.script("login ro 0")
		for _, address := range []string{"$d", "$r"} {
			got := p.listed(address)
			if slices.Sort(got); len(slices.Compact(slices.Clone(got))) != len(got) {
				p.fail("got features %q", got)
			}
			if !slices.Contains(got, disco.NSInfo) {
				p.fail("got features %q of %s, want %s", got, address, disco.NSInfo)
			}
		}
	}}, row{name: "3.1 requests of listed namespaces are handled", do: func(p *play) {
		p.script("login ro 0")
		for _, feature := range p.listed("$d") {
			if !strings.HasPrefix(feature, "jabber:iq:") {
				continue
			}
			p.client("ro").send("<iq type='get' id='1' to='" + domain + "'><query xmlns='" + feature + "'/></iq>")
			if got := p.client("ro").take(); len(got) != 1 || got[0].attr("type") != "result" && feature != "jabber:iq:register" {
				p.fail("%s: got %s", feature, raw(got))
			}
		}
	}})
	run(t, rows)
}

// listed returns the features of an address.
func (p *play) listed(address string) []string {
	p.client("ro").send(p.expand("<iq type='get' id='info' to='" + address + "'><query $info/></iq>"))
	got := p.client("ro").take()
	if len(got) != 1 || got[0].attr("type") != "result" {
		p.fatal("disco#info of %s: got %s", address, raw(got))
	}
	var features []string
	for _, c := range got[0].child("query").children {
		if c.name.Local == "feature" {
			features = append(features, c.attr("var"))
		}
	}
	return features
}

func withServerInfo(s *server) {
	o := disco.Defaults()
	o.ServerInfo = []disco.ServerInfo{
		{Name: "abuse-addresses", URLs: []string{"mailto:abuse@one.example", "xmpp:abuse@one.example"}},
		{Name: "admin-addresses", URLs: []string{"xmpp:admin@one.example"}},
	}
	s.disco = &o
}

var discoRows = []row{
	{name: "3.1 the server", script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $info/></iq>
		ro < <iq type='result' id='1' from='$d'><query $info node='absent'><identity category='server' type='im'/><feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/><feature var='urn:xmpp:ping'/></query></iq>`},
	{name: "8 the own account", script: `
		login ro
		ro > <iq type='get' id='1' to='$r'><query $info/></iq>
		ro < <iq type='result' id='1' from='$r'><query $info><identity category='account' type='registered'/></query></iq>
		ro > <iq type='get' id='2' to='$r'><query $items/></iq>
		ro < <iq type='result' id='2'><query $items/></iq>`},
	{name: "8 a subscriber asks an account", script: `
		friends r j
		login ro
		ro > <iq type='get' id='1' to='$j'><query $info/></iq>
		ro < <iq type='result' id='1' from='$j'><query $info><identity category='account' type='registered'/></query></iq>`},
	{name: "8 a stranger asks an account, or none", script: `
		login ro
		login jb 0
		ro > <iq type='get' id='1' to='$j'><query $info/></iq>
		ro < <iq type='error' id='1' from='$j'>!service-unavailable</iq>
		ro > <iq type='get' id='2' to='nobody@$d'><query $info/></iq>
		ro < <iq type='error' id='2' from='nobody@$d'>!service-unavailable</iq>`},
	{name: "8 items of an account for a stranger, or of none", script: `
		login ro
		login jb 0
		ro > <iq type='get' id='1' to='$j'><query $items/></iq>
		ro < <iq type='error' id='1' from='$j'>!service-unavailable</iq> | <iq type='result' id='1' from='$j'><query $items only=''/></iq>
		ro > <iq type='get' id='2' to='nobody@$d'><query $items/></iq>
		ro < <iq type='error' id='2' from='nobody@$d'>!service-unavailable</iq> | <iq type='result' id='2' from='nobody@$d'><query $items only=''/></iq>`},
	{name: "4 items of the server", script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $items/></iq>
		ro < <iq type='result' id='1' from='$d'><query $items/></iq>`},
	{name: "3.3 an unknown node", script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $info node='x'/></iq>
		ro < <iq type='error' id='1' from='$d'>!item-not-found</iq>
		ro > <iq type='get' id='2' to='$d'><query $items node='x'/></iq>
		ro < <iq type='error' id='2' from='$d'>!item-not-found</iq> | <iq type='result' id='2'><query $items node='x' only=''/></iq>`},
	{name: "3 nothing can be set", script: `
		login ro
		ro > <iq type='set' id='1' to='$d'><query $info/></iq>
		ro < <iq type='error' id='1' from='$d'/>`},
	{name: "XEP-0157 contact addresses", with: withServerInfo, script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $info/></iq>
		ro < <iq type='result' id='1'><query $info><x $data type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field><field var='abuse-addresses' only=''><value>mailto:abuse@one.example</value><value>xmpp:abuse@one.example</value></field><field var='admin-addresses'><value>xmpp:admin@one.example</value></field></x></query></iq>
		ro > <iq type='get' id='2' to='$r'><query $info/></iq>
		ro < <iq type='result' id='2'><query $info><x no='' $data/></query></iq>`},
	{name: "XEP-0157 none", script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $info/></iq>
		ro < <iq type='result' id='1'><query $info><x no='' $data/></query></iq>`},
}

func TestXEP0030(t *testing.T) { run(t, discoRows) }
