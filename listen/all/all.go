// Package all knows every module of the library. A program that wants only some
// of them builds a listen.Registry of its own, as the function here does.
package all

import (
	"log/slog"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Registry returns a registry of all modules, with h behind them. It serves one
// listen.Server. log may be nil.
func Registry(h *host.Host, log *slog.Logger) *listen.Registry {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return listen.NewRegistry(
		listen.StreamKind("ejabberd_c2s", c2s.New(C2S(h, log)), c2s.Defaults),
		listen.TopSection(host.Defaults, func(o host.Options) {
			if err := h.Configure(o); err != nil {
				log.Error("the old options of the host stay", "err", err)
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
		listen.Always{"mod_disco", "mod_ping", "mod_version"},
	)
}

// C2S returns what c2s needs of a host, taken from h. log may be nil.
func C2S(h *host.Host, log *slog.Logger) c2s.Host {
	return c2s.Host{
		Domains:     h.Local,
		Router:      h.Local,
		SCRAM:       h.Accounts,
		Password:    h.Accounts,
		Certificate: h.Accounts,
		Anonymous:   h.Accounts,
		IQ:          h.IQ,
		PreAuthIQ:   h.Register,
		Features:    h.Register,
		Session:     h.Local,
		Log:         log,
	}
}
