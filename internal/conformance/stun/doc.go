// Package stunconformance holds tests of the STUN and TURN listener against its
// standards: RFC 8489 with RFC 5389 and RFC 3489 clients, RFC 8656 with RFC 5766
// and RFC 6156 clients, and RFC 6062. There is no code to call.
//
// The tests see what clients and peers see. They write and read the bytes of the
// wire with a codec of their own. Nearly all of them run in a bubble of
// testing/synctest, on a network in memory that has the server, its relays, the
// clients and the peers. The name of a row begins with the section of the standard
// that it is about; where a standard leaves freedom, a row accepts what is allowed.
package stunconformance
