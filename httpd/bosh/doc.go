// Package bosh lets XMPP clients come by BOSH (XEP-0124, XEP-0206): mod_bosh. Its Handler
// makes of the requests of each client a stream (stanza.Transport) for whoever serves
// clients, which is c2s as a rule.
//
// A session lives in one process. It is bounded in all that a client can make grow: what
// was received and not yet read, what may be asked for again, requests that overtook
// others, and sessions of clients that have not logged in.
//
// With the option prebind a session begins as that of an anonymous user who has logged in:
// the creation answer has no features, and names the client's address in an attribute jid
// of its body, which is an extension of ours. ejabberd tells the address only by the to of
// stanzas. The client goes on with presence. c2s sees a client like any other, so its
// access rules and its time limit hold. Until the client has made its next request the
// session counts as one without a login. Where the virtual host has no anonymous users
// (auth_method) creation fails with internal-server-error, and the log says why.
//
// There is no channel binding and no STARTTLS: TLS, if any, is that of HTTP. There is one
// stream to a session, and requests are not taken compressed.
package bosh
