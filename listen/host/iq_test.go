package host_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// handler is an IQHandler.
type handler func(*stanza.Stanza) (*stanza.Stanza, error)

func (h handler) HandleIQ(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	return h(iq)
}

// echo answers with its name.
func echo(name string) handler {
	return func(iq *stanza.Stanza) (*stanza.Stanza, error) { return iq.Result("<" + name + "/>"), nil }
}

func TestDispatch(t *testing.T) {
	d := new(host.Dispatcher)
	name := func(space, local string) stanza.Name { return stanza.Name{Space: space, Local: local} }
	for _, h := range []host.Handling{
		{Name: name("urn:a", "x"), To: host.ToServer, Handler: echo("server")},
		{Name: name("urn:a", "x"), To: host.ToOwn, Handler: echo("own")},
		{Name: name("urn:b", "x"), To: host.ToOther, Handler: echo("other")},
		{Name: name("urn:c", "x"), To: host.ToServer, Handler: echo("c"), Offered: func(d string) bool { return d == "b.test" }},
		{Name: name("urn:p", "x"), To: host.ToServer, Handler: handler(func(*stanza.Stanza) (*stanza.Stanza, error) { panic("oh") })},
		{Name: name("urn:e", "x"), To: host.ToServer, Handler: handler(func(*stanza.Stanza) (*stanza.Stanza, error) { return nil, errors.New("disk") })},
		{Name: name("urn:l", "x"), To: host.ToServer, Handler: handler(func(*stanza.Stanza) (*stanza.Stanza, error) { return nil, nil })},
	} {
		if err := d.Register(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Register(host.Handling{Name: name("urn:a", "x"), To: host.ToServer | host.ToOther, Handler: echo("again")}); err == nil {
		t.Error("Register of a name that is taken: got no error")
	}
	tests := []struct {
		name, to, typ, payload string
		want                   string // answer at the sender
	}{
		{"to the server", "a.test", "get", "<x xmlns='urn:a'/>", "<server/>"},
		{"to the own account", "romeo@a.test", "set", "<x xmlns='urn:a'/>", "<own/>"},
		{"without to", "", "set", "<x xmlns='urn:a'/>", "<own/>"},
		{"to somebody else", "one@a.test", "get", "<x xmlns='urn:b'/>", "<other/>"},
		{"to nobody", "none@a.test", "get", "<x xmlns='urn:b'/>", refused},
		{"not for this target", "one@a.test", "get", "<x xmlns='urn:a'/>", refused},
		{"unknown namespace", "a.test", "get", "<x xmlns='urn:?'/>", refused},
		{"unknown element of a known namespace", "a.test", "get", "<y xmlns='urn:a'/>", "feature-not-implemented"},
		{"unknown element of a known namespace, to somebody else", "one@a.test", "get", "<y xmlns='urn:b'/>", refused},
		{"the same to nobody", "none@a.test", "get", "<y xmlns='urn:b'/>", refused},
		{"not offered here", "a.test", "get", "<x xmlns='urn:c'/>", refused},
		{"handler panics", "a.test", "get", "<x xmlns='urn:p'/>", "internal-server-error"},
		{"handler fails", "a.test", "get", "<x xmlns='urn:e'/>", "internal-server-error"},
		{"handler answers later", "a.test", "get", "<x xmlns='urn:l'/>", ""},
		{"answer to the server", "a.test", "result", "<x xmlns='urn:a'/>", ""},
		{"answer to the account", "romeo@a.test", "error", "<x xmlns='urn:a'/>", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := rulesWorld(t)
			w.IQ = d
			to := ""
			if tt.to != "" {
				to = fmt.Sprintf(" to='%s'", tt.to)
			}
			w.send("romeo@a.test/x", fmt.Sprintf("<iq xmlns='jabber:client' type='%s' id='1'%s>%s</iq>", tt.typ, to, tt.payload))
			list := w.sinks["romeo@a.test/x"].Stanzas()[w.read["romeo@a.test/x"]:]
			got := ""
			for _, s := range list {
				if got = condition(s); got == "" {
					got = s.Inner
				}
				if from := s.From; tt.to != "" && from != jid(t, tt.to) || s.ID != "1" {
					t.Errorf("answer is %s, want one from %s", s, tt.to)
				}
			}
			if got != tt.want || len(list) > 1 {
				t.Errorf("got %q in %d stanzas, want %q", got, len(list), tt.want)
			}
		})
	}
}

func TestDispatchWithoutPayload(t *testing.T) {
	d := new(host.Dispatcher)
	_, err := d.HandleIQ(t.Context(), &stanza.Stanza{Kind: stanza.IQ, Type: stanza.TypeGet, ID: "1"}, stanza.Peer{})
	if !errors.Is(err, &stanza.Error{Condition: stanza.BadRequest}) {
		t.Errorf("got %v, want bad-request", err)
	}
	_, err = d.HandleIQ(t.Context(), &stanza.Stanza{Kind: stanza.IQ, Type: stanza.TypeGet, ID: "1", To: jid(t, "one@a.test")}, stanza.Peer{})
	if !errors.Is(err, &stanza.Error{Condition: stanza.ServiceUnavailable}) {
		t.Errorf("to somebody else: got %v, want service-unavailable", err)
	}
}

func TestDispatcherFeatures(t *testing.T) {
	d := new(host.Dispatcher)
	for i, h := range []host.Handling{
		{To: host.ToServer | host.ToOwn, Features: []string{"z", "b"}},
		{To: host.ToServer, Features: []string{"a", "b"}},
		{To: host.ToOther, Features: []string{"o"}},
		{To: host.ToServer, Features: []string{"h"}, Offered: func(d string) bool { return d == "b.test" }},
	} {
		h.Name = stanza.Name{Space: fmt.Sprint(i), Local: "q"}
		if err := d.Register(h); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		to     host.Targets
		domain string
		want   string
	}{
		{host.ToServer, "a.test", "[a b z]"},
		{host.ToServer, "b.test", "[a b h z]"},
		{host.ToOwn, "a.test", "[b z]"},
		{host.ToOther, "a.test", "[o]"},
	} {
		if got := fmt.Sprint(d.Features(tt.to, tt.domain)); got != tt.want {
			t.Errorf("Features(%d, %s) = %s, want %s", tt.to, tt.domain, got, tt.want)
		}
	}
}
