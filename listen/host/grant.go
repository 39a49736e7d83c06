package host

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// GrantID is the random name of a Grant.
type GrantID [16]byte

// Grant is what is stored of what a user has let a client do, by one login: the code
// that the client has got for it, and the tokens, all of which are revoked together.
// Of each there is a hash, never itself.
type Grant struct {
	ID      GrantID
	User    stanza.JID // bare
	Client  string     // "": nobody who is registered
	Scopes  string     // separated by spaces
	Issued  time.Time
	Expires time.Time // when nothing of it is valid any more

	// Code is the authorization code, which was asked for with Redirect and
	// Challenge. Redeemed says that the tokens for it have been given.
	Code                Secret
	Redirect, Challenge string
	Redeemed            bool

	Access  []Secret // the newest last
	Refresh Secret   // the newest: all before it are spent

	// Revision is the store's: it differs between any two states of a grant.
	Revision uint64
}

// Secret is what is stored of a code or token. The zero Secret is none.
type Secret struct {
	Hash    [sha256.Size]byte
	Scopes  string // of an access token, which may have fewer than its Grant
	Expires time.Time
}

// is reports whether a secret is this one.
func (s *Secret) is(hash *[sha256.Size]byte) bool {
	return !s.Expires.IsZero() && subtle.ConstantTimeCompare(s.Hash[:], hash[:]) == 1
}

// TokenStore keeps grants. Its methods are safe for concurrent use; each is atomic.
// Times are whole milliseconds, in UTC. The slices of a Grant are never changed,
// neither by the store nor by its users. Errors other than those named are temporary
// failures.
//
// The tests of package storetest check an implementation.
type TokenStore interface {
	// Get returns a grant, also one that has expired. Error: ErrNoGrant.
	Get(ctx context.Context, id GrantID) (Grant, error)
	// Add stores a new grant; its Revision does not matter. If its user has more than
	// limit then, others of the user make room: those that have expired at now, and
	// then the oldest.
	Add(ctx context.Context, g Grant, limit int, now time.Time) error
	// CompareAndSet replaces a grant whose revision is g.Revision, of the same user.
	// Errors: ErrNoGrant, ErrRevision.
	CompareAndSet(ctx context.Context, g Grant) error
	// Delete removes a grant, if there is one.
	Delete(ctx context.Context, id GrantID) error
	// Forget removes all grants of a user.
	Forget(ctx context.Context, user stanza.JID) error
	// List returns grants whose ID is greater than after in byte order, at most
	// limit, sorted by ID. Fewer than limit means that there are no more.
	List(ctx context.Context, after GrantID, limit int) ([]Grant, error)
	// Expire removes grants that have expired at now. A call looks at no more than
	// limit, and the next goes on from there: as many calls as that takes look at
	// all of them, over and over.
	Expire(ctx context.Context, now time.Time, limit int) error
}

// Client is a registered client and what checks its secret.
type Client struct {
	stanza.OAuthClient
	Salt, Key []byte // of PBKDF2 with SHA-256; nil without a secret
	Rounds    int
}

// ClientStore keeps the clients. Its methods are safe for concurrent use; each is
// atomic. The slices of a Client are never changed, neither by the store nor by its
// users. Errors other than those named are temporary failures.
//
// The tests of package storetest check an implementation.
type ClientStore interface {
	// Get returns a client. Error: ErrNoClient.
	Get(ctx context.Context, id string) (Client, error)
	// Set stores a client, in place of one with the same ID.
	Set(ctx context.Context, c Client) error
	// Delete removes a client. Error: ErrNoClient.
	Delete(ctx context.Context, id string) error
}

var (
	// ErrNoGrant says that there is no such grant.
	ErrNoGrant = errors.New("no such grant")
	// ErrNoClient says that there is no such client.
	ErrNoClient = errors.New("no such client")
)
