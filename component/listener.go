package component

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// listener is what the streams of one listener share.
type listener struct {
	srv     *Server
	routing context.Context // of what is passed on
	o       Options
	hosts   map[string]string // secret by domain, "" for none; nil: any domain has the listener's
	keys    *keyring
	out     xmppstream.OutboxOptions
	log     *slog.Logger
	trouble *netserve.Sampler // for what strangers can cause
	streams xmppstream.Streams[*stream]
}

func (s *Server) listener(o Options) (*listener, error) {
	l := &listener{srv: s, o: o, keys: newKeyring(s.madeUp), log: s.log, trouble: netserve.NewSampler(s.log, "further connections failed")}
	l.out = xmppstream.OutboxOptions{
		Stanzas: o.MaxFSMQueue, Bytes: o.MaxQueueBytes, SendTimeout: o.SendTimeout, Namespace: stanza.NSComponent,
	}
	if len(o.Hosts) == 0 {
		return l, nil
	}
	l.hosts = make(map[string]string, len(o.Hosts))
	for name, h := range o.Hosts {
		j, err := stanza.NewJID("", name, "")
		if err != nil {
			return nil, fmt.Errorf("hosts: %w", err)
		}
		if _, twice := l.hosts[j.Domain()]; twice {
			return nil, fmt.Errorf("hosts: %q comes twice", j.Domain())
		}
		if h.Password == "" {
			h.Password = o.Password
		}
		l.hosts[j.Domain()] = h.Password
	}
	return l, nil
}

// secret returns the secret of a domain and why there is none; then the secret is
// one that nobody knows, so that whoever checks it has the same to do.
func (l *listener) secret(domain string) (secret, missing string) {
	secret, ok := l.o.Password, true
	if l.hosts != nil {
		secret, ok = l.hosts[domain]
	}
	switch {
	case !ok:
		return l.srv.madeUp, "domain is none of hosts"
	case secret == "":
		return l.srv.madeUp, "domain has no password"
	}
	return secret, ""
}

// routes returns the domains of a component that has named one of them.
func (l *listener) routes(domain string) []string {
	list := []string{domain}
	if l.o.GlobalRoutes {
		for name := range l.hosts {
			if name != domain && l.isSameSecret(domain, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// isSameSecret reports whether who knows the secret of one domain knows that of
// another one.
func (l *listener) isSameSecret(domain, other string) bool {
	shown, _ := l.secret(domain)
	secret, missing := l.secret(other)
	return missing == "" && secret == shown
}

// surelyAdmits is admits while a group is locked: a rule that panics admits nobody.
func (l *listener) surelyAdmits(from stanza.JID) bool {
	ok := false
	err := netserve.Guard(func() error { ok = l.admits(from); return nil })
	if err != nil {
		l.trouble.Log(context.Background(), slog.LevelError, "access rule panicked", netserve.KeyErr, err)
	}
	return ok
}

// admits reports whether components of the listener get what a sender sends.
func (l *listener) admits(from stanza.JID) bool {
	a := l.o.Access
	return a == acl.All || a != nil && a.Allow(acl.Subject{User: from.Local(), Server: from.Domain(), Resource: from.Resource()})
}
