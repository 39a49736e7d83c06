package sasl

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// The mechanisms of this package.
const (
	SCRAMSHA512Plus = "SCRAM-SHA-512-PLUS"
	SCRAMSHA256Plus = "SCRAM-SHA-256-PLUS"
	SCRAMSHA1Plus   = "SCRAM-SHA-1-PLUS"
	SCRAMSHA512     = "SCRAM-SHA-512"
	SCRAMSHA256     = "SCRAM-SHA-256"
	SCRAMSHA1       = "SCRAM-SHA-1"
	External        = "EXTERNAL"
	OAuthBearer     = "OAUTHBEARER"
	XOAuth2         = "X-OAUTH2"
	Plain           = "PLAIN"
	Anonymous       = "ANONYMOUS"
)

// mechanisms are all names, the strongest first. Channel binding counts more
// than the hash.
var mechanisms = [...]string{
	External,
	SCRAMSHA512Plus, SCRAMSHA256Plus, SCRAMSHA1Plus,
	SCRAMSHA512, SCRAMSHA256, SCRAMSHA1,
	OAuthBearer, XOAuth2, Plain, Anonymous,
}

const plus = "-PLUS"

// MaxMessage is the most bytes that one message of a client may have, after
// base64.
const MaxMessage = 8 << 10

// Config says what the exchanges of one stream need. It must not change while
// one is under way. A nil service means that its mechanisms are not offered.
type Config struct {
	// Domain is the domain of the stream in its canonical form: user names are
	// localparts at it.
	Domain string
	// Hostnames says that user names are domains of their own: of components
	// (XEP-0225, section 3).
	Hostnames bool
	// Secure says that the stream is encrypted, or local by nature. PLAIN,
	// OAUTHBEARER and X-OAUTH2 need it, unless AllowPlain.
	Secure     bool
	AllowPlain bool
	// Disabled are mechanisms that are never offered, in upper or lower case.
	Disabled []string
	// Bindings are the channel bindings of the connection (see Bindings); with
	// none there is no -PLUS.
	Bindings []Binding
	// Secret makes up salts for accounts that do not exist: required with
	// SCRAM, at least 16 random bytes, the same for all streams of the host,
	// and best kept over restarts, because a salt that changes betrays that
	// there is no account.
	Secret []byte

	SCRAM     SCRAMVerifier
	Password  PasswordVerifier
	Token     TokenVerifier
	Anonymous AnonymousVerifier
	// External decides about EXTERNAL. Set it only for a peer whose
	// certificate has been verified. authzid is a bare JID, or zero when the
	// peer leaves the choice to the certificate. The answer is who the peer is;
	// errors are a *Failure, stanza.ErrNotAuthorized or stanza.ErrAccountDisabled,
	// and any other is a temporary failure.
	External func(ctx context.Context, authzid stanza.JID) (stanza.JID, error)
}

// SCRAMVerifier has stored keys.
type SCRAMVerifier interface {
	// SCRAMKeys returns the keys of user for a hash: SHA-1, SHA-256 or SHA-512.
	// For stanza.ErrNoAccount and stanza.ErrNotSupported the exchange goes on
	// with keys made up and fails at its end; Iterations of the keys that come
	// with the error then says how many a new account would have (0:
	// DefaultIterations). stanza.ErrAccountDisabled comes with the keys, too:
	// the client is told so once it has proved that it knows the password, and
	// without keys the account looks like none. Any other error is a temporary
	// failure.
	SCRAMKeys(ctx context.Context, hash string, user stanza.JID) (stanza.SCRAMKeys, error)
}

// PasswordVerifier checks passwords.
type PasswordVerifier interface {
	// VerifyPassword returns nil if the password, which is as the client sent
	// it, is right. It takes as long for an unknown user as for a known one.
	// Errors: stanza.ErrNoAccount, stanza.ErrNotAuthorized, both the same to the
	// client, and stanza.ErrAccountDisabled, which the client is told, so it
	// should come only after the password was right; any other is a temporary
	// failure.
	VerifyPassword(ctx context.Context, user stanza.JID, password string) error
}

// TokenVerifier checks OAuth bearer tokens. Its errors are those of
// PasswordVerifier.
type TokenVerifier interface {
	VerifyToken(ctx context.Context, user stanza.JID, token string) error
	// OffersTokens reports whether users of domain can have tokens.
	OffersTokens(domain string) bool
}

// TokenOwner is a TokenVerifier that knows whose tokens are: then clients that use
// OAUTHBEARER need not say it.
type TokenOwner interface {
	// Token returns whose token it is, and its scopes. Its errors are those of
	// TokenVerifier.
	Token(ctx context.Context, token string) (user stanza.JID, scopes string, err error)
}

// AnonymousVerifier lets strangers in.
type AnonymousVerifier interface {
	// Anonymous returns a new bare JID of domain, which nobody else has.
	Anonymous(ctx context.Context, domain string) (stanza.JID, error)
	// OffersAnonymous reports whether domain has anonymous users.
	OffersAnonymous(domain string) bool
}

// Exchange is one attempt of a client to log in. It serves one goroutine.
type Exchange interface {
	// Step takes the client's next message, nil for an <auth/> without initial
	// response, and returns ours: a challenge (empty, not nil, when it has no
	// data) or, when done, the data that go with the success, nil for none.
	// Any error is a *Failure and ends the exchange; later calls fail too.
	// Step blocks for as long as the host's services do.
	Step(ctx context.Context, msg []byte) (data []byte, done bool, err error)

	// User returns the bare JID that was authenticated, zero before.
	User() stanza.JID
}

// Offer returns the mechanisms that a stream offers, the strongest first.
func Offer(c *Config) []string {
	var list []string
	for _, m := range mechanisms {
		if c.has(m) && (c.protected() || !needsProtection(m)) {
			list = append(list, m)
		}
	}
	return list
}

// New begins an exchange with a mechanism that the client chose. The error is
// a *Failure: invalid-mechanism for one that is not offered,
// encryption-required for one that needs TLS first.
func New(c *Config, mechanism string) (Exchange, error) {
	if !c.has(mechanism) {
		return nil, fail(InvalidMechanism, nil)
	}
	if !c.protected() && needsProtection(mechanism) {
		return nil, fail(EncryptionRequired, nil)
	}
	var m step
	switch mechanism {
	case Plain:
		m = plain{c.verifyPassword, c.user}.step
	case OAuthBearer:
		m = (&bearer{c: c}).step
	case XOAuth2:
		m = plain{c.verifyToken, c.address}.step
	case External:
		m = c.external
	case Anonymous:
		m = c.anonymous
	default:
		if len(c.Secret) < minSecret {
			return nil, fail(TemporaryAuthFailure, errors.New("secret for SCRAM is missing or too short"))
		}
		s, err := newSCRAM(c, mechanism)
		if err != nil {
			return nil, fail(TemporaryAuthFailure, err)
		}
		m = s.step
	}
	return &exchange{step: m}, nil
}

// has reports whether the services for a mechanism are there and it is not
// disabled.
func (c *Config) has(mechanism string) bool {
	if slices.ContainsFunc(c.Disabled, func(d string) bool { return strings.EqualFold(d, mechanism) }) {
		return false
	}
	switch mechanism {
	case SCRAMSHA512Plus, SCRAMSHA256Plus, SCRAMSHA1Plus:
		return c.SCRAM != nil && len(c.Bindings) > 0
	case SCRAMSHA512, SCRAMSHA256, SCRAMSHA1:
		return c.SCRAM != nil
	case External:
		return c.External != nil
	case OAuthBearer, XOAuth2:
		return c.Token != nil && c.Token.OffersTokens(c.Domain)
	case Plain:
		return c.Password != nil
	case Anonymous:
		return c.Anonymous != nil && c.Anonymous.OffersAnonymous(c.Domain)
	}
	return false
}

// protected reports whether a password may be sent as it is.
func (c *Config) protected() bool { return c.Secure || c.AllowPlain }

func needsProtection(mechanism string) bool {
	return mechanism == Plain || mechanism == OAuthBearer || mechanism == XOAuth2
}

func (c *Config) verifyPassword(ctx context.Context, user stanza.JID, secret string) error {
	return c.Password.VerifyPassword(ctx, user, secret)
}

func (c *Config) verifyToken(ctx context.Context, user stanza.JID, secret string) error {
	return c.Token.VerifyToken(ctx, user, secret)
}

// user prepares the name of a user at the stream's domain. An account of a
// name that cannot be prepared cannot exist.
func (c *Config) user(name string) (stanza.JID, error) {
	if name == "" {
		return stanza.JID{}, fail(MalformedRequest, errors.New("user name is empty"))
	}
	domain := c.Domain
	if c.Hostnames {
		name, domain = "", name
	}
	j, err := stanza.NewJID(name, domain, "")
	if err != nil {
		return stanza.JID{}, fail(NotAuthorized, err)
	}
	return j, nil
}

// address is user for a name that may also be the user's address, as strophe.js sends it
// with X-OAUTH2.
func (c *Config) address(name string) (stanza.JID, error) {
	if j, err := stanza.ParseJID(name); err == nil && j.Local() != "" && j.Resource() == "" && j.Domain() == c.Domain {
		return j, nil
	}
	return c.user(name)
}

// authorize checks the authorization identity that a client asked for: only
// its own.
func authorize(authzid string, user stanza.JID) error {
	if authzid == "" {
		return nil
	}
	if j, err := stanza.ParseJID(authzid); err != nil || j != user {
		return fail(InvalidAuthzid, err)
	}
	return nil
}

// hostFailure translates the error of a host's service.
func hostFailure(err error) *Failure {
	var f *Failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, stanza.ErrNoAccount), errors.Is(err, stanza.ErrNotAuthorized), errors.Is(err, stanza.ErrNotSupported):
		return fail(NotAuthorized, err)
	case errors.Is(err, stanza.ErrAccountDisabled):
		return fail(AccountDisabled, err)
	}
	return fail(TemporaryAuthFailure, err)
}
