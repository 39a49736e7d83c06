package host

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of a client.
const (
	maxClientText = 255 // of bytes of its ID, its name and its secret
	maxRedirects  = 20
	maxRedirect   = 2048 // bytes
)

// clientRounds is how many rounds of PBKDF2 a new secret gets: for secrets that people
// make up.
const clientRounds = 10_000

// Client returns a registered client. stanza.ErrNotAuthorized says that there is none;
// any other error is a temporary failure.
func (t *Tokens) Client(ctx context.Context, id string) (stanza.OAuthClient, error) {
	c, err := t.client(ctx, id)
	return c.OAuthClient, err
}

func (t *Tokens) client(ctx context.Context, id string) (Client, error) {
	if checkClientText(id) != nil {
		return Client{}, stanza.ErrNotAuthorized
	}
	c, err := t.clients.Get(ctx, id)
	if errors.Is(err, ErrNoClient) {
		return Client{}, stanza.ErrNotAuthorized
	}
	return c, err
}

// VerifyClient returns nil if the secret of a client is right. It lets only as many
// calls work at a time as there are processors; with more than MaxWaiting waiting it
// returns ErrBusy. Other errors: those of Client.
func (t *Tokens) VerifyClient(ctx context.Context, id, secret string) error {
	c, err := t.client(ctx, id)
	switch {
	case err != nil:
		return err
	case !c.Confidential || len(secret) > maxClientText:
		return stanza.ErrNotAuthorized
	}
	key, err := t.clientKey(ctx, secret, c.Salt, c.Rounds)
	if err == nil && !hmac.Equal(key, c.Key) {
		err = stanza.ErrNotAuthorized
	}
	return err
}

// clientKey returns what is stored of a secret.
func (t *Tokens) clientKey(ctx context.Context, secret string, salt []byte, rounds int) (key []byte, err error) {
	busy := t.accounts.work.do(ctx, func() {
		key, err = pbkdf2.Key(sha256.New, secret, salt, rounds, sha256.Size)
	})
	if busy != nil {
		return nil, busy
	}
	return key, err
}

// SetClient registers a client, in place of one with the same ID, whose tokens stay
// good. secret is "" for one that has none; c.Confidential does not matter. The error
// of a client that cannot be is a *stanza.Error of the condition NotAcceptable, with a
// text: see CheckRedirect for its addresses. Other errors are temporary failures.
func (t *Tokens) SetClient(ctx context.Context, c stanza.OAuthClient, secret string) error {
	if err := checkClient(c, secret); err != nil {
		return &stanza.Error{Condition: stanza.NotAcceptable, Text: err.Error()}
	}
	stored := Client{OAuthClient: c}
	stored.Redirects = slices.Clone(c.Redirects)
	stored.Confidential = secret != ""
	if stored.Confidential {
		stored.Salt, stored.Rounds = make([]byte, 16), clientRounds
		rand.Read(stored.Salt)
		var err error
		if stored.Key, err = t.clientKey(ctx, secret, stored.Salt, stored.Rounds); err != nil {
			return err
		}
	}
	return t.clients.Set(ctx, stored)
}

// RemoveClient makes a client unknown, and ends all its tokens. Errors: ErrNoClient,
// after which its tokens have ended, too: an earlier removal may have broken off; any
// other is a temporary failure.
func (t *Tokens) RemoveClient(ctx context.Context, id string) error {
	gone := t.clients.Delete(ctx, id)
	if gone != nil && !errors.Is(gone, ErrNoClient) {
		return gone
	}
	err := t.eachGrant(ctx, func(g Grant) error {
		if g.Client != id {
			return nil
		}
		return t.grants.Delete(ctx, g.ID)
	})
	return cmp.Or(err, gone)
}

// eachGrant calls f for all grants, until it returns an error.
func (t *Tokens) eachGrant(ctx context.Context, f func(Grant) error) error {
	const page = 1000
	for after := (GrantID{}); ; {
		list, err := t.grants.List(ctx, after, page)
		if err != nil {
			return err
		}
		for _, g := range list {
			if err := f(g); err != nil {
				return err
			}
			after = g.ID
		}
		if len(list) < page {
			return nil
		}
	}
}

// checkClient returns what is wrong with a client.
func checkClient(c stanza.OAuthClient, secret string) error {
	if err := checkClientText(c.ID); err != nil {
		return fmt.Errorf("its ID %w", err)
	}
	if len(c.Name) > maxClientText || strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("its name has more than %d bytes, or characters that cannot be shown", maxClientText)
	}
	if secret != "" {
		if err := checkClientText(secret); err != nil {
			return fmt.Errorf("its secret %w", err)
		}
	}
	if len(c.Redirects) > maxRedirects {
		return fmt.Errorf("it has more than %d addresses", maxRedirects)
	}
	for _, r := range c.Redirects {
		if err := CheckRedirect(r); err != nil {
			return err
		}
	}
	switch needs := c.Kind != stanza.OAuthPasswordClient; {
	case c.Kind < stanza.OAuthPasswordClient || c.Kind > stanza.OAuthCodeClient:
		return errors.New("it is of no known kind")
	case needs && len(c.Redirects) == 0:
		return errors.New("it has no address that answers may go to")
	case !needs && len(c.Redirects) > 0:
		return errors.New("answers go to no address of a client that has the user's password")
	case c.Kind == stanza.OAuthPasswordClient && secret == "":
		return errors.New("it has no secret")
	case c.Kind == stanza.OAuthImplicitClient && secret != "":
		return errors.New("a client that runs in a browser cannot keep a secret")
	}
	return nil
}

// checkClientText checks an ID or a secret (RFC 6749, appendices A.1 and A.2).
func checkClientText(s string) error {
	if s == "" || len(s) > maxClientText || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("is not 1 to %d characters of ASCII", maxClientText)
	}
	return nil
}

// CheckRedirect returns what is wrong with an address that the answers to a client
// could go to; nil for one that is safe: https, http on this machine (127.0.0.1, ::1,
// localhost), or a scheme of an app's own, which is a reversed domain, such as
// com.example.app. It has no user and no fragment. See RFC 6749, section 3.1.2;
// RFC 8252, section 7.
func CheckRedirect(address string) error {
	bad := func(why string) error { return fmt.Errorf("the address %.100q %s", address, why) }
	if len(address) > maxRedirect || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return bad("is too long, or has characters that no URL has")
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || !u.IsAbs():
		return bad("is no absolute URL")
	case strings.Contains(address, "#"):
		return bad("has a fragment")
	case u.User != nil:
		return bad("has a user")
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && isThisMachine(u.Hostname()):
		return nil
	case u.Scheme == "https", u.Scheme == "http":
		return bad("is not https")
	case !strings.Contains(u.Scheme, "."):
		return bad("has neither the scheme https nor one with a dot, such as com.example.app")
	}
	return nil
}

func isThisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
