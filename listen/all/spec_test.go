package all_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// standIns stand for request handlers that this build does not have yet.
func standIns() map[string]http.Handler {
	handlers := make(map[string]http.Handler)
	for _, name := range []string{"mod_mqtt", "ejabberd_web_admin"} {
		handlers[name] = http.NotFoundHandler()
	}
	return handlers
}

// specExample returns one of the two long examples of ejabberd's page about
// listen modules, as it is printed but for the folder of its certificates.
func specExample(t *testing.T, i int, dir string) string {
	t.Helper()
	blocks := specBlocks(t, dir)
	return blocks[len(blocks)-2+i]
}

// specSTUN returns one of the two examples of ejabberd_stun.
func specSTUN(t *testing.T, i int, dir string) string {
	t.Helper()
	var found []string
	for _, block := range specBlocks(t, dir) {
		if n := strings.Count(block, "module: "); n > 0 && n == strings.Count(block, "module: ejabberd_stun\n") {
			found = append(found, block)
		}
	}
	if len(found) != 2 {
		t.Fatalf("the page has %d examples of ejabberd_stun, want 2", len(found))
	}
	return found[i]
}

// specBlocks returns the YAML blocks of the page.
func specBlocks(t *testing.T, dir string) (blocks []string) {
	t.Helper()
	page := os.Getenv("TIDEWAITER_LISTEN_SPEC")
	if page == "" {
		t.Skip("TIDEWAITER_LISTEN_SPEC does not name the page")
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	folders := regexp.MustCompile(`/(?:etc/ejabberd|path/to)/`)
	for _, m := range regexp.MustCompile("(?ms)^``` ?yaml\n(.*?)^```").FindAllSubmatch(text, -1) {
		blocks = append(blocks, folders.ReplaceAllString(string(m[1]), dir+"/"))
	}
	if len(blocks) < 2 {
		t.Fatalf("%s has %d YAML blocks", page, len(blocks))
	}
	return blocks
}

// Binding requests are answered, whatever the transport.
func TestSpecSTUN(t *testing.T) {
	dir, ca, n := t.TempDir(), newAuthority(t), newNetwork()
	ca.write(t, filepath.Join(dir, "server.pem"), "localhost")
	p := run(t, n)
	p.apply(filepath.Join(dir, "ejabberd.yml"), specSTUN(t, 0, dir))
	binding(t, n.packet(t, "0.0.0.0:3478").Dial())
	binding(t, n.socket(t, "0.0.0.0:3478").Dial())
	binding(t, tls.Client(n.socket(t, "0.0.0.0:5349").Dial(), &tls.Config{ServerName: "localhost", RootCAs: ca.pool}))
	if _, err := relay(t, n, "0.0.0.0:3478", "ana", password); err == nil {
		t.Error("there are relays without use_turn")
	}
}

// Users of the domain have relays at the address that the page names.
func TestSpecTURN(t *testing.T) {
	n := newNetwork()
	p := run(t, n)
	p.apply("ejabberd.yml", specSTUN(t, 1, ""))
	const server = "0.0.0.0:3478"
	binding(t, n.packet(t, server).Dial())
	got, err := relay(t, n, server, "ana", password)
	if err != nil || got.Addr() != relayIP {
		t.Errorf("got a relay at %v, error %v, want one at %v", got, err, relayIP)
	}
	for _, c := range []struct{ user, password string }{{"ana", "guess"}, {"nobody", password}, {"", ""}} {
		if got, err := relay(t, n, server, c.user, c.password); err == nil {
			t.Errorf("%q has a relay at %v by the password %q", c.user, got, c.password)
		}
	}
}

// Three domains, of which one has a certificate of its own; the names of the
// access rule and of the shapers are not defined, so that nobody can log in.
func TestSpecThreeDomains(t *testing.T) {
	dir, ca, n := t.TempDir(), newAuthority(t), newNetwork()
	ca.writeCA(t, filepath.Join(dir, "ca.pem"))
	ca.write(t, filepath.Join(dir, "server.pem"), "example.org", "example.net")
	ca.write(t, filepath.Join(dir, "example_com.pem"), "example.com")
	p := run(t, n)
	p.apply(filepath.Join(dir, "ejabberd.yml"), specExample(t, 0, dir)+"ca_file: ca.pem\n")
	far := join(t, n, ca, "far.example", "[2001:db8::1]:5269")
	binding(t, n.packet(t, "0.0.0.0:3478").Dial())

	for _, domain := range []string{"example.com", "example.org", "example.net"} {
		n.serve(domain, "[::]:5269")
		// That server wants a certificate for this domain, in both directions.
		far.send("<message from='ana@far.example' to='nobody@" + domain + "' type='chat' id='1'><body>ahoy</body></message>")
		far.expect("from='nobody@"+domain+"'", "type='error'", "service-unavailable")

		c := listentest.NewClient(t, n.socket(t, "0.0.0.0:5222").Dial())
		c.Send("<stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
		c.ExpectMatch(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/?>.*</stream:features>`)
		c.Close()
		conn := tls.Client(n.socket(t, "0.0.0.0:5223").Dial(), &tls.Config{ServerName: domain, RootCAs: ca.pool})
		if err := conn.HandshakeContext(t.Context()); err != nil {
			t.Errorf("TLS at %s: %v", domain, err)
		}
		conn.Close()
	}
}

// component of an entry of the second example.
type specComponent struct{ address, domain, password string }

var specComponents = []specComponent{
	{"127.0.0.1:5233", "aim.example.org", "aimsecret"},
	{"[::1]:5233", "aim.example.org", "aimsecret"},
	{"0.0.0.0:5234", "icq.example.org", "jitsecret"},
	{"0.0.0.0:5234", "sms.example.org", "jitsecret"},
	{"0.0.0.0:5235", "msn.example.org", "msnsecret"},
	{"0.0.0.0:5236", "yahoo.example.org", "yahoosecret"},
	{"0.0.0.0:5237", "gg.example.org", "ggsecret"},
	{"0.0.0.0:5238", "jmc.example.org", "jmcsecret"},
	{"0.0.0.0:5239", "custom.example.org", "customsecret"},
}

// transports runs the second example.
func transports(t *testing.T) (*program, *authority) {
	t.Helper()
	dir, ca, n := t.TempDir(), newAuthority(t), newNetwork()
	ca.writeCA(t, filepath.Join(dir, "ca.pem"))
	ca.write(t, filepath.Join(dir, "ssl.pem"), "localhost", "example.org")
	p := run(t, n)
	p.apply(filepath.Join(dir, "ejabberd.yml"), specExample(t, 1, dir)+"ca_file: ca.pem\n")
	return p, ca
}

// Each entry lets its component in, by its password and no other, and stanzas pass
// in both directions.
func TestSpecTransports(t *testing.T) {
	p, _ := transports(t)
	ana := p.client("192.168.0.1:5223", "ana")
	var wrong []*listentest.Client
	for _, c := range specComponents {
		wrong = append(wrong, p.component(c.address, c.domain, c.password+"s"))
	}
	for _, c := range specComponents {
		t.Run(c.address+" "+c.domain, func(t *testing.T) {
			p := &program{T: t, net: p.net}
			gateway := p.component(c.address, c.domain, c.password)
			gateway.Expect("<handshake/>")
			ana.Send("<message to='cy@" + c.domain + "' id='out'><body>ahoy</body></message>")
			gateway.ExpectMatch("<message from='ana@localhost/x' to='cy@" + c.domain + "' id='out'>.*</message>")
			gateway.Send("<message from='cy@" + c.domain + "' to='ana@localhost/x' id='" + c.domain + "'><body>ahoy</body></message>")
			ana.ExpectMatch("<message from='cy@" + c.domain + "' to='ana@localhost/x' id='" + c.domain + "'>.*</message>")
			gateway.Send("</stream:stream>")
			gateway.Expect("</stream:stream>")
			gateway.Close()
		})
	}
	for _, c := range wrong { // these are made to wait
		c.Expect("<not-authorized ")
		c.Close()
	}
}

// The component of two domains may send from both, and gets what is sent to both;
// the custom one may send from any address at all; others may not.
func TestSpecSenders(t *testing.T) {
	p, _ := transports(t)
	ana := p.client("[fdca:8ab6:a243:75ef::1]:5223", "ana")
	const say = "<message from='%s' to='ana@localhost/x' id='%s'><body>ahoy</body></message>"

	jit := p.component("0.0.0.0:5234", "icq.example.org", "jitsecret")
	jit.Expect("<handshake/>")
	jit.Send(fmt.Sprintf(say, "cy@sms.example.org", "sms"))
	ana.Expect("<message from='cy@sms.example.org' to='ana@localhost/x' id='sms'>")
	ana.Send("<message to='cy@sms.example.org' id='reply'><body>ahoy</body></message>")
	jit.Expect("to='cy@sms.example.org' id='reply'>")

	custom := p.component("0.0.0.0:5239", "custom.example.org", "customsecret")
	custom.Expect("<handshake/>")
	for _, from := range []string{"bo@localhost/desk", "king@elsewhere.example", "custom.example.org"} {
		custom.Send(fmt.Sprintf(say, from, "custom"))
		ana.Expect("<message from='" + from + "' to='ana@localhost/x' id='custom'>")
	}
	jit.Send(fmt.Sprintf(say, "bo@localhost/desk", "forged"))
	jit.Expect("<invalid-from ")
	jit.Close()
	custom.Close()
}

// Two other servers may connect and be connected to, and no third.
func TestSpecTrustedServers(t *testing.T) {
	p, ca := transports(t)
	n := p.net
	n.serve("localhost", "0.0.0.0:5269")
	friend := join(t, n, ca, "jabber.example.org", "192.0.2.2:5269")
	stranger := join(t, n, ca, "stranger.example", "192.0.2.3:5269")
	ana := p.client("192.168.0.1:5223", "ana")

	friend.send("<message from='cy@jabber.example.org' to='ana@localhost/x' id='in'><body>ahoy</body></message>")
	ana.Expect("<message from='cy@jabber.example.org' to='ana@localhost/x' id='in'>")
	ana.Send("<message to='cy@jabber.example.org' id='out'><body>ahoy</body></message>")
	friend.expect("from='ana@localhost/x'", "to='cy@jabber.example.org'", "id='out'")

	stranger.send("<message from='cy@stranger.example' to='ana@localhost/x' id='in'><body>ahoy</body></message>")
	stranger.expect("from='ana@localhost/x'", "type='error'")
	ana.Send("<message to='cy@stranger.example' id='out'><body>ahoy</body></message>")
	ana.ExpectMatch(`<message from='cy@stranger.example' to='ana@localhost/x' type='error' id='out'>.*<forbidden .*</message>`)
	if got := n.lookups("stranger.example"); got != 0 {
		t.Errorf("the DNS was asked %d times for a server that must not be connected to", got)
	}

	// Without a certificate that proves it, nobody is trusted: there is no dialback.
	impostor := join(t, n, newAuthority(t), "example.com", "192.0.2.4:5269")
	impostor.send("<message from='cy@example.com' to='ana@localhost/x' id='in'><body>ahoy</body></message>")
	impostor.expect("from='ana@localhost/x'", "type='error'")
	friend.send("<message from='cy@jabber.example.org' to='ana@localhost/x' id='last'><body>ahoy</body></message>")
	ana.ExpectMatch(`^<message from='cy@jabber.example.org' to='ana@localhost/x' id='last'>`)
}
