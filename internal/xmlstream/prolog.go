package xmlstream

import (
	"bytes"
	"strings"
)

const declarationStart = "<?xml"

// isInstruction reports whether b begins with "<?", or may yet.
func isInstruction(b []byte) bool {
	return b[0] == '<' && (len(b) < 2 || b[1] == '?')
}

// declaration checks the XML declaration at b[0], of which "<?" is there if b is
// long enough.
// See XML 1.0, section 2.8, and RFC 6120, sections 11.4 and 11.5.
func (c *checker) declaration(b []byte) int {
	rest := b[:min(len(b), len(declarationStart)+1)]
	switch {
	case strings.HasPrefix(declarationStart, string(rest)):
		return more
	case !startsDeclaration(rest):
		return c.fail(RestrictedXML, 0, "processing instruction")
	}
	n := bytes.Index(b[:min(len(b), maxDeclaration)], []byte("?>"))
	if n < 0 {
		if len(b) >= maxDeclaration {
			return c.fail(NotWellFormed, 0, "XML declaration is too long")
		}
		return more
	}
	p := pseudoAttrs{rest: b[len(declarationStart):n]}
	if v, ok := p.take("version"); !ok || string(v) != "1.0" {
		return c.fail(NotWellFormed, 0, "XML declaration without version 1.0")
	}
	if v, ok := p.take("encoding"); ok && !strings.EqualFold(string(v), "utf-8") {
		return c.fail(UnsupportedEncoding, 0, "encoding is not UTF-8")
	}
	if v, ok := p.take("standalone"); ok && string(v) != "yes" && string(v) != "no" {
		return c.fail(NotWellFormed, 0, "standalone is neither yes nor no")
	}
	if skipSpace(p.rest, 0) != len(p.rest) {
		return c.fail(NotWellFormed, 0, "malformed XML declaration")
	}
	return n + len("?>")
}

// instruction rejects the "<?" at b[i] where no XML declaration may stand.
func (c *checker) instruction(b []byte, i int) int {
	rest := b[i:min(i+len(declarationStart)+1, len(b))]
	switch {
	case strings.HasPrefix(declarationStart, string(rest)):
		return more
	case startsDeclaration(rest):
		return c.fail(NotWellFormed, i, "XML declaration not at the start")
	}
	return c.fail(RestrictedXML, i, "processing instruction")
}

// startsDeclaration tells an XML declaration from <?xml-stylesheet?>.
func startsDeclaration(b []byte) bool {
	n := len(declarationStart)
	return len(b) > n && string(b[:n]) == declarationStart && isSpace(b[n])
}

// pseudoAttrs is what an XML declaration holds.
type pseudoAttrs struct{ rest []byte }

// take returns the value of the attribute that comes next if that is name.
func (p *pseudoAttrs) take(name string) ([]byte, bool) {
	b := p.rest
	i := skipSpace(b, 0)
	if i == 0 || !strings.HasPrefix(string(b[i:]), name) {
		return nil, false
	}
	i = skipSpace(b, i+len(name))
	if i >= len(b) || b[i] != '=' {
		return nil, false
	}
	i = skipSpace(b, i+1)
	if i >= len(b) || b[i] != '\'' && b[i] != '"' {
		return nil, false
	}
	value := b[i+1:]
	end := bytes.IndexByte(value, b[i])
	if end < 0 {
		return nil, false
	}
	p.rest = value[end+1:]
	return value[:end], true
}
