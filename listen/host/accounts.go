package host

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Kicker ends sessions. A *Local is one.
type Kicker interface {
	// Kick ends the sessions of an account, but not keep, without waiting.
	Kick(jid, keep stanza.JID, reason *stanza.StreamError) int
}

// Accounts are the users of the served domains. It checks credentials for the
// listeners and changes them for everybody else.
type Accounts struct {
	// Forget deletes what others keep of an account, each a part, in this order;
	// the first error ends it. What was deleted already is no error. It must be set
	// before use and stay as it is.
	Forget []func(ctx context.Context, user stanza.JID) error

	// Revoke ends what lets others in as a user besides the password: tokens. It is
	// called before the password changes or the account is disabled, and again when that
	// is stored. nil: there is nothing. It must be set before use and stay as it is.
	Revoke func(ctx context.Context, user stanza.JID) error

	store    AccountStore
	sessions Kicker
	work     *gate
	madeUp   []byte // salt for users that do not exist
	settings atomic.Pointer[accountSettings]

	names names // of accounts that are made or removed, or whose tokens begin or end
}

type accountSettings struct {
	Options
	served map[string]bool
}

// NewAccounts returns the accounts of the hosts of o. sessions hears when
// sessions have to end and may be nil.
func NewAccounts(o Options, store AccountStore, sessions Kicker) (*Accounts, error) {
	n := runtime.GOMAXPROCS(0)
	a := &Accounts{store: store, sessions: sessions, work: newGate(n, MaxWaiting), madeUp: sasl.NewSalt()}
	return a, a.Configure(o)
}

// Configure takes new options. After an error the old ones apply.
func (a *Accounts) Configure(o Options) error {
	hosts, err := o.canonicalHosts()
	if err != nil {
		return err
	}
	s := &accountSettings{Options: o, served: make(map[string]bool)}
	for _, h := range hosts {
		s.served[h] = true
	}
	a.settings.Store(s)
	return nil
}

// lookup returns the account of a user of a domain whose accounts log in.
func (a *Accounts) lookup(ctx context.Context, user stanza.JID) (Account, error) {
	if user.Local() == "" || !a.has(user.Domain()) {
		return Account{}, stanza.ErrNoAccount
	}
	return a.get(ctx, user)
}

// has reports whether accounts of a domain log in.
func (a *Accounts) has(domain string) bool {
	s := a.settings.Load()
	return s.served[domain] && s.hasAccounts(domain)
}

// get returns an account that nobody removes.
func (a *Accounts) get(ctx context.Context, user stanza.JID) (Account, error) {
	acc, err := a.store.Get(ctx, user.Bare())
	if err == nil && acc.Removing {
		return Account{}, stanza.ErrNoAccount
	}
	return acc, err
}

// Exists reports whether there is an account.
func (a *Accounts) Exists(ctx context.Context, user stanza.JID) (bool, error) {
	_, err := a.lookup(ctx, user)
	if errors.Is(err, stanza.ErrNoAccount) {
		return false, nil
	}
	return err == nil, err
}

// Create makes an account. What is left of an earlier one of that name is
// deleted first (Forget), and a removal that has broken off is finished. Errors: ErrExists, and a *stanza.Error of the
// condition NotAcceptable for a password that cannot be (empty, more than 1,024
// bytes, characters that SASLprep prohibits), NotAllowed for a domain without
// accounts, ResourceConstraint when too many such calls wait.
func (a *Accounts) Create(ctx context.Context, user stanza.JID, password string) error {
	s := a.settings.Load()
	if user.Local() == "" || !s.served[user.Domain()] || !s.hasAccounts(user.Domain()) {
		return &stanza.Error{Condition: stanza.NotAllowed, Text: "this domain has no accounts"}
	}
	// A name that is taken must not cost the work.
	if err := a.isFree(ctx, user); err != nil {
		return err
	}
	acc := Account{JID: user.Bare()}
	if err := a.setVerifiers(ctx, &acc, password); err != nil {
		return err
	}
	leave, err := a.names.enter(ctx, acc.JID)
	if err != nil {
		return err
	}
	defer leave()
	if err := a.isFree(ctx, user); err != nil { // or this would forget what somebody else has made
		return err
	}
	if err = a.resume(ctx, acc.JID); errors.Is(err, stanza.ErrNoAccount) {
		err = a.forget(ctx, acc.JID)
	}
	if err != nil {
		return err
	}
	return a.store.Create(ctx, acc)
}

// isFree returns ErrExists if there is an account.
func (a *Accounts) isFree(ctx context.Context, user stanza.JID) error {
	exists, err := a.Exists(ctx, user)
	if exists {
		return ErrExists
	}
	return err
}

// SetPassword replaces everything that checks the password of an account, ends its
// sessions except keep, and its tokens (Revoke), also if it fails after that. Errors:
// those of Create, stanza.ErrNoAccount.
func (a *Accounts) SetPassword(ctx context.Context, user stanza.JID, password string, keep stanza.JID) error {
	if _, err := a.lookup(ctx, user); err != nil {
		return err
	}
	with := Account{JID: user.Bare()}
	if err := a.setVerifiers(ctx, &with, password); err != nil {
		return err
	}
	return a.revoking(ctx, user, func() error {
		err := a.change(ctx, user, func(acc *Account) {
			acc.SCRAM, acc.HA1MD5, acc.HA1SHA256 = with.SCRAM, with.HA1MD5, with.HA1SHA256
		})
		if err == nil {
			a.kick(user, keep, &stanza.StreamError{Condition: stanza.StreamReset, Text: "the password was changed"})
		}
		return err
	})
}

// SetDisabled says whether an account may not log in. Disabling one ends its
// sessions and its tokens (Revoke). Error: stanza.ErrNoAccount.
func (a *Accounts) SetDisabled(ctx context.Context, user stanza.JID, disabled bool) error {
	change := func() error {
		return a.change(ctx, user, func(acc *Account) { acc.disable(disabled, nil) })
	}
	if !disabled {
		return change()
	}
	return a.revoking(ctx, user, func() error {
		err := change()
		if err == nil {
			a.kick(user, stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: "the account was disabled"})
		}
		return err
	})
}

// revoking calls Revoke before and after a change. The tokens that there are end before,
// and meanwhile there are no new ones (Tokens.Issue): none is left if the program ends
// between a change that is stored and what follows. Logins that began before the change
// fail after it. That tokens cannot be ended keeps nobody from being locked out.
func (a *Accounts) revoking(ctx context.Context, user stanza.JID, change func() error) error {
	leave, err := a.names.enter(ctx, user.Bare())
	if err != nil {
		return err
	}
	defer leave()
	if _, err := a.get(ctx, user); err != nil {
		return err
	}
	before := a.revoke(ctx, user)
	if err := change(); err != nil {
		return cmp.Or(before, err)
	}
	return a.revoke(ctx, user)
}

// revoke calls Revoke, which goes on when ctx ends: the change may be stored already.
func (a *Accounts) revoke(ctx context.Context, user stanza.JID) error {
	if a.Revoke == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), MaxRemoval)
	defer cancel()
	if err := a.Revoke(ctx, user.Bare()); err != nil {
		return fmt.Errorf("ending the tokens of %q: %w", user.Bare(), err)
	}
	return nil
}

// List returns the accounts of a domain in pages, as AccountStore.List does.
func (a *Accounts) List(ctx context.Context, domain, after string, limit int) ([]stanza.JID, error) {
	return a.store.List(ctx, domain, after, limit)
}

func (a *Accounts) kick(user, keep stanza.JID, reason *stanza.StreamError) {
	if a.sessions != nil {
		a.sessions.Kick(user.Bare(), keep, reason)
	}
}

// change applies f to the stored account, again when somebody else was faster.
func (a *Accounts) change(ctx context.Context, user stanza.JID, f func(*Account)) error {
	const attempts = 10
	for range attempts {
		acc, err := a.get(ctx, user)
		if err != nil {
			return err
		}
		f(&acc)
		if err := a.store.CompareAndSet(ctx, acc); !errors.Is(err, ErrRevision) {
			return err
		}
	}
	return fmt.Errorf("changing %q: %w, %d times", user, ErrRevision, attempts)
}

var scramHashes = [...]string{sasl.SHA1, sasl.SHA256, sasl.SHA512}

// setVerifiers derives all that the options ask for from a password.
func (a *Accounts) setVerifiers(ctx context.Context, acc *Account, password string) error {
	keys := make(map[string]stanza.SCRAMKeys)
	var bad error
	err := a.work.do(ctx, func() {
		for _, h := range scramHashes {
			if keys[h], bad = sasl.DeriveKeys(h, password, sasl.NewSalt(), sasl.DefaultIterations); bad != nil {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if bad != nil {
		return &stanza.Error{Condition: stanza.NotAcceptable, Text: bad.Error()}
	}
	acc.SCRAM = keys
	j := acc.JID
	if f := a.settings.Load().AuthPasswordFormat.For(j.Domain()); f == formatPlain || f == "" {
		text := []byte(j.Local() + ":" + j.Domain() + ":" + password)
		m, s := md5.Sum(text), sha256.Sum256(text)
		acc.HA1MD5, acc.HA1SHA256 = m[:], s[:]
	}
	return nil
}

// Anonymous returns a new bare JID of domain. Nothing is stored for it: it is
// gone with its session. Error: stanza.ErrNotSupported.
func (a *Accounts) Anonymous(_ context.Context, domain string) (stanza.JID, error) {
	if !a.OffersAnonymous(domain) {
		return stanza.JID{}, stanza.ErrNotSupported
	}
	// 130 random bits are enough to be nobody else's.
	return stanza.NewJID(strings.ToLower(rand.Text()), domain, "")
}

// OffersAnonymous reports whether domain has anonymous users.
func (a *Accounts) OffersAnonymous(domain string) bool {
	s := a.settings.Load()
	return s.served[domain] && s.hasAnonymous(domain)
}
