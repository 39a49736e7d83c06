// Package xmppstream holds what the XMPP listeners over TCP share: the
// transport on a net.Conn, the bounded queue of outgoing stanzas, and the
// building and parsing of stream features and SASL elements.
package xmppstream
