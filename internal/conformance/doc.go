// Package conformance holds tests of the whole server against the standards for
// XMPP messengers, for servers among one another and for components: RFC 6120,
// RFC 6121 and the extensions that belong to them. There is no code to call.
//
// The tests see what clients, other servers and components see: the server, or
// several of them with a network between them, runs in memory, in a bubble of
// testing/synctest, and each test is a script that says what the peers send and
// everything that each of them gets for it. Where a standard leaves freedom the
// script accepts what is allowed. The name of a test begins with the section of
// the standard that it is about.
package conformance
