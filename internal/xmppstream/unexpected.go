package xmppstream

import (
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// IsWrongStanza reports whether an error of Transport.Read concerns a single stanza,
// which came with it: the stream itself is in order.
func IsWrongStanza(in stanza.Incoming, err error) bool {
	var e *stanza.Error
	return in.Stanza != nil && errors.As(err, &e)
}

// Unsupported is the end of a stream on which an element came that is none of ours.
// A peer, which is called by what it is, may also report an error of its own: that
// is not answered with another one.
// See RFC 6120, section 4.9.1.1.
func Unsupported(e *stanza.Element, peer string) error {
	if e.Name == (stanza.Name{Space: stanza.NSStream, Local: "error"}) {
		condition := "without condition"
		if len(e.Children) > 0 {
			condition = Clip(e.Children[0].Name.Local)
		}
		return fmt.Errorf("%s reports the stream error %q", peer, condition)
	}
	return &stanza.StreamError{Condition: stanza.StreamUnsupportedStanzaType, Text: "unknown element " + Clip(e.Name.Local)}
}

// Clip keeps what a peer sent from filling an error text.
func Clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
