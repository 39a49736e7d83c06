package private

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func jid(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// newService returns one for a.test.
func newService(o *Options) (*Service, *Memory) {
	store := new(Memory)
	s := New(Config{Store: store})
	s.Configure(stanza.PerHost[*Options]{Hosts: map[string]*Options{"a.test": o}})
	return s, store
}

// send sends a request and returns the payload of the result, or the condition
// of the error.
func send(t *testing.T, s *Service, iq string) string {
	t.Helper()
	request, err := stanza.Parse(iq)
	if err != nil {
		t.Fatalf("%s: %v", iq, err)
	}
	answer, err := s.HandleIQ(t.Context(), request, stanza.Peer{})
	var e *stanza.Error
	if errors.As(err, &e) {
		return string(e.Condition)
	}
	if err != nil {
		t.Fatal(err)
	}
	if answer.Type != stanza.TypeResult || answer.To != request.From {
		t.Errorf("answer is %s", answer)
	}
	if _, err := stanza.Parse(answer.String()); err != nil {
		t.Errorf("answer is %s: %v", answer, err)
	}
	return answer.Inner
}

func ask(t *testing.T, s *Service, typ, elements string) string {
	t.Helper()
	return send(t, s, "<iq type='"+typ+"' id='1' from='hamlet@a.test/denmark'><query xmlns='jabber:iq:private'>"+elements+"</query></iq>")
}

// XEP-0049, section 2.3.
func TestStoreAndRetrieve(t *testing.T) {
	const prefs = "<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>"
	tests := []struct{ name, set, get, want string }{
		{"example", prefs, "<exodus xmlns='exodus:prefs'/>", prefs},
		{"nothing stored", "", "<exodus xmlns='exodus:prefs'/>", "<exodus xmlns='exodus:prefs'/>"},
		{"another element", prefs, "<other xmlns='exodus:prefs'/>", "<other xmlns='exodus:prefs'/>"},
		{"another namespace", prefs, "<exodus xmlns='exodus:more&amp;&apos;'/>", "<exodus xmlns='exodus:more&amp;&apos;'/>"},
		{"what get carries does not matter", prefs, "<exodus xmlns='exodus:prefs' a='1'><b/>c</exodus>", prefs},
		{"mixed content", "<a xmlns='urn:a'> x<b/>\n y <![CDATA[<]]>&#38;<c/></a>", "<a xmlns='urn:a'/>", "<a xmlns='urn:a'> x<b/>\n y <![CDATA[<]]>&#38;<c/></a>"},
		{"attributes alone", "<a xmlns='urn:a' b='1'/>", "<a xmlns='urn:a'/>", "<a xmlns='urn:a' b='1'/>"},
		{"text alone", "<a xmlns='urn:a'>1</a>", "<a xmlns='urn:a'/>", "<a xmlns='urn:a'>1</a>"},
		{"prefix", "<p:a xmlns:p='urn:a'><b/></p:a>", "<a xmlns='urn:a'/>", "<p:a xmlns='jabber:iq:private' xmlns:p='urn:a'><b/></p:a>"},
		{"several of one namespace", "<a xmlns='urn:a'>1</a><b xmlns='urn:a'>2</b>", "<b xmlns='urn:a'/><c xmlns='urn:a'/><a xmlns='urn:a'/>", "<b xmlns='urn:a'>2</b><c xmlns='urn:a'/><a xmlns='urn:a'>1</a>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(&Options{MaxElements: 10, MaxBytes: 1000})
			if tt.set != "" {
				if got := ask(t, s, "set", tt.set); got != "" {
					t.Fatalf("set: got %q, want an empty result", got)
				}
			}
			if got, want := ask(t, s, "get", tt.get), "<query xmlns='jabber:iq:private'>"+tt.want+"</query>"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// Prefixes that the stanza or the query declares mean the same afterwards.
func TestPrefixesFromAround(t *testing.T) {
	s, _ := newService(&Options{MaxElements: 10, MaxBytes: 1000})
	got := send(t, s, "<iq xmlns:p='urn:p' xmlns:q='urn:q' type='set' id='1' from='hamlet@a.test/x'>"+
		"<query xmlns='jabber:iq:private' xmlns:q='urn:r'><a xmlns='urn:a' p:x='1'><q:b/><q:c xmlns:q='urn:s'/></a></query></iq>")
	if got != "" {
		t.Fatalf("got %q, want an empty result", got)
	}
	answer, err := stanza.ParseElement(ask(t, s, "get", "<a xmlns='urn:a'/>"))
	if err != nil {
		t.Fatal(err)
	}
	want := &stanza.Element{
		Name:  stanza.Name{Space: "urn:a", Local: "a"},
		Attrs: []stanza.Attr{{Name: stanza.Name{Space: "urn:p", Local: "x"}, Value: "1"}},
		Children: []*stanza.Element{
			{Name: stanza.Name{Space: "urn:r", Local: "b"}},
			{Name: stanza.Name{Space: "urn:s", Local: "c"}},
		},
	}
	if !reflect.DeepEqual(answer.Children, []*stanza.Element{want}) {
		t.Errorf("got %s", answer.AppendXML(nil))
	}
}

func TestReplaceAndRemove(t *testing.T) {
	s, store := newService(&Options{MaxElements: 1, MaxBytes: 31})
	for _, set := range []string{"<a xmlns='urn:a'>1234567890</a>", "<a xmlns='urn:a'>0987654321</a>"} {
		if got := ask(t, s, "set", set); got != "" {
			t.Errorf("%s: got %q, want an empty result", set, got)
		}
		if got, want := ask(t, s, "get", "<a xmlns='urn:a'/>"), "<query xmlns='jabber:iq:private'>"+set+"</query>"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, empty := range []string{"<a xmlns='urn:a'/>", "<b xmlns='urn:a'></b>"} {
		if got := ask(t, s, "set", empty); got != "" {
			t.Errorf("%s: got %q, want an empty result", empty, got)
		}
	}
	if len(store.accounts) > 0 {
		t.Errorf("something is kept: %v", store.accounts)
	}
}

// XEP-0049, sections 2.3 and 3.
func TestRefused(t *testing.T) {
	query := func(elements string) string { return "<query xmlns='jabber:iq:private'>" + elements + "</query>" }
	const from = " id='1' from='macbeth@a.test/x'"
	tests := []struct{ name, iq, want string }{
		{"get of somebody else", "<iq type='get' to='hamlet@a.test'" + from + ">" + query("<a xmlns='urn:a'/>") + "</iq>", "service-unavailable"},
		{"set of somebody else", "<iq type='set' to='hamlet@a.test'" + from + ">" + query("<a xmlns='urn:a'>1</a>") + "</iq>", "service-unavailable"},
		{"get of nobody", "<iq type='get' to='nobody@a.test'" + from + ">" + query("<a xmlns='urn:a'/>") + "</iq>", "service-unavailable"},
		{"bad get of somebody else", "<iq type='get' to='hamlet@a.test'" + from + ">" + query("") + "</iq>", "service-unavailable"},
		{"get from the server", "<iq type='get' to='a.test'" + from + ">" + query("<a xmlns='urn:a'/>") + "</iq>", "service-unavailable"},
		{"off for the domain", "<iq type='get' id='1' from='hamlet@off.test/x'>" + query("<a xmlns='urn:a'/>") + "</iq>", "service-unavailable"},
		{"get without element", "<iq type='get'" + from + ">" + query("") + "</iq>", "bad-request"},
		{"set without element", "<iq type='set'" + from + ">" + query("a") + "</iq>", "not-acceptable"},
		{"no namespace of its own", "<iq type='set'" + from + ">" + query("<a>1</a>") + "</iq>", "not-acceptable"},
		{"no namespace of its own, prefixed query", "<iq type='set'" + from + "><p:query xmlns:p='jabber:iq:private'><a>1</a></p:query></iq>", "not-acceptable"},
		{"no namespace", "<iq type='set'" + from + ">" + query("<a xmlns=''>1</a>") + "</iq>", "not-acceptable"},
		{"get of two namespaces", "<iq type='get'" + from + ">" + query("<a xmlns='urn:a'/><a xmlns='urn:b'/>") + "</iq>", "not-acceptable"},
		{"set of two namespaces", "<iq type='set'" + from + ">" + query("<a xmlns='urn:a'>1</a><a xmlns='urn:b'>2</a>") + "</iq>", "not-acceptable"},
		{"one name twice", "<iq type='set'" + from + ">" + query("<a xmlns='urn:a'>1</a><a xmlns='urn:a'>2</a>") + "</iq>", "not-acceptable"},
	}
	s, store := newService(&Options{MaxElements: 10, MaxBytes: 1000})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := send(t, s, tt.iq); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if len(store.accounts) > 0 {
		t.Errorf("something is kept: %v", store.accounts)
	}
}

func TestLimits(t *testing.T) {
	element := func(name string, size int) string {
		e := "<" + name + " xmlns='urn:a'>" + "</" + name + ">"
		return "<" + name + " xmlns='urn:a'>" + strings.Repeat("x", size-len(e)) + "</" + name + ">"
	}
	type step struct{ set, want string }
	tests := []struct {
		name  string
		steps []step
	}{
		{"many names", []step{
			{element("a", 50), ""}, {element("b", 50), ""}, {element("c", 50), ""}, {element("d", 50), "resource-constraint"},
			{element("c", 60), ""}, {"<a xmlns='urn:a'/>", ""}, {element("d", 50), ""}}},
		{"many names at once", []step{
			{element("a", 50) + element("b", 50) + element("c", 50) + element("d", 50), "resource-constraint"}}},
		{"huge", []step{{element("a", 1000), ""}, {element("a", 1001), "resource-constraint"}, {element("b", 30), "resource-constraint"}}},
		{"together", []step{{element("a", 500), ""}, {element("b", 501), "resource-constraint"}, {element("b", 500), ""}, {element("a", 499), ""}, {element("b", 501), ""}}},
		{"long names", []step{{"<a xmlns='urn:" + strings.Repeat("x", 1000) + "'>1</a>", "resource-constraint"}}},
		{"nested", []step{{"<a xmlns='urn:a'>" + strings.Repeat("<b>", 100) + strings.Repeat("</b>", 100) + "</a>", ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newService(&Options{MaxElements: 3, MaxBytes: 1000})
			for i, step := range tt.steps {
				if got := ask(t, s, "set", step.set); got != step.want {
					t.Errorf("step %d: got %q, want %q", i, got, step.want)
				}
			}
		})
	}
	t.Run("many names to get", func(t *testing.T) {
		s, _ := newService(&Options{MaxElements: 3, MaxBytes: 1000})
		var names strings.Builder
		for i := range 4 {
			fmt.Fprintf(&names, "<a%d xmlns='urn:a'/>", i)
		}
		if got := ask(t, s, "get", names.String()); got != "resource-constraint" {
			t.Errorf("got %s, want resource-constraint", got)
		}
	})
}

// failing is a store whose disk is full or broken.
type failing struct {
	Memory
	err error
}

func (f *failing) Get(context.Context, stanza.JID, stanza.Name) (string, error) { return "", f.err }

func (f *failing) Set(context.Context, stanza.JID, stanza.Name, string, Limits) error { return f.err }

func TestStoreFails(t *testing.T) {
	f := &failing{err: errors.New("disk is on fire")}
	s := New(Config{Store: f})
	s.Configure(stanza.PerHost[*Options]{Value: &Options{MaxElements: 1, MaxBytes: 10}})
	for _, typ := range []string{"get", "set"} {
		iq, err := stanza.Parse("<iq type='" + typ + "' id='1' from='hamlet@a.test/x'><query xmlns='jabber:iq:private'><a xmlns='urn:a'>1</a></query></iq>")
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := s.HandleIQ(t.Context(), iq, stanza.Peer{}); answer != nil || !errors.Is(err, f.err) {
			t.Errorf("%s: got %v, %v; want %v", typ, answer, err, f.err)
		}
	}
}

func TestRemove(t *testing.T) {
	s, store := newService(&Options{MaxElements: 10, MaxBytes: 1000})
	ask(t, s, "set", "<a xmlns='urn:a'>1</a>")
	if err := s.Remove(t.Context(), jid(t, "hamlet@a.test")); err != nil || len(store.accounts) > 0 {
		t.Errorf("got %v, kept %v; want nothing", err, store.accounts)
	}
}

func TestOfferedWhereConfigured(t *testing.T) {
	s := New(Config{Store: new(Memory)})
	if s.Offered("a.test") {
		t.Errorf("a new Service is on, want off until it is configured")
	}
	d := Defaults()
	s.Configure(stanza.PerHost[*Options]{Value: &d, Hosts: map[string]*Options{"off.test": nil}})
	if !s.Offered("a.test") || s.Offered("off.test") {
		t.Errorf("a.test: %v, off.test: %v; want true and false", s.Offered("a.test"), s.Offered("off.test"))
	}
}
