// Package c2s is the listener for XMPP clients: it runs their streams
// (RFC 6120) from the first byte to the last, on TCP with STARTTLS, on
// connections that are TLS from the start (XEP-0368), and on any other
// stanza.Transport such as WebSocket (RFC 7395) and BOSH (XEP-0206).
//
// A program hands it sockets and a Host, which knows the virtual hosts and the
// accounts and takes the stanzas:
//
//	server := c2s.New(c2s.Host{Domains: domains, Router: router, SCRAM: accounts})
//	err := server.Listen(ctx, ln, c2s.Defaults())
//
// The module checks the stream headers, negotiates TLS, SASL and the resource,
// and then checks each stanza, stamps its sender and gives it to the Router.
// What the Router delivers goes through a bounded queue; a client that does not
// read loses its session and nobody waits for it.
//
// # Stream management
//
// With Server.SetStreamManagement clients can have what they get acknowledged
// and resume sessions whose connection broke (XEP-0198). A session then outlives
// its connection: it stays bound, what is delivered to it waits, and the client
// takes it up on any listener of the same Server, whichever the transport. What
// a client has not acknowledged goes to SessionEvents.Keep when the connection
// breaks, and to SessionEvents.Ended when the session is over.
//
// A client hears that its stanza was handled when the Router, and the recipient
// that it was delivered to, say that it is safe: see stanza.Receipt. If that
// takes time and the client resumes meanwhile, it sends such stanzas again, and
// they are not handled twice.
//
// # Who a client is
//
// A stream belongs to the virtual host that its to attribute names, in all of
// its headers; a TLS client that has named another virtual host by SNI is
// refused. Users log in with SCRAM (also bound to the TLS channel), PLAIN,
// EXTERNAL, OAUTHBEARER (RFC 7628), X-OAUTH2 or ANONYMOUS, as far as the Host has a
// service for it. A client has a few attempts.
//
// # Client certificates
//
// WARNING: with Options.TLSVerify, and Host.Certificate, and a CA of one's own
// in TLS.ClientCAs (the option cafile), a client certificate WITHOUT an
// xmppAddr, or with one that is a virtual host's domain alone, lets its owner
// log in as ANY user of the virtual host that the client asks for: as with
// ejabberd, whoever gets a certificate from that CA is trusted with all
// accounts. A CA that is used for anything else, such as web servers, must not
// be named there. CertificateVerifier can refuse, and is asked each time.
//
// Where no CA is named the system's CAs verify clients. They certify everybody,
// so there only a certificate that names the user by xmppAddr counts.
package c2s
