// Package s2s connects a server to others: it runs the streams that other servers
// open (RFC 6120), and opens those by which stanzas go to other domains.
//
// A program hands it sockets and a Host, which knows the domains that are served
// here and takes the stanzas that come in:
//
//	server := s2s.New(s2s.Host{Domains: domains, Router: router})
//	go server.Listen(ctx, ln, s2s.Defaults())
//	err := server.Route(ctx, st) // for a domain of another server
//
// # Who a server is
//
// A stanza is taken only if the server at the other end has proved that it speaks
// for the domain of its sender, to the domain of its recipient: the two are a pair,
// and a stream may have several. There are three ways to prove one:
//
//   - SASL EXTERNAL (RFC 6120, section 13.7, and XEP-0178): the certificate that the
//     server shows in TLS is for its domain, and a CA of Options.TLS vouches for it.
//   - Dialback (XEP-0220): the server shows a key, and the one that the DNS names for
//     its domain says that it has made it. That is as good as the DNS. Who may is up
//     to Settings.DialbackAccess.
//   - Dialback without a question (XEP-0344): a key is shown, but the certificate
//     proves the domain already.
//
// With Settings.UseStartTLS at TLSRequiredTrusted only certificates count, and a
// server whose certificate proves nothing is told why and loses its stream.
//
// Servers from before XMPP 1.0, which send no version, may use dialback where TLS
// is not required, also without naming domains in the header of their stream.
//
// # Who may connect
//
// Settings.Access (s2s_access) is asked for each pair when it is proved, and for each
// stanza in either direction: a change applies to the streams that are there. Where
// ejabberd lets a denied server authenticate and then ends its stream at the first
// stanza, this package says at once that the two domains may not talk: by a stream
// error policy-violation after SASL, by an error of that condition for a key.
//
// # What a stream costs
//
// Everything that a server can make us do before it has proved a domain is bounded:
// the time, the size of elements, the keys to check at once (of a stream, an address
// and a listener), the answers to ask for. So are the streams of an address and the
// pairs of a stream. A stream on which nothing passes ends after Settings.Timeout, or
// up to a 64th of it later.
//
// # Stream management and both directions
//
// Streams are managed (XEP-0198) if the other server wants it, without resumption: it
// hears that a stanza was handled when that is safe, see stanza.Receipt. A stream that
// another server has opened is used for stanzas to it, too, if both want that
// (XEP-0288): for all pairs that are proved on it, unless there is a stream of our
// own.
package s2s
