// Package blocking lets accounts block others (XEP-0191, version 1.3).
//
// It keeps the lists and tells the router of them; refusing what comes from a
// blocked address and what goes to one is the router's.
package blocking

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// NS is the namespace of the requests, whose elements are blocklist, block and
// unblock, and the feature that service discovery lists for the server.
const NS = "urn:xmpp:blocking"

// NSErrors is the namespace of the application-specific error condition.
const NSErrors = "urn:xmpp:blocking:errors"

// Refusal returns the error for a user who sends to an address that he blocks.
// See XEP-0191, section 3.3.
func Refusal() *stanza.Error {
	return &stanza.Error{Type: stanza.Cancel, Condition: stanza.NotAcceptable, App: "<blocked xmlns='" + NSErrors + "'/>"}
}
