package oauth

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// failure is what a program is told (RFC 6749, section 5.2).
type failure struct {
	status int
	code   string
	text   string
}

func (f failure) Error() string { return f.code + ": " + f.text }

// fail answers with an error. One that is no failure is none of the client's, and only
// logged.
func (h *Handler) fail(w http.ResponseWriter, r *request, err error) {
	var f failure
	switch {
	case errors.As(err, &f):
	case errors.Is(err, errTooLarge):
		f = failure{http.StatusRequestEntityTooLarge, "invalid_request", "the body is too large"}
	case errors.Is(err, errForm):
		f = failure{http.StatusBadRequest, "invalid_request", "the body is not application/x-www-form-urlencoded"}
	default:
		h.trouble(r, "a request for a token could not be answered", err)
		f = failure{http.StatusServiceUnavailable, "temporarily_unavailable", "try again later"}
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="oauth"`)
		if f.code == "invalid_token" {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		}
	}
	if f.code == "invalid_client" {
		h.failures.Log(r.Context(), slog.LevelWarn, "client of OAuth refused", calls.Peer(r.Client))
	}
	reply(w, f.status, map[string]any{"error": f.code, "error_description": f.text})
}

// reply answers with JSON.
func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "500 Internal Server Error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// tokenAnswer is that of RFC 6749, section 5.1.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"`
}

// ask reads the form of a program, and who it is.
func (h *Handler) ask(r *request) (form, stanza.OAuthClient, error) {
	f, err := r.body()
	if err != nil {
		return f, stanza.OAuthClient{}, err
	}
	if !f.clear() {
		return f, stanza.OAuthClient{}, failure{400, "invalid_request", "a parameter is there twice, or is no text"}
	}
	c, err := h.authenticate(r, f)
	return f, c, err
}

// token gives tokens.
func (h *Handler) token(w http.ResponseWriter, r *request) {
	f, c, err := h.ask(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	var a tokenAnswer
	switch f.get("grant_type") {
	case "authorization_code":
		a, err = h.forCode(r, c, f)
	case "refresh_token":
		a, err = h.forRefresh(r, c, f)
	case "password":
		a, err = h.forPassword(r, c, f)
	case "":
		err = failure{400, "invalid_request", "grant_type is missing"}
	default:
		err = failure{400, "unsupported_grant_type", "grant_type is none of authorization_code, refresh_token, password"}
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	a.TokenType = "bearer"
	reply(w, http.StatusOK, a)
}

var (
	errGrant = failure{400, "invalid_grant", "what was given for a token is wrong, expired, or another client's"}
	errScope = failure{400, "invalid_scope", "scope is missing, cannot be, or is more than there was"}
)

// find returns what was given for a token to the client that it belongs to.
func (h *Handler) find(r *request, c stanza.OAuthClient, token string, kind stanza.OAuthTokenKind) (stanza.OAuthToken, error) {
	if c.Kind != stanza.OAuthCodeClient {
		return stanza.OAuthToken{}, failure{400, "unauthorized_client", "the client is not registered for codes"}
	}
	o, err := h.store.Find(r.Context(), token)
	switch {
	case isRefusal(err), err == nil && (o.Kind != kind || o.Client != c.ID):
		return o, errGrant
	}
	return o, err
}

// forCode is RFC 6749, section 4.1.3.
func (h *Handler) forCode(r *request, c stanza.OAuthClient, f form) (tokenAnswer, error) {
	code := f.get("code")
	o, err := h.find(r, c, code, stanza.OAuthCode)
	if err != nil {
		return tokenAnswer{}, err
	}
	if f.get("redirect_uri") != o.Redirect || !proves(f.get("code_verifier"), o.Challenge) {
		return tokenAnswer{}, errGrant
	}
	return h.exchange(r, code, o, strings.Fields(o.Scopes))
}

// forRefresh is RFC 6749, section 6. The grant of a user who may not have tokens any more
// ends.
func (h *Handler) forRefresh(r *request, c stanza.OAuthClient, f form) (tokenAnswer, error) {
	token := f.get("refresh_token")
	o, err := h.find(r, c, token, stanza.OAuthRefresh)
	if err != nil {
		return tokenAnswer{}, err
	}
	user := acl.Subject{User: o.User.Local(), Server: o.User.Domain(), Host: o.User.Domain(), IP: r.Client, Tag: r.Tag}
	if !r.allows(user) {
		_, _, _ = h.refuse(r, o.User, "oauth_access does not let the user have tokens any more")
		if err := h.store.Revoke(r.Context(), token); err != nil {
			return tokenAnswer{}, err
		}
		return tokenAnswer{}, errGrant
	}
	scopes := strings.Fields(o.Scopes)
	if s := f.get("scope"); s != "" {
		var ok bool
		if scopes, ok = parseScopes(s); !ok || !among(scopes, o.Scopes) {
			return tokenAnswer{}, errScope
		}
	}
	return h.exchange(r, token, o, scopes)
}

// exchange gives tokens for a code or a refresh token.
func (h *Handler) exchange(r *request, token string, o stanza.OAuthToken, scopes []string) (tokenAnswer, error) {
	a := tokenAnswer{Scope: strings.Join(scopes, " "), ExpiresIn: int64(r.options.Expire.Seconds())}
	var err error
	a.AccessToken, a.RefreshToken, err = h.store.Exchange(r.Context(), token, a.Scope, r.options.Expire, r.options.RefreshExpire)
	switch {
	case isRefusal(err):
		if o.Spent {
			h.log.Warn("an OAuth code or token was used twice: all of that login are revoked",
				netserve.KeyUser, o.User.String(), "client", o.Client, calls.Peer(r.Client))
		}
		return tokenAnswer{}, errGrant
	case err != nil:
		return tokenAnswer{}, err
	}
	h.issued(r, "OAuth token issued", o.User, o.Client, a.Scope)
	return a, nil
}

// forPassword is RFC 6749, section 4.3.
func (h *Handler) forPassword(r *request, c stanza.OAuthClient, f form) (tokenAnswer, error) {
	if c.Kind != stanza.OAuthPasswordClient {
		return tokenAnswer{}, failure{400, "unauthorized_client", "the client is not registered for passwords"}
	}
	if f.get("username") == "" || f.get("password") == "" {
		return tokenAnswer{}, failure{400, "invalid_request", "username or password is missing"}
	}
	ttl, ok := parseTTL(f.get("ttl"), r.options.Expire)
	if !ok {
		return tokenAnswer{}, failure{400, "invalid_request", "ttl is no number of seconds that can be"}
	}
	scopes, ok := parseScopes(f.get("scope"))
	if !ok {
		return tokenAnswer{}, errScope
	}
	user, since, err := h.login(r, f.get("username"), f.get("password"))
	a := tokenAnswer{Scope: strings.Join(scopes, " "), ExpiresIn: int64(ttl.Seconds())}
	if err == nil {
		a.AccessToken, err = h.store.Issue(r.Context(), stanza.OAuthToken{
			Kind: stanza.OAuthAccess, User: user, Client: c.ID, Registered: c.Confidential, // as all of this kind that are registered
			Scopes: a.Scope, Issued: since, Expires: time.Now().Add(ttl),
		})
	}
	switch {
	case isRefusal(err):
		return tokenAnswer{}, errGrant
	case err != nil:
		return tokenAnswer{}, err
	}
	h.issued(r, "OAuth token issued", user, c.ID, a.Scope)
	return a, nil
}
