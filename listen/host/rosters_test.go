package host_test

import (
	"context"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// contacts are the rosters of a.test, by RFC 6121, appendix A. Its zero value
// is empty.
type contacts struct {
	mu    sync.Mutex
	items map[[2]stanza.JID]*item // by user and contact
	calls []string
	fail  error
}

type item struct {
	to, from, asked, approved bool
	request                   *stanza.Stanza
}

func (c *contacts) Offered(domain string) bool { return domain != "plain.test" }

// item returns the item of a contact, made if there is none. c.mu is held.
func (c *contacts) item(user, contact stanza.JID) *item {
	if c.items == nil {
		c.items = make(map[[2]stanza.JID]*item)
	}
	i := c.items[[2]stanza.JID{user, contact}]
	if i == nil {
		i = new(item)
		c.items[[2]stanza.JID{user, contact}] = i
	}
	return i
}

func (c *contacts) Outbound(_ context.Context, s *stanza.Stanza) (host.Change, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, "out "+s.String())
	if c.fail != nil {
		return host.Change{}, c.fail
	}
	i := c.item(s.From, s.To)
	old := *i
	switch s.Type {
	case stanza.TypeSubscribe:
		i.asked = !i.to
		return host.Change{Pass: true}, nil
	case stanza.TypeUnsubscribe:
		i.to, i.asked = false, false
		return host.Change{Pass: true}, nil
	case stanza.TypeSubscribed:
		if i.request == nil {
			i.approved = true
			return host.Change{}, nil
		}
		i.from, i.request = true, nil
		return host.Change{Pass: true, Show: !old.from}, nil
	}
	i.from, i.request, i.approved = false, nil, false
	return host.Change{Pass: old.from || old.request != nil, Hide: old.from}, nil
}

func (c *contacts) Inbound(_ context.Context, s *stanza.Stanza, pass func()) (host.Change, error) {
	change, err := c.inbound(s)
	if change.Pass {
		pass()
	}
	return change, err
}

func (c *contacts) inbound(s *stanza.Stanza) (host.Change, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, "in "+s.String())
	if c.fail != nil {
		return host.Change{}, c.fail
	}
	i := c.item(s.To, s.From)
	old := *i
	switch s.Type {
	case stanza.TypeSubscribe:
		if i.from || i.approved {
			i.from = true
			return host.Change{Reply: stanza.TypeSubscribed, Show: !old.from}, nil
		}
		i.request = s
		return host.Change{Pass: old.request == nil}, nil
	case stanza.TypeUnsubscribe:
		i.from, i.request, i.approved = false, nil, false
		return host.Change{Pass: old.from, Hide: old.from}, nil
	case stanza.TypeSubscribed:
		i.to, i.asked = i.to || i.asked, false
		return host.Change{Pass: old.asked}, nil
	}
	i.to, i.asked = false, false
	return host.Change{Pass: old.to || old.asked}, nil
}

func (c *contacts) Presence(_ context.Context, user stanza.JID) (a host.Audience, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, i := range c.items {
		if k[0] != user {
			continue
		}
		if i.from {
			a.Subscribers = append(a.Subscribers, k[1])
		}
		if i.to {
			a.Subscriptions = append(a.Subscriptions, k[1])
		}
		if i.request != nil {
			a.Requests = append(a.Requests, i.request)
		}
	}
	return a, c.fail
}

func (c *contacts) Sees(_ context.Context, watcher, user stanza.JID) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.item(user, watcher).from, c.fail
}

// subscribe makes a watcher see a user, in both rosters.
func (c *contacts) subscribe(t testing.TB, watcher, user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, u := jid(t, watcher), jid(t, user)
	c.item(w, u).to, c.item(u, w).from = true, true
}
