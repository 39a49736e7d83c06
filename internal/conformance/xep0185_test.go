package conformance

import (
	"context"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const exampleSecret = "s3cr3tf0rd14lb4ck"

// example serves a domain of the examples with their secret.
func example(domain string) func(*federation) {
	return func(f *federation) { f.site(domain).secret = []byte(exampleSecret) }
}

// sent is a row about the key that example.org sends to xmpp.example.com for an
// id.
func sent(name, id, want string) frow {
	return frow{name: name, with: example("example.org"), do: func(f *federation) {
		f.script("serve q xmpp.example.com")
		st, err := stanza.Parse("<message from='a@example.org' to='b@xmpp.example.com'/>")
		f.must(err)
		f.must(f.sites["example.org"].host.Local.Route(context.Background(), st))
		f.script(`
			q < <stream:stream from='example.org' to='xmpp.example.com'/>
			q > <stream:stream $ns id='` + id + `' from='xmpp.example.com' to='example.org' version='1.0'><stream:features>$dialback</stream:features>
			q < <db:result from='example.org' to='xmpp.example.com'>` + want + `</db:result>`)
	}}
}

var keyRows = []frow{
	{name: "3 step 9, the key of the example is valid", with: example("example.org"), script: `
		dial p example.org
		~ p > <stream:stream $ns from='xmpp.example.com' to='example.org' version='1.0'>
		p > <db:verify from='xmpp.example.com' to='example.org' id='D60000229F'>37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643</db:verify>
		p < <db:verify from='example.org' to='xmpp.example.com' id='D60000229F' type='valid'/>`},
	{name: "XEP-0220 2.1.1, the key of the example is valid", with: example("capulet.example"), script: `
		dial p capulet.example
		~ p > <stream:stream $ns from='montague.example' to='capulet.example' version='1.0'>
		p > <db:verify from='montague.example' to='capulet.example' id='D60000229F'>b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3</db:verify>
		p < <db:verify from='capulet.example' to='montague.example' id='D60000229F' type='valid'/>`},
	{name: "2 the domains are not to be exchanged", with: example("xmpp.example.com"), script: `
		dial p xmpp.example.com
		~ p > <stream:stream $ns from='example.org' to='xmpp.example.com' version='1.0'>
		p > <db:verify from='example.org' to='xmpp.example.com' id='D60000229F'>37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643</db:verify>
		p < <db:verify from='xmpp.example.com' to='example.org' id='D60000229F' type='invalid'/>`},
	{name: "2 note 4, the same digits in upper case are another key", with: example("example.org"), script: `
		dial p example.org
		~ p > <stream:stream $ns from='xmpp.example.com' to='example.org' version='1.0'>
		p > <db:verify from='xmpp.example.com' to='example.org' id='D60000229F'>37C69B1CF07A3F67C04A5EF5902FA5114F2C76FE4A2686482BA5B89323075643</db:verify>
		p < <db:verify from='example.org' to='xmpp.example.com' id='D60000229F' type='invalid'/> | <db:verify from='example.org' to='xmpp.example.com' id='D60000229F' type='valid'/>`},
	{name: "2 the secret decides", with: func(f *federation) { f.site("example.org") }, script: `
		dial p example.org
		~ p > <stream:stream $ns from='xmpp.example.com' to='example.org' version='1.0'>
		p > <db:verify from='xmpp.example.com' to='example.org' id='D60000229F'>37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643</db:verify>
		p < <db:verify from='example.org' to='xmpp.example.com' id='D60000229F' type='invalid'/>`},
	sent("3 step 4, the key of the example is sent", "D60000229F", "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"),
	sent("2 the key for a long id", longText, dialbackKey(exampleSecret, "xmpp.example.com", "example.org", longText)),
}

func TestXEP0185(t *testing.T) {
	for want, got := range map[string]string{
		"37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643": dialbackKey(exampleSecret, "xmpp.example.com", "example.org", "D60000229F"),
		"b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3": dialbackKey(exampleSecret, "montague.example", "capulet.example", "D60000229F"),
		"225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d": dialbackKey("d14lb4ck43v3r", "capulet.example", "montague.example", "417GAF25"),
	} {
		if got != want {
			t.Errorf("the tests make the key %s, want %s", got, want)
		}
	}
	runFederation(t, keyRows)
}
