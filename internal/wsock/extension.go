package wsock

import (
	"net/http"
	"strings"
)

// parameter is one of an extension.
type parameter struct {
	name, value string
	has         bool // a value
}

// extension is what a client offers (RFC 6455, section 9.1).
type extension struct {
	name   string
	params []parameter
}

// parseExtensions reads Sec-WebSocket-Extensions; ok is false if a field is against the
// grammar.
func parseExtensions(h http.Header) (list []extension, ok bool) {
	for _, field := range h["Sec-Websocket-Extensions"] {
		s := scanner(field)
		for found := false; ; {
			for s.skip(',') { // elements of lists may be empty
			}
			if s == "" {
				if !found {
					return nil, false
				}
				break
			}
			e, valid := s.extension()
			if !valid || s != "" && !strings.HasPrefix(string(s), ",") {
				return nil, false
			}
			list, found = append(list, e), true
		}
	}
	return list, true
}

// scanner is what is left of a field.
type scanner string

// extension reads a name and its parameters.
func (s *scanner) extension() (e extension, ok bool) {
	if e.name, ok = s.token(); !ok {
		return e, false
	}
	for s.skip(';') {
		var p parameter
		if p.name, ok = s.token(); !ok {
			return e, false
		}
		if p.has = s.skip('='); p.has {
			if p.value, ok = s.value(); !ok {
				return e, false
			}
		}
		e.params = append(e.params, p)
	}
	return e, true
}

// skip reads a character, and the white space around it.
func (s *scanner) skip(c byte) bool {
	s.space()
	if *s == "" || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	s.space()
	return true
}

func (s *scanner) space() { *s = scanner(strings.TrimLeft(string(*s), " \t")) }

// token reads a word.
func (s *scanner) token() (string, bool) {
	n := 0
	for n < len(*s) && isToken((*s)[n]) {
		n++
	}
	word := string((*s)[:n])
	*s = (*s)[n:]
	s.space()
	return word, n > 0
}

// value reads a word, which may be quoted.
func (s *scanner) value() (string, bool) {
	if !strings.HasPrefix(string(*s), `"`) {
		return s.token()
	}
	var word []byte
	for rest := (*s)[1:]; rest != ""; rest = rest[1:] {
		switch c := rest[0]; {
		case c == '"':
			*s = rest[1:]
			s.space()
			return string(word), len(word) > 0
		case c == '\\' && len(rest) > 1 && isToken(rest[1]):
			rest = rest[1:]
			word = append(word, rest[0])
		case isToken(c):
			word = append(word, c)
		default:
			return "", false
		}
	}
	return "", false
}

// isToken says whether a character may be part of a token (RFC 9110, section 5.6.2).
func isToken(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

const noTakeover = "; server_no_context_takeover; client_no_context_takeover"

// acceptDeflate returns the answer to the first offer of permessage-deflate that can be
// taken, "" if there is none (RFC 7692, sections 5 and 7.1). No message refers to an
// earlier one, so that nothing has to be kept between them.
func acceptDeflate(offers []extension) string {
	for _, e := range offers {
		if e.name != "permessage-deflate" {
			continue
		}
		if window, ok := e.deflate(); ok {
			return e.name + noTakeover + window
		}
	}
	return ""
}

// deflate says whether an offer can be taken. window is what has to be answered to
// server_max_window_bits.
func (e extension) deflate() (window string, ok bool) {
	seen := make(map[string]bool, len(e.params))
	for _, p := range e.params {
		if seen[p.name] {
			return "", false
		}
		seen[p.name] = true
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			ok = !p.has
		case "client_max_window_bits": // a hint
			ok = !p.has || isWindow(p.value)
		case "server_max_window_bits":
			ok = p.value == "15" // compress/flate has no other
			window = "; server_max_window_bits=15"
		default:
			ok = false
		}
		if !ok {
			return "", false
		}
	}
	return window, true
}

// isWindow says whether a value is one of max_window_bits, from 8 to 15.
func isWindow(value string) bool {
	switch value {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}
