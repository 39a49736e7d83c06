package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/pion/stun"

	"github.com/tidewaiter/tidewaiter/stun/internal/wire"
)

// Hashes of HA1, and what the algorithms are in attributes (RFC 8489, section 18.5).
const (
	MD5    = "MD5"
	SHA256 = "SHA-256"

	md5Algorithm    = "\x00\x01\x00\x00"
	sha256Algorithm = "\x00\x02\x00\x00"
	algorithms      = sha256Algorithm + md5Algorithm // the better one first

	// maxText is how long USERNAME, REALM and NONCE may be (RFC 8489, sections 14.3, 14.9
	// and 14.10).
	maxText = 763
)

// Source has the credentials of accounts.
type Source interface {
	// HA1 returns the digest of user:realm:password for the hash MD5 or SHA-256: 16 or 32
	// bytes. It may block until ctx is done.
	HA1(ctx context.Context, user, realm, hash string) ([]byte, error)
}

// Config is what an Authenticator needs.
type Config struct {
	// Realm is that of all users. It has fewer than 128 characters.
	Realm string

	// Accounts have the keys of users. nil: there are no users.
	Accounts Source

	// NoAccount is what Accounts return for a user whom they do not know (errors.Is).
	NoAccount error

	// Secret makes the passwords of time-limited user names. Empty: there are none, and
	// names that look like one are those of accounts.
	Secret []byte

	// NonceLifetime is how long a nonce is good, in whole seconds. 0: one minute.
	NonceLifetime time.Duration

	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Authenticator answers who sent a request. Its methods may be called by several
// goroutines.
type Authenticator struct {
	config Config
	nonces *nonces
}

// New returns an Authenticator with a secret of its own for nonces.
func New(c Config) *Authenticator {
	if c.NonceLifetime <= 0 {
		c.NonceLifetime = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Authenticator{config: c, nonces: newNonces(c.NonceLifetime)}
}

// Claim is what a request says of its sender, before it is verified. It does not alias
// the request.
type Claim struct {
	User string
	// Algorithm is the hash that the key is made with: MD5 or SHA256.
	Algorithm string

	signedSHA256 bool // the request is signed by MESSAGE-INTEGRITY-SHA256
	answerSHA256 bool // answers are to be
}

// Identity is who sent a request, once Claim.Verify has agreed.
type Identity struct {
	User      string
	Key       []byte
	Algorithm string // of the key: MD5 or SHA256
	SHA256    bool   // answers are signed by MESSAGE-INTEGRITY-SHA256
}

// Refusal is an error response. None of them is signed.
type Refusal struct {
	Code      int
	Reason    string
	Challenge bool  // REALM, NONCE and PASSWORD-ALGORITHMS are added
	Err       error // what the log should know, with code 500
}

// Knows says whether an attribute that has to be understood is one of this package,
// for wire.Message.Unknown.
func Knows(a stun.AttrType) bool {
	switch a {
	case stun.AttrUsername, stun.AttrUserhash, stun.AttrRealm, stun.AttrNonce, stun.AttrPasswordAlgorithm:
		return true
	}
	return false
}

// Begin does the checks of a request that need no key (RFC 8489, section 9.2.4). It
// does not block. The claim is only good if there is no refusal.
func (a *Authenticator) Begin(m *wire.Message, client netip.AddrPort) (Claim, *Refusal) {
	strong := m.Has(stun.AttrMessageIntegritySHA256)
	if !strong && !m.Has(stun.AttrMessageIntegrity) {
		return Claim{}, unauthenticated()
	}
	user, hasUser := m.Get(stun.AttrUsername)
	realm, hasRealm := m.Get(stun.AttrRealm)
	nonce, hasNonce := m.Get(stun.AttrNonce)
	anonymous := m.Has(stun.AttrUserhash) && !hasUser
	if !hasUser && !anonymous || !hasRealm || !hasNonce || max(len(user), len(realm), len(nonce)) > maxText {
		return Claim{}, badRequest()
	}

	c := Claim{Algorithm: MD5, signedSHA256: strong}
	// Without our cookie in front the nonce is none of ours, and fails below.
	if bytes.HasPrefix(nonce, []byte(nonceCookie)) && !c.choose(m) {
		return Claim{}, badRequest()
	}
	if !a.nonces.valid(nonce, client, a.config.Now()) {
		return Claim{}, &Refusal{Code: int(stun.CodeStaleNonce), Reason: "Stale Nonce", Challenge: true}
	}
	if anonymous || string(realm) != a.config.Realm || !utf8.Valid(user) {
		return Claim{}, unauthenticated()
	}
	c.User = string(user)
	return c, nil
}

// choose finds the algorithm of the key. A client that sends one has to repeat our
// list, and choose from it: what somebody on the way took from the list shows here
// (RFC 8489, section 9.2.1). Without any, the client is one of RFC 5389.
func (c *Claim) choose(m *wire.Message) bool {
	list, hasList := m.Get(stun.AttrPasswordAlgorithms)
	choice, hasChoice := m.Get(stun.AttrPasswordAlgorithm)
	if !hasList && !hasChoice {
		return true
	}
	if string(list) != algorithms {
		return false
	}
	c.answerSHA256 = true
	switch string(choice) {
	case sha256Algorithm:
		c.Algorithm = SHA256
		return true
	case md5Algorithm:
		return true
	}
	return false
}

// Keys finds the key of a claim. It may block in Accounts until ctx is done.
func (a *Authenticator) Keys(ctx context.Context, c Claim) (Identity, *Refusal) {
	key, err := a.key(ctx, c)
	switch {
	case err == nil:
		return Identity{User: c.User, Key: key, Algorithm: c.Algorithm, SHA256: c.answerSHA256}, nil
	case errors.Is(err, errUnknown):
		return Identity{}, unauthenticated()
	}
	return Identity{}, &Refusal{Code: int(stun.CodeServerError), Reason: "Server Error", Err: err}
}

// errUnknown says that nobody has the name of a claim, or that its time is over.
var errUnknown = errors.New("unknown user")

func (a *Authenticator) key(ctx context.Context, c Claim) ([]byte, error) {
	if expiry, ok := timeLimited(c.User); ok && len(a.config.Secret) > 0 {
		if a.config.Now().Unix() >= expiry {
			return nil, errUnknown
		}
		return timeLimitedKey(a.config.Secret, c.User, a.config.Realm, c.Algorithm), nil
	}
	if a.config.Accounts == nil {
		return nil, errUnknown
	}
	key, err := a.config.Accounts.HA1(ctx, c.User, a.config.Realm, c.Algorithm)
	if err != nil {
		if a.config.NoAccount != nil && errors.Is(err, a.config.NoAccount) {
			err = errUnknown
		}
		return nil, err
	}
	// A key that is empty or cut would let everybody in.
	if want := keySize(c.Algorithm); len(key) != want {
		return nil, fmt.Errorf("key of account %q has %d bytes, want %d for %s", c.User, len(key), want, c.Algorithm)
	}
	return key, nil
}

// Reuse returns an identity that Keys returned before, for another request of the same
// user. It is false when the user or the algorithm is another, so that Keys has to be
// asked.
func (c Claim) Reuse(id Identity) (Identity, bool) {
	if c.User != id.User || c.Algorithm != id.Algorithm {
		return Identity{}, false
	}
	id.SHA256 = c.answerSHA256
	return id, true
}

// Verify says whether m, the request of the claim, is signed by the identity (401). If
// it has both integrities, the stronger one counts.
func (c Claim) Verify(m *wire.Message, id Identity) *Refusal {
	if len(id.Key) != keySize(c.Algorithm) || !m.CheckIntegrity(id.Key, c.signedSHA256) {
		return unauthenticated()
	}
	return nil
}

// Challenge adds REALM, NONCE and PASSWORD-ALGORITHMS to an error response.
func (a *Authenticator) Challenge(b *wire.Builder, client netip.AddrPort) {
	b.AddString(stun.AttrRealm, a.config.Realm)
	nonce := a.nonces.make(client, a.config.Now())
	b.Add(stun.AttrNonce, nonce[:])
	b.AddString(stun.AttrPasswordAlgorithms, algorithms)
}

func unauthenticated() *Refusal {
	return &Refusal{Code: int(stun.CodeUnauthorized), Reason: "Unauthenticated", Challenge: true}
}

func badRequest() *Refusal {
	return &Refusal{Code: int(stun.CodeBadRequest), Reason: "Bad Request"}
}
