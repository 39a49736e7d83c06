package extdisco

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines are the messages of a log.
type lines []string

func (l *lines) Enabled(_ context.Context, v slog.Level) bool { return v > slog.LevelDebug }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler           { return l }
func (l *lines) WithGroup(string) slog.Handler                { return l }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	*l = append(*l, r.Message)
	return nil
}

const secret = "keep this"

// newService returns a Service that is on at a.test, with two services, and off at
// off.test.
func newService(change func(*Options)) (*Service, *lines) {
	l := new(lines)
	s := New(Config{Log: slog.New(l)})
	o := Defaults()
	o.Secret = secret
	o.Services = []External{{Host: "stun.a.test"}, {Host: "turn.a.test", Type: "turn"}}
	if change != nil {
		change(&o)
	}
	s.Configure(stanza.PerHost[*Options]{Value: &o, Hosts: map[string]*Options{"off.test": nil}})
	return s, l
}

func jid(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// ask sends a request and returns the payload of the answer, or the condition of the
// error.
func ask(t *testing.T, s *Service, typ, from, to, payload string) string {
	t.Helper()
	iq, err := stanza.Parse("<iq type='" + typ + "' id='1' from='" + from + "' to='" + to + "'>" + payload + "</iq>")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.HandleIQ(t.Context(), iq, stanza.Peer{})
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		return string(e.Condition)
	case err != nil:
		t.Fatal(err)
	case answer.Type != stanza.TypeResult || answer.ID != "1" || answer.From != iq.To || answer.To != iq.From:
		t.Errorf("got the answer %s", answer)
	}
	return answer.Inner
}
