//go:build interop

package interop

import (
	"strings"
	"testing"
)

// The servers of others work together as this package runs them.
func TestPeersAlone(t *testing.T) {
	f := newFederation(t)
	var p, e *peer
	prosody := vhost{Domain: "prosody.test", Cert: f.cert(t, "prosody.test"), Dialback: true}
	ejabberd := vhost{Domain: "ejabberd.test", Cert: f.cert(t, "ejabberd.test"), Dialback: true}
	together(t, func() { p = f.prosody(t, prosody) }, func() { e = f.ejabberd(t, ejabberd) })
	bo := login(t, p.c2s, "prosody.test", "bo")
	other := login(t, e.c2s, "ejabberd.test", "bo")
	talk(t, bo, other)
}

// talk has two people do what people of two servers do, both ways.
func talk(t *testing.T, a, b *person) {
	t.Helper()
	chat(t, a, b)
	chat(t, b, a)
	query(t, a, b)
	query(t, b, a)
	befriend(t, a, b)
}

// chat sends messages to an account and to a resource.
func chat(t *testing.T, from, to *person) {
	t.Helper()
	for _, address := range []string{to.jid, to.bare()} {
		body := "ahoy <&'\"> " + newID()
		from.sendf("<message type='chat' to='%s' id='m'><body>%s</body></message>", address, escape(body))
		if m := to.message(t, body); m.From != from.jid {
			t.Errorf("%s got a message from %q, want %q", to.jid, m.From, from.jid)
		}
	}
	// To nobody: the server of the recipient says so, as there is no account.
	id := newID()
	from.sendf("<message type='chat' to='nobody@%s' id='%s'><body>ahoy</body></message>", domainOf(to), id)
	from.expect(t, "an error", func(e element) bool { return e.ID == id && e.Type == "error" })
}

// query sends requests to the server of another and to its client.
func query(t *testing.T, from, to *person) {
	t.Helper()
	for _, q := range []struct{ to, payload, want string }{
		{domainOf(to), "<ping xmlns='urn:xmpp:ping'/>", ""},
		{domainOf(to), "<query xmlns='http://jabber.org/protocol/disco#info'/>", "identity"},
		{domainOf(to), "<query xmlns='jabber:iq:version'/>", "<name>"},
		{to.jid, "<query xmlns='jabber:iq:version'/>", "<name>Person</name>"},
		{to.jid, "<ping xmlns='urn:xmpp:ping'/>", ""},
	} {
		if got := from.ask(t, q.to, q.payload); got.Type != "result" || got.From != q.to || !strings.Contains(got.Inner, q.want) {
			t.Errorf("%s asked %s %s: got %v, want a result with %q", from.jid, q.to, q.payload, got, q.want)
		}
	}
}

// befriend subscribes both ways, lets presence pass and ends it again.
func befriend(t *testing.T, a, b *person) {
	t.Helper()
	for _, p := range [][2]*person{{a, b}, {b, a}} {
		asks, grants := p[0], p[1]
		asks.sendf("<presence type='subscribe' to='%s'/>", grants.bare())
		grants.presence(t, asks.bare(), "subscribe")
		grants.sendf("<presence type='subscribed' to='%s'/>", asks.bare())
		asks.presence(t, grants.bare(), "subscribed")
		asks.presence(t, grants.jid, "") // it is there
	}
	for _, p := range [][2]*person{{a, b}, {b, a}} {
		p[0].send("<presence><show>away</show></presence>")
		p[1].expect(t, "away", func(e element) bool { return e.From == p[0].jid && strings.Contains(e.Inner, "away") })
		p[0].send("<presence type='unavailable'/>")
		p[1].presence(t, p[0].jid, "unavailable")
		p[0].send("<presence/>") // and probes: the other is here
		p[1].presence(t, p[0].jid, "")
		p[0].presence(t, p[1].jid, "")
	}
	a.sendf("<presence type='unsubscribe' to='%s'/>", b.bare())
	b.presence(t, a.bare(), "unsubscribe")
	b.sendf("<presence type='unsubscribe' to='%s'/>", a.bare())
	a.presence(t, b.bare(), "unsubscribe")
}

func domainOf(p *person) string {
	_, domain, _ := strings.Cut(p.bare(), "@")
	return domain
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", `"`, "&quot;").Replace(s)
}
