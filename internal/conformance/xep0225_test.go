package conformance

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/component"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// scram is the client's side of SCRAM-SHA-1 (RFC 5802) up to its last message.
func (f *federation) scram(name, user, secret string) *element {
	c := f.client(name)
	encode := base64.StdEncoding.EncodeToString
	first := "n=" + user + ",r=rOprNGfwEbeRWgbNEkqO"
	c.send("<auth xmlns='" + saslNS + "' mechanism='SCRAM-SHA-1'>" + encode([]byte("n,,"+first)) + "</auth>")
	got := c.take()
	if len(got) != 1 || got[0].name.Local != "challenge" {
		f.fatal("%s got %s, want a challenge", name, raw(got))
	}
	challenge := string(must(base64.StdEncoding.DecodeString(got[0].text)))
	parts := strings.Split(challenge, ",")
	salt := must(base64.StdEncoding.DecodeString(strings.TrimPrefix(parts[1], "s=")))
	rounds := must(strconv.Atoi(strings.TrimPrefix(parts[2], "i=")))
	final := "c=biws," + parts[0]
	salted := must(pbkdf2.Key(sha1.New, secret, salt, rounds, sha1.Size))
	clientKey := mac(salted, "Client Key")
	stored := sha1.Sum(clientKey)
	proof := mac(stored[:], first+","+challenge+","+final)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	c.send("<response xmlns='" + saslNS + "'>" + encode([]byte(final+",p="+encode(proof))) + "</response>")
	got = c.take()
	if len(got) == 0 { // who fails may have to wait
		<-time.After(10 * time.Second)
		got = c.take()
	}
	if len(got) == 0 {
		f.fatal("%s got nothing, want the outcome", name)
	}
	return got[0]
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha1.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

const modernHeader = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='" + stanza.NSStream + "' from='%s' to='one.example' version='1.0'>"

// modern makes a component that is logged in, as far as the features: nil when
// the server does not know this protocol, which it says by refusing the namespace.
func (f *federation) modern(name, domain, secret string) *element {
	c := f.begin(name, newPeer(stanza.NSClient), f.sites["one.example"].components.Dial())
	c.send(fmt.Sprintf(modernHeader, domain))
	got := c.take()
	if len(got) > 1 && got[1].child("invalid-namespace") != nil {
		return nil
	}
	if len(got) != 2 || !strings.Contains(got[1].raw, ">SCRAM-SHA-1<") {
		f.fatal("%s got %s, want features with SCRAM-SHA-1", name, raw(got))
	}
	if e := f.scram(name, domain, secret); e.name.Local != "success" {
		f.fatal("%s got %s, want success", name, e.raw)
	}
	c.send(fmt.Sprintf(modernHeader, domain))
	return f.opened(name)
}

// twoNames are the names that components of these tests may have.
func twoNames(f *federation) {
	f.site("one.example").component.Hosts = map[string]component.HostOptions{"chat.one.example": {}, "foo.one.example": {}}
}

// binding is a row of a component c that has logged in as chat.one.example.
func binding(name, script string) frow {
	return frow{name: name, with: twoNames, do: func(f *federation) {
		f.vars["comp"] = "xmlns='urn:xmpp:component:0'"
		if f.modern("c", "chat.one.example", "quay") != nil {
			f.script(script)
		}
	}}
}

const bound = `
	c > <iq id='bind_1' type='set'><bind $comp><hostname>chat.one.example</hostname></bind></iq>
	c < <iq id='bind_1' type='result'><bind $comp><hostname $comp>chat.one.example</hostname></bind></iq>
`

var bindingRows = []frow{
	{name: "4 the feature", with: twoNames, do: func(f *federation) {
		features := f.modern("c", "chat.one.example", "quay")
		if features == nil {
			return
		}
		if b := features.child("bind"); b == nil || b.name.Space != "urn:xmpp:component:0" {
			f.fail("got %s, want bind", features.raw)
		}
	}},
	{name: "4 clients have no such feature", script: `
		login ro
		ro > <iq id='1' type='set'><bind xmlns='urn:xmpp:component:0'><hostname>chat.one.example</hostname></bind></iq>
		ro < <iq id='1' type='error'/>`},
	{name: "3 another secret", with: twoNames, do: func(f *federation) {
		c := f.begin("c", newPeer(stanza.NSClient), f.sites["one.example"].components.Dial())
		c.send(fmt.Sprintf(modernHeader, "chat.one.example"))
		if got := c.take(); len(got) > 1 && got[1].name.Local == "features" {
			if e := f.scram("c", "chat.one.example", "other"); e.name.Local != "failure" || e.child("not-authorized") == nil {
				f.fail("got %s, want not-authorized", e.raw)
			}
		}
	}},
	binding("4 bind", bound),
	binding("4 bind, and stanzas", `
		login ro 1`+bound+`
		ro > <message to='x@chat.one.example' id='1'><body>1</body></message>
		c < <message from='$ro' to='x@chat.one.example' id='1'><body>1</body></message>
		c > <message from='x@chat.one.example' to='$ro' id='2'><body>2</body></message>
		ro < <message from='x@chat.one.example' to='$ro' id='2'><body>2</body></message>
		c > <iq from='chat.one.example' to='one.example' type='get' id='3'><ping $ping/></iq>
		c < <iq from='one.example' to='chat.one.example' type='result' id='3'/>`),
	binding("4 nothing is routed before", `
		login ro 1
		ro > <message to='x@chat.one.example' id='1'/>
		ro < <message type='error' id='1'/>
		c > <message from='x@chat.one.example' to='$ro'/>
		c ends any
		or
		c < <message type='error'/>`),
	binding("4 another one, too", `
		login ro 1`+bound+`
		c > <iq id='bind_2' type='set'><bind $comp><hostname>foo.one.example</hostname></bind></iq>
		c < <iq id='bind_2' type='result'><bind $comp><hostname $comp>foo.one.example</hostname></bind></iq>
		ro > <message to='x@foo.one.example' id='1'/>
		c < <message to='x@foo.one.example' id='1'/>
		ro > <message to='x@chat.one.example' id='2'/>
		c < <message to='x@chat.one.example' id='2'/>`),
	binding("4 twice the same", bound+`
		c > <iq id='bind_2' type='set'><bind $comp><hostname>chat.one.example</hostname></bind></iq>
		c < <iq id='bind_2' type='error'>!conflict</iq>`),
	binding("4 the domain of the server", `
		c > <iq id='1' type='set'><bind $comp><hostname>one.example</hostname></bind></iq>
		c < <iq id='1' type='error'>!conflict</iq> | <iq id='1' type='error'>!not-allowed</iq>`),
	binding("4 a name that is not the component's", `
		c > <iq id='1' type='set'><bind $comp><hostname>other.one.example</hostname></bind></iq>
		c < <iq id='1' type='error'>!not-allowed</iq> | <iq id='1' type='error'>!conflict</iq>`),
	binding("4 no name", `
		c > <iq id='1' type='set'><bind $comp/></iq>
		c < <iq id='1' type='error'>!bad-request</iq>
		or
		c < <iq id='1' type='result'><bind $comp><hostname $comp>chat.one.example</hostname></bind></iq>`),
	binding("4 what is no name", `
		c > <iq id='1' type='set'><bind $comp><hostname>a..b</hostname></bind></iq>
		c < <iq id='1' type='error'>!bad-request</iq> | <iq id='1' type='error'>!jid-malformed</iq> | <iq id='1' type='error'>!not-allowed</iq>`),
	binding("4 unbind", `
		login ro 1`+bound+`
		c > <iq id='unbind_1' type='set'><unbind $comp><hostname>chat.one.example</hostname></unbind></iq>
		c < <iq id='unbind_1' type='result' only=''/>
		ro > <message to='x@chat.one.example' id='1'/>
		ro < <message type='error' id='1'/>
		c > <iq id='bind_3' type='set'><bind $comp><hostname>chat.one.example</hostname></bind></iq>
		c < <iq id='bind_3' type='result'/>
		ro > <message to='x@chat.one.example' id='2'/>
		c < <message id='2'/>`),
	binding("4 unbind what is not bound", bound+`
		c > <iq id='1' type='set'><unbind $comp><hostname>foo.one.example</hostname></unbind></iq>
		c < <iq id='1' type='error'/>`),
	binding("4 stanzas from a name that is not bound", `
		login ro 1`+bound+`
		c > <message from='$t' to='$ro'/>
		c ends invalid-from|not-authorized
		or
		c < <message type='error'/>`),
	binding("RFC 6120 4.4 the end of the stream", `
		login ro 1`+bound+`
		c > </stream:stream>
		c ends
		ro > <message to='x@chat.one.example' id='1'/>
		ro < <message type='error' id='1'/>`),
	{name: "4 a name that another component serves", with: func(f *federation) {
		twoNames(f)
		f.sites["one.example"].component.Conflict = component.CloseNew
	}, do: func(f *federation) {
		f.vars["comp"] = "xmlns='urn:xmpp:component:0'"
		if f.modern("c", "chat.one.example", "quay") == nil {
			return
		}
		f.script(bound)
		if f.modern("d", "chat.one.example", "quay") == nil {
			return
		}
		f.script(`
			d > <iq id='1' type='set'><bind $comp><hostname>chat.one.example</hostname></bind></iq>
			d < <iq id='1' type='error'>!conflict</iq>
			or
			d ends conflict`)
	}},
}

func TestXEP0225(t *testing.T) { runFederation(t, bindingRows) }
