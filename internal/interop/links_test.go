//go:build interop

package interop

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// With servers that want it one stream serves both ways (XEP-0288), whoever has
// opened it and however its domains were proved; with others each side opens its
// own.
func TestBidi(t *testing.T) {
	f := newFederation(t)
	cases := []struct {
		name          string
		ours, theirs  bool // XEP-0288 is on
		themFirst     bool // they speak first
		managed       bool // XEP-0198
		stranger      bool // they show a certificate that nobody knows
		toUs, toTheir int  // connections
	}{
		{name: "ours", ours: true, theirs: true, toTheir: 1},
		{name: "theirs", ours: true, theirs: true, themFirst: true, toUs: 1},
		{name: "ours-managed", ours: true, theirs: true, managed: true, toTheir: 1},
		{name: "theirs-managed", ours: true, theirs: true, themFirst: true, managed: true, toUs: 1},
		{name: "stranger", ours: true, theirs: true, stranger: true, toTheir: 1, toUs: 1}, // it has proved nothing on our stream
		{name: "off-here", theirs: true, toTheir: 1, toUs: 1},
		{name: "off-there", ours: true, toTheir: 1, toUs: 1},
	}
	foreign := newAuthority(t)
	var here, there []vhost
	for _, c := range cases {
		h := vhost{Domain: c.name + ".tide.test", Dialback: true, Bidi: c.ours}
		h.Cert = f.cert(t, h.Domain)
		here = append(here, h)
		h = vhost{Domain: c.name + ".prosody.test", Dialback: true, Bidi: c.theirs, Managed: c.managed}
		h.Cert = f.cert(t, h.Domain)
		if c.stranger {
			h.Cert = f.certificate(t, h.Domain, foreign.issue(t, h.Domain))
		}
		there = append(there, h)
	}
	var us *ours
	var them *peer
	together(t, func() { us = f.tidewaiter(t, here...) }, func() { them = f.prosody(t, there...) })
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ana, bo := login(t, us.c2s, here[i].Domain, "ana"), login(t, them.c2s, there[i].Domain, "bo")
			if c.themFirst {
				talk(t, bo, ana)
			} else {
				talk(t, ana, bo)
			}
			toUs, _ := us.taps[here[i].Domain].count()
			toTheir, _ := them.taps[there[i].Domain].count()
			if toUs != c.toUs || toTheir != c.toTheir {
				t.Errorf("got %d connections to us and %d to them, want %d and %d", toUs, toTheir, c.toUs, c.toTheir)
			}
		})
	}
}

// Streams on which nothing passes are closed, in both directions and in order; the
// next stanza opens new ones.
func TestIdle(t *testing.T) {
	f := newFederation(t)
	tide := "tide.test"
	var us *ours
	them := make([]*peer, len(peers))
	start := []func(){func() {
		us = f.tidewaiter(t, vhost{Domain: tide, Cert: f.cert(t, tide), Dialback: true, Timeout: "1 s"})
	}}
	for i, p := range peers {
		start = append(start, func() {
			zone := p.name + ".test"
			them[i] = p.run(f, t, vhost{Domain: zone, Cert: f.cert(t, zone), Dialback: true, Managed: true})
		})
	}
	together(t, start...)
	ana := login(t, us.c2s, tide, "ana")
	for i, p := range peers {
		bo := login(t, them[i].c2s, p.name+".test", "bo")
		chat(t, ana, bo)
		chat(t, bo, ana)
	}
	us.taps[tide].quiet(t)
	for i, p := range peers {
		them[i].taps[p.name+".test"].quiet(t)
	}
	for i, p := range peers {
		bo := login(t, them[i].c2s, p.name+".test", "bo")
		chat(t, bo, ana)
		chat(t, ana, bo)
		if total, _ := them[i].taps[p.name+".test"].count(); total != 2 {
			t.Errorf("%s: there were %d connections, want 2", p.name, total)
		}
	}
	for _, l := range us.log.now() {
		if strings.Contains(l, "pkg=s2s") && (strings.Contains(l, "failed") || strings.Contains(l, "lost")) {
			t.Errorf("the log complains of streams that ended in order: %s", l)
		}
	}
}

// quiet waits until no connection is left.
func (p *tap) quiet(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		if _, open := p.count(); open == 0 {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-timer.C:
			t.Fatal("connections stay open")
		}
	}
}

// A component here has a domain that other servers reach, and are reached from.
func TestFederatedComponent(t *testing.T) {
	f := newFederation(t)
	echo, zone := "echo.tide.test", "prosody.test"
	var us *ours
	var them *peer
	together(t, func() {
		us = f.tidewaiter(t, vhost{Domain: "tide.test", Cert: f.cert(t, "tide.test"), Dialback: true},
			vhost{Domain: echo, Cert: f.cert(t, echo), Component: true})
	}, func() {
		them = f.prosody(t, vhost{Domain: zone, Cert: f.cert(t, zone), Dialback: true})
	})
	bo := login(t, them.c2s, zone, "bo")
	id := newID()
	bo.sendf("<message to='robot@%s' id='%s'><body>too early</body></message>", echo, id)
	bo.expect(t, "an error", func(e element) bool { return e.ID == id && e.Type == "error" })

	c := bot{JID: echo, Secret: componentSecret}.launch(t, us.component)
	c.ready(t)
	reachable(t, bo, echo)
	body := newID()
	bo.sendf("<message to='robot@%s/hull'><body>%s</body></message>", echo, body)
	if m := bo.message(t, body); m.From != "robot@"+echo+"/hull" {
		t.Errorf("the echo comes from %q", m.From)
	}
	us.logs(t, "server has connected", fmt.Sprintf("from=%s to=%s mechanism=EXTERNAL encrypted=true ", zone, echo))
	them.says(t, peers[0].accepted(echo, zone, "EXTERNAL"))
	c.finish(t)
}

// The addresses of a server are tried one after the other, as the DNS ranks them.
func TestAddresses(t *testing.T) {
	f := newFederation(t)
	tide, zone := "tide.test", "prosody.test"
	var us *ours
	var them *peer
	together(t, func() {
		us = f.tidewaiter(t, vhost{Domain: tide, Cert: f.cert(t, tide), Dialback: true})
	}, func() {
		them = f.prosody(t, vhost{Domain: zone, Cert: f.cert(t, zone), Dialback: true})
	})
	_, port, err := net.SplitHostPort(them.s2s)
	if err != nil {
		t.Fatal(err)
	}
	closed := freePort(t)
	f.names.set(t, "_xmpps-server._tcp."+zone, "SRV 5 0 "+closed+" second."+zone+".")
	f.names.set(t, "_xmpp-server._tcp."+zone, "SRV 10 0 "+port+" second."+zone+".", "SRV 0 0 "+closed+" first."+zone+".", "SRV 1 0 "+closed+" gone."+zone+".")
	f.names.set(t, "first."+zone, "A 127.0.0.1")
	f.names.set(t, "second."+zone, "AAAA ::1", "A 127.0.0.1")
	f.names.set(t, "_xmpp-server._tcp.nothing.test", "SRV 0 0 0 .")
	f.names.set(t, "nothing.test", "A 127.0.0.1")

	ana, bo := login(t, us.c2s, tide, "ana"), login(t, them.c2s, zone, "bo")
	body := newID()
	ana.sendf("<message to='%s'><body>%s</body></message>", bo.jid, body)
	bo.message(t, body)
	for _, domain := range []string{"nowhere.test", "nothing.test"} {
		if e := ana.ask(t, domain, "<ping xmlns='urn:xmpp:ping'/>"); e.Type != "error" || !strings.Contains(e.Inner, "remote-server-not-found") {
			t.Errorf("%s: got %v, want remote-server-not-found", domain, e)
		}
	}
}
