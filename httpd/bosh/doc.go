// Package bosh lets XMPP clients come by BOSH (XEP-0124, XEP-0206): mod_bosh. Its Handler
// makes of the requests of each client a stream (stanza.Transport) for whoever serves
// clients, which is c2s as a rule.
//
// A session lives in one process. It is bounded in all that a client can make grow: what
// was received and not yet read, what may be asked for again, requests that overtook
// others, and sessions of clients that have not logged in.
//
// There is no channel binding and no STARTTLS: TLS, if any, is that of HTTP. There is one
// stream to a session, and requests are not taken compressed.
package bosh
