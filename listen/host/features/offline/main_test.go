package offline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func jid(tb testing.TB, s string) stanza.JID {
	tb.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

func parse(tb testing.TB, xml string) *stanza.Stanza {
	tb.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		tb.Fatalf("%s: %v", xml, err)
	}
	return s
}

// message returns a chat message to an account with a text.
func message(tb testing.TB, to, text string) *stanza.Stanza {
	tb.Helper()
	return parse(tb, fmt.Sprintf("<message from='romeo@b.test/o' to='%s' type='chat' id='%s'><body>%s</body></message>", to, text, text))
}

// newService returns a service on a store, with options for all domains.
func newService(store Store, o Options) *Service {
	s := New(Config{Store: store})
	s.Configure(stanza.PerHost[*Options]{Value: &o})
	return s
}

// result is what done was called with.
type result struct {
	kept *stanza.Stanza
	err  error
}

// String returns kept, dropped or the error.
func (r result) String() string {
	var e *stanza.Error
	switch {
	case errors.As(r.err, &e):
		return string(e.Condition)
	case r.err != nil:
		return r.err.Error()
	case r.kept == nil:
		return "dropped"
	}
	return "kept"
}

// keepIt keeps a message in a store that is done within the call.
func keepIt(tb testing.TB, s *Service, m *stanza.Stanza, to ...stanza.Sink) (r result) {
	tb.Helper()
	calls := 0
	s.Keep(tb.Context(), m, to, func(kept *stanza.Stanza, err error) {
		calls++
		r = result{kept, err}
	})
	if calls != 1 {
		tb.Fatalf("done was called %d times, want once", calls)
	}
	return r
}

// session is one that takes what is sent to it.
type session struct {
	user stanza.JID
	got  []*stanza.Stanza
	room int // how many it takes; -1: any number
}

func newSession(tb testing.TB, user string) *session {
	tb.Helper()
	return &session{user: jid(tb, user), room: -1}
}

var errFull = errors.New("full")

func (s *session) Deliver(m *stanza.Stanza) error {
	if s.room == len(s.got) {
		return errFull
	}
	s.got = append(s.got, m)
	return nil
}

func (s *session) Kick(*stanza.StreamError) {}

// collect has the service deliver.
func (s *session) collect(ctx context.Context, svc *Service) error {
	return svc.Deliver(ctx, s.user, s, s.Deliver)
}

// ids returns the ids of what the session got.
func (s *session) ids() string {
	var ids []string
	for _, m := range s.got {
		ids = append(ids, m.ID)
	}
	return strings.Join(ids, " ")
}

// arrive acknowledges the first n messages.
func (s *session) arrive(svc *Service, n int) {
	svc.Arrived(s.user, keys(s.got[:n]))
	s.got = s.got[n:]
}

func keys(list []*stanza.Stanza) (keys []uint64) {
	for _, m := range list {
		keys = append(keys, m.Kept)
	}
	return keys
}

// comes delivers to a new session of an account, which takes everything.
func comes(tb testing.TB, s *Service, user string) *session {
	tb.Helper()
	to := newSession(tb, user)
	if err := to.collect(tb.Context(), s); err != nil {
		tb.Fatal(err)
	}
	return to
}

func wantIDs(t *testing.T, what string, s *session, want string) {
	t.Helper()
	if got := s.ids(); got != want {
		t.Errorf("%s: got messages %q, want %q", what, got, want)
	}
}

func wantCount(t *testing.T, store Store, user string, want int) {
	t.Helper()
	if got, err := store.Count(t.Context(), jid(t, user)); err != nil || got != want {
		t.Errorf("store has %d messages, %v; want %d", got, err, want)
	}
}

// wantIdle says that a service remembers nothing.
func wantIdle(t *testing.T, s *Service) {
	t.Helper()
	if got := s.Stats(); got != (Stats{}) {
		t.Errorf("got %+v, want nothing remembered", got)
	}
}

// wrapper is a store whose calls can be replaced.
type wrapper struct {
	*Memory
	add    func(do func())
	list   func() error
	listed func([]Message)
	delete func() error
}

func (w *wrapper) Add(ctx context.Context, user stanza.JID, xml string, l Limits, done func(uint64, error)) {
	if w.add == nil {
		w.Memory.Add(ctx, user, xml, l, done)
		return
	}
	w.add(func() { w.Memory.Add(ctx, user, xml, l, done) })
}

func (w *wrapper) List(ctx context.Context, user stanza.JID, after uint64, l Limits) ([]Message, bool, error) {
	if w.list != nil {
		if err := w.list(); err != nil {
			return nil, false, err
		}
	}
	page, more, err := w.Memory.List(ctx, user, after, l)
	if w.listed != nil {
		w.listed(page)
	}
	return page, more, err
}

func (w *wrapper) Delete(ctx context.Context, user stanza.JID, keys []uint64, done func(error)) {
	if w.delete != nil {
		if err := w.delete(); err != nil {
			done(err)
			return
		}
	}
	w.Memory.Delete(ctx, user, keys, done)
}

// recorder is a log.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }
func (r *recorder) Handle(_ context.Context, rec slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, rec.Message)
	return nil
}
