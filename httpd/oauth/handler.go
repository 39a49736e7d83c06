package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// codeExpire is how long a code is good for.
const codeExpire = time.Minute

// maxTTL is the longest time that a token can be asked for, in seconds: ten years.
const maxTTL = 315_360_000

// maxBody bounds the body of a request, in bytes.
const maxBody = 16 << 10

// Handler is the authorization server. Create it with New. It is safe for concurrent
// use.
type Handler struct {
	store    Store
	gate     *calls.Gate // checks passwords, a few at a time
	log      *slog.Logger
	failures *netserve.Sampler // what strangers can cause
	origins  http.CrossOriginProtection
	style    string // what the policy of the page says of its style
	options  atomic.Pointer[Options]
}

// New returns a Handler with the default options.
func New(h Host) *Handler {
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	sum := sha256.Sum256([]byte(style))
	n := &Handler{
		store: h.Store, gate: calls.New(nil, nil, h.Passwords, nil, h.Log),
		log: h.Log, failures: netserve.NewSampler(h.Log, "further requests failed"),
		style: "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}
	n.Configure(Defaults())
	return n
}

// Configure takes new options, at any time.
func (h *Handler) Configure(o Options) { h.options.Store(&o) }

// request is a request with what the handlers need to know of it.
type request struct {
	*http.Request
	httpd.Info
	options *Options
	issuer  string // the URL of this server (RFC 8414, section 2)
}

// endpoint is what can be asked for. do answers a request by one of the methods.
type endpoint struct {
	do      func(*Handler, http.ResponseWriter, *request)
	methods []string
	open    bool // pages of other sites may ask, too
}

var (
	pageMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost}
	getMethods  = []string{http.MethodGet, http.MethodHead}
	postMethods = []string{http.MethodPost}
)

// find returns the endpoint of a path below the mount.
func find(path string) (e endpoint, ok bool) {
	switch path {
	case "authorization_token":
		return endpoint{(*Handler).authorization, pageMethods, false}, true
	case "token":
		return endpoint{(*Handler).token, postMethods, true}, true
	case "revoke":
		return endpoint{(*Handler).revoke, postMethods, true}, true
	case "introspect":
		return endpoint{(*Handler).introspect, postMethods, false}, true
	case wellKnown:
		return endpoint{(*Handler).metadata, getMethods, true}, true
	}
	return endpoint{}, false
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := &request{Request: r, Info: httpd.InfoOf(r), options: h.options.Load()}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	path := in.locate()
	e, ok := find(path)
	switch {
	case !ok:
		http.Error(w, "404 Not Found", http.StatusNotFound)
	case in.issuer == "":
		http.Error(w, "400 Bad Request", http.StatusBadRequest)
	case e.open && r.Method == http.MethodOptions:
		preflight(w, e)
	case !slices.Contains(e.methods, r.Method):
		w.Header().Set("Allow", strings.Join(e.methods, ", "))
		http.Error(w, "405 Method Not Allowed", http.StatusMethodNotAllowed)
	default:
		if e.open {
			w.Header().Set("Access-Control-Allow-Origin", "*")
		}
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		e.do(h, w, in)
	}
}

// preflight lets pages of other sites ask with JavaScript, as clients that are a page
// do. Nothing here depends on cookies.
func preflight(w http.ResponseWriter, e endpoint) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", strings.Join(e.methods, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// locate fills in the issuer, "" if the request does not say what host it is for, and
// returns the path below the mount.
func (r *request) locate() (path string) {
	mount, path := r.Mount, r.Rest
	if strings.Trim(mount, "/") == wellKnown { // the path of the mount follows
		mount, path = "/"+path, wellKnown
	}
	scheme := "http"
	if r.Secure {
		scheme = "https"
	}
	// The name is what the client knows the server by, as in the URL of its request.
	u, err := url.Parse(scheme + "://" + strings.ToLower(r.Request.Host))
	if err != nil || u.Hostname() == "" || u.User != nil || u.Host != strings.ToLower(r.Request.Host) {
		return path
	}
	u.Path = strings.TrimRight(mount, "/")
	r.issuer = u.String()
	return path
}

// login checks the password of a user, which may be named without the virtual host, and
// whether the user may have tokens. since is when that began. Errors: errRefused; any
// other is a temporary failure.
func (h *Handler) login(r *request, name, password string) (user stanza.JID, since time.Time, err error) {
	since = time.Now()
	user, err = r.user(name)
	if err != nil || password == "" {
		return h.refuse(r, user, "no user, or no password")
	}
	caller := acl.Subject{Host: user.Domain(), IP: r.Client, Tag: r.Tag}
	caller, err = h.gate.Password(r.Context(), caller, user, password)
	if errors.Is(err, calls.ErrCredentials) {
		return h.refuse(r, user, "wrong password")
	}
	if err != nil {
		h.trouble(r, "a password could not be checked", err)
		return user, since, err
	}
	if !r.allows(caller) {
		return h.refuse(r, user, "oauth_access does not let the user have tokens")
	}
	return user, since, nil
}

// allows asks oauth_access of the virtual host of a user.
func (r *request) allows(user acl.Subject) bool {
	access := r.options.Access.For(user.Host)
	return access != nil && access.Allow(user)
}

var errRefused = errors.New("the user is refused")

// refuse logs why, which nobody is told.
func (h *Handler) refuse(r *request, user stanza.JID, why string) (stanza.JID, time.Time, error) {
	h.failures.Log(context.WithoutCancel(r.Context()), slog.LevelWarn, "login by OAuth refused",
		netserve.KeyUser, user.String(), calls.Peer(r.Client), "reason", why)
	return stanza.JID{}, time.Time{}, errRefused
}

// user returns the account that somebody means.
func (r *request) user(name string) (stanza.JID, error) {
	name = strings.TrimSpace(name)
	if strings.Contains(name, "@") {
		user, err := stanza.ParseJID(name)
		if err == nil && user.Local() == "" {
			err = errRefused
		}
		return user.Bare(), err
	}
	if name == "" || r.Info.Host == "" {
		return stanza.JID{}, errRefused
	}
	return stanza.NewJID(name, r.Info.Host, "")
}

// trouble logs an error that is not the client's. There may be one for each request.
func (h *Handler) trouble(r *request, what string, err error) {
	h.failures.Log(context.WithoutCancel(r.Context()), slog.LevelError, what, netserve.KeyErr, err, calls.Peer(r.Client))
}

// issued logs that somebody has got a token or a code.
func (h *Handler) issued(r *request, what string, user stanza.JID, client, scopes string) {
	h.log.Info(what, netserve.KeyUser, user.String(), "client", client, "scopes", scopes, calls.Peer(r.Client))
}
