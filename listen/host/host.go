package host

import (
	"log/slog"
	"runtime/debug"

	"github.com/tidewaiter/tidewaiter/listen/host/features/disco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/entitytime"
	"github.com/tidewaiter/tidewaiter/listen/host/features/ping"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/host/features/version"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Config says what a Host is made of. The zero Config is a host for localhost
// that keeps everything in memory.
type Config struct {
	// Options of the host. Without any Hosts: Defaults().
	Options Options

	// Accounts keeps the accounts. nil: in memory.
	Accounts AccountStore

	// Register are the options of in-band registration. Default: off.
	Register stanza.PerHost[register.Options]

	// Version is what the server tells about itself. Default: Tidewaiter, the
	// version from the build information, no operating system.
	Version version.Info

	Log *slog.Logger // nil discards
}

// Host is the usual set of services, wired.
type Host struct {
	Local    *Local            // c2s.Host: Domains, Router, Session
	Accounts *Accounts         // c2s.Host: SCRAM, Password, Certificate, Anonymous
	IQ       *Dispatcher       // c2s.Host: IQ
	Register *register.Service // c2s.Host: PreAuthIQ, Features
}

// New returns the usual services. It starts no goroutine and opens nothing. The
// error is about Options.
func New(c Config) (*Host, error) {
	if len(c.Options.Hosts) == 0 {
		c.Options = Defaults()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Accounts == nil {
		c.Accounts = new(MemoryAccounts)
	}
	if c.Version.Name == "" {
		c.Version = version.Info{Name: "Tidewaiter", Version: buildVersion()}
	}
	local, err := NewLocal(c.Options, c.Log)
	if err != nil {
		return nil, err
	}
	accounts, err := NewAccounts(c.Options, c.Accounts, local)
	if err != nil {
		return nil, err
	}
	reg := register.New(register.Config{
		Accounts: accounts, Router: local, Options: c.Register, Timeout: c.Options.RegistrationTimeout, Log: c.Log,
	})
	h := &Host{Local: local, Accounts: accounts, IQ: &Dispatcher{Log: c.Log}, Register: reg}
	local.Users = accounts
	local.IQ = h.IQ
	return h, h.registerFeatures(c)
}

// registerFeatures tells the dispatcher who answers what.
func (h *Host) registerFeatures(c Config) error {
	info := disco.Info{Features: h.features, Identity: func(to stanza.JID) disco.Identity {
		if to.Local() == "" {
			return disco.Identity{Category: "server", Type: "im", Name: c.Version.Name}
		}
		return disco.Identity{Category: "account", Type: "registered"}
	}}
	items := disco.Items{List: h.items}
	for _, r := range []Handling{
		{Name: stanza.Name{Space: disco.NSInfo, Local: "query"}, To: ToServer | ToOwn, Handler: info, Features: []string{disco.NSInfo}},
		{Name: stanza.Name{Space: disco.NSItems, Local: "query"}, To: ToServer | ToOwn, Handler: items, Features: []string{disco.NSItems}},
		{Name: stanza.Name{Space: ping.NS, Local: "ping"}, To: ToServer | ToOwn, Handler: ping.Handler{}, Features: []string{ping.NS}},
		{Name: stanza.Name{Space: version.NS, Local: "query"}, To: ToServer, Handler: c.Version, Features: []string{version.NS}},
		{Name: stanza.Name{Space: entitytime.NS, Local: "time"}, To: ToServer, Handler: entitytime.Handler{}, Features: []string{entitytime.NS}},
		{Name: stanza.Name{Space: register.NS, Local: "query"}, To: ToServer, Handler: h.Register, Features: []string{register.NS}, Offered: h.Register.Offered},
		{Name: stanza.Name{Space: register.NS, Local: "query"}, To: ToOwn, Handler: h.Register, Offered: h.Register.Offered},
	} {
		if err := h.IQ.Register(r); err != nil {
			return err
		}
	}
	return nil
}

// Configure takes new options while everything runs; it does not wait for
// anything. After an error the old options apply. Registration has options of
// its own: Register.Configure.
func (h *Host) Configure(o Options) error {
	if err := h.Local.Configure(o); err != nil {
		return err
	}
	if err := h.Accounts.Configure(o); err != nil {
		return err // of the hosts, which Local has checked
	}
	h.Register.SetTimeout(o.RegistrationTimeout)
	return nil
}

// features lists what a domain or an account can do.
func (h *Host) features(to stanza.JID) []string {
	if to.Local() == "" {
		return h.IQ.Features(ToServer, to.Domain())
	}
	return h.IQ.Features(ToOwn, to.Domain())
}

// items lists the registered domains, which are the services of this server.
func (h *Host) items(to stanza.JID) []string {
	if to.Local() == "" {
		return h.Local.Domains()
	}
	return nil
}

// buildVersion returns the version of this module in the running program.
func buildVersion() string {
	const module = "github.com/tidewaiter/tidewaiter"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module && m.Version != "" {
			return m.Version
		}
	}
	return "unknown"
}
