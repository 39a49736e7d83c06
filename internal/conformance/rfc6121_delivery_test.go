package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// fate is what happens to a message, by the letters of RFC 6121, section 8.5.4.
type fate string

const (
	stored  fate = "O" // delivered when juliet comes
	refused fate = "E"
	silent  fate = "S"
	direct  fate = "D" // to balcony
	most    fate = "M" // to the resource with the highest priority
	every   fate = "A" // to all with a priority of at least 0
)

// deliveryCases are the rows of Table 1: juliet's resources, the address, and
// the fates of normal, chat, groupchat and headline.
var deliveryCases = []struct {
	condition, setup, to string
	allowed              [4]string // letters
}{
	{"no account, bare", "", "nobody@$d", [4]string{"SE", "SE", "SE", "SE"}},
	{"no account, full", "", "nobody@$d/x", [4]string{"SE", "SE", "SE", "SE"}},
	{"no resources, bare", "", "$j", [4]string{"OE", "OE", "E", "S"}},
	{"no resources, full", "", "$jb", [4]string{"SE", "OE", "SE", "SE"}},
	{"negative, bare", "login jb -1", "$j", [4]string{"OE", "OE", "E", "S"}},
	{"negative, full", "login jb -1", "$jb", [4]string{"D", "D", "D", "D"}},
	{"negative, full, other", "login jb -1", "$j/attic", [4]string{"SE", "OE", "SE", "SE"}},
	{"one, bare", "login jb 0", "$j", [4]string{"D", "D", "E", "D"}},
	{"one, full", "login jb 0", "$jb", [4]string{"D", "D", "D", "D"}},
	{"one, full, other", "login jb 0", "$j/attic", [4]string{"SE", "D", "SE", "SE"}},
	{"more, bare", "login jb 0\nlogin jc 1", "$j", [4]string{"MA", "M", "E", "A"}},
	{"more, full", "login jb 0\nlogin jc 1", "$jb", [4]string{"D", "D", "D", "D"}},
	{"more, full, other", "login jb 0\nlogin jc 1", "$j/attic", [4]string{"SE", "M", "SE", "SE"}},
	{"one beside a negative one, bare", "login jc -1\nlogin jb 0", "$j", [4]string{"D", "D", "E", "D"}},
	{"connected, bare", "login jb", "$j", [4]string{"OE", "OE", "E", "S"}},
	{"connected, full", "login jb", "$jb", [4]string{"D", "D", "D", "D"}},
}

// TestRFC6121Delivery sends a message of each type to juliet in each condition.
func TestRFC6121Delivery(t *testing.T) {
	var rows []row
	for _, c := range deliveryCases {
		for i, kind := range []string{"normal", "chat", "groupchat", "headline"} {
			rows = append(rows, row{name: fmt.Sprintf("8.5.4 %s, %s", c.condition, kind), do: func(p *play) {
				p.script("login ro 0\n" + c.setup)
				got := p.fate(kind, c.to)
				if !strings.Contains(c.allowed[i], string(got)) {
					p.fail("got %s for %s to %s, want one of %s", got, kind, c.to, c.allowed[i])
				}
			}})
		}
	}
	run(t, rows)
}

// fate sends a message and says what has happened to it.
func (p *play) fate(kind, to string) fate {
	p.client("ro").send(p.expand("<message type='" + kind + "' to='" + to + "' id='m'><body>x</body></message>"))
	got := map[string]int{}
	for name, c := range p.clients {
		for _, e := range c.take() {
			if e.name.Local != "message" || e.attr("id") != "m" {
				p.fail("%s got %s", name, e.raw)
			}
			if name != "ro" && e.attr("to") != p.expand(to) {
				p.fail("%s got %s, want the address unchanged", name, e.raw)
			}
			got[name+" "+e.attr("type")]++
		}
	}
	kept := kind
	if kind == "normal" && got["jb "]+got["jc "] > 0 {
		kept = ""
	}
	b, c := got["jb "+kept], got["jc "+kept]
	switch {
	case got["ro error"] == 1 && len(got) == 1:
		return refused
	case b == 1 && c == 1 && len(got) == 2:
		return every
	case b == 1 && len(got) == 1:
		return direct
	case c == 1 && len(got) == 1:
		return most
	case len(got) > 0:
		p.fatal("got %v", got)
	}
	p.script("login jc")
	p.client("jc").send("<presence><priority>5</priority></presence>")
	for _, e := range p.client("jc").take() {
		if e.name.Local == "message" && e.attr("id") == "m" && e.child("delay") != nil {
			got["jc "+kind]++
		}
	}
	p.drop()
	if len(got) > 0 {
		return stored
	}
	return silent
}

var deliveryRows = []row{
	{name: "8.5.2.1.3 requests to an account are the server's", script: `
		friends r j
		login ro 0
		login jb 0
		ro > <iq type='get' id='1' to='$j'><x xmlns='urn:x'/></iq>
		ro < <iq type='error' id='1' from='$j'>!service-unavailable</iq>
		ro > <iq type='set' id='2' to='$j'><x xmlns='urn:x'/></iq>
		ro < <iq type='error' id='2' from='$j'>!service-unavailable</iq>
		ro > <iq type='result' id='3' to='$j'/>
		ro > <iq type='error' id='4' to='$j'>!bad-request</iq>`},
	{name: "8.5.3.1 requests between contacts", script: `
		friends r j
		login ro 0
		login jb 0
		ro > <iq type='get' id='1' to='$jb'><x xmlns='urn:x'/></iq>
		jb < <iq type='get' id='1' from='$ro' to='$jb'><x xmlns='urn:x'/></iq>
		jb > <iq type='result' id='1' to='$ro'/>
		ro < <iq type='result' id='1' from='$jb'/>`},
	{name: "8.5.3.1 requests to who has sent directed presence", script: `
		login ro 0
		login jb 0
		~ jb > <presence to='$ro'/>
		ro > <iq type='get' id='1' to='$jb'><x xmlns='urn:x'/></iq>
		jb < <iq type='get' id='1' from='$ro' to='$jb'><x xmlns='urn:x'/></iq>
		jb > <iq type='error' id='1' to='$ro'>!service-unavailable</iq>
		ro < <iq type='error' id='1' from='$jb'/>`},
	{name: "8.5.3.1 requests of strangers", script: `
		login ro 0
		login jb 0
		ro > <iq type='get' id='1' to='$jb'><x xmlns='urn:x'/></iq>
		ro ? <iq type='error' id='1' from='$jb'>!service-unavailable</iq>
		jb ? <iq type='get' id='1' from='$ro' to='$jb'><x xmlns='urn:x'/></iq>`},
	{name: "8.5.3.2.3 requests to a resource that is not there", script: `
		friends r j
		login ro 0
		ro > <iq type='get' id='1' to='$jb'><x xmlns='urn:x'/></iq>
		ro < <iq type='error' id='1' from='$jb'>!service-unavailable</iq>
		ro > <iq type='result' id='1' to='$jb'/>`},
	{name: "8.5.1 requests to an account that does not exist", script: `
		login ro 0
		ro > <iq type='get' id='1' to='nobody@$d'><query $vcard/></iq>
		ro < <iq type='error' id='1' from='nobody@$d'>!service-unavailable</iq>
		ro > <iq type='get' id='2' to='nobody@$d/x'><query xmlns='urn:x'/></iq>
		ro < <iq type='error' id='2' from='nobody@$d/x'>!service-unavailable</iq>`},
	{name: "8.5.2.1.1 errors to an account are dropped", script: `
		login ro 0
		login jb 0
		ro > <message type='error' to='$j'>!bad-request</message>
		ro > <message type='error' to='$j/attic'>!bad-request</message>
		ro > <message type='error' to='$jb'>!bad-request</message>
		jb < <message type='error' from='$ro' to='$jb'/>`},
	{name: "8.2 a message without an address", script: `
		login ro 0
		login rg 0
		ro > <message id='1' type='chat'><body>me</body></message>
		ro ? <message id='1'><body>me</body></message>
		rg ? <message id='1'><body>me</body></message>`},
	{name: "8.3 other domains", script: `
		login ro 0
		ro > <message id='1' to='a@elsewhere.example'><body>x</body></message>
		ro < <message type='error' id='1' from='a@elsewhere.example'>!remote-server-not-found</message>
		ro > <iq type='get' id='2' to='a@elsewhere.example'><x xmlns='urn:x'/></iq>
		ro < <iq type='error' id='2' from='a@elsewhere.example'>!remote-server-not-found</iq>`},
	{name: "8.5.3.1 everything of a message arrives", script: `
		login ro 0
		login jb 0
		ro > <message type='chat' to='$jb' id='1' xml:lang='de'><subject>s</subject><body>a &lt; b</body><body xml:lang='en'>b</body><thread>t</thread><x xmlns='urn:x' a='1'><y/></x></message>
		jb < <message type='chat' from='$ro' to='$jb' id='1' xml:lang='de'><subject>s</subject><body>a &lt; b</body><body xml:lang='en'>b</body><thread>t</thread><x xmlns='urn:x' a='1'><y/></x></message>`},
	{name: "8.1.2.1 the sender is the server's to say", script: `
		login ro 0
		login jb 0
		ro > <message to='$jb' from='$r'><body>x</body></message>
		jb ? <message from='$ro'/>
		ro ? <stream:error><invalid-from $streams/></stream:error>
		ro ? </stream:stream>
		ro ? eof`},
}

func TestRFC6121Addresses(t *testing.T) { run(t, deliveryRows) }
