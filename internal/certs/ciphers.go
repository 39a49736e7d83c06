package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// parseCiphers reads an OpenSSL cipher list (openssl-ciphers(1), "CIPHER LIST
// FORMAT"), with IANA names allowed too, and returns the suites of TLS 1.2 that
// it enables. Their order says nothing: crypto/tls uses its own. Classes never
// enable a suite that crypto/tls calls insecure; its name does, with a warning.
func parseCiphers(list string) (ids []uint16, warnings []error, err error) {
	p := cipherParser{enabled: make(map[uint16]bool), killed: make(map[uint16]bool)}
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return strings.ContainsRune(":,; \t\r\n", r) }) {
		p.word(word)
	}
	for _, s := range suites {
		if !p.enabled[s.id] {
			continue
		}
		ids = append(ids, s.id)
		if s.insecure {
			p.warnings = append(p.warnings, fmt.Errorf("cipher suite %q is insecure", s.openssl))
		}
	}
	if len(p.unknown) > 0 {
		p.warnings = append(p.warnings, fmt.Errorf("crypto/tls has no cipher suite or class called %s", strings.Join(p.unknown, ", ")))
	}
	if len(ids) == 0 {
		return nil, p.warnings, errors.New(`no cipher suite of TLS 1.2 is left; start with HIGH, or leave the option out`)
	}
	return ids, p.warnings, nil
}

type cipherParser struct {
	enabled, killed map[uint16]bool
	unknown         []string // quoted
	warnings        []error
}

// word applies one element of the list.
func (p *cipherParser) word(word string) {
	if level, ok := strings.CutPrefix(word, "@"); ok {
		p.command(level)
		return
	}
	op, rest := byte(0), word
	if strings.IndexByte("!-+", word[0]) >= 0 {
		op, rest = word[0], word[1:]
	}
	for _, s := range tls.CipherSuites() {
		if s.Name == rest && s.SupportedVersions[0] == tls.VersionTLS13 {
			p.warnings = append(p.warnings, fmt.Errorf("%s has no effect: the suites of TLS 1.3 are fixed", rest))
			return
		}
	}
	match, named, ok := selector(rest)
	if !ok {
		p.unknown = append(p.unknown, fmt.Sprintf("%q", rest))
		return
	}
	for _, s := range suites {
		if match(s) {
			p.apply(op, s, named)
		}
	}
}

func (p *cipherParser) apply(op byte, s suite, named bool) {
	switch op {
	case '!':
		p.killed[s.id] = true
		delete(p.enabled, s.id)
	case '-':
		delete(p.enabled, s.id)
	case '+': // moves to the end, and there is no order
	default:
		if !p.killed[s.id] && (named || !s.insecure) {
			p.enabled[s.id] = true
		}
	}
}

// command applies @STRENGTH and @SECLEVEL=n.
func (p *cipherParser) command(c string) {
	switch c {
	case "STRENGTH", "SECLEVEL=0", "SECLEVEL=1", "SECLEVEL=2":
	case "SECLEVEL=3", "SECLEVEL=4", "SECLEVEL=5":
		p.warnings = append(p.warnings, fmt.Errorf("@%s has no effect; list the cipher suites", c))
	default:
		p.unknown = append(p.unknown, fmt.Sprintf("%q", "@"+c))
	}
}

// selector returns the test for a suite's name, a class, or classes that must
// all apply, joined with "+". named tells the first from the others.
func selector(word string) (match func(suite) bool, named, ok bool) {
	for _, s := range suites {
		if word == s.openssl || word == tls.CipherSuiteName(s.id) {
			id := s.id
			return func(s suite) bool { return s.id == id }, true, true
		}
	}
	var tests []func(suite) bool
	for w := range strings.SplitSeq(word, "+") {
		test, ok := class(w)
		if !ok {
			return nil, false, false
		}
		tests = append(tests, test)
	}
	return func(s suite) bool {
		for _, test := range tests {
			if !test(s) {
				return false
			}
		}
		return true
	}, false, true
}
