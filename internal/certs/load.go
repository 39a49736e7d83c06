package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Load reads certificates and private keys from files. A pattern is a path or
// a glob (*, ?, [a-z], {a,b}). The files may hold any mix of PEM certificates
// and keys, in any order and split in any way: keys are matched to
// certificates by public key, and chains are put together from all the
// certificates. Roots are not sent.
//
// The order of certificates is that of the patterns, within a pattern that of
// the file names, within a file that of its blocks. What occurs twice counts
// once.
//
// The Set is never nil and holds what could be used; the caller does not use it
// if one of the problems is no Warning. Their Key is certfiles, their Index
// that of the pattern. Load blocks for as long as the files take to read.
func Load(patterns []string) (*Set, []*Problem) {
	l := newLoader("certfiles")
	for i, p := range patterns {
		l.addPattern(i, p)
	}
	return l.set(), l.list
}

// loadFile reads the certfile of a listener.
func loadFile(path string) (*Set, []*Problem) {
	l := newLoader("certfile")
	l.addFile(source{path: path, index: -1})
	return l.set(), l.list
}

// source is a file and the pattern that named it.
type source struct {
	path    string
	index   int
	globbed bool
}

type foundCert struct {
	*x509.Certificate
	source
}

type foundKey struct {
	crypto.Signer
	source
	id   string
	used bool
}

// loader collects what the files hold and makes a Set of it.
type loader struct {
	reporter
	now   time.Time
	seen  map[string]bool // paths, certificates, public keys
	certs []*foundCert
	keys  map[string]*foundKey // by keyID
	order []*foundKey
}

func newLoader(key string) *loader {
	return &loader{
		reporter: reporter{key: key},
		now:      time.Now(),
		seen:     make(map[string]bool),
		keys:     make(map[string]*foundKey),
	}
}

// first reports whether it is called for the first time with what.
func (l *loader) first(kind, what string) bool {
	k := kind + what
	if l.seen[k] {
		return false
	}
	l.seen[k] = true
	return true
}

func (l *loader) addPattern(index int, pattern string) {
	paths, globbed, err := expand(pattern)
	if err != nil {
		l.fail(index, pattern, err)
		return
	}
	for _, p := range paths {
		l.addFile(source{path: p, index: index, globbed: globbed})
	}
}

func (l *loader) addFile(s source) {
	if !l.first("path ", s.path) {
		return
	}
	data, open, err := readFile(s.path)
	if err != nil {
		l.fail(s.index, s.path, err)
		return
	}
	f := parsePEM(data)
	for _, err := range f.errs {
		// A glob may well catch a README; a file that was named may not be one.
		if s.globbed && len(f.certs)+len(f.keys) == 0 && begins(data) == 0 {
			l.warn(s.index, s.path, err)
		} else {
			l.fail(s.index, s.path, err)
		}
	}
	for _, err := range f.warnings {
		l.warn(s.index, s.path, err)
	}
	if open && len(f.keys) > 0 && runtime.GOOS != "windows" {
		l.warn(s.index, s.path, errors.New("every user can read this private key; use chmod o-r"))
	}
	for _, c := range f.certs {
		if l.first("cert ", string(c.Raw)) {
			l.certs = append(l.certs, &foundCert{c, s})
		}
	}
	for _, k := range f.keys {
		if id := keyID(k.Public()); l.first("key ", id) {
			key := &foundKey{Signer: k, source: s, id: id}
			l.keys[id] = key
			l.order = append(l.order, key)
		}
	}
}

// set joins keys and certificates.
func (l *loader) set() *Set {
	ch := newChains(l.certs, l.now)
	var entries []*entry
	for _, c := range l.certs {
		key := l.keys[keyID(c.PublicKey)]
		switch {
		case key == nil:
			if !c.IsCA && !ch.issued(c) {
				l.keyless(c)
			}
			continue
		case c.IsCA && ch.issued(c): // a CA of one's own, with its key beside it
			key.used = true
			continue
		}
		key.used = true
		if e := l.entry(c, key, ch); e != nil {
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 && len(l.order) > 0 && !failed(l.list) {
		// What looks like a CA was not meant as one: openssl req makes its
		// self-signed certificates so.
		for _, c := range l.certs {
			if l.keys[keyID(c.PublicKey)] == nil {
				l.keyless(c)
			}
		}
	}
	for _, k := range l.order {
		if !k.used {
			l.warn(k.index, k.path, errors.New("private key without a certificate"))
		}
	}
	if len(entries) == 0 && len(l.certs)+len(l.order) > 0 && !failed(l.list) {
		l.fail(-1, "", errors.New("no certificate with its private key among the files"))
	}
	return newSet(entries)
}

// keyless reports a certificate that no key belongs to.
func (l *loader) keyless(c *foundCert) {
	if _, err := keyName(c.PublicKey); err != nil {
		l.fail(c.index, c.path, fmt.Errorf("certificate of %s: %w", title(c.Certificate), err))
		return
	}
	for _, k := range l.order {
		if k.path == c.path && !k.used && !l.owned(k) {
			k.used = true // reported here
			l.fail(c.index, c.path, fmt.Errorf("the private key does not belong to the certificate of %s", title(c.Certificate)))
			return
		}
	}
	l.fail(c.index, c.path, fmt.Errorf("no private key for the certificate of %s", title(c.Certificate)))
}

// owned reports whether a key belongs to one of the certificates.
func (l *loader) owned(k *foundKey) bool {
	for _, c := range l.certs {
		if keyID(c.PublicKey) == k.id {
			return true
		}
	}
	return false
}

// entry checks a certificate that has a key.
func (l *loader) entry(c *foundCert, key *foundKey, ch *chains) *entry {
	name, err := keyName(c.PublicKey)
	if err != nil {
		l.fail(c.index, c.path, fmt.Errorf("certificate of %s: %w", title(c.Certificate), err))
		return nil
	}
	if err := weakness(c.Certificate); err != nil {
		l.warn(c.index, c.path, fmt.Errorf("certificate of %s: %w", title(c.Certificate), err))
	}
	chain := ch.of(c)
	e := &entry{names: names(c.Certificate), file: c.path, key: name}
	e.cert = tls.Certificate{PrivateKey: key.Signer, Leaf: c.Certificate}
	for _, link := range chain {
		e.cert.Certificate = append(e.cert.Certificate, link.Raw)
		if !l.first("checked ", string(link.Raw)) {
			continue
		}
		if l.now.After(link.NotAfter) {
			l.warn(link.index, link.path, fmt.Errorf("certificate of %s expired on %s; renew it", title(link.Certificate), day(link.NotAfter)))
		} else if l.now.Before(link.NotBefore) {
			l.warn(link.index, link.path, fmt.Errorf("certificate of %s is not valid before %s", title(link.Certificate), day(link.NotBefore)))
		}
	}
	return e
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// title names a certificate in messages.
func title(c *x509.Certificate) string {
	if n := names(c); len(n) > 0 {
		return fmt.Sprintf("%q", n[0])
	}
	return fmt.Sprintf("%q", c.Subject.String())
}
