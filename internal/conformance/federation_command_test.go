package conformance

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// command does one of these, what network does, or leaves it to play:
//
//	dial p [SERVER]         p, another server, connects to the server under test
//	open p FROM TO          does so, sends a stream header and gets header and features
//	link p FROM [TO]        does so and proves FROM by dialback; its stanzas are got by the server that
//	                        has the first part of FROM as its name
//	prove p FROM TO         proves FROM by dialback
//	starttls p CERT FROM TO connects, begins TLS with a certificate and opens the stream
//	external p CERT FROM TO does so, logs in by EXTERNAL and opens the stream
//	direct p CERT           connects with TLS from the first byte
//	tls p CERT              TLS begins, after proceed
//	plain p                 TLS does not begin, in spite of starttls
//	auto two WHERE [MODE [CERT]]  a server that does everything by itself; see auto
//	serve q WHERE           a server that waits for a connection
//	serves q WHERE CERT     one with TLS from the first byte
//	greet q [FEATURES]      answers the header with its own and features: those of dialback
//	reach q DOMAIN          serves, has ro send something and comes as far as to get that, by dialback
//	key x SECRET TO FROM ID a dialback key as a variable
//	component c DOMAIN      a component, as far as the handshake
//	attach c DOMAIN         a component before the handshake; then: handshake c SECRET
//	stranger c              a connection to the listener for components
//	differ x y              two variables have different values
//	dialled [ADDRESS]...    to whom was tried to connect, in order, since this was asked last
//	stop SERVER             its listener ends
//	shutdown SERVER         its outgoing streams end
func (f *federation) command(words []string) bool {
	f.vars["space"] = " "
	switch words[0] {
	case "dial":
		f.dial(words[1], defaults(words, "", "", "one.example")[2])
	case "open":
		f.open(words[1], words[2], words[3])
	case "link":
		f.link(words[1], words[2], defaults(words, "", "", "", "one.example")[3])
	case "prove":
		f.prove(words[1], words[2], words[3])
	case "starttls":
		f.starttls(words[1], words[2], words[3], words[4])
	case "external":
		f.external(words[1], words[2], words[3], words[4])
	case "direct":
		f.dialDirect(words[1], words[2])
	case "tls":
		f.tls(words[1], words[2])
	case "plain":
		f.client(words[1]).secure <- secured{}
	case "auto":
		f.auto(words[1], words[2], defaults(words[3:], "valid", "")...)
	case "serve", "serves":
		f.serve(words)
	case "greet":
		f.greet(words[1], strings.Join(words[2:], " "))
	case "reach":
		f.reach(words[1], words[2])
	case "dialled":
		if got, want := f.net.dialled(), f.expand(strings.Join(words[1:], " ")); got != want && want != "*" {
			f.fail("the server connected to %q, want %q", got, want)
		}
	case "differ":
		if f.vars[words[1]] == f.vars[words[2]] {
			f.fail("%s and %s are both %q", words[1], words[2], f.vars[words[1]])
		}
	case "stop":
		f.sites[words[1]].stopServers()
	case "shutdown":
		f.sites[words[1]].shutdown()
	case "key":
		f.vars[words[1]] = dialbackKey(words[2], words[3], words[4], f.expand(words[5]))
	default:
		return f.componentCommand(words) || f.netCommand(words)
	}
	return true
}

func (f *federation) netCommand(words []string) bool {
	known, err := f.net.command(words)
	f.must(err)
	if known && words[0] == "host" {
		f.vars["at_"+short(words[1])] = f.net.address(words[1]).String()
	}
	return known
}

// short is the name of a domain in variables.
func short(domain string) string {
	return strings.ReplaceAll(strings.TrimSuffix(domain, ".example"), ".", "_")
}

func (f *federation) dial(name, domain string) *client {
	s := f.sites[domain]
	if s == nil {
		s = f.order[0] // which has components
	}
	return f.begin(name, newPeer(stanza.NSServer), s.servers.Dial())
}

// begin is the beginning of a connection of ours.
func (f *federation) begin(name string, c *client, conn net.Conn) *client {
	if old := f.clients[name]; old != nil {
		old.close()
	}
	c.connect(conn)
	f.clients[name] = c
	return c
}

func header(from, to string) string {
	return fmt.Sprintf("<?xml version='1.0'?><stream:stream %s from='%s' to='%s' version='1.0'>", serverNS, from, to)
}

// open returns the features.
func (f *federation) open(name, from, to string) *element {
	if f.clients[name] == nil {
		f.dial(name, to)
	}
	f.client(name).send(header(from, to))
	return f.opened(name)
}

// opened wants a header and features, which it returns.
func (f *federation) opened(name string) *element {
	got := f.client(name).take()
	if len(got) != 2 || got[0].name.Local != "stream" || got[1].name.Local != "features" {
		f.fatal("%s: %s got %s, want a header and features", f.action, name, raw(got))
	}
	f.vars["sid_"+name] = got[0].attr("id")
	return got[1]
}

func (f *federation) link(name, from, to string) {
	if at, _, _ := strings.Cut(from, "."); f.clients[at] == nil {
		f.auto(at, from, "valid", "")
	}
	f.dial(name, to)
	f.open(name, from, to)
	f.prove(name, from, to)
}

func (f *federation) prove(name, from, to string) {
	c := f.client(name)
	c.send(fmt.Sprintf("<db:result from='%s' to='%s'>c0ffee</db:result>", from, to))
	got := c.take()
	if len(got) != 1 || got[0].name.Local != "result" || got[0].attr("type") != "valid" || got[0].attr("from") != to || got[0].attr("to") != from {
		f.fatal("%s: %s got %s, want a valid result", f.action, name, raw(got))
	}
}

// config is that of TLS with a certificate.
func config(name string) *tls.Config {
	c := &tls.Config{RootCAs: trusted()}
	if cert := certificate(name); cert != nil {
		c.Certificates = []tls.Certificate{*cert}
		// Whatever the server says whom it trusts.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return c
}

func (f *federation) tls(name, cert string) {
	c := f.client(name)
	how := secured{config: config(cert), server: c.serves}
	if how.server {
		how.config.ClientAuth = tls.RequestClientCert
		how.config.GetConfigForClient = c.hello(f)
	} else {
		how.config.ServerName = "one.example"
	}
	c.secure <- how
}

// hello records what a client wants, as variables.
func (c *client) hello(f *federation) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		c.set(func() { c.sni, c.alpn = h.ServerName, strings.Join(h.SupportedProtos, " ") })
		return nil, nil
	}
}

func (f *federation) starttls(name, cert, from, to string) *element {
	f.dial(name, to)
	f.open(name, from, to)
	c := f.client(name)
	c.send("<starttls xmlns='" + nsTLS + "'/>")
	if got := c.take(); len(got) != 1 || got[0].name.Local != "proceed" {
		f.fatal("%s: %s got %s, want proceed", f.action, name, raw(got))
	}
	f.tls(name, cert)
	if got := c.take(); got != nil {
		f.fatal("%s: %s got %s, want nothing", f.action, name, raw(got))
	}
	return f.open(name, from, to)
}

func (f *federation) external(name, cert, from, to string) {
	f.starttls(name, cert, from, to)
	c := f.client(name)
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>" + base64.StdEncoding.EncodeToString([]byte(from)) + "</auth>")
	if got := c.take(); len(got) != 1 || got[0].name.Local != "success" {
		f.fatal("%s: %s got %s, want success", f.action, name, raw(got))
	}
	f.open(name, from, to)
}

func (f *federation) dialDirect(name, cert string) {
	c := config(cert)
	c.ServerName, c.NextProtos = "one.example", []string{"xmpp-server"}
	f.begin(name, newPeer(stanza.NSServer), tls.Client(f.sites["one.example"].direct.Dial(), c))
}

// defaults completes a list.
func defaults(list []string, rest ...string) []string {
	return append(slices.Clone(list), rest[min(len(list), len(rest)):]...)
}

// auto makes a server; its mailbox has its name.
func (f *federation) auto(name, where string, how ...string) {
	mailbox := f.clients[name]
	if mailbox == nil {
		mailbox = &client{space: stanza.NSServer}
		f.clients[name] = mailbox
	}
	mode, cert := how[0], how[1]
	f.net.open(f.net.where(where), func() net.Conn {
		c := auto(mailbox, mode, cert)
		f.mu.Lock()
		f.autos = append(f.autos, c)
		f.mu.Unlock()
		p := &peer{client: c}
		return p.accept()
	})
}

func (f *federation) serve(words []string) {
	p := &peer{client: newPeer(stanza.NSServer)}
	p.serves = true
	if words[0] == "serves" {
		p.direct = config(words[3])
		p.direct.ClientAuth, p.direct.NextProtos = tls.RequestClientCert, []string{"xmpp-server"}
		p.direct.GetConfigForClient = p.hello(f)
	}
	f.clients[words[1]] = p.client
	at := f.net.where(words[2])
	f.vars["at_"+words[1]] = at.String()
	f.net.wait(at, p)
}

// greet answers the header that q has got.
func (f *federation) greet(name, features string) {
	if features == "" {
		features = dialbackFeature
	}
	c := f.client(name)
	c.send(fmt.Sprintf("<?xml version='1.0'?><stream:stream %s id='id-%s' from='two.example' to='one.example' version='1.0'><stream:features>%s</stream:features>",
		serverNS, name, f.expand(features)))
}

// reach has ro send a message, which q gets.
func (f *federation) reach(name, domain string) {
	f.serve([]string{"serve", name, domain})
	f.client("ro").send("<message to='juliet@" + domain + "' id='reach'/>")
	q := f.client(name)
	step := func(want string) {
		if got := q.take(); len(got) != 1 || got[0].name.Local != want {
			f.fatal("%s: %s got %s, want %s", f.action, name, raw(got), want)
		}
	}
	step("stream")
	f.greet(name, "")
	step("result")
	q.send("<db:result from='" + domain + "' to='one.example' type='valid'/>")
	step("message")
}

// componentCommand does what concerns components.
func (f *federation) componentCommand(words []string) bool {
	switch words[0] {
	case "attach", "component":
		f.net.open(f.net.address(words[2]), f.order[0].servers.Dial)
		c := f.begin(words[1], newPeer(stanza.NSComponent), f.order[0].components.Dial())
		c.send("<?xml version='1.0'?><stream:stream xmlns='" + stanza.NSComponent + "' xmlns:stream='" + stanza.NSStream + "' to='" + words[2] + "'>")
		got := c.take()
		if len(got) != 1 || got[0].name.Local != "stream" || got[0].attr("id") == "" {
			f.fatal("%s: %s got %s, want a header", f.action, words[1], raw(got))
		}
		f.vars["sid_"+words[1]] = got[0].attr("id")
		if words[0] == "component" {
			f.handshake(words[1], defaults(words, "", "", "", "quay")[3])
			if got := c.take(); len(got) != 1 || got[0].name.Local != "handshake" {
				f.fatal("%s: %s got %s, want a handshake", f.action, words[1], raw(got))
			}
		}
	case "stranger":
		f.begin(words[1], newPeer(stanza.NSComponent), f.sites["one.example"].components.Dial())
	case "handshake":
		f.handshake(words[1], words[2])
	default:
		return false
	}
	return true
}

func (f *federation) handshake(name, secret string) {
	f.client(name).send("<handshake>" + handshakeOf(f.vars["sid_"+name], secret) + "</handshake>")
}

// handshakeOf is that of XEP-0114, section 3.
func handshakeOf(id, secret string) string {
	sum := sha1.Sum([]byte(id + secret))
	return hex.EncodeToString(sum[:])
}
