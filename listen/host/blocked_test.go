package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// blocking has block lists: by account, the bare JIDs.
type blocking struct {
	lists map[string][]string
	asked []string
	fail  error
	while func() // runs while the list is read
}

func (b *blocking) Blocked(_ context.Context, user stanza.JID) (func(stanza.JID) bool, error) {
	b.asked = append(b.asked, user.String())
	f := blocks(b.lists[user.String()]...)
	if b.while != nil {
		while := b.while
		b.while = nil
		while()
	}
	return f, b.fail
}

func blocks(list ...string) func(stanza.JID) bool {
	if len(list) == 0 {
		return nil
	}
	return func(peer stanza.JID) bool {
		return slices.Contains(list, peer.Bare().String()) || slices.Contains(list, peer.Domain())
	}
}

// blockedWorld: romeo blocks juliet and far.test; away, who has no session,
// blocks juliet, too.
func blockedWorld(t *testing.T) (*world, *blocking, *contacts) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test", "away@a.test")
	b := &blocking{lists: map[string][]string{"romeo@a.test": {"juliet@a.test", "far.test"}, "away@a.test": {"juliet@a.test"}}}
	c := new(contacts)
	w.Blocking, w.Local.Contacts = b, c
	for _, s := range []string{"romeo@a.test/x", "romeo@a.test/y", "juliet@a.test/j", "friend@a.test/f"} {
		w.Users.(users)[jid(t, s).Bare().String()] = true
		w.bind(s, "<presence/>")
	}
	w.got()
	return w, b, c
}

// XEP-0191, section 3.2: what a blocked contact sends.
func TestFromBlocked(t *testing.T) {
	const unavailable = "juliet@a.test/j: service-unavailable"
	tests := []struct{ stanza, to, want string }{
		{"message type='chat'", "romeo@a.test", unavailable},
		{"message type='chat'", "romeo@a.test/x", unavailable},
		{"message type='headline'", "romeo@a.test/x", unavailable},
		{"message type='error'", "romeo@a.test/x", ""},
		{"presence", "romeo@a.test", ""},
		{"presence", "romeo@a.test/x", ""},
		{"presence type='unavailable'", "romeo@a.test/x", ""},
		{"presence type='subscribe'", "romeo@a.test", ""},
		{"presence type='probe'", "romeo@a.test", ""},
		{"iq id='1' type='get'", "romeo@a.test", unavailable},
		{"iq id='1' type='get'", "romeo@a.test/x", unavailable},
		{"iq id='1' type='result'", "romeo@a.test/x", ""},
		{"iq id='1' type='error'", "romeo@a.test/x", ""},
		{"message type='chat'", "away@a.test", unavailable},
		{"presence type='subscribe'", "away@a.test", ""},
		{"presence type='probe'", "away@a.test", ""},
		{"iq id='1' type='get'", "away@a.test", unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.stanza+" to "+tt.to, func(t *testing.T) {
			w, _, c := blockedWorld(t)
			c.subscribe(t, "juliet@a.test", tt.to)
			w.Offline = new(offline)
			w.IQ = handler(func(iq *stanza.Stanza) (*stanza.Stanza, error) { return iq.Result("<known/>"), nil })
			c.calls = nil
			w.send("juliet@a.test/j", element(tt.stanza, tt.to))
			var got []string
			for name, s := range w.sinks {
				for _, st := range s.Stanzas()[w.read[name]:] {
					got = append(got, name+": "+condition(st))
				}
			}
			if fmt.Sprint(got) != fmt.Sprintf("[%s]", tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if w.Offline.(*offline).count() > 0 {
				t.Error("the message was stored")
			}
			for _, call := range c.calls {
				if call[:2] == "in" {
					t.Errorf("the roster heard %s", call)
				}
			}
		})
	}
}

// element makes a stanza of a start tag without brackets.
func element(tag, to string) string {
	name := tag
	for i, r := range tag {
		if r == ' ' {
			name = tag[:i]
			break
		}
	}
	return fmt.Sprintf("<%s xmlns='jabber:client' to='%s'><q xmlns='urn:x'/></%s>", tag, to, name)
}

// XEP-0191, section 3.2: what goes to a blocked contact comes back.
func TestToBlocked(t *testing.T) {
	const refused = "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error>"
	tests := []struct {
		stanza, to string
		answered   bool
	}{
		{"message type='chat'", "juliet@a.test", true},
		{"message", "juliet@a.test/j", true},
		{"message type='error'", "juliet@a.test/j", false},
		{"presence", "juliet@a.test/j", true},
		{"presence type='subscribe'", "juliet@a.test", true},
		{"presence type='error'", "juliet@a.test/j", false},
		{"iq id='1' type='get'", "juliet@a.test/j", true},
		{"iq id='1' type='result'", "juliet@a.test/j", false},
		{"message", "somebody@far.test", true},
		{"presence", "room@far.test/romeo", true},
	}
	for _, tt := range tests {
		t.Run(tt.stanza+" to "+tt.to, func(t *testing.T) {
			w, _, c := blockedWorld(t)
			w.Next = routerFunc(func(s *stanza.Stanza) error { t.Errorf("sent away: %s", s); return nil })
			c.calls = nil
			w.send("romeo@a.test/x", element(tt.stanza, tt.to))
			all := 0
			for name, s := range w.sinks {
				for _, st := range s.Stanzas()[w.read[name]:] {
					if all++; name != "romeo@a.test/x" || st.Type != stanza.TypeError || st.Inner != refused || st.From != jid(t, tt.to) {
						t.Errorf("%s got %s", name, st)
					}
				}
			}
			if answered := all == 1; answered != tt.answered {
				t.Errorf("got %d answers, want one: %t", all, tt.answered)
			}
			if len(c.calls) > 0 {
				t.Errorf("the roster heard %q", c.calls)
			}
		})
	}
}

// Neither side sees the other; the server speaks for the account nevertheless.
func TestPresenceOfBlocked(t *testing.T) {
	w, _, c := blockedWorld(t)
	for _, p := range [][2]string{{"juliet@a.test", "romeo@a.test"}, {"romeo@a.test", "juliet@a.test"}, {"friend@a.test", "romeo@a.test"}} {
		c.subscribe(t, p[0], p[1])
	}
	request := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.TypeSubscribe, From: jid(t, "x@far.test"), To: jid(t, "romeo@a.test")}
	c.item(jid(t, "romeo@a.test"), jid(t, "x@far.test")).request = request
	w.bind("romeo@a.test/z", "")
	w.send("romeo@a.test/z", "<presence xmlns='jabber:client'/>")
	const p = "<presence from='romeo@a.test/z' to='%s'/>"
	w.expect(
		"friend@a.test/f: "+fmt.Sprintf(p, "friend@a.test"),
		"romeo@a.test/x: "+fmt.Sprintf(p, "romeo@a.test"), "romeo@a.test/y: "+fmt.Sprintf(p, "romeo@a.test"), "romeo@a.test/z: "+fmt.Sprintf(p, "romeo@a.test"),
		"romeo@a.test/z: <presence from='romeo@a.test/x' to='romeo@a.test'/>", "romeo@a.test/z: <presence from='romeo@a.test/y' to='romeo@a.test'/>",
	)
	w.send("juliet@a.test/j", "<presence xmlns='jabber:client'><show>dnd</show></presence>")
	w.expect("juliet@a.test/j: <presence from='juliet@a.test/j' to='juliet@a.test'><show>dnd</show></presence>")
	w.bind("juliet@a.test/again", "")
	w.send("juliet@a.test/again", "<presence xmlns='jabber:client'/>")
	for _, line := range w.got() {
		if strings.Contains(line, "romeo") {
			t.Errorf("%s, after juliet has come again", line)
		}
	}
	w.Release(t.Context(), jid(t, "juliet@a.test/again"), w.sinks["juliet@a.test/again"])
	w.got()
	if err := w.Hide(t.Context(), jid(t, "romeo@a.test"), blocks("juliet@a.test")); err != nil {
		t.Fatal(err)
	}
	if got := w.got(); len(got) != 3 {
		t.Errorf("juliet got %q, want that the three resources are gone", got)
	}
	if err := w.Show(t.Context(), jid(t, "romeo@a.test"), blocks("juliet@a.test")); err != nil {
		t.Fatal(err)
	}
	w.expect()
	w.SetBlocked(jid(t, "romeo@a.test"), nil)
	if err := w.Show(t.Context(), jid(t, "romeo@a.test"), blocks("juliet@a.test")); err != nil {
		t.Fatal(err)
	}
	if got := w.got(); len(got) != 3 {
		t.Errorf("juliet got %q, want the presence of three resources", got)
	}
	// An account does not block itself.
	w.SetBlocked(jid(t, "romeo@a.test"), func(stanza.JID) bool { return true })
	w.send("romeo@a.test/x", "<message xmlns='jabber:client' to='romeo@a.test/y'/>")
	w.expect("romeo@a.test/y: <message from='romeo@a.test/x' to='romeo@a.test/y'/>")
}

// The list is read for the first session of an account, and not for the next.
func TestBlockListIsReadOnce(t *testing.T) {
	w, b, _ := blockedWorld(t)
	count := func() (n int) {
		for _, a := range b.asked {
			if a == "romeo@a.test" {
				n++
			}
		}
		return n
	}
	if n := count(); n != 1 {
		t.Errorf("the list was read %d times for two sessions, want once", n)
	}
	if n := w.Stats().Blocking; n != 1 {
		t.Errorf("%d accounts block somebody, want 1", n)
	}
	w.SetBlocked(jid(t, "romeo@a.test"), nil)
	w.SetBlocked(jid(t, "romeo@a.test"), nil)
	w.SetBlocked(jid(t, "nobody@a.test"), blocks("a.test"))
	if n := w.Stats().Blocking; n != 0 {
		t.Errorf("%d accounts block somebody, want 0", n)
	}
	w.send("juliet@a.test/j", "<message xmlns='jabber:client' to='romeo@a.test/x'/>")
	w.expect("romeo@a.test/x: <message from='juliet@a.test/j' to='romeo@a.test/x'/>")
	w.SetBlocked(jid(t, "romeo@a.test"), blocks("a.test"))
	for _, r := range []string{"x", "y"} {
		w.Release(t.Context(), jid(t, "romeo@a.test/"+r), w.sinks["romeo@a.test/"+r])
	}
	if n := w.Stats().Blocking; n != 0 || count() != 1 {
		t.Errorf("after the last session %d accounts block somebody, and the list was read %d times", n, count())
	}
	w.bind("romeo@a.test/x", "")
	if count() != 2 {
		t.Errorf("the list was read %d times, want twice", count())
	}
}

// A list that changes while it is read for a new session is read again.
func TestBlockListChangesMeanwhile(t *testing.T) {
	w, b, _ := blockedWorld(t)
	b.while = func() {
		b.lists["away@a.test"] = nil
		w.SetBlocked(jid(t, "away@a.test"), nil)
	}
	w.bind("away@a.test/x", "")
	w.send("juliet@a.test/j", "<message xmlns='jabber:client' to='away@a.test/x'/>")
	w.expect("away@a.test/x: <message from='juliet@a.test/j' to='away@a.test/x'/>")
}

// Without the list nobody is let through.
func TestBlockListFails(t *testing.T) {
	w, b, _ := blockedWorld(t)
	w.Offline = new(offline)
	b.fail = errBroken
	_, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, "away@a.test"), Sink: new(listentest.Sink)})
	if !errors.Is(err, &stanza.Error{Condition: stanza.InternalServerError}) {
		t.Errorf("Bind: got %v, want internal-server-error", err)
	}
	w.send("friend@a.test/f", "<message xmlns='jabber:client' to='away@a.test' type='chat'/>")
	if got := outcome(w); got != "internal-server-error" {
		t.Errorf("got %q, want internal-server-error", got)
	}
}

var _ host.Blocking = (*blocking)(nil)
