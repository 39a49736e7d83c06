// Package entitytime tells the time of the server (XEP-0202).
package entitytime

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NS is the namespace of the request, whose element is time, and the feature
// that service discovery lists.
const NS = "urn:xmpp:time"

// Handler answers for the server.
type Handler struct{}

// HandleIQ answers with the time in UTC and the offset of the server's time
// zone.
// See XEP-0202, section 3.
func (Handler) HandleIQ(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	if iq.Type != stanza.TypeGet {
		return nil, &stanza.Error{Condition: stanza.NotAllowed}
	}
	now := time.Now()
	return iq.Result("<time xmlns='" + NS + "'>" +
		"<tzo>" + now.Format("-07:00") + "</tzo>" +
		"<utc>" + now.UTC().Format("2006-01-02T15:04:05Z") + "</utc></time>"), nil
}
