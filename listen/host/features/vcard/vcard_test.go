package vcard

import (
	"context"
	"errors"
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

// newService returns one for a.test and b.test, where juliet@a.test has a vCard.
func newService(t *testing.T) (*Service, *Memory) {
	t.Helper()
	store := new(Memory)
	if err := store.Set(t.Context(), jid(t, "juliet@a.test"), "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"); err != nil {
		t.Fatal(err)
	}
	s := New(Config{Store: store})
	s.Configure(stanza.PerHost[*Options]{Hosts: map[string]*Options{
		"a.test": {MaxBytes: 100, VCard: Card{FN: "A & B", URL: "https://a.test/", Desc: "An XMPP server"}},
		"b.test": {MaxBytes: 100},
	}})
	return s, store
}

// send sends a request and returns the payload of the result, or the error.
func send(t *testing.T, s *Service, iq string) string {
	t.Helper()
	request, err := stanza.Parse(iq)
	if err != nil {
		t.Fatalf("%s: %v", iq, err)
	}
	answer, err := s.HandleIQ(t.Context(), request, stanza.Peer{})
	var e *stanza.Error
	if errors.As(err, &e) {
		return string(e.AppendXML(nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	if answer.Type != stanza.TypeResult || answer.To != request.From || answer.From != request.To {
		t.Errorf("answer is %s", answer)
	}
	return answer.Inner
}

// condition shortens an error without text.
func condition(c stanza.Condition) string {
	return string((&stanza.Error{Condition: c}).AppendXML(nil))
}

// XEP-0054, sections 3.1 and 3.3.
func TestRetrieve(t *testing.T) {
	tests := []struct{ name, from, to, want string }{
		{"own", "juliet@a.test/x", "", "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"own, addressed", "juliet@a.test/x", "juliet@a.test", "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"own, none", "romeo@a.test/x", "", condition(stanza.ItemNotFound)},
		{"of another", "romeo@a.test/x", "juliet@a.test", "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"of another, from another server", "romeo@else.test/x", "juliet@a.test", "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"of another, none", "juliet@a.test/x", "romeo@a.test", condition(stanza.ServiceUnavailable)},
		{"of an account that does not exist", "juliet@a.test/x", "nobody@a.test", condition(stanza.ServiceUnavailable)},
		{"of the server", "romeo@else.test/x", "a.test", "<vCard xmlns='vcard-temp'><FN>A &amp; B</FN><URL>https://a.test/</URL><DESC>An XMPP server</DESC></vCard>"},
		{"of a server without", "juliet@a.test/x", "b.test", condition(stanza.ItemNotFound)},
		{"off for the domain", "juliet@a.test/x", "off.test", condition(stanza.ServiceUnavailable)},
		{"off for the own domain", "juliet@off.test/x", "", condition(stanza.ServiceUnavailable)},
	}
	s, _ := newService(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			to := ""
			if tt.to != "" {
				to = " to='" + tt.to + "'"
			}
			if got := send(t, s, "<iq type='get' id='1' from='"+tt.from+"'"+to+"><vCard xmlns='vcard-temp'/></iq>"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// XEP-0054, section 3.2.
func TestUpdate(t *testing.T) {
	forbidden := string((&stanza.Error{Condition: stanza.Forbidden, Text: "this vCard belongs to somebody else"}).AppendXML(nil))
	tooLarge := string((&stanza.Error{Condition: stanza.PolicyViolation, Text: "a vCard is limited to 100 bytes"}).AppendXML(nil))
	filled := func(size int) string {
		return "<vCard xmlns='vcard-temp'>" + strings.Repeat("x", size-len("<vCard xmlns='vcard-temp'></vCard>")) + "</vCard>"
	}
	tests := []struct{ name, from, to, payload, want, stored string }{
		{"own", "juliet@a.test/x", "", "<vCard xmlns='vcard-temp'>a<N/>b</vCard>", "", "<vCard xmlns='vcard-temp'>a<N/>b</vCard>"},
		{"own, addressed", "juliet@a.test/x", "juliet@a.test", "<vCard xmlns='vcard-temp'>a</vCard>", "", "<vCard xmlns='vcard-temp'>a</vCard>"},
		{"empty", "juliet@a.test/x", "", "<vCard xmlns='vcard-temp'/>", "", ""},
		{"empty with end tag", "juliet@a.test/x", "", "<vCard xmlns='vcard-temp'></vCard>", "", ""},
		{"as large as allowed", "juliet@a.test/x", "", filled(100), "", filled(100)},
		{"too large", "juliet@a.test/x", "", filled(101), tooLarge, "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"another name", "juliet@a.test/x", "", "<vcard xmlns='vcard-temp'>a</vcard>", condition(stanza.BadRequest), "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"of another", "romeo@a.test/x", "juliet@a.test", "<vCard xmlns='vcard-temp'>a</vCard>", forbidden, "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"of an account that does not exist", "juliet@a.test/x", "nobody@a.test", "<vCard xmlns='vcard-temp'>a</vCard>", forbidden, "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"of the server", "juliet@a.test/x", "a.test", "<vCard xmlns='vcard-temp'>a</vCard>", forbidden, "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
		{"of the server by itself", "a.test", "a.test", "<vCard xmlns='vcard-temp'>a</vCard>", forbidden, "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, store := newService(t)
			to := ""
			if tt.to != "" {
				to = " to='" + tt.to + "'"
			}
			if got := send(t, s, "<iq type='set' id='1' from='"+tt.from+"'"+to+">"+tt.payload+"</iq>"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got, _ := store.Get(t.Context(), jid(t, "juliet@a.test")); got != tt.stored {
				t.Errorf("stored: got %s, want %s", got, tt.stored)
			}
			if len(store.cards) > 1 {
				t.Errorf("more is stored: %v", store.cards)
			}
		})
	}
}

// What a vCard uses of the stanza around it goes with it.
func TestPrefix(t *testing.T) {
	s, _ := newService(t)
	send(t, s, "<iq xmlns:p='urn:p' type='set' id='1' from='romeo@a.test/x'><vCard xmlns='vcard-temp'><p:a/></vCard></iq>")
	got, err := stanza.ParseElement(send(t, s, "<iq type='get' id='1' from='romeo@a.test/x'><vCard xmlns='vcard-temp'/></iq>"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []*stanza.Element{{Name: stanza.Name{Space: "urn:p", Local: "a"}}}; !reflect.DeepEqual(got.Children, want) {
		t.Errorf("got %s", got.AppendXML(nil))
	}
}

// failing is a store whose disk is full or broken.
type failing struct {
	Memory
	err error
}

func (f *failing) Get(context.Context, stanza.JID) (string, error) { return "", f.err }

func (f *failing) Set(context.Context, stanza.JID, string) error { return f.err }

func TestStoreFails(t *testing.T) {
	f := &failing{err: errors.New("disk is on fire")}
	s := New(Config{Store: f})
	d := Defaults()
	s.Configure(stanza.PerHost[*Options]{Value: &d})
	for _, typ := range []string{"get", "set"} {
		iq, err := stanza.Parse("<iq type='" + typ + "' id='1' from='juliet@a.test/x'><vCard xmlns='vcard-temp'/></iq>")
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := s.HandleIQ(t.Context(), iq, stanza.Peer{}); answer != nil || !errors.Is(err, f.err) {
			t.Errorf("%s: got %v, %v; want %v", typ, answer, err, f.err)
		}
	}
}

func TestRemove(t *testing.T) {
	s, store := newService(t)
	if err := s.Remove(t.Context(), jid(t, "juliet@a.test")); err != nil || len(store.cards) > 0 {
		t.Errorf("got %v, kept %v; want nothing", err, store.cards)
	}
}

func TestOfferedWhereConfigured(t *testing.T) {
	if New(Config{Store: new(Memory)}).Offered("a.test") {
		t.Errorf("a new Service is on, want off until it is configured")
	}
	s, _ := newService(t)
	if !s.Offered("a.test") || s.Offered("off.test") {
		t.Errorf("a.test: %v, off.test: %v; want true and false", s.Offered("a.test"), s.Offered("off.test"))
	}
}
