package host

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// greeting is what a session hears at its initial presence: RFC 6121, section
// 4.2.2, and section 3.1.3 for the requests that wait for an answer.
type greeting struct {
	others   []*session       // of one account, still to be shown
	contact  stanza.JID       // that account; zero: the own one
	requests []*stanza.Stanza // of subscription
	contacts []stanza.JID     // whom the user sees, still to be asked for
	slab     slab
}

// isEmpty reports whether there is nothing to hear for a session.
func (g *greeting) isEmpty(me *session) bool {
	if len(g.requests) > 0 || len(g.contacts) > 0 {
		return false
	}
	for _, o := range g.others {
		if o != me && o.available() {
			return false
		}
	}
	return true
}

// introduce goes on with the greeting, and reports whether that is over.
func (c *catchup) introduce(ctx context.Context) (over bool, err error) {
	c.me.mu.Lock()
	if c.next != nil {
		c.greeting, c.next = c.next, nil
	}
	c.me.mu.Unlock()
	g := c.greeting
	if g == nil {
		return true, nil
	}
	var errs []error
	if len(g.others) > 0 && !g.contact.IsZero() { // time has passed since it was asked
		sees, err := c.l.sees(ctx, c.me, g.contact, g.others)
		if !sees {
			g.others = nil
		}
		errs = append(errs, err)
	}
	for c.me.available() {
		more, err := c.hear(ctx, g)
		switch {
		case errors.Is(err, errLater):
			return false, errors.Join(errs...)
		case errors.Is(err, stanza.ErrClosed):
			more = false
		case err != nil:
			errs = append(errs, err)
		}
		if !more {
			break
		}
	}
	c.greeting = nil
	return true, errors.Join(errs...)
}

// hear does one thing of the greeting, and reports whether there was one.
func (c *catchup) hear(ctx context.Context, g *greeting) (more bool, err error) {
	switch {
	case len(g.others) > 0:
		if err := c.reveal(g.others[0]); err != nil {
			return true, err
		}
		g.others = g.others[1:]
	case len(g.requests) > 0:
		if r := g.requests[0]; !c.l.blocksOf(c.me, r.From) {
			if err := c.say(r); err != nil {
				return true, err
			}
		}
		g.requests = g.requests[1:]
	case len(g.contacts) > 0:
		g.contact, g.contacts = g.contacts[0], g.contacts[1:]
		g.others, err = c.l.ask(ctx, c.me, g.contact)
	default:
		return false, nil
	}
	return true, err
}

// reveal sends the presence of another session, until it stands still: see
// tellCurrent.
func (c *catchup) reveal(about *session) error {
	if about == c.me {
		return nil
	}
	for first := true; ; first = false {
		told := about.state.Load()
		if first && !told.available() {
			return nil
		}
		p := told.presence
		if about.account != c.me.account {
			p = c.greeting.slab.copy(p, c.me.jid)
		}
		if err := c.say(p); err != nil {
			return err
		}
		if about.state.Load() == told {
			return nil
		}
	}
}

// say gives the sink a stanza if there is room. One that cannot tell when there is
// does without.
func (c *catchup) say(s *stanza.Stanza) error {
	if !c.fits(1, s.Size()) {
		return errLater
	}
	if err := c.later(c.put(s)); !errors.Is(err, stanza.ErrQueueFull) {
		return err
	}
	return nil
}
