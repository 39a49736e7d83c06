// Package roster keeps the contacts of users and the subscriptions between them
// (RFC 6121, sections 2 and 3).
//
// What the RFC leaves open is decided so:
//
//   - a subscription that was approved before (section 3.4) is used up by the
//     request that it lets through;
//   - the request of somebody who is no contact takes a place in the roster. Such
//     strangers have at most half of max_items. When that is full, or the roster,
//     a new request, or contact, displaces one that nobody has answered: of the
//     domain that has made most of them the oldest one, of which nobody is told.
//     One for which there is no place even so is denied;
//   - a resource that comes is told of 100 requests at most: of the domains that
//     have made the fewest, the newest;
//   - a request is kept with what it contains up to 4096 bytes, and without its
//     payload if it is longer. The first one counts until it is answered;
//   - removing a contact also denies its request and takes back one's own;
//   - a contact that is written with a resource stays so, but subscriptions are
//     between bare addresses;
//   - a client whose version of the roster is known gets single changes only if
//     nothing was removed since, because nothing is remembered of what was.
//
// Names and groups are one line of text each. Control characters, the separators
// of lines and paragraphs, and the characters that change the direction of other
// text (U+202A to U+202E, U+2066 to U+2069) are refused: no name needs them, the
// FreeformClass of RFC 8264, on which nicknames (RFC 8266) are built, has none of
// them either, and with them a name that a contact suggests passes for another
// one.
package roster
