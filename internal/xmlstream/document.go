package xmlstream

// ParseElement checks a text that is one element with nothing but white space
// around it, as if it came by a stream whose default namespace is space. The
// result points into doc.
func ParseElement(doc []byte, space string, l Limits) (*Element, error) {
	w := &window{}
	if space != "" {
		w.outer = []Decl{{URI: []byte(space)}}
	}
	w.lim = l.withDefaults()
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
