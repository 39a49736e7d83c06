package host

import (
	"context"
	"runtime/debug"

	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/carbons"
	"github.com/tidewaiter/tidewaiter/listen/host/features/delegation"
	"github.com/tidewaiter/tidewaiter/listen/host/features/disco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/entitytime"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/ping"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/privilege"
	"github.com/tidewaiter/tidewaiter/listen/host/features/register"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/stanzaid"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/host/features/version"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// handlings says who answers which requests, and what service discovery lists
// for it.
func (h *Host) handlings() []Handling {
	name := func(space, local string) stanza.Name { return stanza.Name{Space: space, Local: local} }
	stores := func(f IQHandler) storing { return storing{f, guests{h.Local}} }
	const everybody = ToServer | ToOwn | ToOther
	list := []Handling{
		{Name: name(disco.NSInfo, "query"), To: everybody, Handler: h.Disco, Features: []string{disco.NSInfo}, Offered: h.Disco.Offered},
		{Name: name(disco.NSItems, "query"), To: everybody, Handler: h.Disco, Features: []string{disco.NSItems}, Offered: h.Disco.Offered},
		{Name: name(ping.NS, "ping"), To: ToServer | ToOwn, Handler: ping.Handler{}, Features: []string{ping.NS}},
		{Name: name(version.NS, "query"), To: ToServer, Handler: h.version, Features: []string{version.NS}},
		{Name: name(entitytime.NS, "time"), To: ToServer, Handler: entitytime.Handler{}, Features: []string{entitytime.NS}},
		{Name: name(register.NS, "query"), To: ToServer, Handler: h.Register, Features: []string{register.NS}, Offered: h.Register.Offered},
		{Name: name(register.NS, "query"), To: ToOwn, Handler: h.Register, Offered: h.Register.Offered},
		{Name: name(roster.NS, "query"), To: ToOwn | ToOther, Handler: managing{stores(h.Roster), h}, Offered: h.Roster.Offered},
		{Name: name(last.NS, "query"), To: everybody, Handler: h.Last, Features: []string{last.NS}, Offered: h.Last.Offered},
		{Name: name(private.NS, "query"), To: ToOwn | ToOther, Handler: stores(h.Private), Offered: h.Private.Offered},
		{Name: name(vcard.NS, "vCard"), To: everybody, Handler: stores(h.VCard), Features: []string{vcard.NS}, Offered: h.VCard.Offered},
		// A server lists what its users can ask of their accounts: XEP-0191,
		// section 3.1, and XEP-0280, section 3.
		{To: ToServer, Features: []string{blocking.NS}, Offered: h.Blocking.Offered},
		{To: ToServer, Features: []string{carbons.NS, carbons.NSRules}, Offered: h.Carbons.Offered},
		{To: ToServer, Features: []string{offline.Feature}, Offered: h.Offline.Offered},
		{To: ToOwn | ToOther, Features: []string{stanzaid.NS}, Offered: h.StanzaID.Offered},
		{To: ToServer, Features: []string{delegation.NS}, Offered: h.Delegation.Offered},
		{Name: privilege.Request(), To: everybody, Handler: h.Privilege, Offered: h.Privilege.Offered},
	}
	for _, local := range []string{"blocklist", "block", "unblock"} {
		list = append(list, Handling{Name: name(blocking.NS, local), To: ToOwn, Handler: stores(h.Blocking), Offered: h.Blocking.Offered})
	}
	for _, local := range []string{"enable", "disable"} {
		list = append(list, Handling{Name: name(carbons.NS, local), To: ToOwn, Handler: h.Carbons, Offered: h.Carbons.Offered})
	}
	for _, ns := range []string{extdisco.NS, extdisco.NS1} {
		for _, local := range []string{"services", "credentials"} {
			list = append(list, Handling{Name: name(ns, local), To: ToServer, Handler: h.ExtDisco, Features: []string{ns}, Offered: h.ExtDisco.Offered})
		}
	}
	return list
}

// nobody answers for accounts that do not exist as accounts answer strangers:
// not always with service-unavailable. Nobody shall be able to tell them apart.
func (h *Host) nobody() *Dispatcher {
	d := &Dispatcher{Delegate: h.IQ.Delegate}
	for _, n := range []Handling{
		{Name: stanza.Name{Space: last.NS, Local: "query"}, To: ToOther, Handler: refusing{h.Last}, Offered: h.Last.Offered},
		{Name: stanza.Name{Space: vcard.NS, Local: "vCard"}, To: ToOther, Handler: refusing{h.VCard}, Offered: h.VCard.Offered},
		{Name: stanza.Name{Space: roster.NS, Local: "query"}, To: ToOther, Handler: refusing{h.Roster}, Offered: h.Roster.Offered},
		{Name: privilege.Request(), To: ToOther, Handler: refusing{h.Privilege}, Offered: h.Privilege.Offered},
	} {
		_ = d.Register(n) // the names differ
	}
	return d
}

// permit says why a request must not reach the resource that it is addressed
// to, nil if it may.
func (h *Host) permit(ctx context.Context, iq *stanza.Stanza) error {
	switch {
	case roster.IsForgedPush(iq): // RFC 6121, section 2.1.6
		return &stanza.Error{Condition: stanza.ServiceUnavailable}
	case iq.Child == stanza.Name{Space: last.NS, Local: "query"} && iq.From.Bare() != iq.To.Bare() && h.Last.Offered(iq.To.Domain()):
		return h.Last.Authorize(ctx, iq.From.Bare(), iq.To.Bare()) // XEP-0012, section 4
	case iq.Child == privilege.Request() && h.Privilege.Offered(iq.To.Domain()):
		return &stanza.Error{Condition: stanza.Forbidden} // XEP-0356, section 6.3
	}
	return nil
}

// features lists what a domain or an account can do, for who asks.
func (h *Host) features(asker, to stanza.JID) []string {
	t := ToOther
	switch {
	case to.Local() == "":
		t = ToServer
	case asker.Bare() == to.Bare():
		t = ToOwn
	}
	return h.Delegation.Own(to.Domain(), h.IQ.Features(t, to.Domain()))
}

// items lists the registered domains, which are the services of this server.
func (h *Host) items(to stanza.JID) []string {
	if to.Local() == "" {
		return h.Local.Domains()
	}
	return nil
}

// anonymous reports whether a user has no account and will not come back.
func (h *Host) anonymous(user stanza.JID) bool {
	o := h.Accounts.settings.Load()
	return o.hasAnonymous(user.Domain()) && !o.hasAccounts(user.Domain())
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
