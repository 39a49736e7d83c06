package oauth

import (
	"context"
	"log/slog"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Host is what the handler needs of the program around it. Passwords and Store are
// required.
type Host struct {
	Passwords httpd.Passwords
	Store     Store
	Log       *slog.Logger // nil discards
}

// Store makes tokens and knows clients. It is safe for concurrent use. In its errors
// stanza.ErrNotAuthorized says that there is no such client or token, or no longer;
// any other is a temporary failure unless a method names it. A *host.Tokens is one.
type Store interface {
	// Client returns a registered client.
	Client(ctx context.Context, id string) (stanza.OAuthClient, error)

	// VerifyClient returns nil if the secret of a client is right, and
	// stanza.ErrNotAuthorized if not.
	VerifyClient(ctx context.Context, id, secret string) error

	// Issue makes an access token or a code that stands for o. It fails with
	// stanza.ErrNotAuthorized if the tokens of the user were revoked since o.Issued, or if
	// the client has to be registered and is not any more, and with stanza.ErrNoAccount
	// and stanza.ErrAccountDisabled.
	Issue(ctx context.Context, o stanza.OAuthToken) (token string, err error)

	// Find returns what a token or code stands for. Of a code or refresh token that was
	// exchanged it says so.
	Find(ctx context.Context, token string) (stanza.OAuthToken, error)

	// Exchange makes an access token, for scopes ("": all that there are), and a refresh
	// token, which are good for these durations, for a code or a refresh token. That is
	// possible once: the second time, which fails with stanza.ErrNotAuthorized, all
	// tokens are revoked that have come of the same login. stanza.ErrNoAccount and
	// stanza.ErrAccountDisabled are about the user.
	Exchange(ctx context.Context, token, scopes string, access, refresh time.Duration) (accessToken, refreshToken string, err error)

	// Revoke ends a token, and those that have come of the same login. One that there is
	// not is no error.
	Revoke(ctx context.Context, token string) error
}
