package oauth

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// revoke ends a token of a client (RFC 7009).
func (h *Handler) revoke(w http.ResponseWriter, r *request) {
	if err := h.end(r); err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (h *Handler) end(r *request) error {
	f, c, err := h.ask(r)
	if err == nil && c.ID == "" { // anybody could have no name
		err = errClient
	}
	if err != nil {
		return err
	}
	token := f.get("token")
	if token == "" {
		return failure{400, "invalid_request", "token is missing"}
	}
	o, err := h.store.Find(r.Context(), token)
	switch {
	case errors.Is(err, stanza.ErrNotAuthorized):
		return nil // it is good for nothing already (section 2.2)
	case err != nil:
		return err
	case o.Client != c.ID:
		return errGrant
	}
	return h.store.Revoke(r.Context(), token)
}

// scopeIntrospect is the scope of tokens by which other tokens of the user can be looked
// up.
const scopeIntrospect = "oauth_introspect"

// introspection is the answer of RFC 7662, section 2.2.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	Subject   string `json:"sub,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Expires   int64  `json:"exp,omitempty"`
	Issued    int64  `json:"iat,omitempty"`
	Issuer    string `json:"iss,omitempty"`
}

// introspect says what a token is (RFC 7662): a client with a secret may ask of any
// token, another of its own, and the bearer of a token with scopeIntrospect of those of
// its user.
func (h *Handler) introspect(w http.ResponseWriter, r *request) {
	f, may, err := h.inquirer(r)
	if err == nil && f.get("token") == "" {
		err = failure{400, "invalid_request", "token is missing"}
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	o, err := h.store.Find(r.Context(), f.get("token"))
	switch {
	case err != nil && !errors.Is(err, stanza.ErrNotAuthorized):
		h.fail(w, r, err)
		return
	case err != nil, o.Kind == stanza.OAuthCode, o.Spent, !may(o):
		reply(w, http.StatusOK, introspection{})
		return
	}
	a := introspection{
		Active: true, Scope: o.Scopes, ClientID: o.Client, Username: o.User.String(), Subject: o.User.String(),
		Expires: o.Expires.Unix(), Issued: o.Issued.Unix(), Issuer: r.issuer,
	}
	if o.Kind == stanza.OAuthAccess {
		a.TokenType = "bearer"
	}
	reply(w, http.StatusOK, a)
}

// inquirer returns what a request says, and whose tokens it may ask about.
func (h *Handler) inquirer(r *request) (f form, may func(stanza.OAuthToken) bool, err error) {
	if bearer, ok := cutBearer(r.Header.Get("Authorization")); ok {
		if f, err = r.body(); err != nil {
			return nil, nil, err
		}
		if !f.clear() {
			return nil, nil, failure{400, "invalid_request", "a parameter is there twice, or is no text"}
		}
		own, err := h.store.Find(r.Context(), bearer)
		switch {
		case errors.Is(err, stanza.ErrNotAuthorized), err == nil && own.Kind != stanza.OAuthAccess:
			return nil, nil, failure{401, "invalid_token", "the token is none, or no longer"}
		case err != nil:
			return nil, nil, err
		case !slices.Contains(strings.Fields(own.Scopes), scopeIntrospect):
			return nil, nil, failure{403, "insufficient_scope", "the token has not the scope " + scopeIntrospect}
		}
		return f, func(o stanza.OAuthToken) bool { return o.User == own.User }, nil
	}
	f, c, err := h.ask(r)
	if err == nil && c.ID == "" {
		err = errClient
	}
	if err != nil {
		return nil, nil, err
	}
	return f, func(o stanza.OAuthToken) bool { return c.Confidential || o.Client == c.ID }, nil
}

// cutBearer takes the token out of the header Authorization (RFC 6750, section 2.1).
func cutBearer(header string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(header, " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// wellKnown is where the metadata are.
const wellKnown = ".well-known/oauth-authorization-server"

// metadata says where everything is (RFC 8414).
func (h *Handler) metadata(w http.ResponseWriter, r *request) {
	ways := []string{"none", "client_secret_basic", "client_secret_post"}
	reply(w, http.StatusOK, map[string]any{
		"issuer":                                         r.issuer,
		"authorization_endpoint":                         r.issuer + "/authorization_token",
		"token_endpoint":                                 r.issuer + "/token",
		"revocation_endpoint":                            r.issuer + "/revoke",
		"introspection_endpoint":                         r.issuer + "/introspect",
		"response_types_supported":                       []string{"code", "token"},
		"response_modes_supported":                       []string{"query", "fragment"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token", "password", "implicit"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          ways,
		"revocation_endpoint_auth_methods_supported":     ways,
		"introspection_endpoint_auth_methods_supported":  append(ways, "Bearer"),
		"scopes_supported":                               []string{"sasl_auth", "ejabberd:user", "ejabberd:admin", scopeIntrospect},
		"authorization_response_iss_parameter_supported": true,
	})
}
