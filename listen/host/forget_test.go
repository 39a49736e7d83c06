package host_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

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
	d.note("disabled %t", a.Disabled)
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
// removal of that broke off.
func TestRemoveForgets(t *testing.T) {
	a, d := newDiary(t)
	romeo, keep := jid(t, "romeo@a.test"), jid(t, "romeo@a.test/x")
	create(t, a, "romeo@a.test", "secret")
	d.expect(t, "forget the roster of romeo@a.test", "forget messages", "create")

	d.fail = errBroken
	if err := a.Remove(t.Context(), keep, keep); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want the error of the storage", err)
	}
	removal := []string{"disabled true", "kick all but romeo@a.test/x", "forget the roster of romeo@a.test", "forget messages"}
	d.expect(t, removal...)
	if err := a.VerifyPassword(t.Context(), romeo, "secret"); !errors.Is(err, stanza.ErrAccountDisabled) {
		t.Errorf("half removed: got %v, want ErrAccountDisabled", err)
	}
	if err := a.Create(t.Context(), romeo, "other"); !errors.Is(err, host.ErrExists) {
		t.Errorf("the name of one half removed: got %v, want ErrExists", err)
	}
	d.expect(t)

	d.fail = nil
	if err := a.Remove(t.Context(), keep, keep); err != nil {
		t.Fatal(err)
	}
	d.expect(t, append(removal, "delete")...)
	if err := a.Remove(t.Context(), keep, keep); !errors.Is(err, stanza.ErrNoAccount) {
		t.Errorf("again: got %v, want ErrNoAccount", err)
	}
	d.expect(t)

	// What came in since, or was left by another program.
	d.fail = errBroken
	if err := a.Create(t.Context(), romeo, "new"); !errors.Is(err, errBroken) {
		t.Errorf("Create over what cannot be forgotten: got %v", err)
	}
	d.expect(t, "forget the roster of romeo@a.test", "forget messages")
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
