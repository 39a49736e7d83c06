// Package stanza is the vocabulary that the XMPP listeners and their hosts
// share: addresses, stanzas, errors, the sink that takes what is delivered to
// a session, and the transport that carries a stream.
//
// A Stanza is a parsed header plus its payload exactly as it came in. The
// payload was checked once, by the tokeniser at the edge, and is never parsed
// again on its way from one socket to another. Stanzas are immutable: whoever
// wants another one makes a copy with one of the With methods, which share the
// payload.
package stanza
