package api

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// login finds out who calls. Wrong credentials are an error: nobody becomes a caller
// without an account by them. foreign says that nothing is proven but the address, which
// may be that of somebody who looks at a page of another site.
func (h *Handler) login(r *http.Request, info *httpd.Info) (caller acl.Subject, foreign bool, err error) {
	caller = acl.Subject{IP: info.Client, From: "mod_http_api", Tag: info.Tag}
	foreign = calls.Foreign(r, info.Host, info.Secure)
	fields := r.Header["Authorization"]
	if fields == nil {
		return caller, foreign, nil
	}
	scheme, rest, _ := strings.Cut(fields[0], " ")
	switch {
	case len(fields) > 1:
		err = wrongCredentials()
	case strings.EqualFold(scheme, "Basic"):
		if foreign && !isPreflighted(r) {
			return caller, false, &problem{
				status: http.StatusForbidden, coded: true, code: codeDenied,
				text: "a page of another site needs a token, or a POST with the Content-Type application/json",
			}
		}
		caller, err = h.basic(r, caller)
	case strings.EqualFold(scheme, "Bearer"):
		caller, err = h.bearer(r.Context(), caller, strings.Trim(rest, " "))
	default:
		err = wrongCredentials()
	}
	return caller, false, err
}

// isPreflighted reports whether a browser has asked before it let a page of another site
// send the request (CORS preflight). Then it has none of the user's credentials: the
// answer does not allow them.
func isPreflighted(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && r.Method == http.MethodPost && mediaType == "application/json"
}

// basic returns the caller with the account whose address and password a request has.
// See RFC 7617.
func (h *Handler) basic(r *http.Request, caller acl.Subject) (acl.Subject, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return caller, wrongCredentials()
	}
	user, err := stanza.ParseJID(name)
	if err != nil || user.Local() == "" {
		return caller, h.refused(r.Context(), caller, "", calls.ErrCredentials, wrongCredentials())
	}
	proven, err := h.gate.Password(r.Context(), caller, user, password)
	if err != nil {
		return caller, h.refused(r.Context(), caller, user.Bare().String(), err, wrongCredentials())
	}
	return proven, nil
}

// bearer returns the caller with the account whose token it is. See RFC 6750.
func (h *Handler) bearer(ctx context.Context, caller acl.Subject, token string) (acl.Subject, error) {
	proven, err := h.gate.Token(ctx, caller, token)
	if err != nil {
		return caller, h.refused(ctx, caller, "", err, wrongToken())
	}
	return proven, nil
}

// refused logs why somebody could not log in, and returns what he is told: wrong if the
// credentials are.
func (h *Handler) refused(ctx context.Context, caller acl.Subject, user string, err error, wrong *problem) *problem {
	level := slog.LevelInfo
	if !errors.Is(err, calls.ErrCredentials) {
		level = slog.LevelError
		wrong = &problem{status: http.StatusServiceUnavailable, text: "authentication is not possible now; try again later"}
	}
	h.failures.Log(ctx, level, "authentication failed", calls.Peer(caller.IP), netserve.KeyUser, user, netserve.KeyErr, err)
	return wrong
}
