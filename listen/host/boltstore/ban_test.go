package boltstore

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// A ban, and why there is one, outlives the program.
func TestBanIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	user := jid(t, "romeo@localhost")
	want := host.Ban{Reason: "spam", At: time.Unix(1<<30, 0).UTC(), Last: time.Unix(1<<29, 0).UTC(), LastStatus: "bye"}
	accountsAt := func() (*host.Accounts, *Store) {
		t.Helper()
		s := openAt(t, path, Options{})
		a, err := host.NewAccounts(host.Defaults(), s.Accounts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return a, s
	}
	a, s := accountsAt()
	if err := errors.Join(a.Create(t.Context(), user, "secret"), a.Ban(t.Context(), user, want), s.Close()); err != nil {
		t.Fatal(err)
	}
	a, s = accountsAt()
	if err := a.VerifyPassword(t.Context(), user, "secret"); !errors.Is(err, stanza.ErrAccountDisabled) {
		t.Errorf("logging in: got %v, want %v", err, stanza.ErrAccountDisabled)
	}
	acc, err := s.Accounts().Get(t.Context(), user)
	if err != nil || acc.Ban == nil || !reflect.DeepEqual(*acc.Ban, want) {
		t.Errorf("got %+v, %v, want the ban %+v", acc.Ban, err, want)
	}
	if err := a.Unban(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if err := a.VerifyPassword(t.Context(), user, "secret"); err != nil {
		t.Errorf("logging in again: %v", err)
	}
}
