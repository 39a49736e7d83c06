// Package shaper limits how fast peers are read: ejabberd's options shaper and
// shaper_rules, and the token bucket that they set.
//
// A [Rule] picks a [Rate] for a subject, from the tables of a [Set] to which a
// [Ref] points, as in package acl. A [Conn] is a connection that is read at
// that rate; a [Bucket] is the same for datagrams.
package shaper
