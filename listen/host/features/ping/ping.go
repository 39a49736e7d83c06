// Package ping answers XMPP pings (XEP-0199).
package ping

import (
	"context"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NS is the namespace of the request, whose element is ping, and the feature
// that service discovery lists.
const NS = "urn:xmpp:ping"

// Handler answers for the server and for a user's own account.
type Handler struct{}

// HandleIQ answers with an empty result.
// See XEP-0199, section 4.2.
func (Handler) HandleIQ(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	if iq.Type != stanza.TypeGet {
		return nil, &stanza.Error{Condition: stanza.NotAllowed}
	}
	return iq.Result(""), nil
}
