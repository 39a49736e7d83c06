package all_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

const federationConfig = `
hosts: [localhost]
certfiles: [harbour.pem]
ca_file: ca.pem
s2s_use_starttls: required
s2s_access: neighbours
acl: {friends: {server: [lagoon.test, strait.test]}}
access_rules: {neighbours: [{allow: friends}]}
listen:
  - {port: 5223, ip: 127.0.0.1, module: ejabberd_c2s, tls: true}
  - {port: 5269, ip: 127.0.0.1, module: ejabberd_s2s_in}
`

// federate runs federationConfig beside the server of lagoon.test.
func federate(t *testing.T) (p *program, file string, ana *listentest.Client, lagoon *peer) {
	t.Helper()
	dir, ca, n := t.TempDir(), newAuthority(t), newNetwork()
	ca.writeCA(t, filepath.Join(dir, "ca.pem"))
	ca.write(t, filepath.Join(dir, "harbour.pem"), "localhost")
	p, file = run(t, n), filepath.Join(dir, "main.yml")
	p.apply(file, federationConfig)
	n.serve("localhost", "127.0.0.1:5269")
	return p, file, p.client("127.0.0.1:5223", "ana"), join(t, n, ca, "lagoon.test", "192.0.2.2:5269")
}

// exchange sends a message in each direction.
func exchange(ana *listentest.Client, lagoon *peer, id string) {
	lagoon.send("<message from='cy@lagoon.test' to='ana@localhost/x' id='" + id + "'><body>ahoy</body></message>")
	ana.Expect("<message from='cy@lagoon.test' to='ana@localhost/x' id='" + id + "'>")
	ana.Send("<message to='cy@lagoon.test' id='" + id + "'><body>ahoy</body></message>")
	lagoon.expect("from='ana@localhost/x'", "id='"+id+"'")
}

// A reload that changes what concerns other servers leaves their streams as they
// are; new ones obey it, and whom the access rule denies now is cut off at once.
func TestServersOutliveReloads(t *testing.T) {
	p, file, ana, lagoon := federate(t)
	exchange(ana, lagoon, "before")
	connections := p.net.connections()
	p.apply(file, strings.Replace(federationConfig, "ejabberd_s2s_in}", "ejabberd_s2s_in, max_stanza_size: 100000}", 1)+"s2s_timeout: 5 min\ns2s_ciphers: HIGH\n")
	exchange(ana, lagoon, "after")
	p.apply(file, strings.Replace(federationConfig, ", strait.test", "", 1))
	ana.Send("<message to='cy@strait.test' id='denied'><body>ahoy</body></message>")
	ana.ExpectMatch(`type='error' id='denied'>.*<forbidden `)
	exchange(ana, lagoon, "again")
	p.apply(file, federationConfig)
	ana.Send("<message to='cy@strait.test' id='allowed'><body>ahoy</body></message>")
	ana.ExpectMatch(`type='error' id='allowed'>.*<remote-server-not-found `)
	if got := p.net.connections(); got != connections {
		t.Errorf("got %d connections, want no more than %d", got, connections)
	}
	p.apply(file, strings.Replace(federationConfig, "lagoon.test, ", "", 1))
	ana.Send("<message to='cy@lagoon.test' id='over'><body>ahoy</body></message>")
	ana.ExpectMatch(`type='error' id='over'>.*<forbidden `)
}

// What the end of a session leaves behind still goes to other servers.
func TestShutdownTellsServers(t *testing.T) {
	p, _, ana, lagoon := federate(t)
	ana.Send("<presence to='cy@lagoon.test'/>")
	lagoon.expect("<presence from='ana@localhost/x'")
	now, cancel := context.WithCancel(t.Context())
	cancel()
	_ = p.server.Shutdown(now) // the error is that it did not wait
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.modules.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	lagoon.expect("<presence from='ana@localhost/x' to='cy@lagoon.test' type='unavailable'")
}
