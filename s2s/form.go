package s2s

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What goes out has to stay within what other servers take: they end a stream that
// many users share for a stanza of one of them that does not.
const (
	maxOutgoing = 524288 // bytes of a stanza
	maxAttrs    = 128    // attributes and declarations in its start tag
)

var (
	errTooBig       = &stanza.Error{Condition: stanza.PolicyViolation, Text: "the stanza is too big for other servers"}
	errTooManyAttrs = &stanza.Error{Condition: stanza.PolicyViolation, Text: "the stanza has too many attributes for other servers"}
)

// outgoing returns a stanza in the form for streams of servers, or why it has
// none.
func outgoing(st *stanza.Stanza) (*stanza.Stanza, *stanza.Error) {
	st = st.Recontent(stanza.NSClient, stanza.NSServer)
	// A character becomes six at most where it is escaped.
	escaped := len(st.ID) + len(st.Lang) + len(st.Type) + len(st.From.String()) + len(st.To.String())
	if n := st.Size(); n+5*escaped > maxOutgoing && (n > maxOutgoing || len(st.AppendTo(nil, "")) > maxOutgoing) {
		return st, errTooBig
	}
	const own, shortest = 5, len(" a=''")
	if len(st.Attrs) > (maxAttrs-own)*shortest && countAttrs(st.Attrs)+own > maxAttrs {
		return st, errTooManyAttrs
	}
	return st, nil
}

// countAttrs counts the attributes in the start tag of a stanza that are no fields
// of it.
func countAttrs(attrs string) (n int) {
	for {
		i := strings.IndexAny(attrs, `'"`)
		if i < 0 {
			return n
		}
		end := strings.IndexByte(attrs[i+1:], attrs[i])
		if end < 0 {
			return n
		}
		n++
		attrs = attrs[i+1+end+1:]
	}
}
