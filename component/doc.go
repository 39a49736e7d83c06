// Package component is the listener for external components: programs that are a
// domain of their own beside the server's, such as gateways to other networks, chat
// rooms and bots. They connect to the server, show that they know a secret, and from
// then on get all stanzas for their domain and send stanzas from any address in it.
//
// A program hands it sockets and a Host, whose router takes the stanzas:
//
//	server := component.New(component.Host{Router: router})
//	o := component.Defaults()
//	o.Hosts = map[string]component.HostOptions{"bot.example.org": {Password: secret}}
//	err := server.Listen(ctx, ln, o)
//
// *host.Local of listen/host is such a router.
//
// # Writing a component
//
// The protocol is XEP-0114 (jabber:component:accept). A component opens a TCP
// connection and sends a stream header whose to is its own domain:
//
//	<stream:stream xmlns='jabber:component:accept'
//	    xmlns:stream='http://etherx.jabber.org/streams' to='bot.example.org'>
//
// It takes the id from the header that comes back, and sends
// <handshake>…</handshake> with the SHA-1 of that id followed by the secret, as
// lower-case hexadecimal digits. An empty <handshake/> is the answer, and then
// stanzas go both ways. What a component sends has a from and a to. It answers
// requests (iq) that it does not know with an error, like everybody; nobody stores
// messages or knows of presence for it. There are libraries for it in most languages;
// examples/component-echo is a whole component.
//
// A component that does not prove who it is hears not-authorized, after a pause of
// half a second to a second, and the log says why: the domain is none of Hosts, it
// has no password, or the secret is wrong. The component cannot tell these apart.
//
// The handshake shows the secret to nobody, but all else goes in the clear: where
// the connection leaves the machine, use TLS (tls: true) or the second protocol.
//
// # XEP-0225
//
// A stream that begins with a header in jabber:client with version 1.0, as a client
// would send it to the server, and with from for the domain of the component, goes by
// XEP-0225 instead: on the same port and with the same secrets. The component logs in
// with SASL, its domain being the user name: SCRAM-SHA-1, -256 and -512, bound to the
// channel (-PLUS) where there is TLS; PLAIN where there is TLS or the socket is a unix
// socket; EXTERNAL with a certificate for the domain, where Options.TLS asks for
// certificates and names the CAs (ClientCAs; those of the system would let everybody
// in who has a certificate). It then binds its hostnames, one or up to a thousand of
// them, and gives them back when it likes:
//
//	<iq type='set' id='1'>
//	  <bind xmlns='urn:xmpp:component:0'><hostname>bot.example.org</hostname></bind>
//	</iq>
//
// Without <hostname/> it gets the domain of its login. It may bind each domain for
// which it might have logged in with the same password or certificate. Errors are
// bad-request for what is no domain, not-allowed for a domain that it may not have and
// for a name with a resource, conflict, resource-constraint, and item-not-found for a
// name to give back that is not bound.
// Stanzas are in jabber:client, and have a from and a to as in XEP-0114. STARTTLS is
// not there: TLS begins with the first byte.
//
// # Several components for one domain
//
// With the policy Share (Options.Conflict) several streams may serve one domain, for
// more speed or so that one can be replaced while the domain stays. Each sender, by
// his bare address, is served by one of them, always the same while it is there. When
// another one comes or goes, no more senders change than have to.
//
// What one sender sends stays in order: who takes him over gets the first stanza when
// the one before has been sent all that was queued for it. A component that goes
// leaves what it was not sent to the others. With nobody left, it is returned to the
// senders (recipient-unavailable), and so is what may have been lost on its way:
// nothing is sent to two components. There are no acknowledgements in these
// protocols, though, so what the system has taken counts as sent.
//
// # In whose name a component sends
//
// WARNING: with check_from: false a component may send from any address: as any user
// of this server to any other, or as another server. No feature of the server can tell
// such stanzas from genuine ones. Whoever knows the secret of such a listener is
// trusted with all accounts, so give it a port of its own, on the loopback interface or
// a unix socket, with hosts and a password that nothing else has. With check_from,
// which is the default, a component of hosts can still send from all other domains of
// hosts that have its secret: give components that do not trust one another secrets of
// their own.
//
// In the same way global_routes, which is the default, too, gives the stanzas for all
// of hosts that have one secret to each component that connects there with it,
// whichever domain it named. That is meant for one component with many domains. Two
// different components with one secret would each get a share of what is for the
// other.
//
// # Transports for jabberd14 and WPJabber
//
// Transports from the time of jabberd 1.4 were loaded into the server, and left two
// things to it: it wrote their log, and it kept their data (XDB). This server has
// neither: a transport that sends it <log/> or <xdb/> elements, or stanzas addressed
// to such a service, loses its stream or gets errors. As a process of its own it has
// to do both by itself, with sections in its own configuration, here for a transport
// that is started by jabberd's program with -s for the directory of its data:
//
//	<log id='quaylog'>
//	  <host/>                      <!-- of all hosts -->
//	  <logtype/>                   <!-- and of all kinds -->
//	  <format>%d %t %h %s</format> <!-- date, kind, host, text -->
//	  <file>/var/log/transports/quay.log</file>
//	</log>
//
//	<xdb id='quayxdb'>
//	  <host/>
//	  <load>
//	    <xdb_file>/usr/local/lib/jabber/xdb_file.so</xdb_file>
//	  </load>
//	  <xdb_file xmlns='jabber:config:xdb_file'>
//	    <spool><jabberd:cmdline flag='s'>/var/lib/transports/quay</jabberd:cmdline></spool>
//	  </xdb_file>
//	</xdb>
//
// and, for the connection to this server, an <accept/> or <connect/> section of its own
// with the address of the listener and the secret.
package component
