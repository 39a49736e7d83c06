// Package conformance holds tests of the whole server against the standards for
// XMPP messengers: RFC 6121 and the extensions that the host comes with. There
// is no code to call.
//
// The tests see what clients see: the server runs in memory, in a bubble of
// testing/synctest, and each test is a script that says what clients send and
// everything that each of them gets for it. Where a standard leaves freedom the
// script accepts what is allowed. The name of a test begins with the section of
// the standard that it is about.
package conformance
