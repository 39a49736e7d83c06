package carbons

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// The namespaces that decide about a message.
const (
	nsHints      = "urn:xmpp:hints"                        // XEP-0334
	nsReceipts   = "urn:xmpp:receipts"                     // XEP-0184
	nsStates     = "http://jabber.org/protocol/chatstates" // XEP-0085
	nsMarkers    = "urn:xmpp:chat-markers:0"               // XEP-0333
	nsConference = "jabber:x:conference"                   // XEP-0249
	nsRoom       = "http://jabber.org/protocol/muc#user"   // XEP-0045
)

// Eligible reports whether the other resources of the account that sent s get
// copies of it; for the account that receives it ask EligibleReceived. It is fast
// for messages of type chat.
//
// No error is known to answer an eligible message: one counts as such if it has
// the payload of one.
// See XEP-0280, sections 6.1 and 9.
func Eligible(s *stanza.Stanza) bool {
	if s.Kind != stanza.Message || s.Type == stanza.TypeGroupchat || IsCopy(s) {
		return false
	}
	if s.Type == stanza.TypeChat && !mentions(s, "private", "no-copy") {
		return true // the names of elements have no other spelling
	}
	if !mentions(s, "body", nsReceipts, nsStates, nsMarkers, nsConference, nsRoom, "private", "no-copy", "&#") {
		return false
	}
	p := payloadOf(s)
	switch {
	case p.private:
		return false
	case s.Type == stanza.TypeChat:
		return true
	case s.Type == stanza.TypeHeadline:
		return p.sign
	}
	return p.sign || p.body
}

// EligibleReceived reports whether the other resources of the account that
// receives s get copies of it. Other than for Eligible, what an occupant of a
// room says in private is not, because the room itself sends it to each client
// that has joined; and an error from an account is: most servers leave out what
// it answers.
// See XEP-0280, sections 6.1 and 9.
func EligibleReceived(s *stanza.Stanza) bool {
	if s.Kind == stanza.Message && s.From.IsFull() && mentions(s, nsRoom, "&#") {
		if p := payloadOf(s); p.room && !p.invitation {
			return false
		}
	}
	return Eligible(s) ||
		s.Kind == stanza.Message && s.Type == stanza.TypeError && s.From.Local() != "" && s.From.IsBare() && !payloadOf(s).private
}

// mentions reports whether one of the words stands anywhere in the payload.
func mentions(s *stanza.Stanza, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s.Inner, w) || strings.Contains(s.Attrs, w) {
			return true
		}
	}
	return false
}

// payload is what the children of a message say about copies.
type payload struct {
	private    bool // no copies
	body       bool
	sign       bool // of a conversation: a receipt, a state, an invitation
	room       bool // from or to an occupant of a room
	invitation bool // to a room
}

// payloadOf looks at the children of a message and theirs.
func payloadOf(s *stanza.Stanza) (p payload) {
	e, err := xmlstream.ParseElement(s.AppendTo(nil, stanza.NSClient), "", xmlstream.Limits{
		Bytes: 1 << 30, Elements: 1 << 30, Depth: 1000, Attrs: 1000, // it was checked when it came
	})
	if err != nil {
		return payload{private: true}
	}
	w := e.Walk()
	inRoom := false
	for depth := 0; ; {
		switch w.Next() {
		case xmlstream.AtStart:
			switch depth++; {
			case depth == 2:
				inRoom = w.Start.Name.Is(nsRoom, "x")
				p.child(w.Start.Name)
			case depth == 3 && inRoom && w.Start.Name.Is(nsRoom, "invite"):
				p.invitation, p.sign = true, true
			}
		case xmlstream.AtClose:
			depth--
		case xmlstream.AtEnd:
			return p
		}
	}
}

// child takes a child of a message into account.
func (p *payload) child(n xmlstream.Name) {
	switch string(n.Space) {
	case NS:
		p.private = p.private || string(n.Local) == "private"
	case nsHints:
		p.private = p.private || string(n.Local) == "no-copy"
	case stanza.NSClient:
		p.body = p.body || string(n.Local) == "body"
	case nsReceipts, nsStates, nsMarkers:
		p.sign = true
	case nsConference:
		p.sign = p.sign || string(n.Local) == "x"
	case nsRoom:
		p.room = p.room || string(n.Local) == "x"
	}
}
