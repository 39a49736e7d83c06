package certs

import (
	"crypto/tls"
	"errors"
	"slices"
	"time"
)

// Set is an immutable collection of certificates with their keys and chains.
// A nil *Set is empty. It is safe for concurrent use.
type Set struct {
	entries []*entry
	byName  map[string][]*entry // asciiName; wildcards as they stand
}

// entry is a certificate that can be served.
type entry struct {
	cert  tls.Certificate // immutable
	names []string
	file  string
	key   string
}

// Leaf describes one certificate of a Set.
type Leaf struct {
	// Names are the domains (A-labels, lower case) and IP addresses that the
	// certificate is for, sorted; a wildcard is written *.example.org.
	Names []string
	// File is where the certificate was found.
	File string
	// Key is the kind of key: "RSA 2048", "ECDSA P-256", "Ed25519".
	Key                 string
	NotBefore, NotAfter time.Time
}

func newSet(entries []*entry) *Set {
	s := &Set{entries: entries, byName: make(map[string][]*entry)}
	for _, e := range entries {
		for _, n := range e.names {
			s.byName[n] = append(s.byName[n], e)
		}
	}
	return s
}

// Len returns the number of certificates.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.entries)
}

// Certificate returns the certificate for a domain, given as A-labels or
// U-labels, or an IP address. One that names it is preferred over a wildcard,
// a valid one over one that has expired. With no match, or an empty name, it is
// the first certificate in the order of the files. nil if the Set is empty. The
// caller must not change what it points to.
func (s *Set) Certificate(name string) *tls.Certificate { return s.choose(name, nil) }

// Covers reports whether a certificate is for a domain, given as A-labels or
// U-labels.
func (s *Set) Covers(name string) bool { return s.Len() > 0 && len(s.match(asciiName(name))) > 0 }

// GetCertificate returns the certificate for a client, as Certificate does for
// the name in its ClientHello. Of several (RSA and ECDSA) it is the first that
// the client supports. It has the shape of tls.Config.GetCertificate.
func (s *Set) GetCertificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	hello := *h
	hello.ServerName = "" // SupportsCertificate would check it again, and not our way
	c := s.choose(h.ServerName, &hello)
	if c == nil {
		return nil, errors.New("no certificate is configured")
	}
	return c, nil
}

// Leaves describes the certificates in the order of the files.
func (s *Set) Leaves() []Leaf {
	if s == nil {
		return nil
	}
	var out []Leaf
	for _, e := range s.entries {
		out = append(out, Leaf{
			Names: slices.Clone(e.names), File: e.file, Key: e.key,
			NotBefore: e.cert.Leaf.NotBefore, NotAfter: e.cert.Leaf.NotAfter,
		})
	}
	return out
}

// Domains returns the names of all certificates, sorted, each once.
func (s *Set) Domains() []string {
	if s == nil {
		return nil
	}
	var out []string
	for n := range s.byName {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// choose picks a certificate for a name; hello is nil when any kind of key
// will do.
func (s *Set) choose(name string, hello *tls.ClientHelloInfo) *tls.Certificate {
	if s.Len() == 0 {
		return nil
	}
	candidates := s.match(asciiName(name))
	if len(candidates) == 0 {
		candidates = s.fallback()
	}
	now := time.Now()
	best, bestScore := candidates[0], -1
	for _, e := range candidates {
		score := 0
		if hello == nil || hello.SupportsCertificate(&e.cert) == nil {
			score += 2
		}
		if now.Before(e.cert.Leaf.NotAfter) && now.After(e.cert.Leaf.NotBefore) {
			score++
		}
		if score > bestScore {
			best, bestScore = e, score
		}
	}
	return &best.cert
}

// match returns the certificates for a name: those with that very name, then
// those with a wildcard, each in the order of the files.
func (s *Set) match(name string) []*entry {
	exact := s.byName[name]
	wild := s.byName[wildcardOf(name)]
	if len(wild) == 0 {
		return exact
	}
	return append(slices.Clip(exact), wild...)
}

// fallback returns the first certificate and those that share a name with it:
// its twins with another kind of key, and its renewals.
func (s *Set) fallback() []*entry {
	first := s.entries[0]
	if len(first.names) == 0 {
		return s.entries[:1]
	}
	return s.byName[first.names[0]]
}
