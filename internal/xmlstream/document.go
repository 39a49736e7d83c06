package xmlstream

// ParseElement checks a text that is one element with nothing but white space
// around it, as if it came by a stream whose default namespace is space. The
// result points into doc.
func ParseElement(doc []byte, space string, l Limits) (*Element, error) {
	return new(Parser).Parse(doc, space, l)
}

// Parser is ParseElement for many texts, one after the other: it keeps its memory. The
// zero value is ready for use.
type Parser struct {
	w     window
	space string // what outer is made of
	outer []Decl
}

// Parse is ParseElement. The result is valid until the next call.
func (p *Parser) Parse(doc []byte, space string, l Limits) (*Element, error) {
	w := &p.w
	if p.space != space {
		p.space, p.outer = space, nil
		if space != "" {
			p.outer = []Decl{{URI: []byte(space)}}
		}
	}
	w.outer, w.lim = p.outer, l.withDefaults()
	w.reset()
	from := skipSpace(doc, 0)
	b := doc[from:]
	n := more
	switch {
	case len(b) == 0:
	case b[0] != '<':
		n = w.between(b)
	default:
		n = w.element(b[:min(len(b), w.lim.Bytes)], true)
	}
	switch {
	case n == more && len(b) >= w.lim.Bytes:
		w.fail(TooLarge, w.lim.Bytes, "more bytes than allowed")
	case n == more:
		w.fail(NotWellFormed, len(b), "element is not complete")
	case n > 0 && skipSpace(b, n) != len(b):
		w.fail(NotWellFormed, n, "more than one element")
	case n > 0:
		w.fillElement(b[:n:n], &w.el)
		return &w.el, nil
	}
	err := w.err
	err.Offset += int64(from)
	return nil, &err
}
