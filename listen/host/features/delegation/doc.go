// Package delegation lets components answer requests in the place of this server
// (XEP-0355, version 0.5), as an administrator has decided (admin mode).
//
// What the XEP leaves open is decided so:
//
//   - of several components that may manage a namespace the one does that is
//     connected longest;
//   - a namespace that some component may manage is delegated even while none is
//     connected: requests get service-unavailable then, and no answer of the
//     server itself;
//   - requests to accounts that do not exist are delegated like others, so that
//     the answer does not tell who exists. It is for the component to be careful
//     there (section 10);
//   - an answer of type error that the component has forwarded goes to who has
//     asked, as other servers do it. An error of its own, and a bad answer, become
//     service-unavailable (section 4.3);
//   - no answer within 30 seconds becomes remote-server-timeout, and more
//     requests than there is place for resource-constraint;
//   - what comes from the domain of the managing component is never delegated to
//     it, whoever of its users it names (section 4.3.1).
package delegation

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// NS is the namespace of the protocol, and the feature that service discovery
// lists.
const NS = "urn:xmpp:delegation:2"

// Namespaces that stand for service discovery about nodes of accounts, and for
// its items: section 7.2.
const (
	NSNodes = NS + ":bare:disco#info:*"
	NSItems = NS + ":bare:disco#items:*"
)

// element is the name of the element of all stanzas between a server and a
// component.
var element = stanza.Name{Space: NS, Local: "delegation"}
