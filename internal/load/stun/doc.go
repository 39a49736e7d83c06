// Package stun puts load on a server of STUN (RFC 8489) and TURN (RFC 8656) and
// checks what it does with it: every answer, every byte that is relayed, and whom
// it comes from.
//
// It knows nothing of the server. It is made to be cheap, because it shares the
// machine with the server: datagrams go in batches, from one thread, which needs
// Linux; everything else works on every system. It speaks IPv4 to the server, with
// no address translation between them, and uses the long-term credential mechanism
// with MD5 and SHA-1.
//
// Each workload is a struct of its parameters with a method Run, which returns a
// meter.Result. Everything is bounded: what is under way in number, runs in time.
package stun
