package c2s

import (
	"context"
	"crypto/x509"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Host is what the module needs of the program around it. Domains and Router
// are required. Every other service may be nil: then what it serves is not
// offered.
type Host struct {
	Domains     Domains
	Router      Router
	SCRAM       SCRAMVerifier       // SCRAM-SHA-1, -256, -512 and their -PLUS forms
	Password    PasswordVerifier    // PLAIN
	Certificate CertificateVerifier // EXTERNAL, where tls_verify is on
	Token       TokenVerifier       // OAUTHBEARER, X-OAUTH2
	Anonymous   AnonymousVerifier   // ANONYMOUS
	IQ          IQHandler           // requests to the server and to the own account
	PreAuthIQ   IQHandler           // requests before authentication: in-band registration
	Features    Features            // further stream features
	Session     SessionEvents
	Log         *slog.Logger // nil discards

	// Secret makes up salts for accounts that do not exist, so that SCRAM does
	// not tell which do: at least 16 random bytes. nil: made anew by New; then
	// only a restart, after which such a salt is another one, can tell.
	Secret []byte
}

// Domains knows the virtual hosts.
type Domains interface {
	// IsLocal reports whether domain, in its canonical form, is served here.
	// It must not block.
	IsLocal(domain string) bool
}

// Router takes what clients send and knows their sessions. A *host.Local is
// one.
type Router interface {
	// Bind registers a session and returns its full JID. It returns a
	// *stanza.Error when the session is refused: Conflict, NotAllowed,
	// NotAuthorized when the login has become void since it began,
	// ResourceConstraint.
	Bind(ctx context.Context, b stanza.Binding) (stanza.JID, error)

	// Admit says why a login must not go on with a session that Bind has
	// registered for b.JID and b.Sink (XEP-0198, section 5): a *stanza.Error as
	// Bind returns it. nil: it may. It must not block.
	Admit(b stanza.Binding) error

	// Release ends a session that Bind registered for this sink; it does
	// nothing if another one holds the address by now. The router tells those
	// who have to know, with unavailable presence.
	Release(ctx context.Context, jid stanza.JID, s stanza.Sink)

	// Route delivers a stanza. Its From is the full JID of the sender's
	// session; a zero To means the own account. The router answers for what it
	// cannot deliver: it sends the error stanza to the sender itself. An error
	// that Route returns is logged and tells nobody.
	Route(ctx context.Context, s *stanza.Stanza) error
}

// SCRAMVerifier has stored keys.
type SCRAMVerifier interface {
	// SCRAMKeys returns the keys of user for a hash: SHA-1, SHA-256 or SHA-512.
	// For ErrNoAccount and ErrNotSupported the exchange goes on with keys made
	// up, and fails at its end; Iterations of the keys that come with the error
	// then says how many a new account would have (0: 4096).
	// Errors: stanza.ErrNoAccount, stanza.ErrNotSupported,
	// stanza.ErrAccountDisabled; any other is a temporary failure.
	SCRAMKeys(ctx context.Context, hash string, user stanza.JID) (stanza.SCRAMKeys, error)
}

// PasswordVerifier checks passwords.
type PasswordVerifier interface {
	// VerifyPassword returns nil if the password is right. It takes as long for
	// an unknown user as for a known one. Errors: stanza.ErrNoAccount,
	// stanza.ErrNotAuthorized, stanza.ErrAccountDisabled; any other is a
	// temporary failure. The peer cannot tell the first two apart.
	VerifyPassword(ctx context.Context, user stanza.JID, password string) error
}

// CertificateVerifier decides about clients that showed a certificate.
type CertificateVerifier interface {
	// VerifyCertificate returns nil if user may log in with this certificate.
	// The module has verified the chain against the CAs and matched the
	// certificate's names with user (RFC 6120, section 13.7.1.2; XEP-0178).
	VerifyCertificate(ctx context.Context, user stanza.JID, leaf *x509.Certificate) error
}

// TokenVerifier checks OAuth bearer tokens. If it also has the method Token of
// httpd.Tokens, which says whose a token is, clients that use OAUTHBEARER need not name
// the user (RFC 7628, section 3.1). A *host.Tokens is one.
type TokenVerifier interface {
	// VerifyToken returns nil if the token lets user log in. Its errors are those of
	// PasswordVerifier.
	VerifyToken(ctx context.Context, user stanza.JID, token string) error
	// OffersTokens reports whether users of domain can have tokens: the mechanisms
	// are not offered where nobody can.
	OffersTokens(domain string) bool
}

// AnonymousVerifier lets strangers in.
type AnonymousVerifier interface {
	// Anonymous returns a new bare JID of domain, which nobody else has.
	// stanza.ErrNotSupported means that this domain has no anonymous users:
	// the mechanism is not offered there.
	Anonymous(ctx context.Context, domain string) (stanza.JID, error)
	// OffersAnonymous reports whether domain has anonymous users.
	OffersAnonymous(domain string) bool
}

// IQHandler answers requests.
type IQHandler interface {
	// HandleIQ answers a request (get or set). A nil answer with a nil error
	// means that the answer follows through the Router. A *stanza.Error becomes
	// the error reply; any other error becomes internal-server-error.
	// It runs in the session's goroutine: the client's next stanza waits.
	// Before authentication From is zero and To is the domain of the stream;
	// the answer goes to the client as it is, and stanza.ErrNotSupported ends
	// the stream with not-authorized, as for any request that must not come
	// before the login.
	HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error)
}

// Features adds stream features that the module does not know.
type Features interface {
	// StreamFeatures returns XML to put into <stream:features/> for a stream of
	// domain, "" for none.
	StreamFeatures(domain string, authenticated bool) string
}

// SessionEvents hears of sessions. The calls for one session come one after the
// other and hold it up. A session whose stream is managed (XEP-0198) outlives
// its connection: then Detached comes, and after it Resumed or Ended.
type SessionEvents interface {
	// Bound comes after the client has its resource.
	Bound(ctx context.Context, s stanza.SessionInfo)

	// Detached comes when the connection is gone and the session waits to be
	// resumed. What is delivered from now on waits, too: for minutes.
	Detached(ctx context.Context, s stanza.SessionInfo)

	// Keep comes after Detached. waiting is what the client has not
	// acknowledged, oldest first. Keep puts messages into the care of a store and
	// returns the stanzas, with the copies (Stanza.Kept) in their places; it waits
	// for the store. A host without one returns the stanzas of waiting.
	Keep(ctx context.Context, s stanza.SessionInfo, waiting []stanza.Queued) []*stanza.Stanza

	// Resumed comes when the client is back, with another Peer. What waited is
	// sent after it. A client that is back before the loss of its connection was
	// noticed has not been detached: then Resumed comes alone.
	Resumed(ctx context.Context, s stanza.SessionInfo)

	// Arrived says that the client has got stanzas that a store keeps
	// (Stanza.Kept): it has acknowledged them, or without acknowledgements they
	// were written. It comes after Bound and before Ended. It must not block.
	Arrived(s stanza.SessionInfo, kept []uint64)

	// Ended comes after Release. undelivered are the stanzas that were queued
	// and never reached the client, oldest first: neither written nor, with
	// acknowledgements, acknowledged. The host decides what becomes of them. The
	// connection may still be closing.
	// When it returns, others are told that their stanzas are safe; if it panics,
	// they never are. reason is nil if the client closed the stream in order.
	Ended(ctx context.Context, s stanza.SessionInfo, undelivered []stanza.Queued, reason error)
}
