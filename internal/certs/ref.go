package certs

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"sync/atomic"
)

// Ref holds the Set in use and the files that single listeners name (certfile,
// cafile). The zero Ref is ready for use and has no certificates. It is safe
// for concurrent use.
type Ref struct {
	set atomic.Pointer[Set]

	mu    sync.Mutex
	files map[fileKey]*file // a path that was named once stays
}

// Set returns the Set in use; nil, which is an empty Set, before the first
// Swap.
func (r *Ref) Set() *Set { return r.set.Load() }

// Swap brings s, and what Build has read from files since the last Swap, into
// use: handshakes see it from now on, open connections go on. Without Swap
// nothing that Build has read replaces what is in use, so a configuration that
// turned out to be wrong is simply not swapped in.
func (r *Ref) Swap(s *Set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set.Store(s)
	for _, f := range r.files {
		if f.next != nil {
			f.live.Store(f.next)
			f.next = nil
		}
	}
}

// getCertificate is a tls.Config.GetCertificate.
func (r *Ref) getCertificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return r.Set().GetCertificate(h)
}

// fileKey tells files apart by what is read from them; path is clean.
type fileKey struct{ option, path string }

// file is the content of a certfile or cafile, which Swap renews.
type file struct {
	live atomic.Pointer[content]
	next *content // guarded by Ref.mu; nil: nothing new
}

type content struct {
	set  *Set           // of a certfile
	pool *x509.CertPool // of a cafile
}

// register notes what was read from a file. It is in use at once if the file
// was never named before, as nobody else has it then; otherwise after Swap.
func (r *Ref) register(key fileKey, c *content) *file {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.files[key]
	if f != nil {
		f.next = c
		return f
	}
	f = &file{}
	f.live.Store(c)
	if r.files == nil {
		r.files = make(map[fileKey]*file)
	}
	r.files[key] = f
	return f
}

// latest returns what was read from a file last, be it in use or not yet.
func (r *Ref) latest(f *file) *content {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.next != nil {
		return f.next
	}
	return f.live.Load()
}

func (f *file) getCertificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.live.Load().set.GetCertificate(h)
}
