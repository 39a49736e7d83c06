package xmlstream

import "bytes"

// Event is what a Walker has come to.
type Event uint8

const (
	AtEnd   Event = iota // nothing is left
	AtStart              // a start tag: Walker.Start
	AtClose              // an end tag, also of an empty element
	AtText               // character data: Walker.Text
)

// Walker goes through an element that has been checked, tag by tag.
type Walker struct {
	// Start is the start tag at AtStart, until the next call of Next.
	Start Start
	// Text is the character data at AtText, decoded, until the next call of Next.
	// It never comes in two pieces.
	Text []byte

	c     checker
	b     []byte
	i     int
	close bool // the tag at AtStart was an empty element
}

// Walk returns a Walker before the start tag of e. It is valid as long as e is.
func (e *Element) Walk() *Walker {
	w := &Walker{b: e.Raw}
	w.c.outer = e.outer
	w.c.lim = Limits{Attrs: len(e.Raw)}
	return w
}

// Next goes to the next tag or text and says what it is.
func (w *Walker) Next() Event {
	switch {
	case w.close:
		w.close = false
		w.c.closed(w.i)
		return AtClose
	case w.i == len(w.b):
		return AtEnd
	case w.b[w.i] != '<' || bytes.HasPrefix(w.b[w.i:], cdataStart):
		return w.text()
	case w.b[w.i+1] == '/':
		w.c.closed(w.i)
		w.i += bytes.IndexByte(w.b[w.i:], '>') + 1
		return AtClose
	}
	before := len(w.c.decls)
	w.i = w.c.tag(w.b, w.i)
	w.c.names(w.b)
	t := tag{w.c.tagName, w.c.attrs, len(w.c.decls) - before}
	w.c.fillStart(w.b, &t, &w.Start)
	w.c.open = append(w.c.open, open{w.c.tagName.span, int32(before)})
	w.close = w.c.tagEmpty
	return AtStart
}

// text takes the character data up to the next tag.
func (w *Walker) text() Event {
	from := w.i
	for w.b[w.i] != '<' || bytes.HasPrefix(w.b[w.i:], cdataStart) {
		if w.b[w.i] == '<' {
			w.i += bytes.Index(w.b[w.i:], cdataEnd) + len(cdataEnd)
		} else {
			w.i += bytes.IndexByte(w.b[w.i:], '<')
		}
	}
	w.Text = AppendText(w.Text[:0], w.b[from:w.i])
	return AtText
}
