// Package sasl is the server's side of the SASL mechanisms that XMPP uses:
// SCRAM-SHA-1, -256 and -512 with and without channel binding, PLAIN, OAUTHBEARER,
// X-OAUTH2, EXTERNAL and ANONYMOUS.
//
// A Config says what one stream can do. Offer lists the mechanisms to
// advertise, New begins an Exchange with the one that the client chose. The
// framing (base64, XML) belongs to the caller.
package sasl
