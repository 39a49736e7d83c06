// Package attached knows which components are connected and what each of them has
// been told about each virtual host.
package attached

import (
	"crypto/rand"
	"maps"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Stream is a stream of a component that gets what is sent to a domain.
type Stream struct {
	Domain stanza.JID
	Sink   stanza.Sink
	told   map[string]string // by virtual host
}

// Streams are those of the components, oldest first. The zero value is empty.
// Whoever has them sees to it that one call comes after the other.
type Streams []*Stream

// Add notes a new stream. It returns nil if it is known, or domain is none.
func (l *Streams) Add(domain string, s stanza.Sink) *Stream {
	j, err := stanza.NewJID("", domain, "")
	if err != nil || l.find(domain, s) >= 0 {
		return nil
	}
	n := &Stream{Domain: j, Sink: s, told: make(map[string]string)}
	*l = append(*l, n)
	return n
}

// Remove forgets a stream and returns it, nil if it was not known. last says that
// it was the last one of its domain.
func (l *Streams) Remove(domain string, s stanza.Sink) (gone *Stream, last bool) {
	i := l.find(domain, s)
	if i < 0 {
		return nil, false
	}
	gone = (*l)[i]
	*l = slices.Delete(*l, i, i+1)
	return gone, !slices.Contains(l.Domains(), gone.Domain)
}

func (l *Streams) find(domain string, s stanza.Sink) int {
	return slices.IndexFunc(*l, func(o *Stream) bool { return o.Domain.Domain() == domain && o.Sink == s })
}

// Domains returns the domains, each once, those first that are there longest.
func (l Streams) Domains() (domains []stanza.JID) {
	for _, s := range l {
		if !slices.Contains(domains, s.Domain) {
			domains = append(domains, s.Domain)
		}
	}
	return domains
}

// Told returns what the stream was told last about a virtual host, "" for
// nothing.
func (s *Stream) Told(host string) string { return s.told[host] }

// Tell sends a message from a virtual host, unless what it says is what was told
// last. "" says that there is nothing: then the next call counts as the first. The
// error is that of the sink; the message counts as not told then.
func (s *Stream) Tell(host stanza.JID, says string, child stanza.Name, inner string) error {
	if s.told[host.Domain()] == says {
		return nil
	}
	err := s.Sink.Deliver(&stanza.Stanza{
		Kind: stanza.Message, ID: rand.Text(), From: host, To: s.Domain, Child: child, Inner: inner,
	})
	switch {
	case err != nil:
		return err
	case says == "":
		delete(s.told, host.Domain())
	default:
		s.told[host.Domain()] = says
	}
	return nil
}

// Hosts returns the virtual hosts about which the stream has been told something.
func (s *Stream) Hosts() []string { return slices.Sorted(maps.Keys(s.told)) }
