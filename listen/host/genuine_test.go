package host_test

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/stanzaid"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What a message says in the name of the recipient's server is from the server:
// XEP-0359, section 3, and XEP-0203, section 6.
func TestNobodySpeaksForTheServer(t *testing.T) {
	const (
		body   = "<body>x</body>"
		id     = "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@a.test' id='forged'/>"
		delay  = "<delay xmlns='urn:xmpp:delay' from='a.test' stamp='2001-01-01T00:00:00Z'/>"
		others = "<stanza-id xmlns='urn:xmpp:sid:0' by='room@b.test' id='true'/><delay xmlns='urn:xmpp:delay' from='room@b.test' stamp='2002-01-01T00:00:00Z'/>"
	)
	h, sink, full := stampingWorld(t)
	bindAvailable(t, h, full, sink)
	for _, tt := range []struct {
		typ, to string
		stored  bool
	}{
		{"chat", "juliet@a.test", false},
		{"chat", "juliet@a.test/x", false},
		{"normal", "juliet@a.test", false},
		{"headline", "juliet@a.test", false},
		{"groupchat", "juliet@a.test/x", false},
		{"error", "juliet@a.test/x", false},
		{"chat", "juliet@a.test", true},
	} {
		if tt.stored {
			h.Local.Release(t.Context(), full, sink)
		}
		s, err := stanza.Parse("<message type='" + tt.typ + "' to='" + tt.to + "'>" + id + delay + body + delay + others + id + "</message>")
		if err != nil {
			t.Fatal(err)
		}
		n := len(sink.Stanzas())
		if err := h.Local.Route(t.Context(), s.WithFrom(jid(t, "mallory@b.test/x"))); err != nil {
			t.Fatal(err)
		}
		if tt.stored {
			bindAvailable(t, h, full, sink)
		}
		list := sink.Stanzas()[n:]
		if len(list) == 0 {
			t.Errorf("%s to %s: nothing came", tt.typ, tt.to)
			continue
		}
		got := list[len(list)-1]
		own, after, ok := strings.Cut(got.Inner, body+others)
		if own != "" || !ok || strings.Contains(after, "forged") || strings.Contains(after, "2001") || got.Child.Local != "body" {
			t.Errorf("%s to %s: got %s", tt.typ, tt.to, got)
		}
		if n := strings.Count(after, "by='juliet@a.test'"); n != map[bool]int{true: 1}[tt.typ != "error" && tt.typ != "groupchat"] {
			t.Errorf("%s to %s: got %d ids of the server", tt.typ, tt.to, n)
		}
		if got := strings.Contains(after, "from='a.test'"); got != tt.stored {
			t.Errorf("%s to %s: a delay of the server: %t", tt.typ, tt.to, got)
		}
	}
}

// stampingWorld is a host with stanza ids and the account juliet; it returns what
// a session of her has.
func stampingWorld(t *testing.T) (*host.Host, *listentest.Sink, stanza.JID) {
	t.Helper()
	f, ids := host.Messenger(), stanzaid.Defaults()
	f.StanzaID.Value = &ids
	h, err := host.New(host.Config{Options: hosts("a.test"), Features: f})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Accounts.Create(t.Context(), jid(t, "juliet@a.test"), "secret"); err != nil {
		t.Fatal(err)
	}
	return h, new(listentest.Sink), jid(t, "juliet@a.test/x")
}

// bindAvailable makes an available session.
func bindAvailable(t *testing.T, h *host.Host, full stanza.JID, sink *listentest.Sink) {
	t.Helper()
	if _, err := h.Local.Bind(t.Context(), stanza.Binding{JID: full, Sink: sink}); err != nil {
		t.Fatal(err)
	}
	if err := h.Local.Route(t.Context(), &stanza.Stanza{Kind: stanza.Presence, From: full}); err != nil {
		t.Fatal(err)
	}
}
