package stanza

import (
	"fmt"
	"iter"
	"strings"
	"time"
)

// NSDelay is the namespace of the element that says how long a stanza was on
// its way.
// See XEP-0203.
const NSDelay = "urn:xmpp:delay"

// WithDelay returns a copy whose last child is a delay (XEP-0203): the server of
// the recipient, the domain of To, has had the stanza since that time. A delay
// that this server has put there before stays, and no other is added (Delayed);
// those that came with the stanza in its name are removed, because they are
// forged. The error is for a stanza that breaks the promise of Inner.
func (s *Stanza) WithDelay(since time.Time) (*Stanza, error) {
	c := *s
	if s.Delayed {
		return &c, nil
	}
	c.Delayed = true
	rest, err := s.withoutDelay()
	if err != nil {
		return nil, err
	}
	removed := len(rest) != len(s.Inner)
	c.Inner = appendDelay(rest, s.To.Domain(), since)
	if removed || c.Child.Local == "" {
		err = c.findChild()
	}
	return &c, err
}

// WithoutForgedDelay returns a copy without the delays (XEP-0203) in the name of
// the recipient's server, the domain of To, or s itself where there are none or
// that server has put them there (Delayed). It is quick where nothing is called
// delay. The error is for a stanza that breaks the promise of Inner.
func (s *Stanza) WithoutForgedDelay() (*Stanza, error) {
	if s.Delayed {
		return s, nil
	}
	rest, err := s.withoutDelay()
	if err != nil || len(rest) == len(s.Inner) {
		return s, err
	}
	c := *s
	c.Inner = rest
	return &c, c.findChild()
}

// findChild sets Child after Inner has changed.
func (s *Stanza) findChild() error {
	first, err := s.Payload()
	if err != nil {
		return err
	}
	s.Child = Name{}
	if first != nil {
		s.Child = first.Name
	}
	return nil
}

// appendDelay returns inner and a delay of a domain.
func appendDelay(inner, domain string, since time.Time) string {
	b := make([]byte, 0, len(inner)+len(domain)+80)
	b = append(b, inner...)
	b = append(b, "<delay xmlns='"+NSDelay+"' from='"...)
	b = AppendEscaped(b, domain)
	b = append(b, "' stamp='"...)
	b = since.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	return string(append(b, "'/>"...))
}

// withoutDelay returns the payload without the delays in the name of the
// recipient's server.
func (s *Stanza) withoutDelay() (string, error) {
	if !strings.Contains(s.Inner, "delay") { // a name cannot be written otherwise
		return s.Inner, nil
	}
	var rest strings.Builder
	done := 0
	for from, to := range children(s.Inner) {
		child := s.Inner[from:to]
		if !strings.Contains(child, "delay") {
			continue
		}
		e, err := (&Stanza{Kind: s.Kind, Attrs: s.Attrs, Inner: child}).Payload()
		switch {
		case err != nil:
			return "", fmt.Errorf("payload: %w", err)
		case e.Name == Name{NSDelay, "delay"} && isDomain(e.Attr("from"), s.To):
			rest.WriteString(s.Inner[done:from])
			done = to
		}
	}
	if done == 0 {
		return s.Inner, nil
	}
	rest.WriteString(s.Inner[done:])
	return rest.String(), nil
}

// isDomain reports whether an address is that of the domain of j.
func isDomain(addr string, j JID) bool {
	a, err := ParseJID(addr)
	return err == nil && a == j.DomainOnly()
}

// children yields where the elements of a payload begin and end, but not those
// within them.
func children(inner string) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		from, depth := 0, 0
		for i := 0; ; {
			next := strings.IndexByte(inner[i:], '<')
			if next < 0 {
				return
			}
			i += next
			if strings.HasPrefix(inner[i:], "<![CDATA[") {
				i += strings.Index(inner[i:], "]]>") + len("]]>")
				continue
			}
			if depth == 0 {
				from = i
			}
			closes := inner[i+1] == '/'
			i = tagEnd(inner, i)
			switch {
			case closes:
				depth--
			case inner[i-2] != '/':
				depth++
			}
			if depth == 0 && !yield(from, i) {
				return
			}
		}
	}
}

// tagEnd returns where a tag ends that begins at i.
func tagEnd(xml string, i int) int {
	for ; ; i++ {
		switch c := xml[i]; c {
		case '>':
			return i + 1
		case '\'', '"': // in a value '>' is a character as any other
			i += 1 + strings.IndexByte(xml[i+1:], c)
		}
	}
}
