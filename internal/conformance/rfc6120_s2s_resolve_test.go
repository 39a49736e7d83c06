package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// How the server finds the servers of other domains (sections 3.2 and 10.4).
var resolutionRows = []frow{
	{name: "3.2.1 an SRV record", script: `
		srv xmpp-server two.example 10 0 5299 xmpp.two.example
		ip xmpp.two.example 198.51.100.7
		login ro 1
		serve q 198.51.100.7:5299
		ro > <message to='$j' id='1'/>
		q < <stream:stream from='one.example' to='two.example'/>
		dialled 198.51.100.7:5299`},
	{name: "3.2.1 the records of the domain and of nothing else", do: func(f *federation) {
		f.script(`
			serve q two.example
			login ro 1
			ro > <message to='$j' id='1'/>
			q < <stream:stream/>`)
		if !slices.Contains(f.net.lookups, "SRV _xmpp-server._tcp.two.example") {
			f.fail("looked up %q, want SRV _xmpp-server._tcp.two.example", f.net.lookups)
		}
		for _, l := range f.net.lookups {
			if l == "SRV _xmpp-client._tcp.two.example" || l == "SRV _xmpp-server._udp.two.example" {
				f.fail("looked up %s", l)
			}
		}
	}},
	{name: "3.2.2 an address without SRV records", script: `
		ip two.example 198.51.100.7
		login ro 1
		serve q 198.51.100.7:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream from='one.example' to='two.example'/>
		dialled 198.51.100.7:5269`},
	{name: "3.2.1 by priority", script: `
		srv xmpp-server two.example 20 0 5269 second.two.example
		srv xmpp-server two.example 10 0 5269 first.two.example
		ip first.two.example 198.51.100.1
		ip second.two.example 198.51.100.2
		login ro 1
		serve q 198.51.100.2:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream to='two.example'/>
		dialled 198.51.100.1:5269 198.51.100.2:5269`},
	{name: "3.2.1 every address of a target", script: `
		srv xmpp-server two.example 10 0 5269 first.two.example
		ip first.two.example 198.51.100.1
		ip first.two.example 198.51.100.2
		login ro 1
		serve q 198.51.100.2:5269
		serve q2 198.51.100.1:5270
		ro > <message to='$j' id='1'/>
		q < <stream:stream to='two.example'/>`},
	{name: "3.2 both families", script: `
		ip two.example 2001:db8::7
		ip two.example 198.51.100.7
		login ro 1
		serve q 198.51.100.7:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream to='two.example'/>`},
	{name: "3.2 IPv6 alone", script: `
		ip two.example 2001:db8::7
		login ro 1
		serve q [2001:db8::7]:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream to='two.example'/>
		dialled [2001:db8::7]:5269`},
	{name: "3.2.1 a target without addresses is passed over", script: `
		srv xmpp-server two.example 10 0 5269 first.two.example
		srv xmpp-server two.example 20 0 5269 second.two.example
		ip second.two.example 198.51.100.2
		login ro 1
		serve q 198.51.100.2:5269
		ro > <message to='$j' id='1'/>
		q < <stream:stream to='two.example'/>`},
	{name: "3.2.1 rule 3, RFC 2782 a target that is the root means no service", script: `
		srv xmpp-server two.example 0 0 0 .
		ip two.example 198.51.100.7
		login ro 1
		ro > <message to='$j' id='1'/>
		ro < <message type='error' from='$j' id='1'>!remote-server-not-found</message>
		dialled`},
	{name: "3.2.1 rule 9 no other way when the targets do not answer", script: `
		srv xmpp-server two.example 10 0 5269 first.two.example
		ip first.two.example 198.51.100.1
		ip two.example 198.51.100.7
		login ro 1
		serve q 198.51.100.7:5269
		ro > <message to='$j' id='1'/>
		ro < <message type='error' from='$j' id='1'>!remote-server-timeout</message>
		dialled 198.51.100.1:5269`},
	{name: "3.2.1 the name of the target is not the name of the server", script: `
		srv xmpp-server two.example 10 0 5269 three.example
		serve q three.example
		login ro 1
		ro > <message to='$j' id='1'/>
		q < <stream:stream from='one.example' to='two.example'/>`},
	{name: "3.2, RFC 5890 a domain outside ASCII is looked up by its A-label", do: func(f *federation) {
		f.script(`
			ip xn--bcher-kva.example 198.51.100.7
			serve q 198.51.100.7:5269
			login ro 1
			ro > <message to='x@bücher.example' id='1'/>
			q < <stream:stream from='one.example' to='~bücher.example|xn--bcher-kva.example'/>`)
		if !slices.Contains(f.net.lookups, "SRV _xmpp-server._tcp.xn--bcher-kva.example") {
			f.fail("looked up %q, want the A-label", f.net.lookups)
		}
	}},
	{name: "3.2 an address for a domain is used as it is", script: `
		serve q 198.51.100.7:5269
		login ro 1
		ro > <message to='x@198.51.100.7' id='1'/>
		q < <stream:stream from='one.example' to='198.51.100.7'/>
		or
		ro < <message type='error' id='1'/>`},
	{name: "10.4.3 a domain that does not exist", script: `
		login ro 1
		ro > <message to='$j' id='1'><body>?</body></message>
		ro < <message type='error' from='$j' to='$ro' id='1'>!remote-server-not-found</message>
		ro > <iq to='two.example' type='get' id='2'><ping $ping/></iq>
		ro < <iq type='error' from='two.example' to='$ro' id='2'>!remote-server-not-found</iq>`},
	{name: "10.4.3 errors are not returned", script: `
		login ro 1
		ro > <message to='$j' type='error' id='1'>!gone</message>
		ro > <iq to='$jb' type='result' id='2'/>
		ro > <presence to='$jb' type='unavailable'/>`},
	{name: "8.3.3.16, 10.4.3 nobody listens", script: `
		host two.example
		login ro 1
		ro > <message to='$j' id='1'/>
		ro < <message type='error' from='$j' id='1'>!remote-server-timeout</message> | <message type='error' from='$j' id='1'>!remote-server-not-found</message>`},
	{name: "8.3.3.16, 10.4.3 nobody answers", script: `
		hangs two.example
		login ro 1
		ro > <message to='$j' id='1'/>
		pass 9s
		pass 60s
		ro < <message type='error' from='$j' id='1'>!remote-server-timeout</message> | <message type='error' from='$j' id='1'>!remote-server-not-found</message>`},
	{name: "10.4.3 the DNS does not work", script: `
		fails two.example
		login ro 1
		ro > <message to='$j' id='1'/>
		ro ? <message type='error' from='$j' id='1'>!remote-server-not-found</message> | <message type='error' from='$j' id='1'>!remote-server-timeout</message>
		pass 60s
		ro ? <message type='error' from='$j' id='1'>!remote-server-not-found</message> | <message type='error' from='$j' id='1'>!remote-server-timeout</message>
		mends two.example
		serve q two.example
		pass 10m
		ro > <message to='$j' id='2'/>
		q < <stream:stream to='two.example'/>`},
	{name: "10.4.3 the failure is not for ever", script: `
		host two.example
		login ro 1
		ro > <message to='$j' id='1'/>
		ro < <message type='error' id='1'/>
		serve q two.example
		pass 10m
		ro > <message to='$j' id='2'/>
		q < <stream:stream to='two.example'/>`},
	{name: "10.4 no way to a domain that is not allowed", with: func(f *federation) {
		f.site("one.example").settings.Access = stanza.PerHost[acl.Access]{Value: noThree{}}
	}, script: `
		auto three three.example
		login ro 1
		ro > <message to='$m' id='1'/>
		ro < <message type='error' from='$m' id='1'>!forbidden</message> | <message type='error' from='$m' id='1'>!not-allowed</message> | <message type='error' from='$m' id='1'>!policy-violation</message>
		dialled`},
	{name: "8.1.2.2, 13.11 nor from it", with: func(f *federation) {
		f.site("one.example").settings.Access = stanza.PerHost[acl.Access]{Value: noThree{}}
	}, do: func(f *federation) {
		f.script("auto three three.example\nlogin ro 1\ndial p")
		p := f.client("p")
		p.send(header("three.example", "one.example"))
		p.take()
		p.send("<db:result from='three.example' to='one.example'>c0ffee</db:result><message from='mercutio@three.example' to='romeo@one.example/orchard'/>")
		for _, e := range p.take() {
			if e.name.Local == "result" && e.attr("type") == "valid" {
				f.fail("got %s", e.raw)
			}
		}
		f.nothing("ro")
	}},
	{name: "10.4.2 one stream for all stanzas", script: `
		login ro 1
		login ts 1
		reach q two.example
		dialled $at_q
		ro > <message to='$j' id='1'/>
		q < <message from='$ro' to='$j' id='1'/>
		ts > <presence to='$jb'/>
		q < <presence from='$ts' to='$jb'/>
		ro > <iq to='two.example' type='get' id='2'><ping $ping/></iq>
		q < <iq from='$ro' to='two.example' type='get' id='2'><ping $ping/></iq>
		dialled`},
	{name: "4.6.4 an idle stream ends", with: func(f *federation) {
		f.site("one.example").settings.Timeout = stanza.PerHost[time.Duration]{Value: 10 * time.Minute}
	}, script: `
		login ro 1
		reach q two.example
		pass 9m
		pass 2m
		q ends connection-timeout
		or
		q ends`},
	{name: "4.4 the outgoing streams end", script: `
		login ro 1
		reach q two.example
		shutdown one.example
		q ends system-shutdown
		or
		q ends`},
}

// noThree allows everybody but three.example.
type noThree struct{}

func (noThree) Allow(s acl.Subject) bool { return s.Server != "three.example" }

// addressed are the settings that say where connections come from and go to.
func TestAddresses(t *testing.T) {
	runFederation(t, []frow{
		{name: "3.2.2 another port", with: func(f *federation) {
			f.site("one.example").settings.Port = stanza.PerHost[int]{Value: 5300}
		}, script: `
			ip two.example 198.51.100.7
			serve q 198.51.100.7:5300
			login ro 1
			ro > <message to='$j'/>
			q < <stream:stream to='two.example'/>
			dialled 198.51.100.7:5300`},
		{name: "3.2 one family", with: func(f *federation) {
			f.site("one.example").settings.Families = stanza.PerHost[[]string]{Value: []string{"ipv4"}}
		}, script: `
			ip two.example 2001:db8::7
			ip two.example 198.51.100.7
			serve q 198.51.100.7:5269
			login ro 1
			ro > <message to='$j'/>
			q < <stream:stream to='two.example'/>
			dialled 198.51.100.7:5269`},
		{name: "3.2 the order of the families", with: func(f *federation) {
			f.site("one.example").settings.Families = stanza.PerHost[[]string]{Value: []string{"ipv4", "ipv6"}}
		}, script: `
			ip two.example 2001:db8::7
			ip two.example 198.51.100.7
			serve q [2001:db8::7]:5269
			login ro 1
			ro > <message to='$j'/>
			q < <stream:stream to='two.example'/>
			dialled 198.51.100.7:5269 [2001:db8::7]:5269`},
	})
}

func TestResolution(t *testing.T) {
	runFederation(t, resolutionRows)
}
