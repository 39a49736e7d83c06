package offline

import (
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/rawxml"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const nsDelay = "urn:xmpp:delay" // XEP-0203

// delayed returns a copy of a message with the mark that its recipient's server
// has kept it since now. Marks of that server that are there already are
// removed: they are forged. The error says that s is not well-formed.
// See XEP-0203, section 2.
func delayed(s *stanza.Stanza, now time.Time) (*stanza.Stanza, error) {
	c := *s
	var err error
	if strings.Contains(s.Inner, "delay") { // a name cannot be written otherwise
		if c.Inner, err = withoutDelay(s); err != nil {
			return nil, err
		}
	}
	b := make([]byte, 0, len(c.Inner)+len(s.To.Domain())+80)
	b = append(b, c.Inner...)
	b = append(b, "<delay xmlns='"+nsDelay+"' from='"...)
	b = stanza.AppendEscaped(b, s.To.Domain())
	b = append(b, "' stamp='"...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, "'/>"...)
	removed := len(c.Inner) != len(s.Inner)
	c.Inner = string(b)
	if removed || c.Child.Local == "" {
		first, err := c.Payload()
		if err != nil {
			return nil, err
		}
		c.Child = first.Name
	}
	return &c, nil
}

// withoutDelay returns the payload of s without the marks of the recipient's
// server.
func withoutDelay(s *stanza.Stanza) (string, error) {
	forged, err := rawxml.Find(s, 1, func(child *xmlstream.Start) bool {
		from, _ := child.Attr("", "from")
		return child.Name.Is(nsDelay, "delay") && isDomain(string(from), s.To)
	})
	if err != nil || len(forged) == 0 {
		return s.Inner, err
	}
	var b strings.Builder
	done := 0
	for _, e := range forged {
		b.WriteString(s.Inner[done:e.From])
		done = e.End
	}
	b.WriteString(s.Inner[done:])
	return b.String(), nil
}

// isDomain reports whether an address is that of the domain of j.
func isDomain(addr string, j stanza.JID) bool {
	a, err := stanza.ParseJID(addr)
	return err == nil && a == j.DomainOnly()
}
