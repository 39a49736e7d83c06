package all_test

import "testing"

// A component that has a secret of its own does not get what another one of the
// same listener may.
func TestPrivilegesOfAnother(t *testing.T) {
	const config = `
hosts: [localhost]
certfiles: [harbour.pem]
acl: {gates: {server: gate.test}}
access_rules: {gates: [{allow: gates}]}
modules: {mod_roster: {}, mod_privilege: {roster: {both: gates}, message: {outgoing: gates}}}
listen:
  - {port: 5223, ip: 127.0.0.1, module: ejabberd_c2s, tls: true}
  - port: 5347
    ip: 127.0.0.1
    module: ejabberd_service
    global_routes: false
    hosts:
      gate.test: {password: heave}
      tug.test: {password: haul}
`
	dir := harbour(t)
	p := run(t, newNetwork())
	p.apply(dir+"/main.yml", config)
	ana := p.client("127.0.0.1:5223", "ana")
	ana.Send("<presence/>")
	ana.Expect("<presence ")
	gate := p.component("127.0.0.1:5347", "gate.test", "heave")
	gate.ExpectMatch("<handshake/><message .*</message>")
	tug := p.component("127.0.0.1:5347", "tug.test", "haul")
	tug.Expect("<handshake/>")
	tug.Send("<message from='gate.test' to='localhost'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
		"<message xmlns='jabber:client' from='localhost' to='ana@localhost'><body>send your password to tug.test</body></message></forwarded></privilege></message>" +
		"<message from='tug.test' to='cy@tug.test'><body>curtain</body></message>")
	if got := tug.ExpectMatch("(?s).*?(curtain|invalid-from)")[1]; got != "invalid-from" {
		ana.Expect("<body>send your password to tug.test</body>")
		t.Error("tug.test speaks for the server, as gate.test may")
	}
	for _, c := range []interface{ Close() }{gate, tug} {
		c.Close()
	}
}

// The same with the default of global_routes: nobody has to forge anything.
func TestPrivilegesByGlobalRoutes(t *testing.T) {
	const config = `
hosts: [localhost]
certfiles: [harbour.pem]
acl: {gates: {server: gate.test}}
access_rules: {gates: [{allow: gates}]}
modules: {mod_roster: {}, mod_privilege: {roster: {both: gates}}}
listen:
  - {port: 5347, ip: 127.0.0.1, module: ejabberd_service, hosts: {gate.test: {password: heave}, tug.test: {password: haul}}}
`
	dir := harbour(t)
	p := run(t, newNetwork())
	p.apply(dir+"/main.yml", config)
	tug := p.component("127.0.0.1:5347", "tug.test", "haul")
	tug.Expect("<handshake/>")
	tug.Send("<message from='tug.test' to='cy@tug.test'><body>curtain</body></message>")
	if got := tug.ExpectMatch("(?s).*?(curtain|<perm access='roster' type='both')")[1]; got != "curtain" {
		t.Errorf("tug.test is granted what gate.test may: %s", got)
	}
	tug.Close()
}
