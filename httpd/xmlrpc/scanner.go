package xmlrpc

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"
)

// errMalformed says that a document is no XML, or has what we do not take of it.
var errMalformed = errors.New("malformed XML")

// scanner takes an XML document apart (XML 1.0, fifth edition). It has no document types,
// hence no entities but the predefined ones, and no processing instructions. It does not
// see that tags match: the decoder does.
type scanner struct {
	b      []byte // UTF-8 of characters that XML allows
	i      int    // what has been read of b
	empty  []byte // name of an element <…/> whose end is next
	joined []byte // the last text that was not in one piece
}

// tag is the start or end of an element.
type tag struct {
	name []byte
	end  bool
}

// start begins a document, in a buffer that the scanner may change.
func (s *scanner) start(b []byte) error {
	s.b, s.i, s.empty = bytes.TrimPrefix(b, []byte("\ufeff")), 0, nil
	encoding, err := s.declaration()
	if err != nil {
		return err
	}
	s.b, s.i = s.b[s.i:], 0
	switch strings.ToLower(encoding) {
	case "", "utf-8":
	case "us-ascii":
		if bytes.ContainsFunc(s.b, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return errMalformed
		}
	case "iso-8859-1":
		s.b = fromLatin1(s.b)
	default:
		return errMalformed
	}
	if !allowed(s.b) {
		return errMalformed
	}
	s.b = oneLineEnd(s.b)
	return nil
}

// declaration reads the XML declaration, if there is one, and returns the encoding that
// it names.
func (s *scanner) declaration() (encoding string, err error) {
	if !bytes.HasPrefix(s.b, []byte("<?xml")) {
		return "", nil
	}
	end := bytes.Index(s.b, []byte("?>"))
	if end < 0 {
		return "", errMalformed
	}
	var version string
	d := scanner{b: s.b[len("<?xml"):end]}
	for d.i < len(d.b) {
		name, value, err := d.attribute()
		if err != nil {
			return "", err
		}
		switch string(name) {
		case "version":
			version = string(value)
		case "encoding":
			encoding = string(value)
		case "standalone", "": // none: white space at the end
		default:
			return "", errMalformed
		}
		if name == nil && d.i < len(d.b) {
			return "", errMalformed
		}
	}
	if !strings.HasPrefix(version, "1.") {
		return "", errMalformed
	}
	s.i = end + len("?>")
	return encoding, nil
}

// content reads text up to the next tag, or the end. The text is valid until the next
// call.
func (s *scanner) content() ([]byte, error) {
	if s.empty != nil {
		return nil, nil
	}
	rest := s.b[s.i:]
	if len(rest) > 1 && rest[0] == '<' && rest[1] != '!' { // which is so most often
		return nil, nil
	}
	n := bytes.IndexByte(rest, '<')
	if n < 0 {
		n = len(rest)
	}
	text := rest[:n]
	if bytes.HasPrefix(rest[n:], []byte("<!")) || bytes.IndexByte(text, '&') >= 0 {
		return s.pieces()
	}
	if bytes.Contains(text, []byte("]]>")) {
		return nil, errMalformed
	}
	s.i += n
	return text, nil
}

// pieces reads text that is not there as it is meant.
func (s *scanner) pieces() ([]byte, error) {
	s.joined = s.joined[:0]
	for s.i < len(s.b) {
		rest := s.b[s.i:]
		switch {
		case rest[0] == '&':
			r, n := reference(rest)
			if n == 0 {
				return nil, errMalformed
			}
			s.joined = utf8.AppendRune(s.joined, r)
			s.i += n
		case bytes.HasPrefix(rest, []byte("<!--")):
			n := bytes.Index(rest[4:], []byte("--"))
			if n < 0 || !bytes.HasPrefix(rest[4+n:], []byte("-->")) {
				return nil, errMalformed
			}
			s.i += 4 + n + 3
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			n := bytes.Index(rest[9:], []byte("]]>"))
			if n < 0 {
				return nil, errMalformed
			}
			s.joined = append(s.joined, rest[9:9+n]...)
			s.i += 9 + n + 3
		case rest[0] == '<':
			return s.joined, nil
		default:
			n := bytes.IndexAny(rest, "&<")
			if n < 0 {
				n = len(rest)
			}
			if bytes.Contains(rest[:n], []byte("]]>")) {
				return nil, errMalformed
			}
			s.joined = append(s.joined, rest[:n]...)
			s.i += n
		}
	}
	return s.joined, nil
}

// tag reads a tag. Attributes are checked a little and left out: XML-RPC has none, but
// some clients declare namespaces.
func (s *scanner) tag() (tag, error) {
	if s.empty != nil {
		t := tag{s.empty, true}
		s.empty = nil
		return t, nil
	}
	if s.i == len(s.b) {
		return tag{}, errMalformed
	}
	s.i++ // <, where content ends
	t := tag{end: s.take('/')}
	if t.name = s.name(); len(t.name) == 0 {
		return tag{}, errMalformed
	}
	if s.take('>') {
		return t, nil
	}
	if t.end {
		s.space()
	} else {
		for {
			if name, _, err := s.attribute(); err != nil {
				return tag{}, err
			} else if name == nil {
				break
			}
		}
		if s.take('/') {
			s.empty = t.name
		}
	}
	if !s.take('>') {
		return tag{}, errMalformed
	}
	return t, nil
}

// attribute reads white space and the attribute after it; its name is nil if there is
// none.
func (s *scanner) attribute() (name, value []byte, err error) {
	before := s.i
	s.space()
	if s.i == len(s.b) || !isName(s.b[s.i]) {
		return nil, nil, nil
	}
	if s.i == before {
		return nil, nil, errMalformed
	}
	name = s.name()
	s.space()
	if !s.take('=') {
		return nil, nil, errMalformed
	}
	s.space()
	rest := s.b[s.i:]
	if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
		return nil, nil, errMalformed
	}
	n := bytes.IndexByte(rest[1:], rest[0])
	if n < 0 {
		return nil, nil, errMalformed
	}
	value = rest[1 : 1+n]
	for i, c := range value {
		if c == '<' {
			return nil, nil, errMalformed
		}
		if c == '&' {
			if _, n := reference(value[i:]); n == 0 {
				return nil, nil, errMalformed
			}
		}
	}
	s.i += 1 + n + 1
	return name, value, nil
}

func (s *scanner) take(c byte) bool {
	if s.i == len(s.b) || s.b[s.i] != c {
		return false
	}
	s.i++
	return true
}

func (s *scanner) space() {
	for s.i < len(s.b) && isSpace(s.b[s.i]) {
		s.i++
	}
}

func (s *scanner) name() []byte {
	from := s.i
	for s.i < len(s.b) && isName(s.b[s.i]) {
		s.i++
	}
	return s.b[from:s.i]
}
