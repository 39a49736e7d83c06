// Package xmppstream holds what the XMPP listeners over TCP share: the
// transport on a net.Conn, the bounded queue of outgoing stanzas with the
// acknowledgements of stream management (XEP-0198), the list of the streams that
// are told when their listener ends, and the building, parsing and checking of
// stream headers and features and of SASL and stream management elements.
package xmppstream
