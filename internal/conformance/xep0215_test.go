package conformance

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
)

// withServices has a STUN server and two TURN servers.
func withServices(s *server) {
	o := extdisco.Defaults()
	o.Secret = "shared"
	o.Services = []extdisco.External{
		{Host: "stun.one.example"}, {Host: "turn.one.example", Type: "turn"}, {Host: "turn.one.example", Type: "turns", Port: 443},
	}
	s.config.Features.ExtDisco.Value = &o
}

// The clock begins at the year 2000, and credentials are good for 12 h.
var externalServiceRows = []row{
	{name: "3.1 all services", with: withServices, script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><services xmlns='urn:xmpp:extdisco:2'/></iq>
		ro < <iq type='result' id='1' from='$d' to='$ro'><services xmlns='urn:xmpp:extdisco:2' type='absent' only=''><service host='stun.one.example' port='3478' transport='udp' type='stun' username='absent' password='absent' expires='absent'/><service host='turn.one.example' port='3478' transport='udp' type='turn' restricted='~true|1' username='~946728000:.*' password='~[A-Za-z0-9+/]{27}=' expires='2000-01-01T12:00:00Z'/><service host='turn.one.example' port='443' transport='tcp' type='turns' username='*' password='*'/></services></iq>`},
	{name: "3.2 services of a type", with: withServices, script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><services xmlns='urn:xmpp:extdisco:2' type='turn'/></iq>
		ro < <iq type='result' id='1' from='$d'><services xmlns='urn:xmpp:extdisco:2' type='turn' only=''><service host='turn.one.example' port='3478' type='turn' username='*' password='*'/></services></iq>
		ro > <iq type='get' id='2' to='$d'><services xmlns='urn:xmpp:extdisco:2' type='ftp'/></iq>
		ro < <iq type='result' id='2' from='$d'><services xmlns='urn:xmpp:extdisco:2' type='ftp' only=''/></iq>`},
	{name: "3.2 a push to the server", with: withServices, script: `
		login ro
		ro > <iq type='set' id='1' to='$d'><services xmlns='urn:xmpp:extdisco:2' type='turn'><service action='add' host='evil.example' port='1' type='turn'/></services></iq>
		ro < <iq type='error' id='1' from='$d'/>
		ro > <iq type='get' id='2' to='$d'><services xmlns='urn:xmpp:extdisco:2' type='turn'/></iq>
		ro < <iq type='result' id='2'><services xmlns='urn:xmpp:extdisco:2'><service host='evil.example' no=''/></services></iq>`},
	{name: "3.3 credentials", with: withServices, script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><credentials xmlns='urn:xmpp:extdisco:2'><service host='turn.one.example' type='turn'/></credentials></iq>
		ro < <iq type='result' id='1' from='$d'><credentials xmlns='urn:xmpp:extdisco:2' only=''><service host='turn.one.example' type='turn' username='*' password='*'/></credentials></iq>
		ro > <iq type='get' id='2' to='$d'><credentials xmlns='urn:xmpp:extdisco:2'><service host='turn.one.example' type='turns' port='443'/></credentials></iq>
		ro < <iq type='result' id='2' from='$d'><credentials xmlns='urn:xmpp:extdisco:2' only=''><service host='turn.one.example' type='turns' port='443' username='*' password='*'/></credentials></iq>`},
	{name: "3.3 no credentials", with: withServices, script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><credentials xmlns='urn:xmpp:extdisco:2'><service host='other.example' type='turn'/></credentials></iq>
		ro < <iq type='error' id='1' from='$d'>!item-not-found</iq>
		ro > <iq type='get' id='2' to='$d'><credentials xmlns='urn:xmpp:extdisco:2'><service host='turn.one.example' type='turn' port='5'/></credentials></iq>
		ro < <iq type='error' id='2' from='$d'>!item-not-found</iq>
		ro > <iq type='get' id='3' to='$d'><credentials xmlns='urn:xmpp:extdisco:2'><service host='turn.one.example'/></credentials></iq>
		ro < <iq type='error' id='3' from='$d'>!bad-request</iq>
		ro > <iq type='get' id='4' to='$d'><credentials xmlns='urn:xmpp:extdisco:2'/></iq>
		ro < <iq type='error' id='4' from='$d'>!bad-request</iq>`},
	{name: "3 the version before", with: withServices, script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><services xmlns='urn:xmpp:extdisco:1' type='turn'/></iq>
		ro < <iq type='result' id='1' from='$d'><services xmlns='urn:xmpp:extdisco:1' type='turn' only=''><service host='turn.one.example' port='3478' transport='udp' type='turn' username='*' password='*' restricted='absent' expires='absent'/></services></iq>
		ro > <iq type='get' id='2' to='$d'><credentials xmlns='urn:xmpp:extdisco:1'><service host='turn.one.example'/></credentials></iq>
		ro < <iq type='result' id='2' from='$d'><credentials xmlns='urn:xmpp:extdisco:1'><service host='turn.one.example' username='*' password='*'/></credentials></iq>`},
	{name: "3 the accounts of users have none", with: withServices, script: `
		login ro
		login jb 0
		ro > <iq type='get' id='1' to='$j'><services xmlns='urn:xmpp:extdisco:2'/></iq>
		ro < <iq type='error' id='1' from='$j'>!service-unavailable</iq>`},
	{name: "5 the feature", with: withServices, script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $info/></iq>
		ro < <iq type='result' id='1'><query $info><feature var='urn:xmpp:extdisco:2'/><feature var='urn:xmpp:extdisco:1'/></query></iq>`},
	{name: "2 and 5 off", script: `
		login ro
		ro > <iq type='get' id='1' to='$d'><query $info/></iq>
		ro < <iq type='result' id='1'><query $info><feature var='urn:xmpp:extdisco:2' no=''/><feature var='urn:xmpp:extdisco:1' no=''/></query></iq>
		ro > <iq type='get' id='2' to='$d'><services xmlns='urn:xmpp:extdisco:2'/></iq>
		ro < <iq type='error' id='2' from='$d'>!service-unavailable</iq>
		ro > <iq type='get' id='3' to='$d'><credentials xmlns='urn:xmpp:extdisco:2'><service host='turn.one.example' type='turn'/></credentials></iq>
		ro < <iq type='error' id='3' from='$d'>!service-unavailable</iq>`},
}

func TestXEP0215(t *testing.T) { run(t, externalServiceRows) }
