package delegation

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// router records what the Service sends.
type router struct {
	routed, delivered []*stanza.Stanza
}

func (r *router) Route(_ context.Context, s *stanza.Stanza) error {
	r.routed = append(r.routed, s)
	return nil
}

func (r *router) DeliverToDomain(_ string, s *stanza.Stanza) error {
	r.delivered = append(r.delivered, s)
	return nil
}

func parse(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return s
}

// newService returns a Service of a.test that delegates urn:x to c.test.
func newService(r *router) *Service {
	s := New(Config{Router: r, Hosts: func() []string { return []string{"a.test"} }})
	s.Configure(stanza.PerHost[*Options]{Value: &Options{Namespaces: map[string]Namespace{"urn:x": {Access: acl.All}}}})
	return s
}

// Whatever a component answers, who has asked gets one answer, and it is one to
// the request.
func FuzzAnswer(f *testing.F) {
	const open, closed = "<delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'>", "</forwarded></delegation>"
	for _, s := range []string{
		open + "<iq xmlns='jabber:client' type='result' id='1' to='b@b.test/x' from='a.test'><x xmlns='urn:x'>a<b/>c</x></iq>" + closed,
		open + "<iq xmlns='jabber:client' type='error' id='1' to='b@b.test/x'><error type='cancel'/></iq>" + closed,
		open + "<iq xmlns='jabber:client' type='set' id='1' to='b@b.test/x'><x/></iq>" + closed,
		open + "<iq xmlns='jabber:client' type='result' id='1' to='b@b.test/y'/>" + closed,
		open + "<message xmlns='jabber:client'/>" + closed, "<x xmlns='urn:x'/>", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		answer, err := stanza.Parse("<iq type='result' id='i' from='c.test' to='a.test'>" + payload + "</iq>")
		if err != nil {
			return
		}
		r := new(router)
		s := newService(r)
		sink := new(listentest.Sink)
		s.Connected(t.Context(), "c.test", sink)
		defer s.Disconnected(t.Context(), "c.test", sink)
		asked := parse(t, "<iq type='get' id='1' from='b@b.test/x' to='a.test'><x xmlns='urn:x'/></iq>")
		if taken, err := s.Delegate(t.Context(), asked); !taken || err != nil {
			t.Fatalf("Delegate: got %t, %v", taken, err)
		}
		answer.ID = r.delivered[len(r.delivered)-1].ID
		if !s.Answer(t.Context(), answer) {
			t.Fatal("the answer was not taken")
		}
		if len(r.routed) != 1 {
			t.Fatalf("%d answers, want 1", len(r.routed))
		}
		got := r.routed[0]
		if got.Kind != stanza.IQ || got.IsRequest() || got.ID != "1" || got.From != asked.To || got.To != asked.From {
			t.Errorf("answer is %s", got)
		}
		parse(t, got.String())
	})
}

// What waits keeps nothing of the payload of a request.
func TestWaitingIsSmall(t *testing.T) {
	r := new(router)
	s := newService(r)
	sink := new(listentest.Sink)
	s.Connected(t.Context(), "c.test", sink)
	defer s.Disconnected(t.Context(), "c.test", sink)
	big := parse(t, "<iq type='get' id='1' from='b@b.test/x' to='a.test'><x xmlns='urn:x'>"+strings.Repeat("x", 1<<20)+"</x></iq>")
	for range 100 { // 100 MiB would not fit
		if taken, err := s.Delegate(t.Context(), big); !taken || err != nil {
			t.Fatalf("got %t, %v", taken, err)
		}
		r.delivered = nil
	}
	long := *big
	long.ID, long.From = strings.Repeat("i", 5<<20), parse(t, "<iq type='result' id='1' from='c@b.test'/>").From
	if _, err := s.Delegate(t.Context(), &long); err != nil {
		t.Errorf("the first one of 5 MiB: %v", err)
	}
	if _, err := s.Delegate(t.Context(), &long); err == nil {
		t.Error("the second one of 5 MiB was taken")
	}
}

// An answer about features is not kept if it is too long, or no such answer.
func TestNestedIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		n            int
	}{
		{"good", "<iq type='result' id='ID' from='c.test' to='a.test'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='f'/></query></iq>", 1},
		{"too long", "<iq type='result' id='ID' from='c.test' to='a.test'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='" +
			strings.Repeat("f", maxNested) + "'/></query></iq>", 0},
		{"an error", "<iq type='error' id='ID' from='c.test' to='a.test'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='f'/></query></iq>", 0},
		{"something else", "<iq type='result' id='ID' from='c.test' to='a.test'><query xmlns='urn:x'><feature var='f'/></query></iq>", 0},
		{"from another one", "<iq type='result' id='ID' from='d.test' to='a.test'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='f'/></query></iq>", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := new(router)
			s := newService(r)
			sink := new(listentest.Sink)
			s.Connected(t.Context(), "c.test", sink)
			defer s.Disconnected(t.Context(), "c.test", sink)
			for _, q := range r.delivered {
				s.Answer(t.Context(), parse(t, strings.Replace(tt.answer, "ID", q.ID, 1)))
			}
			for _, to := range []string{"a.test", "x@a.test"} {
				if got := s.Nested(parse(t, "<presence to='"+to+"'/>").To); len(got.Features) != tt.n {
					t.Errorf("%s: got %d features, want %d", to, len(got.Features), tt.n)
				}
			}
		})
	}
}
