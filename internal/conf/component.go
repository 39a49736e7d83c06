package conf

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/jidprep"
)

// components sees that components can attach to a listener of ejabberd_service,
// and that their domains are not those of this server.
func (p *listeners) components(n *Node) {
	common := n.Get("password")
	hosts := n.Get("hosts")
	switch {
	case hosts != nil && hosts.Kind == Map && !hosts.empty():
		for _, pair := range hosts.Map {
			p.component(pair, common)
		}
	case hosts != nil && !hosts.empty(): // reported already
	case common == nil:
		p.Warnf(n, "missing, so no component can attach").about("password")
	case common.emptyString():
		p.Warnf(common, "empty, so no component can attach")
	}
}

// component looks at one domain of a listener with a common password.
func (p *listeners) component(host Pair, common *Node) {
	domain, err := jidprep.Domain(host.Key.Text)
	if err == nil && slices.Contains(p.Hosts, domain) {
		p.Errorf(host.Key, "%s is one of hosts; a component needs a domain of its own", domain)
	}
	own := host.Value.Get("password")
	switch {
	case own != nil && !own.emptyString(), common != nil && !common.emptyString():
	case host.Value.empty() || host.Value.Kind == Map:
		p.Warnf(host.Key, "has no password, and the listener has none, so no component can attach for it")
	}
}

func (n *Node) emptyString() bool { return n.Kind == String && n.Text == "" }

// elsewhere says what to write in place of an option that a listener does not
// have, though others do; "": nothing is known.
func elsewhere(module, option string) string {
	switch module {
	case "ejabberd_s2s_in":
		switch option {
		case "starttls", "starttls_required":
			return "use s2s_use_starttls at the top level"
		case "tls_verify":
			return "certificates are always asked for, and s2s_use_starttls: required_trusted at the top level takes nothing else"
		case "zlib":
			return "use s2s_zlib at the top level"
		case "access":
			return "use s2s_access at the top level"
		}
	case "ejabberd_service":
		switch option {
		case "starttls", "starttls_required":
			return "components have TLS from the first byte, by tls, or none"
		case "tls_verify":
			return "components are known by their password"
		case "zlib":
			return "components cannot compress their streams"
		}
	}
	return ""
}
