package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// authorization is a client's request for access (RFC 6749, section 4.1.1).
type authorization struct {
	client   stanza.OAuthClient
	answerTo string // where the answer goes

	Type, ClientID, Redirect, Scope, State string // as they were asked for
	Challenge, Method                      string // RFC 7636, section 4.3

	scopes []string
}

// asked is a mistake of which the client hears, at its address (RFC 6749, section
// 4.1.2.1).
type asked struct{ code, text string }

func (a asked) Error() string { return a.code + ": " + a.text }

// stranger is a mistake because of which nobody can be sent anywhere. The user is told.
type stranger struct{ text string }

func (s stranger) Error() string { return s.text }

// read takes a request for access from a form or a query. Errors: asked, stranger; any
// other is a temporary failure.
func (h *Handler) read(r *request, f form) (a *authorization, err error) {
	a = &authorization{
		Type: f.get("response_type"), ClientID: f.get("client_id"), Redirect: f.get("redirect_uri"),
		Scope: f.get("scope"), State: f.get("state"),
		Challenge: f.get("code_challenge"), Method: f.get("code_challenge_method"),
	}
	switch {
	case len(f["client_id"]) > 1 || len(f["redirect_uri"]) > 1:
		return a, stranger{"The address of this page says twice which program it is for."}
	case a.ClientID == "":
		return a, stranger{"The address of this page does not say which program it is for."}
	case r.options.ClientIDCheck.For(r.Info.Host) == checkDeny:
		return a, stranger{"No programs are let in here."}
	}
	a.client, err = h.store.Client(r.Context(), a.ClientID)
	if errors.Is(err, stanza.ErrNotAuthorized) {
		return a, stranger{"The program that has sent you here is not known."}
	}
	if err != nil {
		return a, err
	}
	var ok bool
	if a.answerTo, ok = destination(a.client, a.Redirect); !ok {
		return a, stranger{"The program that has sent you here wants the answer at an address that is not known to be its own."}
	}
	return a, a.check(f)
}

// check finds the mistakes of which the client hears.
func (a *authorization) check(f form) error {
	if !f.clear() {
		a.State = "" // it may be what is there twice
		return asked{"invalid_request", "a parameter is there twice, or is no text"}
	}
	switch a.Type {
	case "":
		return asked{"invalid_request", "response_type is missing"}
	case "code":
		if a.client.Kind != stanza.OAuthCodeClient {
			return asked{"unauthorized_client", "the client is not registered for codes"}
		}
		if a.Method != "S256" || !isChallenge(a.Challenge) {
			return asked{"invalid_request", "code_challenge is missing or its method is not S256"}
		}
	case "token":
		if a.client.Kind != stanza.OAuthImplicitClient {
			return asked{"unauthorized_client", "the client is not registered for response_type token"}
		}
	default:
		return asked{"unsupported_response_type", "response_type is neither code nor token"}
	}
	var ok bool
	if a.scopes, ok = parseScopes(a.Scope); !ok {
		return asked{"invalid_scope", "scope is missing, or cannot be"}
	}
	return nil
}

// authorization shows the page on which users agree, and takes what they say there.
func (h *Handler) authorization(w http.ResponseWriter, r *request) {
	f := form(r.URL.Query())
	if r.Method == http.MethodPost {
		var err error
		// That another site sends the page's form could at most give a user a program of
		// somebody else; that it reads the answer, which it cannot, is another matter.
		if h.origins.Check(r.Request) != nil {
			h.wrong(w, http.StatusForbidden, "This form has to be sent from this page.")
			return
		}
		if f, err = r.body(); err != nil {
			h.wrong(w, http.StatusBadRequest, "The form cannot be read.")
			return
		}
	}
	a, err := h.read(r, f)
	var mistake asked
	var unknown stranger
	switch {
	case errors.As(err, &unknown):
		h.wrong(w, http.StatusBadRequest, unknown.text)
	case errors.As(err, &mistake):
		h.answer(w, r, a, url.Values{"error": {mistake.code}, "error_description": {mistake.text}})
	case err != nil:
		h.trouble(r, "a client could not be looked up", err)
		h.wrong(w, http.StatusServiceUnavailable, "Please try again later.")
	case r.Method == http.MethodPost:
		h.decide(w, r, a, f)
	default:
		h.show(w, a, http.StatusOK, f.get("jid"), "")
	}
}

// answer sends the user's browser to the client with an answer.
func (h *Handler) answer(w http.ResponseWriter, r *request, a *authorization, answer url.Values) {
	if a.State != "" {
		answer.Set("state", a.State)
	}
	answer.Set("iss", r.issuer) // RFC 9207
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", answerURL(a.answerTo, answer, a.client.Kind == stanza.OAuthImplicitClient))
	w.WriteHeader(http.StatusSeeOther)
}

// decide takes what the user says.
func (h *Handler) decide(w http.ResponseWriter, r *request, a *authorization, f form) {
	if f.get("deny") != "" {
		h.answer(w, r, a, url.Values{"error": {"access_denied"}, "error_description": {"the user does not agree"}})
		return
	}
	ttl := r.options.Expire
	if a.Type == "token" {
		var ok bool
		if ttl, ok = parseTTL(f.get("ttl"), ttl); !ok {
			h.answer(w, r, a, url.Values{"error": {"invalid_request"}, "error_description": {"ttl is no number of seconds that can be"}})
			return
		}
	}
	user, since, err := h.login(r, f.get("username"), f.get("password"))
	if err == nil {
		err = h.grant(w, r, a, stanza.OAuthToken{User: user, Issued: since}, ttl)
	}
	switch {
	case err == nil:
	case isRefusal(err):
		h.show(w, a, http.StatusForbidden, f.get("username"), "The address or the password is wrong, or this account may not let programs in.")
	default:
		h.trouble(r, "a token could not be issued", err)
		h.show(w, a, http.StatusServiceUnavailable, f.get("username"), "Please try again later.")
	}
}

// grant gives the client what it has asked for. An error is told to nobody yet.
func (h *Handler) grant(w http.ResponseWriter, r *request, a *authorization, o stanza.OAuthToken, ttl time.Duration) error {
	o.Client, o.Registered, o.Scopes = a.ClientID, true, strings.Join(a.scopes, " ")
	if a.Type == "code" {
		o.Kind, o.Expires = stanza.OAuthCode, time.Now().Add(codeExpire)
		o.Redirect, o.Challenge = a.Redirect, a.Challenge
		code, err := h.store.Issue(r.Context(), o)
		if err != nil {
			return err
		}
		h.issued(r, "OAuth code issued", o.User, o.Client, o.Scopes)
		h.answer(w, r, a, url.Values{"code": {code}})
		return nil
	}
	o.Kind, o.Expires = stanza.OAuthAccess, time.Now().Add(ttl)
	token, err := h.store.Issue(r.Context(), o)
	if err != nil {
		return err
	}
	h.issued(r, "OAuth token issued", o.User, o.Client, o.Scopes)
	h.answer(w, r, a, url.Values{
		"access_token": {token}, "token_type": {"bearer"}, "expires_in": {strconv.FormatInt(int64(ttl.Seconds()), 10)}, "scope": {o.Scopes},
	})
	return nil
}

// isRefusal says that an error is about the user, or a client, or a token.
func isRefusal(err error) bool {
	return errors.Is(err, errRefused) || errors.Is(err, stanza.ErrNotAuthorized) ||
		errors.Is(err, stanza.ErrNoAccount) || errors.Is(err, stanza.ErrAccountDisabled)
}

// parseTTL returns for how long a token is asked for; "" is the default.
func parseTTL(text string, byDefault time.Duration) (time.Duration, bool) {
	if text == "" {
		return byDefault, true
	}
	n, err := strconv.Atoi(text)
	return time.Duration(n) * time.Second, err == nil && n > 0 && n <= maxTTL
}
