package c2s

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestStamp checks what the router gets of what a client sends.
// See RFC 6120, sections 4.7.4 and 8.1.
func TestStamp(t *testing.T) {
	tests := []struct{ name, send, want string }{
		{"no sender", "<message to='bo@one.test'/>", "<message from='ana@one.test/boat' to='bo@one.test'/>"},
		{"full address", "<message from='ana@one.test/boat'/>", "<message from='ana@one.test/boat'/>"},
		{"bare address", "<message from='Ana@One.test'/>", "<message from='ana@one.test/boat'/>"},
		{"payload as it came", "<message id='1'><a:b xmlns:a='urn:x' c = \"'\">&lt;</a:b></message>",
			"<message from='ana@one.test/boat' id='1'><a:b xmlns:a='urn:x' c = \"'\">&lt;</a:b></message>"},
		{"own language", "<message xml:lang='fr'/>", "<message from='ana@one.test/boat' xml:lang='fr'/>"},
		{"presence", "<presence/>", "<presence from='ana@one.test/boat'/>"},
		{"request to another user", "<iq id='1' type='get' to='bo@one.test'><q xmlns='urn:x'/></iq>",
			"<iq from='ana@one.test/boat' to='bo@one.test' type='get' id='1'><q xmlns='urn:x'/></iq>"},
		{"request to another host of ours", "<iq id='1' type='get' to='two.test'><q xmlns='urn:x'/></iq>",
			"<iq from='ana@one.test/boat' to='two.test' type='get' id='1'><q xmlns='urn:x'/></iq>"},
		{"request to another session of one's own", "<iq id='1' type='get' to='ana@one.test/raft'><q xmlns='urn:x'/></iq>",
			"<iq from='ana@one.test/boat' to='ana@one.test/raft' type='get' id='1'><q xmlns='urn:x'/></iq>"},
		{"request to a resource of the host", "<iq id='1' type='get' to='one.test/x'><q xmlns='urn:x'/></iq>",
			"<iq from='ana@one.test/boat' to='one.test/x' type='get' id='1'><q xmlns='urn:x'/></iq>"},
		{"answer to the host", "<iq id='1' type='result' to='one.test'/>",
			"<iq from='ana@one.test/boat' to='one.test' type='result' id='1'/>"},
		{"answer without address", "<iq id='1' type='result'/>", "<iq from='ana@one.test/boat' type='result' id='1'/>"},
		{"after white space", " \r\n\t \n<presence/>", "<presence from='ana@one.test/boat'/>"},
	}
	r := start(t)
	c := r.login("ana", "boat")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.Send(tt.send)
			if got := receive(t, "stanza", r.fake.routed).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLanguageOfStream(t *testing.T) {
	r := start(t)
	c := r.open()
	c.Send(auth("PLAIN", "\x00ana\x00anchor"))
	c.Expect("<success")
	c.Send(strings.Replace(header("one.test"), " to=", " xml:lang='pt-BR' to=", 1))
	c.Expect("</stream:features>")
	c.bind("ana", "boat")
	c.Send("<message/><message xml:lang='fr'/>")
	for _, want := range []string{"pt-BR", "fr"} {
		if got := receive(t, "stanza", r.fake.routed).Lang; got != want {
			t.Errorf("got language %q, want %q", got, want)
		}
	}
}

// TestAnswers checks what the module and the host's IQHandler answer.
func TestAnswers(t *testing.T) {
	handler := iqFunc(func(_ context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
		if iq.From.String() != "ana@one.test/boat" || !p.Addr.IsValid() {
			t.Errorf("got a request from %q at %v, want one from ana@one.test/boat", iq.From, p.Addr)
		}
		switch iq.Child.Local {
		case "refuse":
			return nil, &stanza.Error{Condition: stanza.ItemNotFound}
		case "break":
			return nil, errors.New("store is down")
		case "later":
			return nil, nil
		}
		return iq.Result("<ok xmlns='urn:x'/>"), nil
	})
	fault := func(condition string) string { return "<" + condition + " xmlns='" + nsStanzas + "'/>" }
	tests := []struct {
		name, send, want string
		without          bool // an IQHandler
	}{
		{"no address", "<iq id='1' type='get'><q xmlns='urn:x'/></iq>", "<iq to='ana@one.test/boat' type='result' id='1'><ok xmlns='urn:x'/></iq>", false},
		{"to the account", "<iq id='1' type='set' to='ana@one.test'><q xmlns='urn:x'/></iq>", "<iq from='ana@one.test' to='ana@one.test/boat' type='result' id='1'><ok", false},
		{"to the host", "<iq id='1' type='get' to='one.test'><q xmlns='urn:x'/></iq>", "<iq from='one.test' to='ana@one.test/boat' type='result' id='1'><ok", false},
		{"refused by the host", "<iq id='1' type='get'><refuse xmlns='urn:x'/></iq>", fault("item-not-found"), false},
		{"host is broken", "<iq id='1' type='get'><break xmlns='urn:x'/></iq>", fault("internal-server-error"), false},
		{"no answer yet", "<iq id='1' type='get'><later xmlns='urn:x'/></iq><iq id='2' type='get'><q xmlns='urn:x'/></iq>", "id='2'", false},
		{"no handler", "<iq id='1' type='get'><q xmlns='urn:x'/></iq>", fault("service-unavailable"), true},
		{"session of RFC 3921", "<iq id='1' type='set'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", "<iq to='ana@one.test/boat' type='result' id='1'/>", true},
		{"second resource", bindRequest("raft"), fault("not-allowed"), false},
		{"request without id", "<iq type='get'><q xmlns='urn:x'/></iq>", fault("bad-request"), false},
		{"no type", "<iq id='1'><q xmlns='urn:x'/></iq>", fault("bad-request"), false},
		{"unknown type", "<iq id='1' type='ask'><q xmlns='urn:x'/></iq>", fault("bad-request"), false},
		{"request without payload", "<iq id='1' type='get'/>", fault("bad-request"), false},
		{"request with two payloads", "<iq id='1' type='get'><q xmlns='urn:x'/><q xmlns='urn:x'/></iq>", fault("bad-request"), false},
		{"message to no address", "<message id='1' to='@'/>", "<message to='ana@one.test/boat' type='error' id='1'><error type='modify'>" + fault("jid-malformed"), false},
		{"presence to no address", "<presence to='@'/>", fault("jid-malformed"), false},
		{"presence of unknown type", "<presence type='here'/>", fault("bad-request"), false},
		{"errors are not answered", "<message id='1' type='error' to='@'/><iq id='2' type='result' to='@'/><iq id='3' type='get'><q xmlns='urn:x'/></iq>", "id='3'", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, func(r *rig) {
				if !tt.without {
					r.host.IQ = handler
				}
			})
			c := r.login("ana", "boat")
			c.Send(tt.send)
			if got := c.Expect(tt.want); strings.Contains(tt.want, "id=") && strings.Count(got, "id=") != 1 {
				t.Errorf("got %s, want one answer", got)
			}
			c.Send("</stream:stream>")
			c.ExpectEOF()
			c.wellFormed()
		})
	}
}

// TestEndsSession checks what a client with a session must not send.
func TestEndsSession(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{"another sender", "<message from='bo@one.test'/>", "invalid-from"},
		{"another resource", "<message from='ana@one.test/raft'/>", "invalid-from"},
		{"another sender of a malformed stanza", "<message from='bo@one.test' to='@'/>", "invalid-from"},
		{"a sender that is no address", "<message from='@'/>", "invalid-from"},
		{"unknown element", "<r xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"},
		{"STARTTLS", "<starttls xmlns='" + nsTLS + "'/>", "unsupported-stanza-type"},
		{"login", auth("PLAIN", "\x00bo\x00anchor"), "unsupported-stanza-type"},
		{"stanza of servers", "<message xmlns='jabber:server'/>", "unsupported-stanza-type"},
		{"stanza in no namespace", "<message xmlns=''/>", "unsupported-stanza-type"},
		{"text", "hello", "bad-format"},
		{"processing instruction", "<?x y?>", "restricted-xml"},
		{"undeclared prefix", "<message><a:b/></message>", "not-well-formed"},
		{"header again", header("one.test"), "not-well-formed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t)
			c := r.login("ana", "boat")
			c.Send(tt.send)
			c.expectError(tt.want)
			end := receive(t, "end", r.fake.ended)
			if want := (&stanza.StreamError{Condition: stanza.StreamCondition(tt.want)}); !errors.Is(end.reason, want) {
				t.Errorf("got reason %v, want %s", end.reason, tt.want)
			}
			r.drain()
			_, line, _ := strings.Cut(r.log.String(), `msg="connection failed"`)
			if !strings.Contains(line, tt.want) || !strings.Contains(line, "user=ana@one.test/boat") {
				t.Errorf("got log %s, want a failed connection with %s and its user", r.log.String(), tt.want)
			}
		})
	}
}

// TestRouteFails checks that an error of the router is logged once and ends
// nothing.
func TestRouteFails(t *testing.T) {
	r := start(t, func(r *rig) {
		r.fake.onRoute = func(_ context.Context, s *stanza.Stanza) error {
			if s.ID == "last" {
				r.fake.routed <- s
				return nil
			}
			return errors.New("store is down")
		}
	})
	c := r.login("ana", "boat")
	c.Send("<message/><message/><message id='last'/>")
	receive(t, "stanza", r.fake.routed)
	if n := strings.Count(r.log.String(), "store is down"); n != 1 {
		t.Errorf("got %d lines in the log, want 1", n)
	}
}

func TestChat(t *testing.T) {
	r := start(t)
	ana, bo := r.login("ana", "boat"), r.login("bo", "pier")
	ana.Send(message("bo@one.test/pier", "ahoy"))
	bo.Expect("<message from='ana@one.test/boat' to='bo@one.test/pier'><body>ahoy</body></message>")
	bo.Send(message("ana@one.test/boat", "ahoy"))
	ana.Expect("<message from='bo@one.test/pier' to='ana@one.test/boat'><body>ahoy</body></message>")
}
