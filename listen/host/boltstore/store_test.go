package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/host/storetest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func jid(t testing.TB, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// openAt opens a store and closes it at the end of the test.
func openAt(t testing.TB, path string, o Options) *Store {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// openEmpty opens a new store, which is checked at the end of the test.
func openEmpty(t testing.TB) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	t.Cleanup(func() { wantSound(t, path) })
	return openAt(t, path, Defaults())
}

// wantSound checks a file that is closed.
func wantSound(t testing.TB, path string) Report {
	t.Helper()
	r, err := Check(context.Background(), path) // the context of a test ends before its cleanups
	if err != nil {
		t.Errorf("Check: %v", err)
	}
	for _, p := range r.Problems {
		t.Errorf("Check: %s", p)
	}
	return r
}

func TestContracts(t *testing.T) {
	t.Run("accounts", func(t *testing.T) {
		storetest.Accounts(t, func(t *testing.T) host.AccountStore { return openEmpty(t).Accounts() })
	})
	t.Run("roster", func(t *testing.T) {
		storetest.Roster(t, func(t *testing.T) roster.Store { return openEmpty(t).Roster() })
	})
	t.Run("offline", func(t *testing.T) {
		storetest.Offline(t, func(t *testing.T) offline.Store { return openEmpty(t).Offline() })
	})
	t.Run("last", func(t *testing.T) {
		storetest.Last(t, func(t *testing.T) last.Store { return openEmpty(t).Last() })
	})
	t.Run("private", func(t *testing.T) {
		storetest.Private(t, func(t *testing.T) private.Store { return openEmpty(t).Private() })
	})
	t.Run("vcard", func(t *testing.T) {
		storetest.VCard(t, func(t *testing.T) vcard.Store { return openEmpty(t).VCard() })
	})
	t.Run("blocking", func(t *testing.T) {
		storetest.Blocking(t, func(t *testing.T) blocking.Store { return openEmpty(t).Blocking() })
	})
	t.Run("tokens", func(t *testing.T) {
		storetest.Tokens(t, func(t *testing.T) host.TokenStore { return openEmpty(t).Tokens() })
	})
	t.Run("clients", func(t *testing.T) {
		storetest.Clients(t, func(t *testing.T) host.ClientStore { return openEmpty(t).Clients() })
	})
}

// More is forgotten than one transaction removes.
func TestForgetMany(t *testing.T) {
	s := openEmpty(t)
	ctx, user, other := t.Context(), jid(t, "romeo@a.test"), jid(t, "romeo@a.test2")
	for _, n := range []int{forgetChunk, forgetChunk + 1} {
		var filling sync.WaitGroup
		for worker := range 100 {
			filling.Go(func() {
				for i := worker; i < n; i += 100 {
					contact := jid(t, fmt.Sprintf("c%d@b.test", i))
					if _, err := s.Roster().Set(ctx, user, roster.Item{Contact: contact, Listed: true}, 0); err != nil {
						t.Error(err)
					}
					if err := s.Private().Set(ctx, user, stanza.Name{Local: contact.String()}, "<x/>", private.Limits{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		filling.Wait()
		if _, err := s.Roster().Set(ctx, other, roster.Item{Contact: jid(t, fmt.Sprintf("c%d@b.test", n))}, 0); err != nil {
			t.Error(err)
		}
		before, err := s.Roster().Version(ctx, user)
		if err := errors.Join(err, s.Roster().Forget(ctx, user), s.Private().Forget(ctx, user)); err != nil {
			t.Fatal(err)
		}
		after, err := s.Roster().Version(ctx, user)
		if err != nil || after.Current <= before.Current || after.Deleted != after.Current {
			t.Errorf("version %+v after %+v, %v; want that all before is gone", after, before, err)
		}
		if list, err := s.Roster().List(ctx, user, stanza.JID{}, 10); len(list) > 0 || err != nil {
			t.Errorf("List = %v, %v; want nothing", list, err)
		}
	}
	if st := s.Stats(); st.Records["roster"] != 2 || st.Records["private"] != 0 {
		t.Errorf("records %v, want two roster items of the other user", st.Records)
	}
}

func TestStats(t *testing.T) {
	s := openEmpty(t)
	var all sync.WaitGroup
	for range 500 {
		all.Add(1)
		s.Offline().Add(t.Context(), jid(t, "romeo@a.test"), "<message/>", offline.Limits{}, func(uint64, error) { all.Done() })
	}
	all.Wait()
	if err := s.Offline().Forget(t.Context(), jid(t, "romeo@a.test")); err != nil {
		t.Fatal(err)
	}
	if err := s.VCard().Set(t.Context(), jid(t, "romeo@a.test"), "<vCard/>"); err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Records["offline"] != 0 || st.Records["vcard"] != 1 || st.FileBytes == 0 || st.FreeBytes == 0 || st.FreeBytes > st.FileBytes {
		t.Errorf("%+v: want a vCard and free pages", st)
	}
	if st.Operations != 502 || st.Commits < 3 || st.LargestBatch < 1 || st.LargestBatch > 500 || st.FailedCommits != 0 {
		t.Errorf("%+v: want 502 operations", st)
	}
	if st.LastCommit <= 0 || st.CommitTime < st.LastCommit {
		t.Errorf("%+v: want the time of the commits", st)
	}
}
