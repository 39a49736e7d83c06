package stanza

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unsafe"
)

func TestAppendTo(t *testing.T) {
	a, b := mustJID(t, "a@b/'<&"), mustJID(t, "c@d")
	tests := []struct {
		name, xmlns string
		s           Stanza
		want        string
	}{
		{"empty", "", Stanza{Kind: Presence}, "<presence/>"},
		{"namespace", NSClient, Stanza{Kind: IQ}, "<iq xmlns='jabber:client'/>"},
		{
			"all", NSServer,
			Stanza{Kind: Message, Type: TypeChat, ID: "'>", Lang: "en", From: a, To: b, Attrs: " x='y'", Inner: "<body>1</body>"},
			"<message xmlns='jabber:server' from='a@b/&apos;&lt;&amp;' to='c@d' type='chat' id='&apos;&gt;' xml:lang='en' x='y'><body>1</body></message>",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(tt.s.AppendTo([]byte("-"), tt.xmlns)); got != "-"+tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSize(t *testing.T) {
	next := reading(t)
	for range traffic {
		s := next()
		if got, want := s.Size(), len(s.AppendTo(nil, "")); got < want-32 || got > want+64 {
			t.Errorf("got size %d, want about %d", got, want)
		}
	}
}

func TestWith(t *testing.T) {
	s := &Stanza{Kind: Message, ID: "1", From: mustJID(t, "a@b"), To: mustJID(t, "c@d"), Inner: "<x/>"}
	e := mustJID(t, "e@f")
	if got := s.WithFrom(e); got.From != e || got.To != s.To || got.Inner != s.Inner || s.From == e {
		t.Errorf("got %v of %v, want another sender", got, s)
	}
	if got := s.WithTo(e); got.To != e || got.From != s.From || got.ID != s.ID || s.To == e {
		t.Errorf("got %v of %v, want another recipient", got, s)
	}
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		xml            string
		request, error bool
	}{
		{"<iq id='1' type='get'><a/></iq>", true, true},
		{"<iq id='1' type='set'><a/></iq>", true, true},
		{"<iq id='1' type='result'/>", false, false},
		{"<iq id='1' type='error'/>", false, false},
		{"<message/>", false, true},
		{"<message type='groupchat'/>", false, true},
		{"<message type='error'/>", false, false},
		{"<presence/>", false, false},
		{"<presence type='subscribe'/>", false, false},
	}
	for _, tt := range tests {
		s, err := Parse(tt.xml)
		if err != nil {
			t.Fatal(err)
		}
		if s.IsRequest() != tt.request || s.MayBounce() != tt.error {
			t.Errorf("%s: got request %v, may bounce %v", tt.xml, s.IsRequest(), s.MayBounce())
		}
	}
}

func TestResult(t *testing.T) {
	s, err := Parse("<iq from='a@b/c' to='d' id='x&lt;' type='get'><q/></iq>")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Result("<r/>").String(), "<iq from='d' to='a@b/c' type='result' id='x&lt;'><r/></iq>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	reply := s.ErrorReply(&Error{Condition: Forbidden})
	if got, want := reply.String(), "<iq from='d' to='a@b/c' type='error' id='x&lt;'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if want := (Name{NSClient, "error"}); reply.Child != want {
		t.Errorf("got child %v, want %v", reply.Child, want)
	}
}

func TestKindString(t *testing.T) {
	for kind, want := range map[Kind]string{Message: "message", Presence: "presence", IQ: "iq", 0: "unknown"} {
		if got := kind.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAppendEscaped(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain":                  "plain",
		`<a b="c" d='e'>&</a>`:   "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;&lt;/a&gt;",
		"\t\n\r":                 "&#9;&#10;&#13;",
		"é語😀\u0085\x7f\uFFFD":    "é語😀\u0085\x7f\uFFFD",
		"a\x00b\x1fc":            "a\uFFFDb\uFFFDc",
		"\uFFFE\uFFFF":           "\uFFFD\uFFFD",
		"a\xff\xc0\xafb\xed\xa0": "a\uFFFD\uFFFD\uFFFDb\uFFFD\uFFFD",
	} {
		if got := string(AppendEscaped([]byte("-"), in)); got != "-"+want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzAppendEscaped checks that any text survives, as text and as a value, but
// for what XML cannot say.
func FuzzAppendEscaped(f *testing.F) {
	f.Add("<&>'\"\t\r\n")
	f.Add("\x00\xff é")
	f.Fuzz(func(t *testing.T, s string) {
		esc := string(AppendEscaped(nil, s))
		e, err := ParseElement("<a b='" + esc + "' c=\"" + esc + "\">" + esc + "</a>")
		if err != nil {
			t.Fatalf("%q escaped as %q: %v", s, esc, err)
		}
		want := strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
				return 0xFFFD
			}
			return r
		}, s)
		if e.Text != want || e.Attr("b") != want || e.Attr("c") != want {
			t.Fatalf("%q: got %q, %q, %q, want %q", s, e.Text, e.Attr("b"), e.Attr("c"), want)
		}
	})
}

func TestErrorXML(t *testing.T) {
	tests := []struct {
		name string
		e    Error
		want string
	}{
		{"usual type", Error{Condition: ItemNotFound}, "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"},
		{
			"all", Error{Type: Wait, Condition: PolicyViolation, Text: "a<b", App: "<x xmlns='urn:x'/>"},
			"<error type='wait'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>a&lt;b</text><x xmlns='urn:x'/></error>",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(tt.e.AppendXML(nil)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestUsualTypes checks the types that RFC 6120, section 8.3.3, gives.
func TestUsualTypes(t *testing.T) {
	for typ, conditions := range map[ErrorType][]Condition{
		Modify: {BadRequest, JIDMalformed, NotAcceptable, PolicyViolation, Redirect},
		Auth:   {Forbidden, NotAuthorized, RegistrationRequired, SubscriptionRequired},
		Wait:   {RecipientUnavailable, RemoteServerTimeout, ResourceConstraint, UnexpectedRequest},
		Cancel: {Conflict, FeatureNotImplemented, Gone, InternalServerError, ItemNotFound, NotAllowed, RemoteServerNotFound, ServiceUnavailable, UndefinedCondition},
	} {
		for _, c := range conditions {
			if got := c.usualType(); got != typ {
				t.Errorf("%s: got %s, want %s", c, got, typ)
			}
		}
	}
}

func TestStreamErrorXML(t *testing.T) {
	e := &StreamError{Condition: StreamConflict, Text: "a&b", App: "<x/>", Err: io.EOF}
	want := "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>a&amp;b</text><x/>"
	if got := string(e.AppendXML(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := e.Error(), "conflict: a&b: EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(e, io.EOF) || !errors.Is(e, &StreamError{Condition: StreamConflict}) || errors.Is(e, &StreamError{Condition: StreamReset}) {
		t.Error("errors.Is goes by the condition and the wrapped error")
	}
}

func TestErrorIs(t *testing.T) {
	e := &Error{Condition: Conflict, Text: "taken"}
	if !errors.Is(e, &Error{Condition: Conflict}) || errors.Is(e, &Error{Condition: Gone}) {
		t.Error("errors.Is goes by the condition")
	}
	if got, want := e.Error(), "conflict: taken"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPerHost(t *testing.T) {
	p := PerHost[int]{Value: 1, Hosts: map[string]int{"a.example": 2}}
	if p.For("a.example") != 2 || p.For("b.example") != 1 {
		t.Errorf("got %d and %d, want 2 and 1", p.For("a.example"), p.For("b.example"))
	}
}

// TestAnswersKeepNoPayload: a small answer in a queue must not hold the memory of
// a large request.
func TestAnswersKeepNoPayload(t *testing.T) {
	iq, err := Parse("<iq type='get' id='1'><a xmlns='urn:a'>" + strings.Repeat("x", 1000) + "</a></iq>")
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]*Stanza{
		"result": iq.Result(""),
		"error":  iq.ErrorReply(&Error{Condition: BadRequest}),
	} {
		if answer.ID != iq.ID || unsafe.StringData(answer.ID) == unsafe.StringData(iq.ID) {
			t.Errorf("%s: the id %q is a piece of the request, want a copy of %q", name, answer.ID, iq.ID)
		}
	}
}
