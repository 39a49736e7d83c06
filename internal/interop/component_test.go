//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The entries for components of the second example of ejabberd's page about
// listen modules, less those that only repeat it, on ports of this test.
const componentConfig = `
hosts: [localhost]
listen:
  - {port: %s, ip: 127.0.0.1, module: ejabberd_c2s, allow_plain_without_tls: true}
  -
    ip: 127.0.0.1
    port: %[2]s
    module: ejabberd_service
    hosts:
      aim.example.org:
        password: aimsecret
  -
    ip: "::1"
    port: %[2]s
    module: ejabberd_service
    hosts:
      aim.example.org:
        password: aimsecret
  -
    port: %[3]s
    module: ejabberd_service
    hosts:
      icq.example.org:
        password: jitsecret
      sms.example.org:
        password: jitsecret
  -
    port: %[4]s
    module: ejabberd_service
    password: yahoosecret
  -
    port: %[5]s
    module: ejabberd_service
    check_from: false
    hosts:
      custom.example.org:
        password: customsecret
`

// harbour is a server for components with a client.
type harbour struct {
	*server
	ana                     *person
	aim, icq, yahoo, custom string // ports
}

func newHarbour(t *testing.T) *harbour {
	t.Helper()
	c2s := freePort(t)
	h := &harbour{aim: freePort(t), icq: freePort(t), yahoo: freePort(t), custom: freePort(t)}
	h.server = start(t, fmt.Sprintf(componentConfig, c2s, h.aim, h.icq, h.yahoo, h.custom), nil, "-register", "ana@localhost:"+password)
	h.ana = login(t, net.JoinHostPort("127.0.0.1", c2s), "localhost", "ana")
	return h
}

// bot is what the component program takes.
type bot struct {
	Host   string `json:"host"`
	Port   int    `json:"port"`
	JID    string `json:"jid"`
	Secret string `json:"secret"`
	Action string `json:"action"` // "echo", "forge"
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
}

// launch starts a slixmpp component.
func (b bot) launch(t *testing.T, port string) *client {
	t.Helper()
	if b.Host == "" {
		b.Host = "127.0.0.1"
	}
	if b.Action == "" {
		b.Action = "echo"
	}
	b.Port, _ = strconv.Atoi(port)
	arg, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return launchCommand(t, exec.CommandContext(t.Context(), "/usr/bin/python3", filepath.Join("py", "component.py"), string(arg)))
}

// answers has a client use a component at an address of its domain.
func (h *harbour) answers(t *testing.T, c *client, domain string) {
	t.Helper()
	body := "ahoy <&'\"> " + newID()
	to := "robot@" + domain + "/hull"
	h.ana.sendf("<message type='chat' to='%s'><body>%s</body></message>", to, escape(body))
	if m := h.ana.message(t, body); m.From != to {
		t.Errorf("the echo comes from %q, want %q", m.From, to)
	}
	c.out.wait(t, "the message at the component", func(l string) bool { return l == "got "+body })
}

func TestSlixmppComponent(t *testing.T) {
	h := newHarbour(t)
	t.Run("aim", func(t *testing.T) {
		for _, host := range []string{"127.0.0.1", "::1"} {
			c := bot{Host: host, JID: "aim.example.org", Secret: "aimsecret"}.launch(t, h.aim)
			c.ready(t)
			h.answers(t, c, "aim.example.org")
			for payload, want := range map[string]string{
				"<query xmlns='http://jabber.org/protocol/disco#info'/>": "gateway",
				"<query xmlns='jabber:iq:version'/>":                     "Echo",
				"<ping xmlns='urn:xmpp:ping'/>":                          "",
			} {
				if got := h.ana.ask(t, "aim.example.org", payload); got.Type != "result" || !strings.Contains(got.Inner, want) {
					t.Errorf("%s: got %v, want a result with %q", payload, got, want)
				}
			}
			c.finish(t)
			h.gone(t, "aim.example.org")
		}
	})
	t.Run("icq and sms by one component", func(t *testing.T) {
		c := bot{JID: "icq.example.org", Secret: "jitsecret"}.launch(t, h.icq)
		c.ready(t)
		h.answers(t, c, "icq.example.org")
		h.answers(t, c, "sms.example.org")
		c.finish(t)
	})
	t.Run("any domain with the secret of the listener", func(t *testing.T) {
		c := bot{JID: "yahoo.example.org", Secret: "yahoosecret"}.launch(t, h.yahoo)
		c.ready(t)
		h.answers(t, c, "yahoo.example.org")
		c.finish(t)
	})
	t.Run("custom sends in any name", func(t *testing.T) {
		c := bot{JID: "custom.example.org", Secret: "customsecret", Action: "forge", From: "somebody@elsewhere.example", To: h.ana.jid}.launch(t, h.custom)
		if m := h.ana.message(t, "forged"); m.From != "somebody@elsewhere.example" {
			t.Errorf("got a message from %q", m.From)
		}
		c.ready(t)
		h.answers(t, c, "custom.example.org")
		c.finish(t)
	})
}

// gone makes sure that nobody answers for a domain any more.
func (h *harbour) gone(t *testing.T, domain string) {
	t.Helper()
	h.log.wait(t, "that the component has left", func(l string) bool {
		return strings.Contains(l, "component has left") && strings.Contains(l, domain)
	})
	if got := h.ana.ask(t, domain, "<ping xmlns='urn:xmpp:ping'/>"); got.Type != "error" {
		t.Errorf("a ping to a component that has left: got %v", got)
	}
}

func TestSlixmppComponentRefused(t *testing.T) {
	h := newHarbour(t)
	cases := []struct {
		name string
		bot  bot
		port string
		want string // stream error
		log  string // what the server says
	}{
		{"wrong secret", bot{JID: "aim.example.org", Secret: "jitsecret"}, h.aim, "not-authorized", "refused"},
		{"wrong secret of the listener", bot{JID: "yahoo.example.org", Secret: ""}, h.yahoo, "not-authorized", "refused"},
		{"domain that is not listed", bot{JID: "msn.example.org", Secret: "aimsecret"}, h.aim, "not-authorized", "refused"},
		{"virtual host", bot{JID: "localhost", Secret: "yahoosecret"}, h.yahoo, "conflict", "taken"},
		{"foreign sender", bot{JID: "aim.example.org", Secret: "aimsecret", Action: "forge", From: "somebody@elsewhere.example", To: h.ana.jid}, h.aim, "invalid-from", "invalid-from"},
		{"sender of a user here", bot{JID: "icq.example.org", Secret: "jitsecret", Action: "forge", From: "bo@localhost", To: h.ana.jid}, h.icq, "invalid-from", "invalid-from"},
	}
	bots := make([]*client, len(cases)) // at once: the server makes those with a wrong secret wait
	for i, c := range cases {
		bots[i] = c.bot.launch(t, c.port)
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if said := bots[i].fails(t); !strings.Contains(said, c.want) {
				t.Errorf("the component says %q, want %q", said, c.want)
			}
			h.log.find(t, "the reason", func(l string) bool {
				return strings.Contains(l, "pkg=component") && strings.Contains(l, c.bot.JID) && strings.Contains(l, c.log)
			})
		})
	}
}

// biboumi is a gateway to IRC. No IRC network is needed to ask it who it is, and
// for what it does itself.
func TestBiboumi(t *testing.T) {
	program := need(t, "biboumi")
	h := newHarbour(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "biboumi.cfg")
	write(t, config, strings.Join([]string{
		"hostname=sms.example.org", "password=jitsecret", "xmpp_server_ip=127.0.0.1", "port=" + h.icq,
		"db_name=" + filepath.Join(dir, "db"), "log_level=0", "identd_port=0", "admin=ana@localhost", "",
	}, "\n"))
	p := &process{name: "biboumi", dir: dir, program: []string{program, config}}
	p.launch(t)
	t.Cleanup(func() {
		p.stop()
		p.keep(t)
	})
	h.log.wait(t, "biboumi", func(l string) bool {
		return strings.Contains(l, "component has connected") && strings.Contains(l, "sms.example.org")
	})

	const commands = "http://jabber.org/protocol/commands"
	for _, q := range []struct{ payload, want string }{
		{"<query xmlns='http://jabber.org/protocol/disco#info'/>", "Biboumi"},
		{"<query xmlns='http://jabber.org/protocol/disco#items' node='" + commands + "'/>", "ping"},
		{"<query xmlns='jabber:iq:version'/>", "biboumi"},
		{"<ping xmlns='urn:xmpp:ping'/>", ""},
	} {
		if got := h.ana.ask(t, "sms.example.org", q.payload); got.Type != "result" || !strings.Contains(got.Inner, q.want) {
			t.Errorf("%s: got %v, want a result with %q", q.payload, got, q.want)
		}
	}
	id := newID()
	h.ana.sendf("<iq type='set' to='sms.example.org' id='%s'><command xmlns='%s' node='ping' action='execute'/></iq>", id, commands)
	if got := h.ana.expect(t, "pong", func(e element) bool { return e.ID == id }); got.Type != "result" || !strings.Contains(strings.ToLower(got.Inner), "pong") {
		t.Errorf("the command ping: got %v", got)
	}
}
