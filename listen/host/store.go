package host

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Account is what is stored of a user: what checks a password, never the
// password. HA1 keys are as good as the password to whoever reads them.
type Account struct {
	JID      stanza.JID // bare
	Disabled bool       // may not log in
	Ban      *Ban       // why an administrator has disabled it; nil: not known, or it is not

	// Removing says that the removal has begun. There is no such account any more
	// for anybody but those who finish it.
	Removing bool

	// SCRAM has keys by hash: SHA-1, SHA-256, SHA-512.
	SCRAM map[string]stanza.SCRAMKeys

	// HA1MD5 and HA1SHA256 are digests of user:vhost:password, as SIP digest
	// and TURN use them (RFC 7616, section 3.4.2; RFC 8489, section 9.2.2). nil
	// when auth_password_format was scram.
	HA1MD5    []byte
	HA1SHA256 []byte

	// Revision is the store's: it differs between any two states of an account,
	// also when it was deleted and made again.
	Revision uint64
}

// AccountStore keeps accounts. Its methods are safe for concurrent use; each is
// atomic. What an Account refers to is never changed, neither by the store nor by
// its users. Errors other than those named are temporary failures.
//
// The tests of package storetest check an implementation.
type AccountStore interface {
	// Get returns an account, also one that is Removing. Error:
	// stanza.ErrNoAccount.
	Get(ctx context.Context, user stanza.JID) (Account, error)
	// Create stores a new account; its Revision does not matter. Error:
	// ErrExists.
	Create(ctx context.Context, a Account) error
	// CompareAndSet replaces an account whose revision is a.Revision. Errors:
	// stanza.ErrNoAccount, ErrRevision.
	CompareAndSet(ctx context.Context, a Account) error
	// Delete removes an account. Error: stanza.ErrNoAccount.
	Delete(ctx context.Context, user stanza.JID) error
	// List returns the accounts of a domain whose localpart is greater than
	// after in byte order, at most limit, sorted by localpart, without those that
	// are Removing. Fewer than limit means that there are no more.
	List(ctx context.Context, domain, after string, limit int) ([]stanza.JID, error)
	// Removing returns the accounts of all domains that are, in no order. It may
	// look at every account.
	Removing(ctx context.Context) ([]stanza.JID, error)
}

// ErrRevision says that an account, or a grant, has changed since it was read.
var ErrRevision = errors.New("it has changed meanwhile")

// ErrExists says that there is such an account already. It can go to a client
// as it is.
var ErrExists error = &stanza.Error{Condition: stanza.Conflict, Text: "this account exists already"}
