// Package xmppstream holds what the XMPP listeners over TCP share: the
// transport on a net.Conn, the bounded queue of outgoing stanzas with the
// acknowledgements of stream management (XEP-0198), and the building and parsing
// of stream features and of SASL and stream management elements.
package xmppstream
