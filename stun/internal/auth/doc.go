// Package auth is the server's side of the long-term credential mechanism (RFC 8489,
// section 9.2), with clients of RFC 5389 as well, and with time-limited user names.
//
// It offers the password algorithms SHA-256 and MD5. It does not offer anonymous user
// names: nothing finds an account by the hash of its name, so that bit of the nonce is
// never set, and a USERHASH all the same is answered like an unknown user, with 401.
//
// Names and realms are compared as they come. They are to be prepared with the profile
// OpaqueString (RFC 8265): by the client, who sends them, and by those who make the
// keys, which are hashes already when they come here.
//
// Nonces are stateless: a time and the client's port, signed together with the
// client's IP address by a secret of this process. What RFC 8489 forbids, one nonce for
// two addresses or ports, cannot happen, because both are in it. It is accepted from
// any port of that IP address: a NAT that moves the client to another one, or the data
// connection of RFC 6062, which has a port of its own, costs no extra round trip, and
// whoever can use the same IP address could ask for a nonce anyway. For a client whose
// IP address changed it is stale.
//
// Nonces are checked before accounts are asked, as in RFC 5389, so that senders of
// forged addresses cannot make the server look up accounts; RFC 8489 has the stale
// nonce last.
package auth
