package api

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// parser reads JSON (RFC 8259) strictly: UTF-8 without a byte order mark, each name once
// in its object, escapes of whole characters only, and nothing after the value. It keeps
// nothing of its buffer.
type parser struct {
	b      []byte
	at     int
	depth  int
	values int
}

// parse returns the members of an object: string, json.Number, bool, nil, []any and
// map[string]any. A line end stands for an object without members.
func parse(b []byte) (map[string]any, error) {
	if string(b) == "\n" {
		return map[string]any{}, nil
	}
	p := &parser{b: b}
	if !utf8.Valid(b) || p.next() != '{' {
		return nil, invalid()
	}
	o, err := p.object()
	if err != nil {
		return nil, err
	}
	if p.next(); p.at < len(b) {
		return nil, invalid()
	}
	return o, nil
}

func invalid() error { return badRequest("Invalid JSON input") }

// next skips white space and returns the byte after it, 0 at the end.
func (p *parser) next() byte {
	for ; p.at < len(p.b); p.at++ {
		switch c := p.b[p.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// skip reports whether the next byte is c, and skips it then.
func (p *parser) skip(c byte) bool {
	if p.next() != c || p.at == len(p.b) {
		return false
	}
	p.at++
	return true
}

func (p *parser) value() (any, error) {
	if p.values++; p.values > maxValues {
		return nil, badRequest(fmt.Sprintf("there are more than %d values", maxValues))
	}
	switch c := p.next(); {
	case c == '"':
		return p.text()
	case c == '{':
		return p.object()
	case c == '[':
		return p.array()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	}
	return nil, p.word("null")
}

func (p *parser) word(word string) error {
	end := p.at + len(word)
	if end > len(p.b) || string(p.b[p.at:end]) != word {
		return invalid()
	}
	p.at = end
	return nil
}

// enter begins an array or object.
func (p *parser) enter() error {
	p.at++
	if p.depth++; p.depth > maxDepth {
		return badRequest(fmt.Sprintf("arrays and objects are more than %d deep", maxDepth))
	}
	return nil
}

func (p *parser) object() (map[string]any, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	o := make(map[string]any)
	for first := true; !p.skip('}'); first = false {
		if !first && !p.skip(',') || p.next() != '"' {
			return nil, invalid()
		}
		name, err := p.text()
		if err != nil {
			return nil, err
		}
		if _, again := o[name]; again {
			return nil, twice(name)
		}
		if !p.skip(':') {
			return nil, invalid()
		}
		if o[name], err = p.value(); err != nil {
			return nil, err
		}
	}
	p.depth--
	return o, nil
}

func (p *parser) array() ([]any, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	for !p.skip(']') {
		if len(list) > 0 && !p.skip(',') {
			return nil, invalid()
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	p.depth--
	return list, nil
}

// number reads a number and leaves it to the type of the argument what it may be.
func (p *parser) number() (json.Number, error) {
	start := p.at
	p.one("-")
	if !p.one("0") && p.digits() == 0 {
		return "", invalid()
	}
	if p.one(".") && p.digits() == 0 {
		return "", invalid()
	}
	if p.one("eE") {
		p.one("+-")
		if p.digits() == 0 {
			return "", invalid()
		}
	}
	return json.Number(p.b[start:p.at]), nil
}

// one skips a byte if it is one of some, and reports whether it was.
func (p *parser) one(of string) bool {
	for i := range len(of) {
		if p.at < len(p.b) && p.b[p.at] == of[i] {
			p.at++
			return true
		}
	}
	return false
}

// digits skips digits and returns how many there were.
func (p *parser) digits() int {
	start := p.at
	for p.at < len(p.b) && p.b[p.at] >= '0' && p.b[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

func (p *parser) text() (string, error) {
	p.at++
	start := p.at
	for ; p.at < len(p.b); p.at++ {
		switch c := p.b[p.at]; {
		case c == '"':
			p.at++
			return string(p.b[start : p.at-1]), nil
		case c == '\\':
			return p.escaped(append([]byte(nil), p.b[start:p.at]...))
		case c < ' ':
			return "", invalid()
		}
	}
	return "", invalid()
}

// escaped reads the rest of a text in which there is an escape, of which text is the
// beginning.
func (p *parser) escaped(text []byte) (string, error) {
	for p.at < len(p.b) {
		c := p.b[p.at]
		p.at++
		switch {
		case c == '"':
			return string(text), nil
		case c < ' ':
			return "", invalid()
		case c != '\\':
			text = append(text, c)
		default:
			char, ok := p.escape()
			if !ok {
				return "", invalid()
			}
			text = utf8.AppendRune(text, char)
		}
	}
	return "", invalid()
}

// escape reads what is after a backslash.
func (p *parser) escape() (char rune, ok bool) {
	if p.at == len(p.b) {
		return 0, false
	}
	c := p.b[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		return p.unicode()
	}
	return 0, false
}

// unicode reads the digits of one UTF-16 unit, and of a second one if the first is half a
// character.
func (p *parser) unicode() (char rune, ok bool) {
	first, ok := p.unit()
	if !ok || !utf16.IsSurrogate(first) {
		return first, ok
	}
	if !p.one(`\`) || !p.one("u") {
		return 0, false
	}
	second, ok := p.unit()
	char = utf16.DecodeRune(first, second)
	return char, ok && char != utf8.RuneError
}

func (p *parser) unit() (rune, bool) {
	if len(p.b)-p.at < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.b[p.at:p.at+4]), 16, 16)
	p.at += 4
	return rune(n), err == nil
}
