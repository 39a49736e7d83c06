// Package all knows every module of the library. A program that wants only some
// of them builds a listen.Registry of its own, as the functions here do.
package all

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/component"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/carbons"
	"github.com/tidewaiter/tidewaiter/listen/host/features/delegation"
	"github.com/tidewaiter/tidewaiter/listen/host/features/disco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/privilege"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/stanzaid"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/s2s"
	"github.com/tidewaiter/tidewaiter/stun"
)

// Modules are the modules with one host behind them. They serve one
// listen.Server.
type Modules struct {
	C2S       *c2s.Server
	S2S       *s2s.Server
	Component *component.Server
	STUN      *stun.Server
	HTTP      *httpd.Server

	host   *host.Host
	web    *web
	relays *relayKind
	log    *slog.Logger
}

// Options of New.
type Options struct {
	// Secret is that of c2s.Host; that of s2s.Host is made of it. nil: made anew.
	Secret []byte
	// Resolver and Dial are those of s2s.Host. nil: those of the system.
	Resolver s2s.Resolver
	Dial     Dialer
	// Relays is that of stun.Host. nil: that of the system.
	Relays stun.Relays
	// Handlers are request handlers of the program's own, by the names that a
	// configuration has for them; they come before those of the library.
	Handlers map[string]http.Handler
	Log      *slog.Logger // nil discards
}

// New returns the modules for a host. Stanzas for other domains go to S2S, unless
// h.Local.Next is set already.
func New(h *host.Host, o Options) *Modules {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	log := func(pkg string) *slog.Logger { return o.Log.With(netserve.KeyPkg, pkg) }
	clients, servers, relays := C2S(h, log("c2s")), S2S(h, log("s2s")), STUN(h, log("stun"))
	clients.Secret, servers.Secret = o.Secret, dialbackSecret(o.Secret)
	relays.Relays = o.Relays
	servers.Resolver, servers.Dial = o.Resolver, o.Dial
	m := &Modules{
		C2S:       c2s.New(clients),
		S2S:       s2s.New(servers),
		Component: component.New(Component(h, log("component"))),
		STUN:      stun.New(relays),
		host:      h, log: log("host"),
	}
	m.web = newWeb(h, m.C2S, o.Handlers, log)
	m.HTTP = m.web.Server
	m.relays = &relayKind{Server: m.STUN, running: make(map[*relayListener]struct{})}
	h.ExtDisco.SetLocal(m.relays.local)
	if h.Local.Next == nil {
		h.Local.Next = m.S2S
	}
	return m
}

// Shutdown ends what the modules have opened themselves: the streams to other
// servers, after what is queued for these was sent or ctx is done. Call it after
// that of the listen.Server: what the sessions leave behind, such as that they are
// unavailable, still goes out. It returns ctx's error if something was not sent.
func (m *Modules) Shutdown(ctx context.Context) error { return m.S2S.Shutdown(ctx) }

// Registry is New for those who need nothing else of the modules: streams to other
// servers end with the process. log may be nil.
func Registry(h *host.Host, log *slog.Logger) *listen.Registry {
	return New(h, Options{Log: log}).Registry()
}

// Registry returns a registry of all modules and of the sections that configure
// the host.
func (m *Modules) Registry() *listen.Registry {
	h := m.host
	reg := listen.NewRegistry(
		listen.StreamKind("ejabberd_c2s", m.C2S, c2s.Defaults),
		listen.StreamKind("ejabberd_s2s_in", m.S2S, s2s.Defaults),
		listen.StreamKind("ejabberd_service", m.Component, component.Defaults),
		listen.DualKind("ejabberd_stun", m.relays, stun.Defaults),
		listen.TopSection(host.Defaults, func(o host.Options) {
			if err := h.Configure(o); err != nil {
				m.log.Error("the old options of the host stay", netserve.KeyErr, err)
			}
		}),
		listen.ModuleSection("mod_register", register.Defaults, func(c listen.ModuleConfig[register.Options]) {
			o := stanza.PerHost[register.Options]{Value: register.Off(), Hosts: c.Hosts}
			if c.Listed {
				o.Value = c.Value
			}
			for _, host := range c.Off {
				o.Hosts[host] = register.Off()
			}
			h.Register.Configure(o)
		}),
		feature("mod_roster", roster.Defaults, h.Roster.Configure),
		feature("mod_offline", offline.Defaults, h.Offline.Configure),
		feature("mod_last", last.Defaults, h.Last.Configure),
		feature("mod_private", private.Defaults, h.Private.Configure),
		feature("mod_vcard", vcard.Defaults, h.VCard.Configure),
		feature("mod_blocking", blocking.Defaults, h.Blocking.Configure),
		feature("mod_carboncopy", carbons.Defaults, h.Carbons.Configure),
		feature("mod_stanza_id", stanzaid.Defaults, h.StanzaID.Configure),
		feature("mod_stun_disco", extdisco.Defaults, h.ExtDisco.Configure),
		feature("mod_delegation", delegation.Defaults, h.Delegation.Configure),
		feature("mod_privilege", privilege.Defaults, h.Privilege.Configure),
		feature("mod_stream_mgmt", c2s.StreamManagementDefaults, m.C2S.SetStreamManagement),
		listen.ModuleSection("mod_disco", disco.Defaults, func(c listen.ModuleConfig[disco.Options]) {
			c.Listed = true // it is always on
			h.Disco.Configure(switched(c))
		}),
		listen.Always{"mod_ping", "mod_time", "mod_version"},
	)
	reg.Add(servers(m.S2S.Configure)...)
	reg.Add(m.web.parts()...)
	return reg
}

// feature registers a feature that is on where modules: lists it.
func feature[O any](name string, defaults func() O, configure func(stanza.PerHost[*O])) listen.Section {
	return listen.ModuleSection(name, defaults, func(c listen.ModuleConfig[O]) { configure(switched(c)) })
}

// switched returns the options of an entry of modules:, nil where it is off.
func switched[O any](c listen.ModuleConfig[O]) stanza.PerHost[*O] {
	p := stanza.PerHost[*O]{Hosts: make(map[string]*O)}
	if c.Listed {
		p.Value = &c.Value
	}
	for host, o := range c.Hosts {
		p.Hosts[host] = &o
	}
	for _, host := range c.Off {
		p.Hosts[host] = nil
	}
	return p
}
