package privilege

import (
	"context"
	"errors"
	"fmt"
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
	spoken, delivered []*stanza.Stanza
}

func (r *router) Speak(_ context.Context, s *stanza.Stanza) error {
	r.spoken = append(r.spoken, s)
	return nil
}

func (r *router) DeliverToDomain(_ string, s *stanza.Stanza) error {
	r.delivered = append(r.delivered, s)
	return nil
}

func (r *router) Presences(context.Context, string, bool, func(*stanza.Stanza) error) error {
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

// newService returns a Service that lets everybody send messages and make
// requests of urn:get (get) and urn:both, with c.test connected.
func newService(t testing.TB, r *router) *Service {
	s := New(Config{Router: r, Hosts: func() []string { return []string{"a.test"} }})
	s.Configure(stanza.PerHost[*Options]{Value: &Options{
		Message: Message{Outgoing: acl.All},
		IQ:      map[string]Requests{"urn:get": {Get: acl.All}, "urn:both": {Both: acl.All}},
	}})
	sink := new(listentest.Sink)
	s.Connected(t.Context(), "c.test", sink)
	t.Cleanup(func() { s.Disconnected(context.Background(), "c.test", sink) })
	return s
}

// Whatever a component sends, nobody but the host and its users speaks.
func FuzzMessage(f *testing.F) {
	const open, closed = "<privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>", "</forwarded></privilege>"
	for _, s := range []string{
		open + "<message xmlns='jabber:client' from='x@a.test' to='b@b.test'><body>a</body></message>" + closed,
		open + "<message xmlns='jabber:component:accept' from='a.test' to='b@b.test'><body>a</body></message>" + closed,
		open + "<message xmlns='jabber:client' from='x@a.test/r'/>" + closed,
		open + "<message xmlns='jabber:client' from='x@b.test'/>" + closed,
		open + "<message xmlns='jabber:client' from='X@A.test' type='?'/>" + closed, open + closed, "<privilege xmlns='urn:xmpp:privilege:2'/>", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		m, err := stanza.Parse("<message from='c.test' to='a.test'>" + payload + "</message>")
		if err != nil {
			return
		}
		r := new(router)
		taken, err := newService(t, r).Message(t.Context(), m)
		if !taken && (err != nil || len(r.spoken) > 0) || taken && (err == nil) != (len(r.spoken) == 1) {
			t.Errorf("taken %t, %v, %d sent", taken, err, len(r.spoken))
		}
		if e := (*stanza.Error)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("error is %v, want one for the sender", err)
		}
		for _, s := range r.spoken {
			if s.Kind != stanza.Message || s.From.Domain() != "a.test" || !s.From.IsBare() {
				t.Errorf("sent %s", s)
			}
			parse(t, s.String())
		}
	})
}

// Whatever a component asks for, it is the user that is named, and what may be
// asked.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"<iq xmlns='jabber:client' type='get' id='1' to='b.test'><x xmlns='urn:get'/></iq>",
		"<iq xmlns='jabber:client' type='set' id='1' to='b.test'><x xmlns='urn:get'/></iq>",
		"<iq xmlns='jabber:client' type='get' id='1' from='x@a.test'><x xmlns='urn:both'/></iq>",
		"<iq xmlns='jabber:client' type='get' id='1' from='y@a.test'><x xmlns='urn:both'/></iq>",
		"<iq xmlns='jabber:client' type='get' id='1' to='x@a.test/r'><x xmlns='urn:both'/></iq>",
		"<iq type='get' id='1'><x xmlns='urn:both'/></iq>", "<p:iq xmlns:p='jabber:client' type='get' id='1'><x xmlns='urn:both'/></p:iq>", "",
	} {
		f.Add(s, "get")
		f.Add(s, "set")
	}
	f.Fuzz(func(t *testing.T, payload, typ string) {
		iq, err := stanza.Parse("<iq from='c.test' to='x@a.test' type='" + typ + "' id='o'><privileged_iq xmlns='urn:xmpp:privilege:2'>" + payload + "</privileged_iq></iq>")
		if err != nil || !iq.IsRequest() || iq.Child != request {
			return
		}
		r := new(router)
		s := newService(t, r)
		answer, err := s.HandleIQ(t.Context(), iq, stanza.Peer{})
		if answer != nil || (err == nil) != (len(r.spoken) == 1) {
			t.Errorf("got %v, %v, %d sent", answer, err, len(r.spoken))
		}
		if e := (*stanza.Error)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("error is %v, want one for the sender", err)
		}
		for _, q := range r.spoken {
			if q.From != iq.To || q.To.IsZero() || q.Type != iq.Type || q.To.IsFull() && q.To.Bare() == iq.To {
				t.Errorf("sent %s", q)
			}
			if q.Child.Space != "urn:both" && (q.Child.Space != "urn:get" || q.Type != stanza.TypeGet) {
				t.Errorf("sent %s", q)
			}
			if q.ID == "1" {
				t.Error("the id is the component's")
			}
			result := q.Result("<y xmlns='urn:y'/>")
			if !s.Answer(t.Context(), result) || len(r.delivered) != 1 {
				t.Fatal("the answer was not taken")
			}
			if got := parse(t, r.delivered[0].String()); got.ID != iq.ID || got.To != iq.From || got.From != iq.To {
				t.Errorf("answered %s", got)
			}
		}
	})
}

// XEP-0356, section 8, rule 2.
func TestTold(t *testing.T) {
	told := newTold()
	n := 0
	tell := func(xml string) {
		t.Helper()
		if err := told.tell(parse(t, xml), func() error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct {
		xml  string
		want int
	}{
		{"<presence from='a@a.test/x'/>", 1},
		{"<presence from='a@a.test/x'/>", 1},
		{"<presence from='a@a.test/y'/>", 2},
		{"<presence from='a@a.test/x'><show>away</show></presence>", 3},
		{"<presence from='a@a.test/x'/>", 4},
		{"<presence from='a@a.test/x' type='unavailable'/>", 5},
		{"<presence from='a@a.test/x' type='unavailable'/>", 5},
		{"<presence from='a@a.test/x' xml:lang='de'/>", 6},
		{"<presence from='a@a.test/x' id='de'/>", 7},
	} {
		if tell(step.xml); n != step.want {
			t.Errorf("step %d: told %d times, want %d", i, n, step.want)
		}
	}
	told.forget()
	if tell("<presence from='a@a.test/x' id='de'/>"); n != 8 {
		t.Error("it is remembered after forget")
	}
	failed := errors.New("failed")
	p := parse(t, "<presence from='b@a.test/x'/>")
	if err := told.tell(p, func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v, want %v", err, failed)
	}
	if tell(p.String()); n != 9 {
		t.Error("what has failed counts as told")
	}
	// It has a bound: what is forgotten comes again.
	n = 0
	for range 2 {
		for i := range 10 * len(told.slots) {
			tell(fmt.Sprintf("<presence from='u%d@a.test/x'/>", i))
		}
	}
	if n < 19*len(told.slots) || n > 20*len(told.slots) {
		t.Errorf("told %d times, want about %d", n, 20*len(told.slots))
	}
}

// What is granted to nobody costs nothing.
func TestUnused(t *testing.T) {
	s := New(Config{Router: new(router), Hosts: func() []string { return nil }})
	iq, m := parse(t, "<iq type='result' id='1' from='b.test' to='a.test'/>"), parse(t, "<message from='b.test' to='a.test'><body/></message>")
	got := testing.AllocsPerRun(100, func() {
		if s.Watches("a.test") || s.WantsPushes("a.test") || s.Answer(t.Context(), iq) || s.MayManage(iq) {
			t.Error("something is granted")
		}
		if taken, _ := s.Message(t.Context(), m); taken {
			t.Error("a message was taken")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// Messages of others may have the namespace somewhere.
func TestMessagesOfOthers(t *testing.T) {
	r := new(router)
	s := newService(t, r)
	for _, tt := range []struct {
		xml  string
		want string // condition; "": it is not taken
	}{
		{"<message from='d.test' to='a.test'><body>urn:xmpp:privilege:2</body></message>", ""},
		{"<message from='d.test' to='a.test'><body/><privilege xmlns='urn:xmpp:privilege:2'/></message>", "forbidden"},
		{"<message from='d.test' to='a.test'><body>hi</body></message>", ""},
		{"<message from='c.test' to='a.test/x'><privilege xmlns='urn:xmpp:privilege:2'/></message>", ""},
		{"<message from='c.test' to='a.test' type='error'><privilege xmlns='urn:xmpp:privilege:2'/></message>", ""},
		{"<message from='c.test' to='b.test'><p:privilege xmlns:p='urn:xmpp:privilege:2'/></message>", "forbidden"},
	} {
		taken, err := s.Message(t.Context(), parse(t, tt.xml))
		if taken != (tt.want != "") || taken && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got %t, %v; want %s", tt.xml, taken, err, tt.want)
		}
	}
	if len(r.spoken) > 0 {
		t.Errorf("sent %q", r.spoken)
	}
}
