package all

import (
	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/s2s"
)

// servers returns the sections about other servers. They are used in this order,
// so that configure gets what all of them say.
//
// Here dialback and bidirectional streams need no entry of modules: they are off
// for virtual hosts whose modules, in host_config, leave them out.
func servers(configure func(s2s.Settings)) []listen.Part {
	var modules s2s.Settings // of modules: alone
	return []listen.Part{
		listen.ModuleSection("mod_s2s_dialback", s2s.DialbackDefaults, func(c listen.ModuleConfig[s2s.DialbackOptions]) {
			modules.Dialback = but(c.Off)
			modules.DialbackAccess = stanza.PerHost[acl.Access]{Value: c.Value.Access, Hosts: make(map[string]acl.Access)}
			for host, o := range c.Hosts {
				modules.DialbackAccess.Hosts[host] = o.Access
			}
		}),
		listen.ModuleSection("mod_s2s_bidi", none, func(c listen.ModuleConfig[struct{}]) { modules.Bidi = but(c.Off) }),
		listen.TopSection(s2s.DefaultSettings, func(o s2s.Settings) {
			o.Dialback, o.DialbackAccess, o.Bidi = modules.Dialback, modules.DialbackAccess, modules.Bidi
			configure(o)
		}),
	}
}

// none are the options of an entry of modules that has none.
func none() struct{} { return struct{}{} }

// but is true for all virtual hosts but some.
func but(off []string) stanza.PerHost[bool] {
	p := stanza.PerHost[bool]{Value: true, Hosts: make(map[string]bool)}
	for _, host := range off {
		p.Hosts[host] = false
	}
	return p
}
