package host

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxGrants is how many logins by OAuth an account may have that are still good for
// something: with more, the oldest end.
const MaxGrants = 100

// ScopeSASL is the scope of tokens by which XMPP clients log in.
const ScopeSASL = "sasl_auth"

// Tokens are the OAuth tokens of accounts, and the clients that get them. Tokens end
// when the password of the account changes, and when it is disabled or removed.
//
// A token is a letter for what it is (a for access, r for refresh, c for a code) and
// 48 random bytes in base64url: 16 are the ID of its grant, the others are secret.
type Tokens struct {
	accounts *Accounts
	grants   TokenStore
	clients  ClientStore
	revoked  revoked
}

// NewTokens returns the tokens of accounts, whose Revoke and Forget should call
// RevokeAll.
func NewTokens(a *Accounts, grants TokenStore, clients ClientStore) *Tokens {
	return &Tokens{accounts: a, grants: grants, clients: clients}
}

// Token returns whose an access token is, and its scopes, separated by spaces. It
// reads each store once. stanza.ErrNotAuthorized says that there is no such token, or
// no longer, or that its owner may not log in; any other error is a temporary failure.
func (t *Tokens) Token(ctx context.Context, token string) (user stanza.JID, scopes string, err error) {
	user, scopes, err = t.owner(ctx, token)
	if err != nil {
		return stanza.JID{}, "", err
	}
	// The tokens of an account end with it, but that may have broken off.
	switch err := t.may(ctx, user); {
	case errors.Is(err, stanza.ErrNoAccount), errors.Is(err, stanza.ErrAccountDisabled):
		return stanza.JID{}, "", stanza.ErrNotAuthorized
	case err != nil:
		return stanza.JID{}, "", err
	}
	return user, scopes, nil
}

// owner is Token for an account that may be disabled, or there no more.
func (t *Tokens) owner(ctx context.Context, token string) (user stanza.JID, scopes string, err error) {
	p, ok := parseToken(token)
	if !ok || p.letter != letterAccess {
		return stanza.JID{}, "", stanza.ErrNotAuthorized
	}
	g, err := t.get(ctx, p.id)
	if err != nil {
		return stanza.JID{}, "", err
	}
	s := g.access(&p.hash, time.Now())
	if s == nil || !t.accounts.has(g.User.Domain()) {
		return stanza.JID{}, "", stanza.ErrNotAuthorized
	}
	return g.User, s.Scopes, nil
}

// VerifyToken returns nil if a token lets user log in: it is the user's own, and for
// that (ScopeSASL). Errors: stanza.ErrNotAuthorized, stanza.ErrNoAccount,
// stanza.ErrAccountDisabled; any other is a temporary failure.
func (t *Tokens) VerifyToken(ctx context.Context, user stanza.JID, token string) error {
	owner, scopes, err := t.owner(ctx, token)
	if err != nil {
		return err
	}
	if owner != user.Bare() || !slices.Contains(strings.Fields(scopes), ScopeSASL) {
		return stanza.ErrNotAuthorized
	}
	return t.may(ctx, owner)
}

// OffersTokens reports whether oauth_access lets somebody of domain have tokens.
func (t *Tokens) OffersTokens(domain string) bool {
	access := t.accounts.settings.Load().OAuthAccess.For(domain)
	return access != nil && access != acl.None
}

// may returns nil for an account that may log in.
func (t *Tokens) may(ctx context.Context, user stanza.JID) error {
	acc, err := t.accounts.lookup(ctx, user)
	if err == nil && acc.Disabled {
		return stanza.ErrAccountDisabled
	}
	return err
}

// get is TokenStore.Get with the error of Token.
func (t *Tokens) get(ctx context.Context, id GrantID) (Grant, error) {
	g, err := t.grants.Get(ctx, id)
	if errors.Is(err, ErrNoGrant) {
		return Grant{}, stanza.ErrNotAuthorized
	}
	return g, err
}

// Find returns what a token or code stands for. Of a code or refresh token that was
// exchanged already it says so for as long as its grant lasts. Errors: those of Token.
func (t *Tokens) Find(ctx context.Context, token string) (stanza.OAuthToken, error) {
	p, ok := parseToken(token)
	if !ok {
		return stanza.OAuthToken{}, stanza.ErrNotAuthorized
	}
	g, err := t.get(ctx, p.id)
	if err != nil {
		return stanza.OAuthToken{}, err
	}
	found, ok := g.find(p, time.Now())
	if !ok || !t.accounts.has(g.User.Domain()) {
		return stanza.OAuthToken{}, stanza.ErrNotAuthorized
	}
	return found, nil
}

// Issue makes an access token or a code for an account that may log in. It is for
// what o says, until o.Expires. o.Issued is when the login began: if the tokens of
// the account were revoked since, it fails, and so it does without a client that has to
// be there. Errors: those of VerifyToken.
func (t *Tokens) Issue(ctx context.Context, o stanza.OAuthToken) (token string, err error) {
	leave, err := t.accounts.names.enter(ctx, o.User.Bare()) // see Accounts.revoking
	if err != nil {
		return "", err
	}
	defer leave()
	if err := t.may(ctx, o.User); err != nil {
		return "", err
	}
	g := Grant{User: o.User.Bare(), Client: o.Client, Scopes: o.Scopes, Issued: stored(o.Issued), Expires: stored(o.Expires)}
	rand.Read(g.ID[:])
	switch o.Kind {
	case stanza.OAuthAccess:
		var s Secret
		token, s = newToken(letterAccess, g.ID, o.Expires)
		s.Scopes = g.Scopes
		g.Access = []Secret{s}
	case stanza.OAuthCode:
		token, g.Code = newToken(letterCode, g.ID, o.Expires)
		g.Redirect, g.Challenge = o.Redirect, o.Challenge
	default:
		return "", fmt.Errorf("a token of kind %d is not issued", o.Kind)
	}
	now := time.Now()
	if err := t.grants.Add(ctx, g, MaxGrants, now); err != nil {
		return "", err
	}
	// For each grant that is added, those of users who never come again are looked at.
	const looks = 20
	if err := t.grants.Expire(ctx, now, looks); err != nil {
		return "", errors.Join(err, t.end(ctx, g.ID))
	}
	if o.Registered {
		// Who removes it from now on finds the grant.
		if _, err := t.Client(ctx, o.Client); err != nil {
			return "", errors.Join(err, t.end(ctx, g.ID))
		}
	}
	if err := t.unlessRevoked(ctx, g, o.Issued); err != nil {
		return "", err
	}
	return token, nil
}

// unlessRevoked ends a grant if the tokens of its user were revoked since, which may
// have missed it.
func (t *Tokens) unlessRevoked(ctx context.Context, g Grant, since time.Time) error {
	if !t.revoked.has(g.User, since) {
		return nil
	}
	return errors.Join(stanza.ErrNotAuthorized, t.end(ctx, g.ID))
}

// end deletes a grant, also when ctx ends.
func (t *Tokens) end(ctx context.Context, id GrantID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), MaxRemoval)
	defer cancel()
	return t.grants.Delete(ctx, id)
}

// Exchange makes an access token and a refresh token for a code or a refresh token,
// which is spent then; they are good for as long as these durations. scopes are those
// of the access token: "" for all that the grant has. The access token before stays
// good for its time. With one that is spent already somebody else may have a token of
// the grant: it ends. Errors: those of Token. That all else is right is for the caller
// to see (Find).
func (t *Tokens) Exchange(ctx context.Context, token, scopes string, access, refresh time.Duration) (accessToken, refreshToken string, err error) {
	since := time.Now()
	p, ok := parseToken(token)
	if !ok || p.letter == letterAccess {
		return "", "", stanza.ErrNotAuthorized
	}
	const attempts = 10
	for range attempts {
		g, err := t.get(ctx, p.id)
		if err != nil {
			return "", "", err
		}
		found, ok := g.find(p, since)
		switch {
		case !ok:
			return "", "", stanza.ErrNotAuthorized
		case found.Spent:
			if err := t.end(ctx, g.ID); err != nil {
				return "", "", err
			}
			return "", "", stanza.ErrNotAuthorized
		}
		if err := t.may(ctx, g.User); err != nil {
			return "", "", err
		}
		accessToken, refreshToken = g.renew(since, scopes, access, refresh)
		err = t.grants.CompareAndSet(ctx, g)
		switch {
		case errors.Is(err, ErrRevision):
			continue
		case errors.Is(err, ErrNoGrant):
			return "", "", stanza.ErrNotAuthorized
		case err == nil:
			err = t.unlessRevoked(ctx, g, since)
		}
		if err != nil {
			return "", "", err
		}
		return accessToken, refreshToken, nil
	}
	return "", "", fmt.Errorf("exchanging a token: %w, %d times", ErrRevision, attempts)
}

// Revoke ends the grant of a token or code, with all its tokens. One that there is
// not is no error.
func (t *Tokens) Revoke(ctx context.Context, token string) error {
	switch _, err := t.Find(ctx, token); {
	case errors.Is(err, stanza.ErrNotAuthorized):
		return nil
	case err != nil:
		return err
	}
	p, _ := parseToken(token)
	return t.end(ctx, p.id)
}

// RevokeAll ends all tokens of an account, and the logins by OAuth that are under
// way.
func (t *Tokens) RevokeAll(ctx context.Context, user stanza.JID) error {
	t.revoked.add(user.Bare())
	return t.grants.Forget(ctx, user.Bare())
}

// Letters of tokens.
const (
	letterAccess  = 'a'
	letterRefresh = 'r'
	letterCode    = 'c'
)

// parsedToken is a token as it is looked up.
type parsedToken struct {
	letter byte
	id     GrantID
	hash   [sha256.Size]byte // of the secret
}

// tokenSize is how many bytes a token has, without its letter and before base64.
const tokenSize = len(GrantID{}) + sha256.Size

// tokenCoding has one text for each token.
var tokenCoding = base64.RawURLEncoding.Strict()

func parseToken(token string) (p parsedToken, ok bool) {
	if len(token) != 1+tokenSize/3*4 {
		return p, false
	}
	switch p.letter = token[0]; p.letter {
	case letterAccess, letterRefresh, letterCode:
	default:
		return p, false
	}
	var text [tokenSize / 3 * 4]byte
	var raw [tokenSize]byte
	copy(text[:], token[1:])
	if n, err := tokenCoding.Decode(raw[:], text[:]); err != nil || n != tokenSize {
		return p, false
	}
	copy(p.id[:], raw[:])
	p.hash = sha256.Sum256(raw[len(p.id):])
	return p, true
}

// newToken makes a token of a grant.
func newToken(letter byte, id GrantID, expires time.Time) (string, Secret) {
	var raw [tokenSize]byte
	copy(raw[:], id[:])
	secret := raw[len(id):]
	rand.Read(secret)
	return string(letter) + tokenCoding.EncodeToString(raw[:]), Secret{Hash: sha256.Sum256(secret), Expires: stored(expires)}
}

// stored returns a time as stores have it.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// access returns the access token of a hash, nil if there is none that is good.
func (g *Grant) access(hash *[sha256.Size]byte, now time.Time) *Secret {
	for i := range g.Access {
		if s := &g.Access[i]; s.is(hash) && s.Expires.After(now) {
			return s
		}
	}
	return nil
}

// find returns what a token of the grant stands for.
func (g *Grant) find(p parsedToken, now time.Time) (stanza.OAuthToken, bool) {
	o := stanza.OAuthToken{User: g.User, Client: g.Client, Scopes: g.Scopes, Issued: g.Issued}
	switch p.letter {
	case letterAccess:
		s := g.access(&p.hash, now)
		if s == nil {
			return o, false
		}
		o.Kind, o.Scopes, o.Expires = stanza.OAuthAccess, s.Scopes, s.Expires
		return o, true
	case letterCode:
		o.Kind, o.Expires, o.Redirect, o.Challenge, o.Spent = stanza.OAuthCode, g.Code.Expires, g.Redirect, g.Challenge, g.Redeemed
		return o, g.Code.is(&p.hash) && (o.Spent || o.Expires.After(now))
	}
	// Who knows the ID has had a token of the grant. If it is not the newest refresh
	// token, it was one before.
	o.Kind, o.Expires, o.Spent = stanza.OAuthRefresh, g.Refresh.Expires, !g.Refresh.is(&p.hash)
	return o, o.Expires.After(now)
}

// renew gives the grant a new access token and a new refresh token.
func (g *Grant) renew(now time.Time, scopes string, access, refresh time.Duration) (accessToken, refreshToken string) {
	accessToken, s := newToken(letterAccess, g.ID, now.Add(access))
	if s.Scopes = scopes; scopes == "" {
		s.Scopes = g.Scopes
	}
	// The newest of the others stays: there may be requests under way with it.
	g.Access = append(slices.Clone(g.Access[max(len(g.Access)-1, 0):]), s)
	refreshToken, g.Refresh = newToken(letterRefresh, g.ID, now.Add(refresh))
	g.Redeemed = true
	g.Expires = g.Refresh.Expires
	for _, s := range g.Access {
		if s.Expires.After(g.Expires) {
			g.Expires = s.Expires
		}
	}
	return accessToken, refreshToken
}
