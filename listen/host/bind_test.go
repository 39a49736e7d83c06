package host_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// RFC 6120, section 7.6.
func TestBindMakesUpResource(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	seen := make(map[string]bool)
	for range 100 {
		j, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, "romeo@a.test"), Sink: new(listentest.Sink), Conflict: stanza.CloseNew})
		if err != nil {
			t.Fatal(err)
		}
		if r := j.Resource(); len(r) < 22 || seen[r] { // 128 bits in base64
			t.Fatalf("resource %q is short or not new", r)
		}
		seen[j.Resource()] = true
	}
}

func TestBindRefuses(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	for _, s := range []string{"romeo@b.test/x", "a.test/x", "a.test"} {
		_, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, s), Sink: new(listentest.Sink)})
		if !errors.Is(err, &stanza.Error{Condition: stanza.NotAllowed}) {
			t.Errorf("Bind(%q): got %v, want not-allowed", s, err)
		}
	}
}

// RFC 6120, section 7.7.2.2.
func TestResourceConflict(t *testing.T) {
	tests := []struct {
		policy stanza.ConflictPolicy
		kicked bool // the old session
		err    error
		same   bool // the new session has the resource
	}{
		{"", true, nil, true},
		{stanza.AcceptNew, true, nil, true},
		{stanza.CloseOld, true, nil, true},
		{stanza.CloseNew, false, &stanza.Error{Condition: stanza.Conflict}, false},
		{stanza.SetResource, false, nil, false},
	}
	for _, tt := range tests {
		t.Run(string(tt.policy), func(t *testing.T) {
			w := newWorld(t, hosts("a.test"))
			full := jid(t, "romeo@a.test/x")
			old := w.bind(full.String(), "<presence/>")
			w.bind("romeo@a.test/watcher", "<presence/>")
			n := new(listentest.Sink)
			got, err := w.Bind(t.Context(), stanza.Binding{JID: full, Sink: n, Conflict: tt.policy})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			reason, kicked := old.Kicked()
			if kicked != tt.kicked {
				t.Errorf("old session was ended: %t, want %t", kicked, tt.kicked)
			}
			if err == nil && (got == full) != tt.same {
				t.Errorf("new session is %s", got)
			}
			if !tt.kicked {
				w.expect()
				return
			}
			if reason.Condition != stanza.StreamConflict {
				t.Errorf("old session ended with %v, want conflict", reason)
			}
			w.expect("romeo@a.test/watcher: <presence from='romeo@a.test/x' to='romeo@a.test' type='unavailable'/>")

			// What the old session still does is not the new one's business.
			w.Release(t.Context(), full, old)
			w.sinks[full.String()], w.read[full.String()] = n, 0
			w.send("romeo@a.test/watcher", "<message xmlns='jabber:client' to='romeo@a.test/x'/>")
			w.expect("romeo@a.test/x: <message from='romeo@a.test/watcher' to='romeo@a.test/x'/>")
		})
	}
}

// atMost is a max_user_sessions rule.
type atMost struct {
	n    int
	seen *acl.Subject
}

func (a atMost) Rate(acl.Subject) shaper.Rate { return shaper.Rate{} }
func (a atMost) Limit(s acl.Subject) (int, bool) {
	if a.seen != nil {
		*a.seen = s
	}
	return a.n, a.n >= 0
}

func TestMaxUserSessions(t *testing.T) {
	o := hosts("a.test")
	var subject acl.Subject
	o.MaxUserSessions = atMost{2, &subject}
	w := newWorld(t, o)
	s1, s2, s3 := w.bind("romeo@a.test/1", "<presence/>"), w.bind("romeo@a.test/2", "<presence/>"), w.bind("juliet@a.test/x", "")
	if want := (acl.Subject{User: "juliet", Server: "a.test", Resource: "x", Host: "a.test"}); subject != want {
		t.Errorf("the rule saw %+v, want %+v", subject, want)
	}
	w.bind("romeo@a.test/3", "")
	if r, _ := s1.Kicked(); !errors.Is(r, &stanza.StreamError{Condition: stanza.StreamConflict}) {
		t.Errorf("oldest session ended with %v, want conflict", r)
	}
	w.expect("romeo@a.test/2: <presence from='romeo@a.test/1' to='romeo@a.test' type='unavailable'/>")

	// The place of a replaced session is free.
	w.bind("romeo@a.test/3", "")
	for _, s := range []*listentest.Sink{s2, s3} {
		if _, kicked := s.Kicked(); kicked {
			t.Error("a session was ended that need not be")
		}
	}

	// A smaller limit applies to the next session.
	o.MaxUserSessions = atMost{1, nil}
	if err := w.Configure(o); err != nil {
		t.Fatal(err)
	}
	w.bind("romeo@a.test/4", "")
	for _, r := range []string{"2", "3"} {
		if _, kicked := w.sinks["romeo@a.test/"+r].Kicked(); !kicked {
			t.Errorf("session %s lives on, want it ended", r)
		}
	}

	o.MaxUserSessions = atMost{0, nil}
	if err := w.Configure(o); err != nil {
		t.Fatal(err)
	}
	_, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, "romeo@a.test"), Sink: new(listentest.Sink)})
	if !errors.Is(err, &stanza.Error{Condition: stanza.ResourceConstraint}) {
		t.Errorf("with no session allowed: got %v, want resource-constraint", err)
	}

	o.MaxUserSessions = atMost{-1, nil}
	if err := w.Configure(o); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		w.bind(fmt.Sprintf("tybalt@a.test/%d", i), "")
	}
	if _, kicked := w.sinks["tybalt@a.test/0"].Kicked(); kicked {
		t.Error("a session was ended without a limit")
	}
}

func TestKick(t *testing.T) {
	reason := &stanza.StreamError{Condition: stanza.StreamReset}
	tests := []struct {
		jid, keep string
		want      []string
	}{
		{"romeo@a.test", "", []string{"romeo@a.test/1", "romeo@a.test/2"}},
		{"romeo@a.test", "romeo@a.test/1", []string{"romeo@a.test/2"}},
		{"romeo@a.test/1", "", []string{"romeo@a.test/1"}},
		{"nobody@a.test", "", nil},
	}
	for _, tt := range tests {
		w := newWorld(t, hosts("a.test"))
		for _, s := range []string{"romeo@a.test/1", "romeo@a.test/2", "juliet@a.test/1"} {
			w.bind(s, "")
		}
		var keep stanza.JID
		if tt.keep != "" {
			keep = jid(t, tt.keep)
		}
		if n := w.Local.Kick(jid(t, tt.jid), keep, reason); n != len(tt.want) {
			t.Errorf("Kick(%s) = %d, want %d", tt.jid, n, len(tt.want))
		}
		n := 0
		for _, s := range w.sinks {
			if r, kicked := s.Kicked(); kicked && r == reason {
				n++
			}
		}
		for _, name := range tt.want {
			if _, kicked := w.sinks[name].Kicked(); !kicked {
				t.Errorf("Kick(%s) left %s", tt.jid, name)
			}
		}
		if n != len(tt.want) {
			t.Errorf("Kick(%s) ended %d sessions, want %d", tt.jid, n, len(tt.want))
		}
	}
}

// TestKickVoidsLogins: a login that was under way when the sessions of the
// account were ended, because its password changed, does not become a session,
// nor take the place of one.
func TestKickVoidsLogins(t *testing.T) {
	w := newWorld(t, hosts("a.test"))
	bind := func(full string, since time.Time) error {
		_, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, full), Sink: new(listentest.Sink), Since: since})
		return err
	}
	reason := &stanza.StreamError{Condition: stanza.StreamReset}
	void := &stanza.Error{Condition: stanza.NotAuthorized}
	before := time.Now()
	w.Local.Kick(jid(t, "juliet@a.test/x"), stanza.JID{}, reason) // one session only
	w.Local.Kick(jid(t, "romeo@a.test"), stanza.JID{}, reason)
	now := w.bind("romeo@a.test/x", "")
	for _, tt := range []struct {
		full  string
		since time.Time
		want  error
	}{
		{"romeo@a.test/x", before, void},
		{"romeo@a.test", before, void},
		{"romeo@a.test/y", time.Now(), nil},
		{"juliet@a.test/x", before, nil},
	} {
		if err := bind(tt.full, tt.since); !errors.Is(err, tt.want) {
			t.Errorf("Bind(%s): got %v, want %v", tt.full, err, tt.want)
		}
	}
	if _, kicked := now.Kicked(); kicked {
		t.Error("a void login ended a session")
	}

	// The memory of it is bounded, and nobody slips through for that.
	before = time.Now()
	for i := range host.MaxRevoked + 1 {
		w.Local.Kick(jid(t, fmt.Sprintf("user%d@a.test", i)), stanza.JID{}, reason)
	}
	for _, full := range []string{"user0@a.test/x", fmt.Sprintf("user%d@a.test/x", host.MaxRevoked), "juliet@a.test/y"} {
		if err := bind(full, before); !errors.Is(err, void) {
			t.Errorf("Bind(%s) after many: got %v, want %v", full, err, void)
		}
		if err := bind(full, time.Now()); err != nil {
			t.Errorf("Bind(%s) with a new login: got %v", full, err)
		}
	}
}

var _ host.Kicker = (*host.Local)(nil)

// XEP-0198, section 5: a login must not go on with a session that was spared when
// the others of the account were ended after it began.
func TestAdmit(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	const x = "romeo@a.test/x"
	spared := w.bind(x, "")
	before := time.Now()
	binding := func(full string, since time.Time) stanza.Binding {
		return stanza.Binding{JID: jid(t, full), Sink: spared, Since: since}
	}
	if err := w.Admit(binding(x, before)); err != nil {
		t.Errorf("before the end of the others: got %v", err)
	}
	w.Kick(jid(t, "romeo@a.test"), jid(t, x), &stanza.StreamError{Condition: stanza.StreamReset})
	for _, tt := range []struct {
		name string
		b    stanza.Binding
		want stanza.Condition
	}{
		{"a login that began before", binding(x, before.Add(-time.Second)), stanza.NotAuthorized},
		{"one that began after", binding(x, time.Now().Add(time.Second)), ""},
		{"one of another account", binding("juliet@a.test/x", before.Add(-time.Second)), ""},
		{"nobody knows when", binding(x, time.Time{}), ""},
		{"another domain", binding("romeo@b.test/x", time.Now()), stanza.NotAllowed},
		{"no account", binding("a.test/x", time.Now()), stanza.NotAllowed},
	} {
		var got stanza.Condition
		if e := (*stanza.Error)(nil); errors.As(w.Admit(tt.b), &e) {
			got = e.Condition
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if n := len(w.Marked(jid(t, "romeo@a.test"), 0)); n != 1 {
		t.Errorf("there are %d sessions, want the one that was spared: Admit changes nothing", n)
	}
}
