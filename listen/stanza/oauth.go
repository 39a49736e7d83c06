package stanza

import "time"

// OAuthClient is a program that asks users for access to their accounts. See
// RFC 6749, section 2.
type OAuthClient struct {
	ID   string
	Name string // for people
	Kind OAuthClientKind

	// Confidential says that it has a secret, by which it proves who it is.
	Confidential bool

	// Redirects are the addresses that answers may go to.
	Redirects []string
}

// OAuthClientKind says by which way a client gets its tokens.
type OAuthClientKind uint8

const (
	// OAuthPasswordClient gets them with the password that users tell it. See RFC 6749,
	// section 4.3.
	OAuthPasswordClient OAuthClientKind = iota + 1
	// OAuthImplicitClient gets them in the address that the user's browser is sent to.
	// See RFC 6749, section 4.2.
	OAuthImplicitClient
	// OAuthCodeClient gets them for a code. See RFC 6749, section 4.1.
	OAuthCodeClient
)

// OAuthToken is what a token, or a code for which there are tokens, stands for.
type OAuthToken struct {
	Kind   OAuthTokenKind
	User   JID    // bare: whose it is
	Client string // who has got it, "" for nobody
	Scopes string // what it is for, separated by spaces

	// Registered says that Client has to be registered for it to be issued.
	Registered bool

	Issued  time.Time // when the login began that it comes from
	Expires time.Time

	// Redirect is the address that a code was asked for with, "" for none, and
	// Challenge what its verifier has to match. See RFC 7636, section 4.2.
	Redirect, Challenge string

	// Spent says that a code or refresh token has been exchanged already: somebody
	// else has it, too.
	Spent bool
}

// OAuthTokenKind says what a token can be used for.
type OAuthTokenKind uint8

const (
	// OAuthAccess is a token that lets its bearer in.
	OAuthAccess OAuthTokenKind = iota + 1
	// OAuthRefresh is a token that is exchanged for others. See RFC 6749, section 6.
	OAuthRefresh
	// OAuthCode is an authorization code, which is exchanged for tokens. See RFC 6749,
	// section 4.1.2.
	OAuthCode
)

// IsOAuthScope reports whether s can be the name of a scope. See RFC 6749, section 3.3.
// A semicolon, which the grammar allows, separates scopes in older interfaces, and so
// does not belong to any.
func IsOAuthScope(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == ';' {
			return false
		}
	}
	return s != ""
}
