package all_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

const componentConfig = `
hosts: [localhost]
certfiles: [harbour.pem]
listen:
  - {port: 5223, ip: 127.0.0.1, module: ejabberd_c2s, tls: true}
  - port: 5347
    ip: 127.0.0.1
    module: ejabberd_service
    global_routes: false
    hosts:
      tug.test: {password: heave}
`

// ferry sends a message from a user to a component, and one back.
func ferry(user, gateway *listentest.Client, domain, id string) {
	user.Send(fmt.Sprintf("<message to='cy@%s' id='%s'><body>ahoy</body></message>", domain, id))
	gateway.Expect(fmt.Sprintf("to='cy@%s' id='%s'>", domain, id))
	gateway.Send(fmt.Sprintf("<message from='cy@%s' to='ana@localhost/x' id='%s'><body>ahoy</body></message>", domain, id))
	user.Expect(fmt.Sprintf("<message from='cy@%s' to='ana@localhost/x' id='%s'>", domain, id))
}

// A reload that changes the entry of a component leaves it connected. Those who
// come then need the new password.
func TestComponentsOutliveReloads(t *testing.T) {
	dir := harbour(t)
	p := run(t, newNetwork())
	p.apply(dir+"/main.yml", componentConfig)
	ana := p.client("127.0.0.1:5223", "ana")
	tug := p.component("127.0.0.1:5347", "tug.test", "heave")
	tug.Expect("<handshake/>")
	ferry(ana, tug, "tug.test", "before")

	p.apply(dir+"/main.yml", strings.ReplaceAll(componentConfig, "heave", "haul")+"      pilot.test: {password: guide}\n    max_stanza_size: 1000\n")
	ferry(ana, tug, "tug.test", "after")
	late := p.component("127.0.0.1:5347", "tug.test", "heave")
	late.Expect("<not-authorized ")
	late.Close()
	pilot := p.component("127.0.0.1:5347", "pilot.test", "guide")
	pilot.Expect("<handshake/>")
	ferry(ana, pilot, "pilot.test", "new")

	// A file with a mistake changes nothing.
	if _, err := listen.Parse(dir+"/main.yml", []byte(strings.ReplaceAll(componentConfig, "tug.test", "localhost")), p.reg); err == nil || !strings.Contains(err.Error(), "localhost is one of hosts") {
		t.Errorf("a component of a virtual host: got %v, want an error", err)
	}
	ferry(ana, tug, "tug.test", "still")
	for _, c := range []*listentest.Client{tug, pilot} {
		c.Send("</stream:stream>")
		c.Close()
	}
}

// What a reload would change is told without passwords.
func TestPasswordsAreHidden(t *testing.T) {
	dir, reg := harbour(t), registry(t)
	parse := func(text string) *listen.Config {
		c, err := listen.Parse(dir+"/main.yml", []byte(text), reg)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	steps, _, err := parse(strings.ReplaceAll(componentConfig, "heave", "haul") + "    password: shove\n").Compare(parse(componentConfig))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, s := range steps {
		for _, d := range s.Differences {
			told = append(told, d.String())
		}
	}
	if got, want := strings.Join(told, "\n"), "hosts: (hidden) → (hidden)\npassword: unset → (hidden)"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A component is told what it may do when it connects, and when a reload changes
// the rule that says so.
func TestDelegationFollowsReloads(t *testing.T) {
	const config = componentConfig + `
acl: {tugs: {server: tug.test}}
access_rules: {managers: [{allow: tugs}]}
modules: {mod_delegation: {namespaces: {urn:example:tides: {access: managers}}}}
`
	dir := harbour(t)
	p := run(t, newNetwork())
	p.apply(dir+"/main.yml", config)
	tug := p.component("127.0.0.1:5347", "tug.test", "heave")
	const told = `<message from='localhost' to='tug.test'[^>]*><delegation xmlns='urn:xmpp:delegation:\d'>`
	tug.ExpectMatch("<handshake/>" + told + "<delegated namespace='urn:example:tides'/></delegation></message>")
	p.apply(dir+"/main.yml", strings.Replace(config, "{allow: tugs}", "{deny: tugs}", 1))
	tug.ExpectMatch(told + "</delegation></message>|" + strings.TrimSuffix(told, ">") + "/>")
	p.apply(dir+"/main.yml", config)
	tug.ExpectMatch(told + "<delegated namespace='urn:example:tides'/></delegation></message>")
	tug.Send("</stream:stream>")
	tug.Close()
}
