package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// diary is an AccountStore and a feature's storage that write down what is done.
type diary struct {
	*host.MemoryAccounts
	lines []string
	fail  error // of the second part that is forgotten
}

func (d *diary) note(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) Create(ctx context.Context, a host.Account) error {
	d.note("create")
	return d.MemoryAccounts.Create(ctx, a)
}

func (d *diary) CompareAndSet(ctx context.Context, a host.Account) error {
	d.note("disabled %t, removing %t", a.Disabled, a.Removing)
	return d.MemoryAccounts.CompareAndSet(ctx, a)
}

func (d *diary) Delete(ctx context.Context, user stanza.JID) error {
	d.note("delete")
	return d.MemoryAccounts.Delete(ctx, user)
}

func (d *diary) Kick(_, keep stanza.JID, _ *stanza.StreamError) int {
	d.note("kick all but %s", keep)
	return 0
}

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := fmt.Sprintf("%q", d.lines); got != fmt.Sprintf("%q", want) {
		t.Errorf("got  %s\nwant %q", got, want)
	}
	d.lines = nil
}

func newDiary(t *testing.T) (*host.Accounts, *diary) {
	d := &diary{MemoryAccounts: new(host.MemoryAccounts)}
	a, err := host.NewAccounts(hosts("a.test"), d, d)
	if err != nil {
		t.Fatal(err)
	}
	a.Forget = append(a.Forget, func(_ context.Context, user stanza.JID) error {
		d.note("forget the roster of %s", user)
		return nil
	}, func(context.Context, stanza.JID) error {
		d.note("forget messages")
		return d.fail
	})
	return a, d
}

// A new account inherits nothing of an old one of the same name, wherever the
// removal of that broke off; and whoever comes next finishes the removal.
func TestRemoveForgets(t *testing.T) {
	romeo, keep := jid(t, "romeo@a.test"), jid(t, "romeo@a.test/x")
	forgets := []string{"forget the roster of romeo@a.test", "forget messages"}
	for _, tt := range []struct {
		name   string
		finish func(*host.Accounts) error
		want   []string // besides forgets and delete
	}{
		{"nobody", nil, nil},
		{"Remove", func(a *host.Accounts) error { return a.Remove(t.Context(), romeo, keep) }, nil},
		{"Recover", func(a *host.Accounts) error { return a.Recover(t.Context()) }, nil},
		{"Create", func(a *host.Accounts) error { return a.Create(t.Context(), romeo, "other") }, []string{"create"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, d := newDiary(t)
			create(t, a, "romeo@a.test", "secret")
			d.expect(t, append(slices.Clone(forgets), "create")...)
			if tt.finish == nil {
				if err := a.Remove(t.Context(), keep, keep); err != nil {
					t.Fatal(err)
				}
				d.expect(t, slices.Concat([]string{"disabled true, removing true", "kick all but romeo@a.test/x"}, forgets, []string{"delete"})...)
				return
			}
			d.fail = errBroken
			if err := a.Remove(t.Context(), keep, keep); !errors.Is(err, errBroken) {
				t.Errorf("got %v, want the error of the storage", err)
			}
			d.expect(t, slices.Concat([]string{"disabled true, removing true", "kick all but romeo@a.test/x"}, forgets, []string{"kick all but "})...)
			wantNoAccount(t, a, romeo)
			d.expect(t)

			if err := tt.finish(a); !errors.Is(err, errBroken) {
				t.Errorf("got %v, want the error of the storage", err)
			}
			d.expect(t, forgets...)
			wantNoAccount(t, a, romeo)
			d.fail = nil
			if err := tt.finish(a); err != nil {
				t.Fatal(err)
			}
			d.expect(t, slices.Concat(forgets, []string{"delete"}, tt.want)...)
			if got := a.VerifyPassword(t.Context(), romeo, "other"); (got == nil) != (tt.name == "Create") {
				t.Errorf("the new account: got %v", got)
			}
			if err := a.Recover(t.Context()); err != nil {
				t.Errorf("nothing to recover: got %v", err)
			}
			d.expect(t)
		})
	}
}

// wantNoAccount wants that an account which is being removed does not exist for
// anybody.
func wantNoAccount(t *testing.T, a *host.Accounts, user stanza.JID) {
	t.Helper()
	exists, err := a.Exists(t.Context(), user)
	if exists || err != nil {
		t.Errorf("Exists: got %t, %v, want false", exists, err)
	}
	if list, err := a.List(t.Context(), user.Domain(), "", 10); len(list) > 0 || err != nil {
		t.Errorf("List: got %v, %v, want none", list, err)
	}
	_, scram := a.SCRAMKeys(t.Context(), "SHA-1", user)
	_, ha1 := a.HA1(t.Context(), user, "MD5")
	for what, err := range map[string]error{
		"VerifyPassword":    a.VerifyPassword(t.Context(), user, "secret"),
		"VerifyCertificate": a.VerifyCertificate(t.Context(), user, nil),
		"SCRAMKeys":         scram,
		"HA1":               ha1,
		"SetPassword":       a.SetPassword(t.Context(), user, "new", stanza.JID{}),
		"SetDisabled":       a.SetDisabled(t.Context(), user, false),
	} {
		if !errors.Is(err, stanza.ErrNoAccount) {
			t.Errorf("%s: got %v, want ErrNoAccount", what, err)
		}
	}
}

// What came in since a removal, or was left by another program, is in nobody's
// way.
func TestCreateForgets(t *testing.T) {
	a, d := newDiary(t)
	d.fail = errBroken
	if err := a.Create(t.Context(), jid(t, "romeo@a.test"), "new"); !errors.Is(err, errBroken) {
		t.Errorf("Create over what cannot be forgotten: got %v", err)
	}
	d.expect(t, "forget the roster of romeo@a.test", "forget messages")
	if err := a.Remove(t.Context(), jid(t, "romeo@a.test"), stanza.JID{}); !errors.Is(err, stanza.ErrNoAccount) {
		t.Errorf("Remove of no account: got %v, want ErrNoAccount", err)
	}
	d.expect(t)
}

// An account that is disabled is not being removed.
func TestRecoverLeavesDisabled(t *testing.T) {
	a, d := newDiary(t)
	off := create(t, a, "off@a.test", "secret")
	if err := a.SetDisabled(t.Context(), off, true); err != nil {
		t.Fatal(err)
	}
	d.lines = nil
	if err := a.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.expect(t)
	if err := a.Create(t.Context(), off, "secret"); !errors.Is(err, host.ErrExists) {
		t.Errorf("Create: got %v, want ErrExists", err)
	}
}

// A removal goes on when the request for it ends, and gives up in the end.
func TestRemovalOutlivesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, d := newDiary(t)
		romeo := create(t, a, "romeo@a.test", "secret")
		ctx, cancel := context.WithCancel(t.Context())
		a.Forget = []func(context.Context, stanza.JID) error{func(ctx context.Context, _ stanza.JID) error {
			cancel()
			return ctx.Err()
		}}
		if err := a.Remove(ctx, romeo, stanza.JID{}); err != nil {
			t.Errorf("got %v", err)
		}
		if _, err := d.Get(t.Context(), romeo); !errors.Is(err, stanza.ErrNoAccount) {
			t.Errorf("in the store: got %v, want ErrNoAccount", err)
		}

		create(t, a, "romeo@a.test", "secret")
		began := time.Now()
		a.Forget[0] = func(ctx context.Context, _ stanza.JID) error {
			<-ctx.Done()
			return ctx.Err()
		}
		if err := a.Remove(t.Context(), romeo, stanza.JID{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		if got := time.Since(began); got != host.MaxRemoval {
			t.Errorf("gave up after %v, want %v", got, host.MaxRemoval)
		}
		wantNoAccount(t, a, romeo)
	})
}

// Who wants a name that somebody works on waits, as long as he likes; other names
// are free.
func TestNamesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newDiary(t)
		romeo := create(t, a, "romeo@a.test", "secret")
		held, release := make(chan struct{}), make(chan struct{})
		a.Forget = []func(context.Context, stanza.JID) error{func(_ context.Context, user stanza.JID) error {
			if user == romeo {
				close(held)
				<-release
			}
			return nil
		}}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := a.Remove(t.Context(), romeo, stanza.JID{}); err != nil {
				t.Error(err)
			}
		})
		<-held
		for i := range 200 {
			create(t, a, fmt.Sprintf("user%d@a.test", i), "secret")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Create(ctx, romeo, "secret"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Create: got %v, want DeadlineExceeded", err)
		}
		close(release)
		wg.Wait()
		a.Forget = nil
		create(t, a, "romeo@a.test", "secret")
	})
}

// Two who want one name do not forget what the other has made.
func TestCreateOnce(t *testing.T) {
	a, _ := newDiary(t)
	var mu sync.Mutex
	forgotten, made := 0, 0
	a.Forget = []func(context.Context, stanza.JID) error{func(context.Context, stanza.JID) error {
		mu.Lock()
		defer mu.Unlock()
		forgotten++
		return nil
	}}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			err := a.Create(t.Context(), jid(t, "romeo@a.test"), "secret")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else if !errors.Is(err, host.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if forgotten != 1 || made != 1 {
		t.Errorf("forgotten %d times, made %d times, want once each", forgotten, made)
	}
}
