package main

import (
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/xmpp"
)

// flags defines those of a workload.
func (c *command) flags(set *flag.FlagSet, name string) (func() workload, bool) {
	switch name {
	case "register":
		return func() workload { return xmpp.Register{} }, true
	case "login":
		w := bounded(set, "n", 1000, "clients that log in in one pass")
		passes := bounded(set, "passes", 1, "measured passes; one that is not measured comes before")
		return func() workload { return xmpp.Logins{Clients: *w, Passes: *passes} }, true
	case "idle":
		n := bounded(set, "n", 1000, "idle sessions")
		settle := set.Duration("settle", 5*time.Second, "wait before the memory is read")
		return func() workload { return xmpp.Idle{Clients: *n, Settle: *settle} }, true
	case "presence":
		return presence(set), true
	case "offline":
		return offline(set), true
	case "chat", "sessions":
		return chat(set, name == "sessions"), true
	case "component":
		return c.component(set), true
	case "federation":
		return c.federation(set), true
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

func chat(set *flag.FlagSet, sessions bool) func() workload {
	of := traffic(set, 32)
	pairs := bounded(set, "pairs", 50, "pairs of clients")
	bare := set.Bool("bare", false, "send to the account rather than to the resource")
	managed := set.Bool("sm", false, "use stream management")
	every := bounded(set, "every", 10, "stanzas after which a client with -sm asks for an acknowledgement")
	n := new(int)
	if sessions {
		n = bounded(set, "n", 1000, "sessions in all")
	}
	return func() workload {
		w := of()
		w.Pairs, w.Bare, w.Managed, w.Every = *pairs, *bare, *managed, *every
		w.Idle = max(0, *n-2*w.Pairs)
		return w
	}
}

func (c *command) component(set *flag.FlagSet) func() workload {
	of := traffic(set, 16)
	w := xmpp.Component{Dial: c.dial(set, "component-addr", "127.0.0.1:5347", "of the server's port for components")}
	n := bounded(set, "n", 20, "clients")
	set.StringVar(&w.Domain, "component-domain", "echo.localhost", "domain of the component")
	set.StringVar(&w.Secret, "secret", "secret", "that the component proves its domain by")
	return func() workload {
		w.Chat, w.Clients = of(), *n
		return w
	}
}

func (c *command) federation(set *flag.FlagSet) func() workload {
	of := traffic(set, 32)
	pairs := bounded(set, "pairs", 50, "pairs of clients, one on each server")
	peer := &xmpp.Target{Dial: c.dial(set, "peer-addr", "127.0.0.1:5223", "of the other server")}
	set.StringVar(&peer.Domain, "peer-domain", "peer.example", "virtual host of the other server")
	set.IntVar(&peer.PID, "peer-pid", 0, "the other server's process, to measure it")
	return func() workload {
		t := &c.target
		peer.User, peer.Password, peer.Accounts, peer.Mechanism, peer.Logins = t.User, t.Password, t.Accounts, t.Mechanism, t.Logins
		peer.TLS, peer.AnyKeyExchange, peer.NoEcho, peer.LoginTimeout = t.TLS, t.AnyKeyExchange, t.NoEcho, t.LoginTimeout
		w := of()
		w.Pairs = *pairs
		return xmpp.Federation{Chat: w, Peer: peer}
	}
}

func (c *command) domains(set *flag.FlagSet) func() workload {
	w := xmpp.Domains{Listen: c.listen(set, "listen", "127.0.0.1:5269", "where the server finds the domains")}
	n := bounded(set, "n", 1000, "domains")
	set.StringVar(&w.Suffix, "suffix", "idle.example", "what the names of the domains end with")
	set.DurationVar(&w.Settle, "settle", 5*time.Second, "wait before the memory is read")
	return func() workload {
		w.Count = *n
		return w
	}
}

func presence(set *flag.FlagSet) func() workload {
	var w xmpp.Presence
	users := bounded(set, "n", 200, "users")
	contacts := bounded(set, "contacts", 20, "contacts of each user, an even number")
	window := bounded(set, "window", 2, "changes of a user that have not reached all contacts")
	set.DurationVar(&w.Warm, "warm", 2*time.Second, "time before measuring")
	set.DurationVar(&w.Duration, "d", 10*time.Second, "time of measuring")
	return func() workload {
		w.Users, w.Contacts, w.Window = *users, *contacts, *window
		return w
	}
}

func offline(set *flag.FlagSet) func() workload {
	pairs := bounded(set, "pairs", 50, "senders, each with a recipient that is not there")
	each := bounded(set, "messages", 200, "messages to each recipient")
	body := bounded(set, "body", 100, "bytes of a message's body, at least 50")
	window := bounded(set, "window", 16, "messages of a sender that are not acknowledged yet")
	every := bounded(set, "every", 1, "messages after which an acknowledgement is asked for")
	return func() workload {
		return xmpp.Offline{Pairs: *pairs, Messages: *each, Body: *body, Window: *window, Every: *every}
	}
}

// maxNumber bounds all numbers of things.
const maxNumber = 10_000_000

// bounded defines a flag for a number of things.
func bounded(set *flag.FlagSet, name string, value int, usage string) *int {
	set.Func(name, fmt.Sprintf("`number`: %s (default %d)", usage, value), func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > maxNumber {
			return fmt.Errorf("want a number up to %d", maxNumber)
		}
		value = n
		return nil
	})
	return &value
}
