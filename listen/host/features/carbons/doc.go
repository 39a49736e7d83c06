// Package carbons gives each of a user's clients the whole conversation: copies
// of what the others send and receive (XEP-0280, version 1.0.1).
package carbons

// NS is the namespace of the requests, whose elements are enable and disable,
// and a feature that service discovery lists.
const NS = "urn:xmpp:carbons:2"

// NSRules is the feature that promises the rules of section 6.1.
const NSRules = "urn:xmpp:carbons:rules:0"
