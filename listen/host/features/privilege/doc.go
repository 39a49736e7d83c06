// Package privilege lets components do for the users of a virtual host what
// otherwise only they and the server can (XEP-0356, version 0.4.1), as an
// administrator has decided.
//
// What the XEP leaves open is decided so:
//
//   - a component that manages rosters does what the user could do: the options
//     of mod_roster hold, and of an item the name, the groups and the removal
//     count, not the subscription (RFC 6121, section 2.1.5);
//   - who may read rosters always gets the pushes;
//   - messages in the name of a user go to whom the user does not block, and the
//     resources of the user get carbon copies of them (XEP-0280);
//   - what only the server says to a user, copies of messages and requests to the
//     user's own resources, nobody else says in the user's name;
//   - a privileged request goes out under an id that the server has made; the
//     answer has the one that the component knows. An answer of type error comes
//     in an IQ of type error, which has the error as well. No answer within 30
//     seconds is remote-server-timeout;
//   - a contact is who the user is subscribed to. Of those at other servers a
//     component that connects hears from their next presence on, because this
//     server does not keep it;
//   - in a virtual host that grants a component nothing it hears nothing.
package privilege

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// NS is the namespace of the protocol.
const NS = "urn:xmpp:privilege:2"

// The elements.
var (
	element = stanza.Name{Space: NS, Local: "privilege"}
	request = stanza.Name{Space: NS, Local: "privileged_iq"}
)
