package certs

import (
	"bytes"
	"slices"
	"time"
)

// maxChain bounds the certificates of a chain.
const maxChain = 10

// chains finds the issuers of certificates among those of all files.
type chains struct {
	now       time.Time
	bySubject map[string][]*foundCert
	issuers   map[string]bool // subjects that issued another certificate
}

func newChains(certs []*foundCert, now time.Time) *chains {
	ch := &chains{now: now, bySubject: make(map[string][]*foundCert), issuers: make(map[string]bool)}
	for _, c := range certs {
		ch.bySubject[string(c.RawSubject)] = append(ch.bySubject[string(c.RawSubject)], c)
		if !selfIssued(c) {
			ch.issuers[string(c.RawIssuer)] = true
		}
	}
	return ch
}

func selfIssued(c *foundCert) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// issued reports whether c is named as the issuer of another certificate.
func (ch *chains) issued(c *foundCert) bool { return ch.issuers[string(c.RawSubject)] }

// of returns the chain of leaf: itself, then each issuer that is there, without
// the root, which a peer either has already or does not believe.
func (ch *chains) of(leaf *foundCert) []*foundCert {
	chain := []*foundCert{leaf}
	for c := leaf; len(chain) < maxChain && !selfIssued(c); {
		if c = ch.issuer(c, leaf.path); c == nil || selfIssued(c) || slices.Contains(chain, c) {
			break
		}
		chain = append(chain, c)
	}
	return chain
}

// issuer returns the best certificate that signed c; nil if there is none.
// Several can have: a CA's key may be certified by its own root and across by
// another.
func (ch *chains) issuer(c *foundCert, home string) *foundCert {
	var best *foundCert
	bestScore := -1
	for _, p := range ch.bySubject[string(c.RawIssuer)] {
		if len(c.AuthorityKeyId) > 0 && len(p.SubjectKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, p.SubjectKeyId) {
			continue
		}
		s := ch.score(p, home)
		if s <= bestScore || c.CheckSignatureFrom(p.Certificate) != nil {
			continue
		}
		best, bestScore = p, s
	}
	return best
}

// score prefers an issuer that is valid, then one that is not a root, then one
// from the file of the leaf.
func (ch *chains) score(p *foundCert, home string) int {
	s := 0
	if ch.now.Before(p.NotAfter) && ch.now.After(p.NotBefore) {
		s += 4
	}
	if !selfIssued(p) {
		s += 2
	}
	if p.path == home {
		s++
	}
	return s
}
