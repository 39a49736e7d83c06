package host_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// RFC 6121, sections 8.5.1 and 8.5.2.2, with a store for messages.
func TestOffline(t *testing.T) {
	tests := []struct {
		to, typ string
		kept    bool
		want    string
	}{
		{"idle@a.test", "chat", true, ""},
		{"idle@a.test", "normal", true, ""},
		{"idle@a.test/r", "chat", true, ""},
		{"idle@a.test/r", "normal", false, refused},
		{"idle@a.test", "headline", false, ""},
		{"idle@a.test", "groupchat", true, ""}, // the store decides: store_groupchat
		{"one@a.test", "groupchat", false, refused},
		{"idle@a.test", "error", false, ""},
		{"negative@a.test", "chat", true, ""},
		{"connected@a.test", "chat", true, ""},
		{"none@a.test", "chat", false, refused},
		{"one@a.test", "chat", false, "zero"},
	}
	for _, tt := range tests {
		t.Run(tt.typ+" to "+tt.to, func(t *testing.T) {
			w := rulesWorld(t)
			o := new(offline)
			w.Offline = o
			w.send("romeo@a.test/x", fmt.Sprintf("<message xmlns='jabber:client' to='%s' type='%s'/>", tt.to, tt.typ))
			if got := outcome(w); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if kept := o.count() == 1; kept != tt.kept {
				t.Errorf("message was kept: %t, want %t", kept, tt.kept)
			}
		})
	}
}

func TestOfflineRefuses(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&stanza.Error{Condition: stanza.ResourceConstraint}, "resource-constraint"},
		{errors.New("disk is full"), "internal-server-error"},
	} {
		w := rulesWorld(t)
		w.Offline = &offline{refuse: func(*stanza.Stanza) error { return tt.err }}
		w.send("romeo@a.test/x", "<message xmlns='jabber:client' to='idle@a.test'/>")
		if got := outcome(w); got != tt.want {
			t.Errorf("store says %v: sender got %q, want %q", tt.err, got, tt.want)
		}
	}
}

// A session that has closed and is not released yet counts as gone; a full
// queue is the sender's news.
func TestDeliveryFails(t *testing.T) {
	tests := []struct {
		name, to, stanza string
		full             bool // the queue; else the session has closed
		want             string
	}{
		{"closed, chat to the full JID", "romeo@a.test/top", "message type='chat'", false, "low"},
		{"closed, normal to the full JID", "romeo@a.test/top", "message", false, refused},
		{"closed, to the bare JID", "romeo@a.test", "message", false, "low"},
		{"closed, request", "romeo@a.test/top", "iq id='1' type='get'", false, refused},
		{"closed, answer", "romeo@a.test/top", "iq id='1' type='result'", false, ""},
		{"full, to the full JID", "romeo@a.test/top", "message type='chat'", true, "resource-constraint"},
		{"full, to the bare JID", "romeo@a.test", "message", true, "resource-constraint"},
		{"full, request", "romeo@a.test/top", "iq id='1' type='get'", true, "resource-constraint"},
		{"full, error", "romeo@a.test/top", "message type='error'", true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, hosts("a.test"), "romeo@a.test")
			w.bind("juliet@a.test/x", "")
			top := w.bind("romeo@a.test/top", prio(9))
			w.bind("romeo@a.test/low", prio(1))
			w.got()
			if tt.full {
				top.Limit = 1
			} else {
				top.Kick(nil)
			}
			name := tt.stanza
			if i := len("iq"); name[:i] == "iq" {
				name = "iq"
			} else {
				name = "message"
			}
			w.send("juliet@a.test/x", fmt.Sprintf("<%s xmlns='jabber:client' to='%s'><q xmlns='urn:x'/></%s>", tt.stanza, tt.to, name))
			if got := outcome(w); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Of two resources that share the priority one took it: that is enough.
func TestOneOfTwoTakesIt(t *testing.T) {
	w := rulesWorld(t)
	w.sinks["many@a.test/top1"].Limit = 1
	w.send("romeo@a.test/x", "<message xmlns='jabber:client' to='many@a.test'/>")
	if got := outcome(w); got != "top2" {
		t.Errorf("got %q, want top2", got)
	}
}

func TestEndedReroutes(t *testing.T) {
	w := rulesWorld(t)
	from, gone := jid(t, "romeo@a.test/x"), jid(t, "one@a.test/gone")
	st := func(k stanza.Kind, typ string, to stanza.JID) *stanza.Stanza {
		return &stanza.Stanza{Kind: k, Type: typ, ID: "1", From: from, To: to}
	}
	for _, tt := range []struct {
		s    *stanza.Stanza
		want string
	}{
		{st(stanza.Message, stanza.TypeChat, gone), "zero"},
		{st(stanza.Message, stanza.TypeGroupchat, gone), refused},
		{st(stanza.Message, "", gone.Bare()), "zero"},
		{st(stanza.Message, stanza.TypeError, gone), ""},
		{st(stanza.IQ, stanza.TypeGet, gone), refused},
		{st(stanza.IQ, stanza.TypeResult, gone), ""},
		{st(stanza.Presence, "", gone), ""},
	} {
		w.Ended(t.Context(), stanza.SessionInfo{JID: gone}, queued(tt.s), nil)
		if got := outcome(w); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.s, got, tt.want)
		}
	}
}

// routerFunc is a Router.
type routerFunc func(*stanza.Stanza) error

func (f routerFunc) Route(_ context.Context, s *stanza.Stanza) error { return f(s) }

func TestNext(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	w.bind("romeo@a.test/x", "")
	var got *stanza.Stanza
	w.Next = routerFunc(func(s *stanza.Stanza) error { got = s; return nil })
	w.send("romeo@a.test/x", "<message xmlns='jabber:client' to='juliet@far.test/r'/>")
	w.expect()
	if want := "<message from='romeo@a.test/x' to='juliet@far.test/r'/>"; got == nil || got.String() != want {
		t.Errorf("Next got %v, want %s", got, want)
	}
}

func TestRouteWithoutSender(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	if err := w.Route(t.Context(), &stanza.Stanza{Kind: stanza.Message, To: jid(t, "romeo@a.test")}); err == nil {
		t.Error("got no error")
	}
}

func TestRegisterDomain(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	w.bind("romeo@a.test/x", "")
	c := new(listentest.Sink)
	release, err := w.RegisterDomain("Rooms.A.test", c)
	if err != nil {
		t.Fatal(err)
	}
	if w.IsLocal("rooms.a.test") {
		t.Error("a registered domain is no virtual host")
	}
	if got := w.Domains(); len(got) != 1 || got[0] != "rooms.a.test" {
		t.Errorf("Domains() = %q, want rooms.a.test", got)
	}
	for _, name := range []string{"rooms.a.test", "a.test"} {
		if _, err := w.RegisterDomain(name, c); !errors.Is(err, host.ErrDomainTaken) {
			t.Errorf("RegisterDomain(%q): got %v, want ErrDomainTaken", name, err)
		}
	}
	if _, err := w.RegisterDomain("", c); !errors.Is(err, stanza.ErrBadJID) {
		t.Errorf("RegisterDomain of nothing: got %v, want ErrBadJID", err)
	}
	w.send("romeo@a.test/x", "<message xmlns='jabber:client' to='verona@rooms.a.test'/>")
	if n := len(c.Stanzas()); n != 1 {
		t.Errorf("the component got %d stanzas, want 1", n)
	}
	if err := w.Configure(hosts("a.test", "rooms.a.test")); !errors.Is(err, host.ErrDomainTaken) {
		t.Errorf("Configure with the component's domain: got %v, want ErrDomainTaken", err)
	}

	c.Kick(nil)
	w.send("romeo@a.test/x", "<message xmlns='jabber:client' to='verona@rooms.a.test'/>")
	if got := outcome(w); got != refused {
		t.Errorf("from a closed component came %q, want %s", got, refused)
	}
	release()
	release()
	w.send("romeo@a.test/x", "<presence xmlns='jabber:client' to='verona@rooms.a.test/romeo'/>")
	if got := outcome(w); got != "remote-server-not-found" {
		t.Errorf("got %q, want remote-server-not-found", got)
	}
	if _, err := w.RegisterDomain("rooms.a.test", c); err != nil {
		t.Errorf("RegisterDomain after release: %v", err)
	}
}

func TestConfigure(t *testing.T) {
	w := newWorld(t, hosts("a.test", "B.test", "a.test"))
	if got := fmt.Sprint(w.Hosts()); got != "[a.test b.test]" {
		t.Errorf("Hosts() = %s, want [a.test b.test]", got)
	}
	a, b := w.bind("romeo@a.test/x", ""), w.bind("romeo@b.test/x", "")
	for _, bad := range [][]string{nil, {""}, {"u@a.test"}} {
		if err := w.Configure(hosts(bad...)); err == nil {
			t.Errorf("Configure with hosts %q: got no error", bad)
		}
	}
	if !w.IsLocal("b.test") {
		t.Error("a refused configuration changed something")
	}
	if err := w.Configure(hosts("a.test")); err != nil {
		t.Fatal(err)
	}
	if _, kicked := a.Kicked(); kicked {
		t.Error("the session of a host that stays was ended")
	}
	if r, _ := b.Kicked(); !errors.Is(r, &stanza.StreamError{Condition: stanza.StreamHostGone}) {
		t.Errorf("the session of a host that went was ended with %v, want host-gone", r)
	}
	if _, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, "romeo@b.test"), Sink: new(listentest.Sink)}); err == nil {
		t.Error("Bind at a host that went: got no error")
	}
}
