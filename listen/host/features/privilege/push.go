package privilege

import (
	"crypto/rand"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Push hears of a change of the roster of a user; query is the payload of a roster
// push, XML. It does not block.
// See section 4.4.
func (s *Service) Push(user stanza.JID, query string) {
	for _, component := range s.rights.Load().readers[user.Domain()] {
		err := s.config.Router.DeliverToDomain(component.Domain(), &stanza.Stanza{
			Kind: stanza.IQ, Type: stanza.TypeSet, ID: rand.Text(), From: user, To: component,
			Child: stanza.Name{Space: nsRoster, Local: "query"}, Inner: query,
		})
		if err != nil {
			s.log.Warn("component misses a change of a roster", "component", component, "user", user, "err", err)
		}
	}
}

const nsRoster = "jabber:iq:roster"
