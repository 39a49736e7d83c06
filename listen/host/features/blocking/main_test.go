package blocking

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func jid(t testing.TB, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func jids(t testing.TB, list string) (out []stanza.JID) {
	t.Helper()
	for s := range strings.FieldsSeq(list) {
		out = append(out, jid(t, s))
	}
	return out
}

// fake is sessions that record, and a store that can fail.
type fake struct {
	t *testing.T
	Memory
	getErr, setErr error
	lateErr        error              // of a change that is stored nevertheless
	lose           int                // how many changes another process gets ahead of
	context        context.Context    // of the last change
	cancel         context.CancelFunc // called when a change is stored

	mu     sync.Mutex
	marked []stanza.JID
	blocks func(stanza.JID) bool
	events []string // what happened, in order
	pushes []*stanza.Stanza
	people []stanza.JID // who might see presence
	err    error        // of Hide and Show
}

func (f *fake) Get(ctx context.Context, user stanza.JID) (List, error) {
	if f.getErr != nil {
		return List{}, f.getErr
	}
	return f.Memory.Get(ctx, user)
}

func (f *fake) CompareAndSet(ctx context.Context, user stanza.JID, l List) (uint64, error) {
	f.context = ctx
	if f.setErr != nil {
		return 0, f.setErr
	}
	if f.lose > 0 {
		f.lose--
		other, _ := f.Memory.Get(ctx, user)
		other.Blocked = sorted(append(other.Blocked[:len(other.Blocked):len(other.Blocked)], jid(f.t, "other"+string(rune('0'+f.lose))+"@x.test")))
		if _, err := f.Memory.CompareAndSet(ctx, user, other); err != nil {
			return 0, err
		}
	}
	r, err := f.Memory.CompareAndSet(ctx, user, l)
	if f.cancel != nil {
		f.cancel()
	}
	f.note("stored")
	if f.lateErr != nil {
		return 0, f.lateErr
	}
	return r, err
}

func (f *fake) note(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

func (f *fake) DeliverTo(full stanza.JID, s *stanza.Stanza) error {
	if full != s.To {
		f.t.Errorf("%s was delivered to %s", s, full)
	}
	f.note("push to " + full.String() + ": " + s.Inner)
	f.pushes = append(f.pushes, s)
	return f.err
}

func (f *fake) Mark(full stanza.JID, m stanza.Mark, on bool) bool {
	if m != stanza.WantsBlocklist || !on {
		f.t.Errorf("mark %d of %s was set to %v", m, full, on)
	}
	f.note("mark " + full.String())
	f.marked = append(f.marked, full)
	return true
}

func (f *fake) Marked(user stanza.JID, m stanza.Mark) []stanza.JID {
	if m != stanza.WantsBlocklist || !user.IsBare() {
		f.t.Errorf("asked for mark %d of %s", m, user)
	}
	return f.marked
}

func (f *fake) SetBlocked(_ stanza.JID, blocks func(stanza.JID) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks = blocks
	f.events = append(f.events, "set")
}

func (f *fake) Hide(ctx context.Context, _ stanza.JID, match func(stanza.JID) bool) error {
	return f.presence(ctx, "hide from", match)
}

func (f *fake) Show(ctx context.Context, _ stanza.JID, match func(stanza.JID) bool) error {
	return f.presence(ctx, "show to", match)
}

func (f *fake) presence(ctx context.Context, what string, match func(stanza.JID) bool) error {
	if ctx.Err() != nil {
		f.t.Errorf("%s: the context has ended", what)
	}
	var b strings.Builder
	b.WriteString(what)
	for _, j := range f.people {
		if match(j) {
			b.WriteString(" " + j.String())
		}
	}
	f.note(b.String())
	return f.err
}

// newService returns one for a.test, where juliet blocks whom list says.
func newService(t *testing.T, list string) (*Service, *fake) {
	t.Helper()
	f := &fake{t: t}
	if list != "" {
		if _, err := f.Memory.CompareAndSet(t.Context(), jid(t, "juliet@a.test"), List{Blocked: sorted(jids(t, list))}); err != nil {
			t.Fatal(err)
		}
	}
	s := New(Config{Store: f, Sessions: f})
	s.Configure(stanza.PerHost[*Options]{Hosts: map[string]*Options{"a.test": {MaxItems: 4}}})
	return s, f
}

// ask sends a request of juliet and returns the payload of the result, or the
// condition of the error.
func ask(t *testing.T, s *Service, typ, payload string) string {
	t.Helper()
	got, err := try(t, s, "juliet@a.test/balcony", "", typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func try(t *testing.T, s *Service, from, to, typ, payload string) (string, error) {
	t.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	iq, err := stanza.Parse("<iq type='" + typ + "' id='1' from='" + from + "'" + to + ">" + payload + "</iq>")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.HandleIQ(t.Context(), iq, stanza.Peer{})
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		return string(e.Condition), nil
	case err != nil:
		return "", err
	}
	if answer.Type != stanza.TypeResult || answer.ID != "1" || answer.To != iq.From {
		t.Errorf("answer is %s", answer)
	}
	return answer.Inner, nil
}

// stored returns whom juliet blocks by the store.
func stored(t *testing.T, f *fake) string {
	t.Helper()
	l, err := f.Memory.Get(t.Context(), jid(t, "juliet@a.test"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, j := range l.Blocked {
		out = append(out, j.String())
	}
	return strings.Join(out, " ")
}
