package httpd

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Host is what the module needs of the program around it.
type Host struct {
	// Handlers are what Options.RequestHandlers names. They hear by InfoOf for whom a
	// request is. A handler may take over the connection (http.Hijacker) and go on with
	// it in Go.
	Handlers map[string]http.Handler

	// Domains knows the virtual hosts. nil: there are none.
	Domains Domains

	Log *slog.Logger // nil discards
}

// Domains knows the virtual hosts.
type Domains interface {
	// IsLocal reports whether domain, in its canonical form, is served here. It must
	// not block.
	IsLocal(domain string) bool

	// Default returns the virtual host of those who name none.
	Default() string
}

// Passwords checks passwords: what handlers need that have callers with an account.
type Passwords interface {
	// VerifyPassword returns nil if the password is right. It takes as long for an
	// unknown user as for a known one. Errors: stanza.ErrNoAccount,
	// stanza.ErrNotAuthorized, stanza.ErrAccountDisabled; any other is a temporary
	// failure.
	VerifyPassword(ctx context.Context, user stanza.JID, password string) error
}

// Tokens knows OAuth tokens.
type Tokens interface {
	// Token returns whose token it is, and what it is for: scopes, separated by spaces.
	// stanza.ErrNotAuthorized says that there is no such token, or no longer; any other
	// error is a temporary failure.
	Token(ctx context.Context, token string) (user stanza.JID, scopes string, err error)
}
