package xmpp

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
)

// befriend subscribes the contacts of a ring to one another, where they are not
// yet.
// See RFC 6121, section 3.
func (t *Target) befriend(ctx context.Context, users, contacts int) error {
	clients := make([]*Client, users)
	defer func() { t.closeMany(clients) }()
	strangers := make([][]string, users) // by user, the contacts without a subscription
	err := crowd.Parallel(users, t.logins(), func(i int) error {
		c, err := t.login(ctx, i, options{resource: "friends", absent: true})
		if err != nil {
			return err
		}
		clients[i] = c
		roster, err := c.roster()
		if err != nil {
			return err
		}
		for _, j := range ring(i, users, contacts) {
			if !isFriend(roster, t.bare(j)) {
				strangers[i] = append(strangers[i], t.bare(j))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(strangers, func(s []string) bool { return len(s) > 0 }) {
		return nil
	}
	return t.subscribe(ctx, clients, strangers)
}

// isFriend reports whether a roster has a mutual subscription with a contact.
func isFriend(roster []byte, jid string) bool {
	for i := 0; ; {
		open, end := nextTag(roster, i)
		if end == 0 {
			return false
		}
		tag := roster[open:end]
		if name(tag) == "item" && string(attribute(tag, " jid=")) == jid {
			return string(attribute(tag, " subscription=")) == "both"
		}
		i = end
	}
}

// subscribe has each client ask for the subscriptions that it lacks, and all
// approve what they are asked for.
func (t *Target) subscribe(ctx context.Context, clients []*Client, strangers [][]string) error {
	var seen atomic.Int64
	approved := make([]atomic.Int64, len(clients))
	var readers sync.WaitGroup
	for i, c := range clients {
		readers.Go(func() { t.approve(c, &seen, &approved[i]) })
	}
	stop := sync.OnceFunc(func() {
		for _, c := range clients {
			c.interrupt()
		}
		readers.Wait()
	})
	defer stop()
	for _, c := range clients {
		if err := c.sendStanza("<presence/>"); err != nil {
			return err
		}
	}
	err := crowd.Parallel(len(clients), t.logins(), func(i int) error {
		return t.ask(ctx, clients[i], strangers[i], &seen, &approved[i])
	})
	if err != nil {
		return err
	}
	// What was approved is in the roster of both sides when the server has dealt
	// with what they sent.
	stop()
	return crowd.Parallel(len(clients), t.logins(), func(i int) error {
		clients[i].goOn(t.patience())
		_, err := clients[i].roster()
		return err
	})
}

// ask asks for subscriptions and waits until they are approved, or until nobody
// sees anything any more.
func (t *Target) ask(ctx context.Context, c *Client, contacts []string, seen, approved *atomic.Int64) error {
	c.begin()
	for _, jid := range contacts {
		c.out = append(c.out, "<presence type='subscribe' to='"+jid+"'/>"...)
	}
	if err := c.flush(); err != nil {
		return err
	}
	want := int64(len(contacts))
	err := t.wait(ctx, func() (int64, bool) { return seen.Load(), approved.Load() >= want })
	if n := approved.Load(); err == nil && n < want {
		return fmt.Errorf("%s: of %d subscriptions %d were approved", c.JID, want, n)
	}
	return err
}

// approve answers requests for subscription until it is interrupted. It counts
// what it sees, and the answers to requests of the client.
func (t *Target) approve(c *Client, seen, approved *atomic.Int64) {
	for {
		el, err := c.next()
		if err != nil {
			if !isTimeout(err) {
				t.complain("%s: %v", c.JID, err)
			}
			return
		}
		seen.Add(1)
		tag := startTag(el)
		if name(el) != "presence" {
			continue
		}
		from, _, _ := bytes.Cut(attribute(tag, " from="), []byte("/"))
		switch string(attribute(tag, " type=")) {
		case "subscribe":
			if err := c.send("<presence type='subscribed' to='" + string(from) + "'/>"); err != nil {
				t.complain("%s: %v", c.JID, err)
				return
			}
		case "subscribed":
			approved.Add(1)
		}
	}
}
