package delegation

import (
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// hooked is a router that does something when a component is asked.
type hooked struct {
	router
	on func(domain string, s *stanza.Stanza)
}

func (r *hooked) DeliverToDomain(domain string, s *stanza.Stanza) error {
	if r.on != nil {
		r.on(domain, s)
	}
	return r.router.DeliverToDomain(domain, s)
}

type of string

func (d of) Allow(s acl.Subject) bool { return s.Server == string(d) }

type orOf [2]string

func (d orOf) Allow(s acl.Subject) bool { return s.Server == d[0] || s.Server == d[1] }

// A component that comes again while the end of its last stream is still being
// dealt with gets to tell what it can do, and to answer.
func TestQuestionsToNewStream(t *testing.T) {
	r := new(hooked)
	s := New(Config{Router: r, Hosts: func() []string { return []string{"a.test"} }})
	s.Configure(stanza.PerHost[*Options]{Value: &Options{Namespaces: map[string]Namespace{
		"urn:x": {Access: orOf{"c.test", "d.test"}}, "urn:y": {Access: of("c.test")},
	}}})
	c, d, again := new(listentest.Sink), new(listentest.Sink), new(listentest.Sink)
	s.Connected(t.Context(), "c.test", c)
	s.Connected(t.Context(), "d.test", d)
	r.on = func(domain string, _ *stanza.Stanza) {
		if domain == "d.test" { // it is asked about urn:x, which it has got from c.test
			r.on = nil
			s.Connected(t.Context(), "c.test", again)
		}
	}
	r.delivered = nil
	s.Disconnected(t.Context(), "c.test", c)
	for _, q := range r.delivered {
		if q.To.Domain() == "c.test" && !s.Answer(t.Context(), q.Result("<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:y'/></query>")) {
			t.Errorf("the answer to %s was not taken", q)
		}
	}
	if got := s.Nested(parse(t, "<presence to='a.test'/>").To); len(got.Features) != 1 {
		t.Errorf("got features %q, want urn:y", got.Features)
	}
}
