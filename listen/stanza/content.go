package stanza

import "strings"

// Recontent returns s for a stream with another content namespace: children that
// are in the namespace from by a declaration of their own, such as
// <body xmlns='jabber:client'>, are in the namespace to in what it returns.
// Children without a declaration are in that of the stream anyway; what lies
// deeper, such as a forwarded message (XEP-0297), stays as it is. It is s itself,
// and quick, where there is nothing to change.
func (s *Stanza) Recontent(from, to string) *Stanza {
	if !strings.Contains(s.Inner, from) {
		return s
	}
	var b strings.Builder
	done := 0
	for begin, end := range children(s.Inner) {
		at := ownDeclaration(s.Inner[begin:end], from)
		if at < 0 {
			continue
		}
		b.WriteString(s.Inner[done : begin+at])
		b.WriteString(to)
		done = begin + at + len(from)
	}
	if done == 0 {
		return s
	}
	b.WriteString(s.Inner[done:])
	c := *s
	c.Inner = b.String()
	return &c
}

// ownDeclaration returns where in the start tag of an element the namespace
// stands that puts the element into it; -1 if the element is in another one, or
// in this one by a declaration further out.
func ownDeclaration(element, space string) int {
	tag := element[:tagEnd(element, 0)]
	name := tag[1:]
	if i := strings.IndexAny(name, " \t\r\n/>"); i >= 0 {
		name = name[:i]
	}
	want := "xmlns"
	if prefix, _, ok := strings.Cut(name, ":"); ok {
		want += ":" + prefix
	}
	for i := 1 + len(name); ; {
		n := strings.IndexByte(tag[i:], '=')
		if n < 0 {
			return -1
		}
		attr := strings.Trim(tag[i:i+n], " \t\r\n")
		i += n
		i += strings.IndexAny(tag[i:], `'"`)
		value := tag[i+1:]
		value = value[:strings.IndexByte(value, tag[i])]
		if attr == want {
			if value == space {
				return i + 1
			}
			return -1
		}
		i += len(value) + 2
	}
}
