package roster

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// state is what the rules of RFC 6121, section 3 and appendix A, go by. The
// states of appendix A.1 are the combinations in which a subscription excludes
// the request for it; an approval that comes before a request (section 3.4) is
// possible in those without From and without a request of the contact.
type state struct {
	Subscription
	ask      bool // pending out: the user asked the contact
	pending  bool // pending in: the contact asked the user
	approved bool // the next request of the contact is granted
}

// Change says what follows from a subscription stanza.
type Change struct {
	// Pass: Outbound, the stanza goes on to the contact; Inbound, it has gone to
	// the resources of the user.
	Pass bool
	// Reply is the type of a stanza that is sent to the other side in the name of
	// the user, "" for none.
	Reply string
	// Show: the contact sees the user from now on and is sent the presence of
	// each available resource.
	Show bool
	// Hide: the contact no longer sees the user and is sent unavailable
	// presence of each available resource, before the stanza passes.
	Hide bool
}

// outbound returns what becomes of a state when the user sends a stanza of this
// type to the contact.
// See RFC 6121, appendix A.2.
func (s state) outbound(typ string) (state, Change) {
	var c Change
	switch typ {
	case stanza.TypeSubscribe:
		c.Pass = true // in every state, in case the two sides do not agree on it
		s.ask = s.Subscription&To == 0
	case stanza.TypeUnsubscribe:
		c.Pass = true
		s.Subscription &^= To
		s.ask = false
	case stanza.TypeSubscribed:
		switch {
		case s.Subscription&From != 0:
		case s.pending:
			c.Pass, c.Show = true, true
			s.Subscription |= From
			s.pending = false
		default:
			s.approved = true
		}
	case stanza.TypeUnsubscribed:
		c.Hide = s.Subscription&From != 0
		c.Pass = c.Hide || s.pending
		s.Subscription &^= From
		s.pending, s.approved = false, false
	}
	return s, c
}

// inbound returns what becomes of a state when the contact sends a stanza of
// this type to the user.
// See RFC 6121, appendix A.3.
func (s state) inbound(typ string) (state, Change) {
	var c Change
	switch typ {
	case stanza.TypeSubscribe:
		switch {
		case s.Subscription&From != 0, s.approved:
			// Presence too: a contact that asks again has lost it.
			c.Reply, c.Show = stanza.TypeSubscribed, true
			s.Subscription |= From
			s.approved = false
		default:
			c.Pass = !s.pending
			s.pending = true
		}
	case stanza.TypeUnsubscribe:
		c.Hide = s.Subscription&From != 0
		c.Pass = c.Hide || s.pending
		s.Subscription &^= From
		s.pending = false
	case stanza.TypeSubscribed:
		if s.ask {
			c.Pass = true
			s.Subscription |= To
			s.ask = false
		}
	case stanza.TypeUnsubscribed:
		c.Pass = s.Subscription&To != 0 || s.ask
		s.Subscription &^= To
		s.ask = false
	}
	return s, c
}

// state returns what the rules go by.
func (i *Item) state() state {
	return state{i.Subscription, i.Ask, i.Request != "", i.Approved}
}

// setState takes over a state. What a request says is the caller's to set.
func (i *Item) setState(s state) {
	i.Subscription, i.Ask, i.Approved = s.Subscription, s.ask, s.approved
	if !s.pending {
		i.Request = ""
	}
}

// shows reports whether clients see a difference between two states: they are
// not told of requests.
func (s state) shows(old state) bool {
	s.pending, old.pending = false, false
	return s != old
}

// String returns the value of the subscription attribute.
// See RFC 6121, section 2.1.2.5.
func (s Subscription) String() string {
	switch s {
	case To:
		return "to"
	case From:
		return "from"
	case Both:
		return "both"
	}
	return "none"
}
