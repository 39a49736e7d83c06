package stanzaid

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/rawxml"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// removeForged removes the ids in the name of accounts of the recipient's domain
// from a message that nobody else has yet. After an error it is unchanged.
func removeForged(m *stanza.Stanza) error {
	var first stanza.Name // of the children that stay
	forged, err := rawxml.Find(m, 1, func(child *xmlstream.Start) bool {
		if isForged(child, m.To) {
			return true
		}
		if first == (stanza.Name{}) {
			first = stanza.Name{Space: string(child.Name.Space), Local: string(child.Name.Local)}
		}
		return false
	})
	if err != nil || len(forged) == 0 {
		return err
	}
	var rest strings.Builder
	done := 0
	for _, e := range forged {
		rest.WriteString(m.Inner[done:e.From])
		done = e.End
	}
	rest.WriteString(m.Inner[done:])
	m.Inner, m.Child = rest.String(), first
	return nil
}

// isForged reports whether a child is an id that only this server may assign.
func isForged(child *xmlstream.Start, to stanza.JID) bool {
	if !child.Name.Is(NS, "stanza-id") {
		return false
	}
	text, _ := child.Attr("", "by")
	by, err := stanza.ParseJID(string(text))
	return err == nil && by.Local() != "" && by.Domain() == to.Domain()
}
