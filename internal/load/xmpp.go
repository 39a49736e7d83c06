package main

import (
	"flag"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/xmpp"
)

// xmpp defines the flags of a workload for XMPP servers; ok is false when there is
// none of that name.
func (c *command) xmpp(set *flag.FlagSet, name string) (of func() job, ok bool) {
	t := new(xmpp.Target)
	workload, ok := c.xmppWorkload(set, t, name)
	if !ok {
		return nil, false
	}
	t.Dial = c.dial(set, "addr", "127.0.0.1:5222", "of the server")
	set.StringVar(&t.Domain, "domain", "localhost", "virtual host")
	set.StringVar(&t.WebSocket, "websocket", "", "come by WebSocket (RFC 7395), at this `path`")
	set.StringVar(&t.BOSH, "bosh", "", "come by BOSH (XEP-0124), at this `path`")
	set.StringVar(&t.User, "user", "u", "accounts are called `prefix`0, prefix1, …")
	set.StringVar(&t.Password, "password", "pass", "of all accounts")
	set.IntVar(&t.Accounts, "accounts", 1000, "number of accounts")
	set.StringVar(&t.Mechanism, "mechanism", "", "PLAIN or SCRAM-SHA-1 (default: the latter, where it is offered)")
	set.BoolVar(&t.TLS, "tls", false, "use STARTTLS")
	set.BoolVar(&t.AnyKeyExchange, "any-key-exchange", false, "do not hold TLS to X25519")
	set.BoolVar(&t.NoEcho, "no-echo", false, "a login ends when the presence was written, not when it comes back")
	set.BoolVar(&t.NoFrom, "no-from", false, "do not check the senders of messages")
	set.DurationVar(&t.LoginTimeout, "login-timeout", time.Minute, "how long one login may take")
	set.DurationVar(&t.Patience, "patience", 5*time.Second, "how long nothing may arrive until what is missing counts as lost")
	set.IntVar(&t.Logins, "at-a-time", 20, "clients that log in at a time")
	return func() job {
		t.PID, t.Errors = c.pid, c.errors
		return against[xmpp.Target]{workload(), t}
	}, true
}

// xmppWorkload defines the flags that a workload alone has.
func (c *command) xmppWorkload(set *flag.FlagSet, t *xmpp.Target, name string) (func() workload[xmpp.Target], bool) {
	switch name {
	case "register":
		return func() workload[xmpp.Target] { return xmpp.Register{} }, true
	case "login":
		w := bounded(set, "n", 1000, "clients that log in in one pass")
		passes := bounded(set, "passes", 1, "measured passes; one that is not measured comes before")
		return func() workload[xmpp.Target] { return xmpp.Logins{Clients: *w, Passes: *passes} }, true
	case "idle":
		n := bounded(set, "n", 1000, "idle sessions")
		settle := set.Duration("settle", 5*time.Second, "wait before the memory is read")
		return func() workload[xmpp.Target] { return xmpp.Idle{Clients: *n, Settle: *settle} }, true
	case "presence":
		return presence(set), true
	case "offline":
		return offline(set), true
	case "chat", "sessions":
		return chat(set, name == "sessions"), true
	case "component":
		return c.component(set), true
	case "federation":
		return c.federation(set, t), true
	case "domains":
		return c.domains(set), true
	}
	return nil, false
}

// traffic defines the flags of all workloads in which messages are sent.
func traffic(set *flag.FlagSet, window int) func() xmpp.Chat {
	var w xmpp.Chat
	set.IntVar(&w.Body, "body", 100, "bytes of a message's body, at least 50")
	most := bounded(set, "window", window, "messages of a sender that may be on the way at once")
	set.Float64Var(&w.Rate, "rate", 0, "messages a second, of all senders together, evenly paced (0: as fast as possible)")
	set.DurationVar(&w.Warm, "warm", 2*time.Second, "time before measuring")
	set.DurationVar(&w.Duration, "d", 10*time.Second, "time of measuring")
	messages := bounded(set, "messages", 0, "end when each sender has sent so many (0: by time alone)")
	set.BoolVar(&w.Rich, "rich", false, "bodies with references, quotes and characters of several bytes")
	return func() xmpp.Chat {
		w.Window, w.Messages = *most, int64(*messages)
		return w
	}
}

func chat(set *flag.FlagSet, sessions bool) func() workload[xmpp.Target] {
	of := traffic(set, 32)
	pairs := bounded(set, "pairs", 50, "pairs of clients")
	bare := set.Bool("bare", false, "send to the account rather than to the resource")
	managed := set.Bool("sm", false, "use stream management")
	every := bounded(set, "every", 10, "stanzas after which a client with -sm asks for an acknowledgement")
	n := new(int)
	if sessions {
		n = bounded(set, "n", 1000, "sessions in all")
	}
	return func() workload[xmpp.Target] {
		w := of()
		w.Pairs, w.Bare, w.Managed, w.Every = *pairs, *bare, *managed, *every
		w.Idle = max(0, *n-2*w.Pairs)
		return w
	}
}

func (c *command) component(set *flag.FlagSet) func() workload[xmpp.Target] {
	of := traffic(set, 16)
	w := xmpp.Component{Dial: c.dial(set, "component-addr", "127.0.0.1:5347", "of the server's port for components")}
	n := bounded(set, "n", 20, "clients")
	set.StringVar(&w.Domain, "component-domain", "echo.localhost", "domain of the component")
	set.StringVar(&w.Secret, "secret", "secret", "that the component proves its domain by")
	return func() workload[xmpp.Target] {
		w.Chat, w.Clients = of(), *n
		return w
	}
}

func (c *command) federation(set *flag.FlagSet, t *xmpp.Target) func() workload[xmpp.Target] {
	of := traffic(set, 32)
	pairs := bounded(set, "pairs", 50, "pairs of clients, one on each server")
	peer := &xmpp.Target{Dial: c.dial(set, "peer-addr", "127.0.0.1:5223", "of the other server")}
	set.StringVar(&peer.Domain, "peer-domain", "peer.example", "virtual host of the other server")
	set.IntVar(&peer.PID, "peer-pid", 0, "the other server's process, to measure it")
	return func() workload[xmpp.Target] {
		peer.User, peer.Password, peer.Accounts, peer.Mechanism, peer.Logins = t.User, t.Password, t.Accounts, t.Mechanism, t.Logins
		peer.TLS, peer.AnyKeyExchange, peer.NoEcho, peer.LoginTimeout = t.TLS, t.AnyKeyExchange, t.NoEcho, t.LoginTimeout
		w := of()
		w.Pairs = *pairs
		return xmpp.Federation{Chat: w, Peer: peer}
	}
}

func (c *command) domains(set *flag.FlagSet) func() workload[xmpp.Target] {
	w := xmpp.Domains{Listen: c.listen(set, "listen", "127.0.0.1:5269", "where the server finds the domains")}
	n := bounded(set, "n", 1000, "domains")
	set.StringVar(&w.Suffix, "suffix", "idle.example", "what the names of the domains end with")
	set.DurationVar(&w.Settle, "settle", 5*time.Second, "wait before the memory is read")
	return func() workload[xmpp.Target] {
		w.Count = *n
		return w
	}
}

func presence(set *flag.FlagSet) func() workload[xmpp.Target] {
	var w xmpp.Presence
	users := bounded(set, "n", 200, "users")
	contacts := bounded(set, "contacts", 20, "contacts of each user, an even number")
	window := bounded(set, "window", 2, "changes of a user that have not reached all contacts")
	set.DurationVar(&w.Warm, "warm", 2*time.Second, "time before measuring")
	set.DurationVar(&w.Duration, "d", 10*time.Second, "time of measuring")
	return func() workload[xmpp.Target] {
		w.Users, w.Contacts, w.Window = *users, *contacts, *window
		return w
	}
}

func offline(set *flag.FlagSet) func() workload[xmpp.Target] {
	pairs := bounded(set, "pairs", 50, "senders, each with a recipient that is not there")
	each := bounded(set, "messages", 200, "messages to each recipient")
	body := bounded(set, "body", 100, "bytes of a message's body, at least 50")
	window := bounded(set, "window", 16, "messages of a sender that are not acknowledged yet")
	every := bounded(set, "every", 1, "messages after which an acknowledgement is asked for")
	return func() workload[xmpp.Target] {
		return xmpp.Offline{Pairs: *pairs, Messages: *each, Body: *body, Window: *window, Every: *every}
	}
}
