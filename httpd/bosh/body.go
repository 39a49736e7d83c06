package bosh

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	nsBind = "http://jabber.org/protocol/httpbind"
	nsXMPP = "urn:xmpp:xbosh"
)

// maxTag is the longest start tag of a body, with what may stand before it.
const maxTag = 4 << 10

// maxRID is the highest request id: XEP-0124, section 14.1.
const maxRID = 1<<53 - 1

// none stands for a number that is not there.
const none = -1

// body is what the start tag of a <body/> says. Its texts are valid until the parser is
// used again.
type body struct {
	sid         []byte // empty: a session is to be created
	rid         int64  // none; above maxRID for any that is too high
	ack         int64  // none
	pause       int64  // in seconds; none
	key, newKey []byte
	terminate   bool
	restart     bool

	// What concerns the creation of a session, or of a stream.
	to, from, lang []byte
	version        []byte // of XMPP
	ver            []byte // of BOSH; empty: a legacy client
	wait, hold     int64  // none
	content        []byte // media type of answers

	name     []byte // of the element, as it was written
	prefixes []xmlstream.Decl
	empty    bool  // the start tag is all
	err      error // what is wrong with an attribute, nil for nothing
}

// errBody says what is wrong with a body.
func errBody(format string, args ...any) error { return fmt.Errorf("bad body: "+format, args...) }

// endOfTag returns the length of the start tag at the beginning of b, and of what stands
// before it; 0 if there is more of it to come.
func endOfTag(b []byte) int {
	i := bytes.IndexByte(b, '<')
	if i >= 0 && bytes.HasPrefix(b[i:], []byte("<?")) {
		n := bytes.Index(b[i:], []byte("?>"))
		if n < 0 {
			return 0
		}
		i += n
	}
	if i < 0 {
		return 0
	}
	quote := byte(0)
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '>' && b[max(i-1, 0)] != '?':
			return i + 1
		}
	}
	return 0
}

// tagParser takes start tags apart.
type tagParser struct {
	parser xmlstream.Parser
	buf    []byte
}

// parse takes the start tag b apart, as endOfTag has found it. What is wrong with the
// values of attributes is in the result.
func (p *tagParser) parse(b []byte) (body, error) {
	b, err := afterDeclaration(b)
	if err != nil {
		return body{}, err
	}
	b, empty := bytes.CutSuffix(b[:len(b)-1], []byte("/"))
	p.buf = append(append(p.buf[:0], b...), "/>"...) // an element of its own
	e, err := p.parser.Parse(p.buf, "", xmlstream.Limits{Bytes: maxTag + 2})
	if err != nil {
		return body{}, errBody("%w", err)
	}
	if !e.Name.Is(nsBind, "body") {
		return body{}, errBody("want <body/> of %s", nsBind)
	}
	x := body{rid: none, ack: none, pause: none, wait: none, hold: none, empty: empty}
	for i := range e.Attrs {
		if err := x.attribute(&e.Attrs[i]); err != nil {
			x.err = err
		}
	}
	return x, x.scope(p.buf, &e.Start)
}

// afterDeclaration returns what follows an XML declaration, if there is one, and white
// space.
func afterDeclaration(b []byte) ([]byte, error) {
	b = bytes.TrimLeft(b, " \t\r\n")
	rest, ok := bytes.CutPrefix(b, []byte("<?xml "))
	if !ok {
		return b, nil
	}
	declaration, rest, _ := bytes.Cut(rest, []byte("?>"))
	d := strings.ToLower(string(declaration))
	if !strings.HasPrefix(d, "version=") || strings.Contains(d, "encoding") && !strings.Contains(d, "utf-8") {
		return nil, errBody("XML 1.0 in UTF-8 is what is taken")
	}
	return bytes.TrimLeft(rest, " \t\r\n"), nil
}

// attribute takes over one attribute. Those that are not known mean nothing.
func (x *body) attribute(a *xmlstream.Attr) (err error) {
	switch string(a.Name.Space) {
	case "":
		return x.plain(string(a.Name.Local), a.Value)
	case xmlstream.NSXML:
		if string(a.Name.Local) == "lang" {
			x.lang = a.Value
		}
	case nsXMPP:
		switch string(a.Name.Local) {
		case "version":
			x.version = a.Value
		case "restart":
			x.restart, err = boolean(a.Value)
		}
	}
	return err
}

func (x *body) plain(name string, value []byte) (err error) {
	switch name {
	case "sid":
		x.sid = value
	case "rid":
		x.rid, err = number(name, value)
	case "ack":
		x.ack, err = number(name, value)
	case "pause":
		x.pause, err = number(name, value)
	case "key":
		x.key = value
	case "newkey":
		x.newKey = value
		if len(value) != keyLen {
			err = errBody("newkey is no SHA-1 hash")
		}
	case "type":
		x.terminate = string(value) == "terminate"
	case "to":
		x.to = value
	case "from":
		x.from = value
	case "ver":
		x.ver = value
	case "wait":
		x.wait, err = number(name, value)
	case "hold":
		x.hold, err = number(name, value)
	case "content":
		x.content = value
	}
	return err
}

// number reads a decimal number. One that is too high for any use becomes the next after
// maxRID.
func number(name string, value []byte) (int64, error) {
	for _, c := range value {
		if c < '0' || c > '9' {
			return none, errBody("%s is no number", name)
		}
	}
	if len(value) == 0 {
		return none, errBody("%s is no number", name)
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n > maxRID {
		return maxRID + 1, nil
	}
	return n, nil
}

func boolean(value []byte) (bool, error) {
	switch string(value) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, errBody("restart is neither true nor false")
}

// scope takes over what the tag says about the names in the body.
func (x *body) scope(tag []byte, s *xmlstream.Start) error {
	x.name = s.Name.Local
	if len(s.Prefix) > 0 {
		x.name = tag[1 : 1+len(s.Prefix)+1+len(s.Name.Local)]
	}
	for _, d := range s.Decls {
		switch {
		case len(d.Prefix) > 0:
			x.prefixes = s.Decls
		case string(d.URI) != nsBind && string(d.URI) != stanza.NSClient:
			return errBody("default namespace is neither %s nor %s", nsBind, stanza.NSClient)
		}
	}
	return nil
}
