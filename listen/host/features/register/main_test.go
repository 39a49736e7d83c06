package register

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is accounts and a router that record.
type fake struct {
	passwords map[string]string
	routed    []string
	kicked    []string
	err       error
}

func (f *fake) Exists(_ context.Context, j stanza.JID) (bool, error) {
	_, ok := f.passwords[j.String()]
	return ok, f.err
}

func (f *fake) Create(_ context.Context, j stanza.JID, password string) error {
	if _, ok := f.passwords[j.String()]; ok {
		return &stanza.Error{Condition: stanza.Conflict}
	}
	if f.err == nil {
		f.passwords[j.String()] = password
	}
	return f.err
}

func (f *fake) SetPassword(_ context.Context, j stanza.JID, password string, keep stanza.JID) error {
	if _, ok := f.passwords[j.String()]; !ok {
		return stanza.ErrNoAccount
	}
	f.passwords[j.String()] = password
	f.kicked = append(f.kicked, "all but "+keep.String())
	return nil
}

func (f *fake) Remove(_ context.Context, j, keep stanza.JID) error {
	if _, ok := f.passwords[j.String()]; !ok {
		return stanza.ErrNoAccount
	}
	delete(f.passwords, j.String())
	f.kicked = append(f.kicked, "all but "+keep.String())
	return nil
}

func (f *fake) Route(_ context.Context, s *stanza.Stanza) error {
	if len(f.kicked) > 1 {
		return errors.New("the session has ended already")
	}
	f.routed = append(f.routed, s.String())
	return nil
}

func (f *fake) Kick(j, _ stanza.JID, r *stanza.StreamError) int {
	f.kicked = append(f.kicked, fmt.Sprintf("%s: %s", j, r.Condition))
	return 1
}

// newService returns a service for a.test with the account romeo@a.test.
func newService(t *testing.T, o Options) (*Service, *fake) {
	t.Helper()
	f := &fake{passwords: map[string]string{"romeo@a.test": "old"}}
	return New(Config{Accounts: f, Router: f, Options: stanza.PerHost[Options]{Value: o}}), f
}

func peer(addr string) stanza.Peer {
	return stanza.Peer{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 40000)}
}

// ask sends a request and returns the payload of the answer, or the condition
// of the error.
func ask(t *testing.T, s *Service, from, typ, query string, p stanza.Peer) string {
	t.Helper()
	iq, err := stanza.Parse(fmt.Sprintf("<iq xmlns='jabber:client' type='%s' id='1' to='a.test'>%s</iq>", typ, query))
	if err != nil {
		t.Fatal(err)
	}
	if from != "" {
		iq.From = jid(t, from)
	}
	answer, err := s.HandleIQ(t.Context(), iq, p)
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		return string(e.Condition)
	case errors.Is(err, stanza.ErrNotSupported):
		return "not supported"
	case err != nil:
		t.Fatalf("got the error %v, want a *stanza.Error", err)
	case answer == nil:
		return "none"
	}
	if answer.Type != stanza.TypeResult || answer.ID != "1" || answer.To != iq.From {
		t.Errorf("answer is %s", answer)
	}
	return answer.Inner
}

func jid(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// query returns the payload of a registration.
func query(user, password string) string {
	return fmt.Sprintf("<query xmlns='jabber:iq:register'><username>%s</username><password>%s</password></query>", user, password)
}
