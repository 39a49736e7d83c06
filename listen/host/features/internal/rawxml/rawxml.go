// Package rawxml finds elements in the text of a stanza, for features that keep
// or remove XML as it was sent: a tree would lose how text and elements mix.
package rawxml

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Element is an element in the payload of a stanza.
type Element struct {
	Name stanza.Name
	// From and End say where in Stanza.Inner it stands.
	From, End int
	// Empty says that it has neither attributes nor content.
	Empty bool

	raw    string   // it, as it was sent
	own    []string // prefixes that it declares itself
	around []decl   // the declarations around it, innermost last
}

// decl is a namespace declaration.
type decl struct {
	prefix, raw string
	depth       int // of its element, the stanza being 0
}

// XML returns the element as text that means the same wherever it stands. It
// shares no memory with the stanza.
func (e *Element) XML() string {
	n := strings.IndexAny(e.raw, " \t\r\n/>") // the end of its name
	var b strings.Builder
	b.WriteString(e.raw[:n])
	for i, d := range e.around {
		if !slices.Contains(e.own, d.prefix) && !declares(e.around[i+1:], d.prefix) {
			b.WriteByte(' ')
			b.WriteString(d.raw)
		}
	}
	b.WriteString(e.raw[n:])
	return b.String()
}

func declares(list []decl, prefix string) bool {
	return slices.ContainsFunc(list, func(d decl) bool { return d.prefix == prefix })
}

// Find returns the elements for which want is true, of those that are children
// of the stanza (level 1), of its children (2), and so on. The start tag is valid
// during the call. The error is for a stanza that breaks the promise of
// Stanza.Inner.
func Find(s *stanza.Stanza, level int, want func(*xmlstream.Start) bool) ([]Element, error) {
	return find(s, level, func(depth int, t *xmlstream.Start) bool { return depth == level && want(t) })
}

// FindAt returns the elements at a path: those with the last of the names, each
// in one with the name before it, and so on up to a child of the stanza. The
// error is that of Find.
func FindAt(s *stanza.Stanza, path ...stanza.Name) ([]Element, error) {
	on := 0 // so many of the elements around are those of the path
	return find(s, len(path), func(depth int, t *xmlstream.Start) bool {
		on = min(on, depth-1)
		if n := path[depth-1]; on == depth-1 && t.Name.Is(n.Space, n.Local) {
			on = depth
		}
		return on == len(path)
	})
}

// find is Find; want is called for all elements down to the level, with theirs,
// and counts for those of the level.
func find(s *stanza.Stanza, level int, want func(depth int, t *xmlstream.Start) bool) ([]Element, error) {
	doc := s.AppendTo(nil, stanza.NSClient)
	e, err := xmlstream.ParseElement(doc, "", xmlstream.Limits{
		Bytes: 1 << 30, Elements: 1 << 30, Depth: 1000, Attrs: 1000, // it was checked when it came
	})
	if err != nil || s.Inner == "" {
		return nil, err
	}
	f := finder{doc: doc, inner: s.Inner, before: bytes.LastIndex(doc, []byte("</")) - len(s.Inner)}
	w := e.Walk()
	for {
		switch w.Next() {
		case xmlstream.AtStart:
			f.start(&w.Start, level, want)
		case xmlstream.AtClose:
			f.close(level)
		case xmlstream.AtEnd:
			return f.found, nil
		}
	}
}

// finder goes through the text of a stanza in step with a Walker, which knows
// what names mean but not where they stand.
type finder struct {
	doc    []byte
	inner  string
	before int // length of what stands before inner
	pos    int // of what follows the last tag
	empty  bool
	depth  int    // of the element at hand, the stanza being 0
	scope  []decl // above the level that is searched
	open   bool   // the last of found is not closed
	found  []Element
}

func (f *finder) start(t *xmlstream.Start, level int, want func(int, *xmlstream.Start) bool) {
	from := f.tag()
	f.empty = f.doc[f.pos-2] == '/'
	if f.depth < level {
		for _, d := range t.Decls {
			f.scope = append(f.scope, decl{string(d.Prefix), string(d.Raw), f.depth})
		}
	}
	if f.depth > 0 && f.depth <= level && want(f.depth, t) && f.depth == level {
		f.open = true
		e := Element{
			Name: stanza.Name{Space: string(t.Name.Space), Local: string(t.Name.Local)},
			From: from - f.before,
			// These two are not final before its end tag.
			Empty: len(t.Attrs) == 0,
			End:   f.pos,

			around: f.scope,
		}
		for _, d := range t.Decls {
			e.own = append(e.own, string(d.Prefix))
		}
		f.found = append(f.found, e)
	}
	f.depth++
}

func (f *finder) close(level int) {
	f.depth--
	from := f.pos
	if !f.empty {
		from = f.tag()
	}
	f.empty = false
	for n := len(f.scope); n > 0 && f.scope[n-1].depth == f.depth; n-- {
		f.scope = f.scope[: n-1 : n-1] // what was found shares it
	}
	if f.depth == level && f.open {
		f.open = false
		e := &f.found[len(f.found)-1]
		e.Empty = e.Empty && from == e.End
		e.End = f.pos - f.before
		e.raw = f.inner[e.From:e.End]
	}
}

// tag goes behind the next tag and returns where it begins. The text has been
// checked, so there is one.
func (f *finder) tag() (from int) {
	for {
		f.pos += bytes.IndexByte(f.doc[f.pos:], '<')
		if !bytes.HasPrefix(f.doc[f.pos:], []byte("<![CDATA[")) {
			break
		}
		f.pos += bytes.Index(f.doc[f.pos:], []byte("]]>")) + len("]]>")
	}
	from = f.pos
	for i := from; ; i++ {
		switch c := f.doc[i]; c {
		case '>':
			f.pos = i + 1
			return from
		case '\'', '"': // in a value '>' is a character as any other
			i += 1 + bytes.IndexByte(f.doc[i+1:], c)
		}
	}
}
