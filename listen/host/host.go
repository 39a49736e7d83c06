package host

import (
	"context"
	"log/slog"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
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
	"github.com/tidewaiter/tidewaiter/listen/host/features/version"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Config says what a Host is made of. The zero Config is a host for localhost
// that keeps everything in memory and has no features but the basic ones.
type Config struct {
	// Options of the host. Without any Hosts: Defaults().
	Options Options

	// Stores say where things are kept. Default: in memory.
	Stores Stores

	// Register are the options of in-band registration. Default: off.
	Register stanza.PerHost[register.Options]

	// Features are switched on. Default: none.
	Features Features

	// Version is what the server tells about itself. Default: Tidewaiter, the
	// version from the build information, no operating system.
	Version version.Info

	Log *slog.Logger // nil discards
}

// Features are what a host may have. One whose options are nil for a domain is
// off there: nothing is offered, listed or done. Each service has a method
// Configure, which switches while everything runs.
type Features struct {
	Roster   stanza.PerHost[*roster.Options]   // contacts and subscriptions (RFC 6121)
	Offline  stanza.PerHost[*offline.Options]  // messages for who is not there (XEP-0160)
	Last     stanza.PerHost[*last.Options]     // last activity (XEP-0012)
	Private  stanza.PerHost[*private.Options]  // storage for clients (XEP-0049)
	VCard    stanza.PerHost[*vcard.Options]    // vcard-temp (XEP-0054)
	Blocking stanza.PerHost[*blocking.Options] // block lists (XEP-0191)
	Carbons  stanza.PerHost[*carbons.Options]  // message carbons (XEP-0280)
	StanzaID stanza.PerHost[*stanzaid.Options] // stanza ids (XEP-0359)

	ExtDisco stanza.PerHost[*extdisco.Options] // STUN and TURN servers (XEP-0215)

	// What components may do beside what everybody can.
	Delegation stanza.PerHost[*delegation.Options] // answer requests to the server (XEP-0355)
	Privilege  stanza.PerHost[*privilege.Options]  // act for users (XEP-0356)
}

// Messenger returns what people who chat expect of a server, with the defaults
// of each feature: all of Features but stanza ids, STUN and TURN servers, and what is
// for components.
func Messenger() Features {
	return Features{
		Roster:   on(roster.Defaults),
		Offline:  on(offline.Defaults),
		Last:     on(last.Defaults),
		Private:  on(private.Defaults),
		VCard:    on(vcard.Defaults),
		Blocking: on(blocking.Defaults),
		Carbons:  on(carbons.Defaults),
	}
}

func on[O any](defaults func() O) stanza.PerHost[*O] {
	o := defaults()
	return stanza.PerHost[*O]{Value: &o}
}

// Host is the usual set of services, wired.
type Host struct {
	Local    *Local            // c2s.Host: Domains, Router, Session
	Accounts *Accounts         // c2s.Host: SCRAM, Password, Certificate, Anonymous
	IQ       *Dispatcher       // c2s.Host: IQ
	Register *register.Service // c2s.Host: PreAuthIQ

	Disco    *disco.Service
	Roster   *roster.Service
	Offline  *offline.Service
	Last     *last.Service
	Private  *private.Service
	VCard    *vcard.Service
	Blocking *blocking.Service
	Carbons  *carbons.Service
	StanzaID *stanzaid.Service
	ExtDisco *extdisco.Service

	Delegation *delegation.Service
	Privilege  *privilege.Service

	Tokens   *Tokens           // c2s.Host: Token; httpd.Tokens, oauth.Store
	TURN     *TURN             // what a TURN listener knows of users
	Commands *command.Registry // what can be called from outside; others may be added

	version version.Info
	began   time.Time
	editing names // of accounts whose vCard a command changes
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
	if c.Version.Name == "" {
		c.Version = version.Info{Name: "Tidewaiter", Version: buildVersion()}
	}
	c.Stores = c.Stores.withDefaults()
	local, err := NewLocal(c.Options, c.Log)
	if err != nil {
		return nil, err
	}
	accounts, err := NewAccounts(c.Options, c.Stores.Accounts, local)
	if err != nil {
		return nil, err
	}
	h := &Host{Local: local, Accounts: accounts, IQ: &Dispatcher{Log: c.Log}, Commands: new(command.Registry), version: c.Version, began: time.Now()}
	h.Tokens = NewTokens(accounts, c.Stores.Tokens, c.Stores.Clients)
	h.Register = register.New(register.Config{
		Accounts: accounts, Router: local, Options: c.Register, Timeout: c.Options.RegistrationTimeout, Log: c.Log,
	})
	h.makeServices(c)
	h.connect()
	h.configure(c.Features)
	for _, r := range h.handlings() {
		if err := h.IQ.Register(r); err != nil {
			return nil, err
		}
	}
	return h, h.Commands.Add(h.commands()...)
}

// makeServices makes the services of the features, all of them switched off.
func (h *Host) makeServices(c Config) {
	h.Delegation = delegation.New(delegation.Config{Router: h.Local, Hosts: h.Local.Hosts, Log: c.Log})
	h.Privilege = privilege.New(privilege.Config{Router: h.Local, Hosts: h.Local.Hosts, Subscribed: h.subscribed, Log: c.Log})
	h.Roster = roster.New(roster.Config{Store: c.Stores.Roster, Router: h.Local, Watcher: h.Privilege, Log: c.Log})
	h.Offline = offline.New(offline.Config{Store: c.Stores.Offline, Log: c.Log})
	h.Last = last.New(last.Config{Store: c.Stores.Last, Sessions: h.Local, Contacts: h.Roster, Accounts: h.Accounts, Log: c.Log})
	h.Private = private.New(private.Config{Store: c.Stores.Private, Log: c.Log})
	h.VCard = vcard.New(vcard.Config{Store: c.Stores.VCard, Log: c.Log})
	h.Blocking = blocking.New(blocking.Config{Store: c.Stores.Blocking, Sessions: h.Local, Log: c.Log})
	h.Carbons = carbons.New(carbons.Config{Sessions: h.Local, Log: c.Log})
	h.StanzaID = stanzaid.New(stanzaid.Config{Log: c.Log})
	h.ExtDisco = extdisco.New(extdisco.Config{Log: c.Log})
	h.TURN = &TURN{accounts: h.Accounts, services: h.ExtDisco, log: c.Log}
	h.Disco = disco.New(disco.Config{
		Features: h.features, Items: h.items, More: h.Delegation.Nested, Anonymous: h.anonymous, Contacts: h.Roster, Log: c.Log,
	})
}

// connect tells the router and the accounts of the services.
func (h *Host) connect() {
	l := h.Local
	h.IQ.Delegate = h.delegate
	l.Users, l.IQ, l.Nobody = h.Accounts, h.IQ, h.nobody()
	l.Contacts, l.Offline = contactsOfAccounts{h.Roster, guests{l}}, messagesForAccounts{h.Offline, guests{l}}
	l.Blocking, l.Carbons = h.Blocking, h.Carbons
	l.Stamp, l.Left, l.Permit = h.StanzaID.Stamp, h.Last.Left, h.permit
	l.Messages, l.Answers, l.Watcher = h.Privilege.Message, h.answered, h.Privilege
	h.Accounts.Revoke = h.Tokens.RevokeAll
	// What lets somebody in comes first. The roster comes last: its contacts may be many.
	h.Accounts.Forget = append(h.Accounts.Forget,
		h.Tokens.RevokeAll, h.VCard.Remove, h.Private.Remove, h.Offline.Remove, h.Last.Remove, h.Blocking.Remove, h.Roster.Remove)
}

// configure switches the features.
func (h *Host) configure(f Features) {
	h.Disco.Configure(on(disco.Defaults))
	h.Roster.Configure(f.Roster)
	h.Offline.Configure(f.Offline)
	h.Last.Configure(f.Last)
	h.Private.Configure(f.Private)
	h.VCard.Configure(f.VCard)
	h.Blocking.Configure(f.Blocking)
	h.Carbons.Configure(f.Carbons)
	h.StanzaID.Configure(f.StanzaID)
	h.ExtDisco.Configure(f.ExtDisco)
	h.Delegation.Configure(f.Delegation)
	h.Privilege.Configure(f.Privilege)
}

// Configure takes new options while everything runs; it does not wait for
// anything. After an error the old options apply. The features and in-band
// registration have options of their own.
func (h *Host) Configure(o Options) error {
	if err := h.Local.Configure(o); err != nil {
		return err
	}
	if err := h.Accounts.Configure(o); err != nil {
		return err // of the hosts, which Local has checked
	}
	h.Register.SetTimeout(o.RegistrationTimeout)
	h.Delegation.Refresh()
	h.Privilege.Refresh()
	return nil
}

// Connected hears that a component gets what is sent to domain; s is its stream.
// With Disconnected it is component.Host's Events.
func (h *Host) Connected(ctx context.Context, domain string, s stanza.Sink) {
	h.Delegation.Connected(ctx, domain, s)
	h.Privilege.Connected(ctx, domain, s)
}

// Disconnected hears that a stream gets what is sent to domain no more.
func (h *Host) Disconnected(ctx context.Context, domain string, s stanza.Sink) {
	h.Delegation.Disconnected(ctx, domain, s)
	h.Privilege.Disconnected(ctx, domain, s)
}

// StreamFeatures says what streams of a domain offer besides logging in: it is
// c2s.Host's Features.
func (h *Host) StreamFeatures(domain string, authenticated bool) string {
	return h.Register.StreamFeatures(domain, authenticated) + h.Roster.StreamFeatures(domain, authenticated)
}
