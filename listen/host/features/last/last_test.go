package last

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a host with the accounts romeo, juliet and nurse at a.test. Juliet
// lets romeo see her presence, and lord@b.test; romeo lets nobody.
type world struct {
	Memory
	available map[string]bool
	err       error // of Sees and of the store
	lines     []string
	service   *Service
}

var errBroken = errors.New("disk is gone")

func newWorld() *world {
	w := &world{available: make(map[string]bool)}
	w.service = New(Config{Store: w, Sessions: w, Contacts: w, Accounts: w, Log: slog.New(w)})
	o := Defaults()
	w.service.Configure(stanza.PerHost[*Options]{Value: &o, Hosts: map[string]*Options{"off.test": nil}})
	return w
}

func (w *world) Available(user stanza.JID) bool { return w.available[user.String()] }

func (w *world) Sees(_ context.Context, watcher, user stanza.JID) (bool, error) {
	seen := user.String() == "juliet@a.test" && (watcher.String() == "romeo@a.test" || watcher.String() == "lord@b.test")
	return seen, w.err
}

func (w *world) Exists(_ context.Context, user stanza.JID) (bool, error) {
	name := user.Local()
	return user.IsBare() && (name == "romeo" || name == "juliet" || name == "nurse"), nil
}

func (w *world) Get(ctx context.Context, user stanza.JID) (Activity, bool, error) {
	if w.err != nil {
		return Activity{}, false, w.err
	}
	return w.Memory.Get(ctx, user)
}

func (w *world) Set(ctx context.Context, user stanza.JID, a Activity) error {
	if w.err != nil {
		return w.err
	}
	return w.Memory.Set(ctx, user, a)
}

func (w *world) Enabled(context.Context, slog.Level) bool { return true }
func (w *world) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *world) WithGroup(string) slog.Handler            { return w }
func (w *world) Handle(_ context.Context, r slog.Record) error {
	w.lines = append(w.lines, r.Message)
	return nil
}

func parse(t *testing.T, xml string) *stanza.Stanza {
	t.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return s
}

func jid(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// ask sends a request and returns the payload of the answer, or the error.
func (w *world) ask(t *testing.T, from, to, typ string) string {
	t.Helper()
	iq := parse(t, fmt.Sprintf("<iq type='%s' id='1' from='%s'><query xmlns='jabber:iq:last'/></iq>", typ, from))
	if to != "" {
		iq.To = jid(t, to)
	}
	r, err := w.service.HandleIQ(t.Context(), iq, stanza.Peer{})
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		return string(e.Condition)
	case err != nil:
		return err.Error()
	case r.Type != stanza.TypeResult || r.ID != "1" || r.To != iq.From || r.From != iq.To:
		t.Errorf("got the answer %s", r)
	}
	return r.Inner
}

func (w *world) leave(t *testing.T, from, inner string) {
	t.Helper()
	w.service.Left(t.Context(), parse(t, fmt.Sprintf("<presence type='unavailable' from='%s'>%s</presence>", from, inner)))
}

// XEP-0012, sections 3, 4 and 5: juliet left 903 seconds ago, romeo 100; romeo,
// and in a second round everybody, is or are available.
func TestLastActivity(t *testing.T) {
	const forbidden, unknown = "forbidden", "service-unavailable"
	seconds := func(n int) string { return fmt.Sprintf("<query xmlns='jabber:iq:last' seconds='%d'/>", n) }
	home := "<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>"
	tests := []struct {
		name, from, to, typ string
		want, available     string // available "": the same
	}{
		{"subscriber", "romeo@a.test/o", "juliet@a.test", "get", home, seconds(0)},
		{"subscriber elsewhere", "lord@b.test/o", "juliet@a.test", "get", home, seconds(0)},
		{"by the bare address", "romeo@a.test", "juliet@a.test", "get", home, seconds(0)},
		{"stranger", "paris@b.test/o", "juliet@a.test", "get", forbidden, ""},
		{"who is not seen back", "juliet@a.test/b", "romeo@a.test", "get", forbidden, ""},
		{"account that never was there, stranger", "romeo@a.test/o", "nurse@a.test", "get", forbidden, ""},
		{"server of the user", "a.test", "juliet@a.test", "get", forbidden, ""},
		{"own account", "juliet@a.test/b", "juliet@a.test", "get", home, seconds(0)},
		{"own account without to", "juliet@a.test/b", "", "get", home, seconds(0)},
		{"own account, nothing known", "nurse@a.test/b", "nurse@a.test", "get", seconds(0), ""},
		{"set", "romeo@a.test/o", "juliet@a.test", "set", "not-allowed", ""},
		{"set by a stranger", "paris@b.test/o", "juliet@a.test", "set", forbidden, ""},
		{"set of one's own", "juliet@a.test/b", "", "set", "not-allowed", ""},
		{"account that does not exist", "romeo@a.test/o", "nobody@a.test", "get", forbidden, ""},
		{"server", "paris@b.test/o", "a.test", "get", seconds(1003), ""},
		{"server, set", "romeo@a.test/o", "a.test", "set", "not-allowed", ""},
		{"where it is off", "romeo@a.test/o", "x@off.test", "get", unknown, ""},
		{"server where it is off", "romeo@a.test/o", "off.test", "get", unknown, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				time.Sleep(100 * time.Second)
				w.leave(t, "juliet@a.test/balcony", "<status>Heading Home</status>")
				time.Sleep(803 * time.Second)
				w.leave(t, "romeo@a.test/o", "")
				time.Sleep(100*time.Second + 900*time.Millisecond)
				if got := w.ask(t, tt.from, tt.to, tt.typ); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if tt.available == "" {
					tt.available = tt.want
				}
				w.available = map[string]bool{"juliet@a.test": true, "romeo@a.test": true, "nurse@a.test": true}
				if got := w.ask(t, tt.from, tt.to, tt.typ); got != tt.available {
					t.Errorf("available: got %s, want %s", got, tt.available)
				}
			})
		})
	}
}

func TestNothingKnown(t *testing.T) {
	w := newWorld()
	if got, want := w.ask(t, "romeo@a.test/o", "juliet@a.test", "get"), "service-unavailable"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Without contacts nobody is told of anybody but themselves.
func TestWithoutContacts(t *testing.T) {
	w := newWorld()
	w.service.contacts = nil
	w.leave(t, "juliet@a.test/b", "")
	if got := w.ask(t, "romeo@a.test/o", "juliet@a.test", "get"); got != "forbidden" {
		t.Errorf("another one: got %s, want forbidden", got)
	}
	if got := w.ask(t, "juliet@a.test/b", "juliet@a.test", "get"); !strings.Contains(got, "seconds='0'") {
		t.Errorf("own account: got %s, want 0 seconds", got)
	}
}

// XEP-0012, section 4.
func TestAuthorize(t *testing.T) {
	w := newWorld()
	tests := []struct {
		asker, user string
		want        error
	}{
		{"romeo@a.test/o", "juliet@a.test/balcony", nil},
		{"juliet@a.test/chamber", "juliet@a.test/balcony", nil},
		{"paris@b.test/o", "juliet@a.test/balcony", &stanza.Error{Condition: stanza.Forbidden}},
		{"romeo@a.test/o", "nobody@a.test/balcony", &stanza.Error{Condition: stanza.Forbidden}},
	}
	for _, tt := range tests {
		if got := w.service.Authorize(t.Context(), jid(t, tt.asker), jid(t, tt.user)); !errors.Is(got, tt.want) {
			t.Errorf("%s asks %s: got %v, want %v", tt.asker, tt.user, got, tt.want)
		}
	}
	w.err = errBroken
	if got := w.service.Authorize(t.Context(), jid(t, "romeo@a.test"), jid(t, "juliet@a.test")); !errors.Is(got, errBroken) {
		t.Errorf("got %v, want %v", got, errBroken)
	}
}

// The last presence counts, and of it the text of the status.
func TestStatus(t *testing.T) {
	long := strings.Repeat("a", MaxStatus-1)
	tests := []struct{ name, inner, want string }{
		{"none", "", ""},
		{"empty", "<status/>", ""},
		{"text", "<status>Heading Home</status>", "Heading Home"},
		{"to be escaped", "<status>&lt;b/> &amp; <![CDATA[<i>]]></status>", "<b/> & <i>"},
		{"after another element", "<show>xa</show><status>gone</status>", "gone"},
		{"in the language of the stanza", "<status xml:lang='cs'>pryč</status><status>gone</status><status xml:lang='de'>weg</status>", "gone"},
		{"in other languages", "<status xml:lang='cs'>pryč</status><status xml:lang='de'>weg</status>", "pryč"},
		{"of another namespace", "<status xmlns='urn:x'>gone</status>", ""},
		{"within", "<x xmlns='urn:x'><status xmlns='jabber:client'>gone</status></x>", ""},
		{"longest", "<status>" + long + "b</status>", long + "b"},
		{"too long", "<status>" + long + "bc</status>", long + "b"},
		{"too long by a part of a character", "<status>" + long + "é</status>", long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.leave(t, "juliet@a.test/b", "<status>before</status>")
			w.leave(t, "juliet@a.test/b", tt.inner)
			a, ok, err := w.Get(t.Context(), jid(t, "juliet@a.test"))
			if !ok || err != nil || a.Status != tt.want || len(a.Status) > MaxStatus || !utf8.ValidString(a.Status) {
				t.Errorf("got %q, %t, %v, want %q", a.Status, ok, err, tt.want)
			}
			if a.At.Location() != time.UTC || a.At.Nanosecond() != 0 {
				t.Errorf("got %v, want whole seconds in UTC", a.At)
			}
			e, err := stanza.ParseElement(w.ask(t, "romeo@a.test/o", "juliet@a.test", "get"))
			if err != nil || e.Text != tt.want {
				t.Errorf("got %v, %v in the answer, want %q", e, err, tt.want)
			}
		})
	}
}

func TestLeft(t *testing.T) {
	for _, tt := range []struct {
		from string
		want bool
	}{{"juliet@a.test/b", true}, {"juliet@off.test/b", false}, {"anonymous@a.test/b", false}} {
		w := newWorld()
		w.leave(t, tt.from, "")
		if _, ok, _ := w.Get(t.Context(), jid(t, tt.from).Bare()); ok != tt.want {
			t.Errorf("%s: was noted: %t, want %t", tt.from, ok, tt.want)
		}
	}
	w := newWorld()
	w.service.accounts = nil
	w.leave(t, "anonymous@a.test/b", "")
	if len(w.users) != 1 {
		t.Error("not noted, though nobody knows who has an account")
	}
	w.service.Left(t.Context(), &stanza.Stanza{Kind: stanza.Presence, From: jid(t, "nurse@a.test/b"), Inner: "<status>"})
	if a := w.users[jid(t, "nurse@a.test")]; a.At.IsZero() || a.Status != "" {
		t.Errorf("presence that is not well-formed: got %+v, want a time alone", a)
	}
}

func TestStoreFails(t *testing.T) {
	w := newWorld()
	w.leave(t, "juliet@a.test/b", "")
	w.err = errBroken
	w.leave(t, "juliet@a.test/b", "")
	if len(w.lines) != 1 {
		t.Errorf("got log lines %q, want one", w.lines)
	}
	for _, from := range []string{"romeo@a.test/o", "juliet@a.test/b"} {
		if got, want := w.ask(t, from, "juliet@a.test", "get"), errBroken.Error(); got != want {
			t.Errorf("%s: got %s, want %s", from, got, want)
		}
	}
}

// A clock that was set back does not make negative times.
func TestClock(t *testing.T) {
	w := newWorld()
	if err := w.Set(t.Context(), jid(t, "juliet@a.test"), Activity{At: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.ask(t, "romeo@a.test/o", "juliet@a.test", "get"), "<query xmlns='jabber:iq:last' seconds='0'/>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOffAndRemoved(t *testing.T) {
	s := New(Config{Store: new(Memory)})
	if s.Offered("a.test") {
		t.Error("is offered before it has options")
	}
	w := newWorld()
	if !w.service.Offered("a.test") || w.service.Offered("off.test") {
		t.Error("is not offered where its options are")
	}
	w.leave(t, "juliet@a.test/b", "")
	w.leave(t, "nurse@a.test/b", "")
	if err := w.service.Remove(t.Context(), jid(t, "juliet@a.test")); err != nil {
		t.Fatal(err)
	}
	if got, want := w.ask(t, "romeo@a.test/o", "juliet@a.test", "get"), "service-unavailable"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(w.users) != 1 {
		t.Errorf("got %d accounts in the store, want 1", len(w.users))
	}
}

func TestMemory(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, user := new(Memory), jid(t, "juliet@a.test")
	_, _, err := m.Get(ctx, user)
	for what, err := range map[string]error{"Get": err, "Set": m.Set(ctx, user, Activity{}), "Forget": m.Forget(ctx, user)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want %v", what, err, context.Canceled)
		}
	}
}
