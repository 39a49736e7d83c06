package conformance

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// state is a state of RFC 6121, appendix A.1.
type state struct {
	sub     roster.Subscription
	out, in bool // pending
}

func (s state) String() string {
	text := s.sub.String()
	if s.out {
		text += "+out"
	}
	if s.in {
		text += "+in"
	}
	return text
}

// other is the same relation as the contact sees it.
func (s state) other() state {
	var sub roster.Subscription
	if s.sub&roster.To != 0 {
		sub |= roster.From
	}
	if s.sub&roster.From != 0 {
		sub |= roster.To
	}
	return state{sub, s.in, s.out}
}

var states = []state{
	{roster.None, false, false}, {roster.None, true, false}, {roster.None, false, true}, {roster.None, true, true},
	{roster.To, false, false}, {roster.To, false, true}, {roster.From, false, false}, {roster.From, true, false}, {roster.Both, false, false},
}

// outbound is appendix A.2: whether the stanza is routed, and the new state.
func outbound(kind string, s state) (route bool, next state) {
	next = s
	switch kind {
	case "subscribe":
		next.out = s.out || s.sub&roster.To == 0
		return true, next
	case "unsubscribe":
		next.out, next.sub = false, s.sub&^roster.To
		return true, next
	case "subscribed":
		if s.in {
			next.in, next.sub = false, s.sub|roster.From
		}
		return s.in, next
	default:
		route = s.in || s.sub&roster.From != 0
		next.in, next.sub = false, s.sub&^roster.From
		return route, next
	}
}

// inbound is appendix A.3: whether the stanza is delivered, the new state, and
// whether the server answers that the contact is subscribed already.
func inbound(kind string, s state) (deliver, reply bool, next state) {
	next = s
	switch kind {
	case "subscribe":
		if s.sub&roster.From != 0 {
			return false, true, next
		}
		next.in = true
		return !s.in, false, next
	case "unsubscribe":
		next.in, next.sub = false, s.sub&^roster.From
		return s.in || s.sub&roster.From != 0, false, next
	case "subscribed":
		if s.out {
			next.out, next.sub = false, s.sub|roster.To
		}
		return s.out, false, next
	default:
		next.out, next.sub = false, s.sub&^roster.To
		return s.out || s.sub&roster.To != 0, false, next
	}
}

// TestRFC6121States sends each subscription stanza in each state, to a contact
// whose state fits, and to one who knows nothing of it.
func TestRFC6121States(t *testing.T) {
	var rows []row
	for _, s := range states {
		for _, kind := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
			for _, contact := range []state{s.other(), {}} {
				rows = append(rows, row{name: fmt.Sprintf("A %s, %s, contact %s", s, kind, contact), do: func(p *play) { p.transition(kind, s, contact) }})
			}
		}
	}
	run(t, rows)
}

func (p *play) transition(kind string, user, contact state) {
	p.setState("r", "j", user)
	p.setState("j", "r", contact)
	p.script("here jb 0\nlogin ro") // without presence, which probes
	p.drop()
	route, wantUser := outbound(kind, user)
	deliver, reply, wantContact := false, false, contact
	if route {
		deliver, reply, wantContact = inbound(kind, contact)
	}
	if reply {
		_, _, wantUser = inbound("subscribed", wantUser)
	}
	p.client("ro").send(p.expand("<presence to='$j' type='" + kind + "'/>"))
	count := 0
	for _, e := range p.client("jb").take() {
		if e.name.Local == "presence" && e.attr("type") == kind {
			count++
		}
	}
	// What need not be delivered and changes nothing may be.
	if got := count == 1; got != deliver && (deliver || wantContact != contact || count > 1) {
		p.fail("juliet got %d times %s, want delivery %v", count, kind, deliver)
	}
	p.wantState("r", "j", wantUser)
	p.wantState("j", "r", wantContact)
}

func (p *play) pair(user, contact string) (u, c stanza.JID) {
	u, err := stanza.ParseJID(p.expand("$" + user))
	p.must(err)
	c, err = stanza.ParseJID(p.expand("$" + contact))
	p.must(err)
	return u, c
}

func (p *play) setState(user, contact string, s state) {
	if s == (state{}) {
		return
	}
	u, c := p.pair(user, contact)
	i := roster.Item{Contact: c, Subscription: s.sub, Ask: s.out, Listed: s.sub != roster.None || s.out}
	if s.in {
		i.Request = fmt.Sprintf("<presence from='%s' to='%s' type='subscribe'/>", c, u)
	}
	_, err := p.store(u.Domain()).Set(context.Background(), u, i, 0)
	p.must(err)
}

func (p *play) wantState(user, contact string, want state) {
	u, c := p.pair(user, contact)
	i, err := p.store(u.Domain()).Get(context.Background(), u, c)
	if err != nil && !errors.Is(err, roster.ErrNoItem) {
		p.must(err)
	}
	if got := (state{i.Subscription, i.Ask, i.Request != ""}); got != want {
		p.fail("%s has %s of %s, want %s", user, got, contact, want)
	}
}
