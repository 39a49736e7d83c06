package xmlstream

import "bytes"

// Results of the functions that check a piece of input: a positive number is the
// offset after it.
const (
	more = 0  // the window ends within the piece
	bad  = -1 // the piece breaks a rule: checker.err
)

var (
	cdataStart = []byte("<![CDATA[")
	cdataEnd   = []byte("]]>")
)

// span is a piece of the window: offsets count from the start of the element,
// which may move in memory while the rest of it arrives.
type span struct{ off, end int32 }

func (s span) of(b []byte) []byte { return b[s.off:s.end] }

// qname is a name as it stands in the window.
type qname struct {
	span
	colon int32 // offset of ':', 0 when there is none
}

func (q qname) prefix(b []byte) []byte {
	if q.colon == 0 {
		return nil
	}
	return b[q.off:q.colon]
}

func (q qname) local(b []byte) []byte {
	if q.colon == 0 {
		return b[q.off:q.end]
	}
	return b[q.colon+1 : q.end]
}

// attr is an attribute as it stands in the window.
type attr struct {
	name  qname
	value span
	plain bool // the value stands for itself: nothing in it to decode
	space ref  // namespace of the name, once its prefix was looked up
}

// open is an element whose end tag is still to come.
type open struct {
	name  span
	decls int32 // length of checker.decls before the element
}

// checker checks one element, or one stream header. It can stop at any byte and
// go on when there are more.
type checker struct {
	lim    Limits
	stream []byte // name of the stream's start tag, nil when there is none
	outer  []Decl // its declarations
	ended  bool   // its end tag has come

	pos     int  // of the next byte to check; everything before it is done
	cdata   bool // pos is within a CDATA section
	pending bool // pos is at a tag whose end has not arrived yet
	seen    int  // while pending: the end is searched up to here
	quote   byte // while pending: seen is within a value

	open     []open
	decls    []decl // in scope, innermost last
	tagName  qname  // of the tag at hand
	tagEmpty bool   // it is <name/>
	attrs    []attr // its attributes, declarations among them
	scratch  []byte // decoded values
	used     uint64 // which of outer are used
	elements int

	top      tag // the start tag of the element itself
	topEmpty bool
	children int   // how many children it has
	child    qname // the first of them
	childURI ref
	inner    span

	err     SyntaxError // Offset counts from the start of the window
	work    int         // bytes looked at and moved, for tests
	lookups int         // of prefixes, for tests
}

// tag is a start tag as it stands in the window.
type tag struct {
	name  qname
	attrs []attr
	decls int // the last this many of checker.decls are its own
}

// reset prepares for the next element.
func (c *checker) reset() {
	c.pos, c.cdata, c.pending, c.ended = 0, false, false, false
	c.open, c.decls, c.scratch = c.open[:0], c.decls[:0], c.scratch[:0]
	c.used, c.elements, c.children = 0, 0, 0
	c.child, c.childURI = qname{}, ref{}
}

// fail records a broken rule.
func (c *checker) fail(k Kind, at int, msg string) int {
	c.err = SyntaxError{Kind: k, Offset: int64(at), Msg: msg}
	return bad
}

// element checks the element at the start of the window b, from where the last
// call stopped; b may have grown meanwhile. It returns the length of the element
// once it is complete. final says that b will not grow any more.
func (c *checker) element(b []byte, final bool) int {
	i := c.pos
	for {
		if i = c.content(b, i); i < 0 {
			return bad
		}
		c.pos = i
		if len(b)-i < 2 || b[i] != '<' {
			return more
		}
		n := c.markup(b, i, final)
		if n <= 0 {
			return n
		}
		i = n
		if len(c.open) == 0 {
			return i
		}
	}
}

// markup checks what begins with the '<' at b[i].
func (c *checker) markup(b []byte, i int, final bool) int {
	next := b[i+1]
	switch {
	case next == '!':
		return c.sectionStart(b, i)
	case next == '?':
		return c.instruction(b, i)
	case c.pending && !final && !c.ready(b):
		return more
	}
	c.pending = false
	var n int
	if next == '/' {
		n = c.endTag(b, i)
	} else {
		n = c.startTag(b, i)
	}
	c.work += max(n, i) - i
	if n == more {
		c.work += len(b) - i
		c.pending, c.seen, c.quote = true, i+1, 0
	}
	return n
}

// ready reports whether the end of the pending tag has arrived. Only then is the
// tag checked again, so that one that comes in many small pieces costs no more
// than twice.
func (c *checker) ready(b []byte) bool {
	from := c.seen
	defer func() { c.work += c.seen - from }()
	for c.seen < len(b) {
		if c.quote != 0 {
			n := bytes.IndexByte(b[c.seen:], c.quote)
			if n < 0 {
				c.seen = len(b)
				return false
			}
			c.seen += n + 1
			c.quote = 0
			continue
		}
		switch x := b[c.seen]; x {
		case '>', '<': // the latter is a fault, which the check will find
			return true
		case '\'', '"':
			c.quote = x
		}
		c.seen++
	}
	return false
}
