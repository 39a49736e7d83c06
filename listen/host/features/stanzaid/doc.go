// Package stanzaid gives each message to an account an id that is unique and
// stable there, and removes forged ones (XEP-0359, version 0.7).
package stanzaid

// NS is the namespace of the element stanza-id and the feature that service
// discovery lists: it promises that forged ids are removed.
const NS = "urn:xmpp:sid:0"

// Options of stanza ids. ejabberd has none of its own.
type Options struct{}

// Defaults returns the options that configure nothing.
func Defaults() Options { return Options{} }
