// Package perhost has what every feature does with its options: they differ by
// virtual host, and change while requests are answered.
package perhost

import (
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Switch has the options of a feature: those of an O for each virtual host. With
// a pointer as O, nil switches the feature off. The zero Switch has the zero O
// everywhere. It is safe for concurrent use and must not be copied.
type Switch[O any] struct {
	options atomic.Pointer[stanza.PerHost[O]]
}

// Configure takes new options, in place of all before.
func (s *Switch[O]) Configure(o stanza.PerHost[O]) { s.options.Store(&o) }

// For returns the options for a virtual host. It does not allocate.
func (s *Switch[O]) For(domain string) (o O) {
	if p := s.options.Load(); p != nil {
		return p.For(domain)
	}
	return o
}
