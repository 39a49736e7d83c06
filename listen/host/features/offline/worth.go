package offline

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Namespaces of what messages carry.
const (
	nsChatStates = "http://jabber.org/protocol/chatstates" // XEP-0085
	nsEvent      = "jabber:x:event"                        // XEP-0022
	nsHints      = "urn:xmpp:hints"                        // XEP-0334
	nsStanzaID   = "urn:xmpp:sid:0"                        // XEP-0359
)

// verdict is what becomes of a message for an account that is not there.
type verdict uint8

const (
	drop   verdict = iota // nobody misses it
	refuse                // the sender has to know
	keep
)

// judge decides about a message by XEP-0160, section 3, the hints of XEP-0334
// and the options. The error says that s is not well-formed.
//
// A message with a body that must not be stored (no-store) is refused: RFC
// 6121, section 8.5.2.2.1, knows no silence about chat and normal messages.
// The hint store overrides what the message lacks, but does not make groupchat
// be kept: a room learns by the error that its occupant has gone.
func (o *Options) judge(s *stanza.Stanza) (verdict, error) {
	switch {
	case s.Kind != stanza.Message || s.Type == stanza.TypeError:
		return drop, nil
	case s.Type == stanza.TypeGroupchat && !o.StoreGroupchat:
		return refuse, nil
	case s.Type != stanza.TypeHeadline && isBody(s.Child) && !strings.Contains(s.Inner, "stor"):
		return keep, nil // the usual message; no element can be a hint about storage
	}
	e, err := stanza.ParseElement(string(s.AppendTo(nil, stanza.NSClient)))
	if err != nil {
		return drop, err
	}
	c := contentOf(e)
	switch {
	case c.store:
		return keep, nil
	case c.noStore && c.body:
		return refuse, nil
	case c.noStore, s.Type == stanza.TypeHeadline:
		return drop, nil
	case c.body, o.StoreEmptyBody == "true", o.StoreEmptyBody == unlessChatState && c.more:
		return keep, nil
	}
	return drop, nil
}

func isBody(n stanza.Name) bool { return n == stanza.Name{Space: stanza.NSClient, Local: "body"} }

// content is what judge needs to know of the children of a message.
type content struct {
	body           bool
	more           bool // than a chat state and what goes with it
	store, noStore bool // hints
}

func contentOf(message *stanza.Element) (c content) {
	for _, e := range message.Children {
		switch e.Name.Space {
		case nsHints:
			switch e.Name.Local {
			case "store":
				c.store = true
			case "no-store", "no-storage": // the XEP had both names
				c.noStore = true
			}
		case nsChatStates, stanza.NSDelay, nsEvent, nsStanzaID:
		case stanza.NSClient:
			c.body = c.body || e.Name.Local == "body"
			c.more = c.more || e.Name.Local != "thread"
		default:
			c.more = true
		}
	}
	return c
}
