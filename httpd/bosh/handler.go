package bosh

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Handler is an http.Handler for clients of XMPP. Its path is that at which it is
// mounted, and none below. Create it with New. It is safe for concurrent use.
//
// Requests wait for up to 300 s, as the client wants. A server that is no httpd.Server
// must let them (http.Server.WriteTimeout), and should bound how long a client may take to
// read an answer; Shutdown belongs to its end.
type Handler struct {
	h        Host
	log      *slog.Logger
	failures *netserve.Sampler // what strangers can cause
	options  atomic.Pointer[stanza.PerHost[*Options]]
	ctx      context.Context // of sessions whose requests no httpd.Server has passed on
	stop     context.CancelFunc

	mu       sync.Mutex
	sessions map[string]*session
	young    map[netip.Addr]int // sessions without a login, by network of the client
	strange  int                // all of them
	stopped  bool
	running  sync.WaitGroup // sessions of ctx
}

// Bounds of the sessions of clients that have not logged in, which cost them no
// connection. They count until Host.Serve has returned.
const (
	maxYoung         = 20_000
	maxYoungOfClient = 1000
)

// New returns a handler with the options of Defaults for all virtual hosts.
func New(h Host) *Handler {
	s := &Handler{h: h, log: h.Log, sessions: make(map[string]*session), young: make(map[netip.Addr]int)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.failures = netserve.NewSampler(s.log, "further sessions failed")
	s.ctx, s.stop = context.WithCancel(context.Background())
	o := Defaults()
	s.Configure(stanza.PerHost[*Options]{Value: &o})
	return s
}

// Configure changes the options, for sessions that begin from now on. nil: the virtual
// host has no BOSH. It does not block.
func (h *Handler) Configure(o stanza.PerHost[*Options]) { h.options.Store(&o) }

// Shutdown ends the sessions whose requests have come by another server than an
// httpd.Server, which ends those of its own. It takes no new ones from then on, tells
// Host.Serve by its context, and waits until all have ended. When ctx is done before, it
// cuts what is left and returns context.Cause(ctx).
func (h *Handler) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.stopped = true
	h.mu.Unlock()
	h.stop()
	ended := make(chan struct{})
	go func() {
		h.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	for _, s := range h.owned() {
		s.cut(systemShutdown)
	}
	<-ended
	return context.Cause(ctx)
}

const page = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>XMPP over BOSH</title></head>
<body><h1>XMPP over BOSH</h1><p>Clients of XMPP connect here (XEP-0124, XEP-0206), by the address of this page.</p></body></html>
`

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i := httpd.InfoOf(r)
	head := w.Header()
	switch {
	case i.Rest != "" && httpd.Served(r): // another mux knows what it does
		http.NotFound(w, r)
	case r.Method == http.MethodPost:
		h.post(w, r, i)
	case r.Method == http.MethodOptions:
		head["Access-Control-Allow-Origin"] = anyOrigin
		head.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		head.Set("Access-Control-Allow-Headers", "Content-Type")
		head.Set("Access-Control-Max-Age", "86400")
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		head["Access-Control-Allow-Origin"] = anyOrigin
		head.Set("Content-Type", "text/html; charset=utf-8")
		head.Set("Content-Security-Policy", "default-src 'none'")
		_, _ = io.WriteString(w, page)
	default:
		head.Set("Allow", "GET, HEAD, POST, OPTIONS")
		http.Error(w, "this is BOSH for XMPP", http.StatusMethodNotAllowed)
	}
}

// find returns a session, nil if there is none.
func (h *Handler) find(sid []byte) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[string(sid)]
}

// add takes a new session, or says why not.
func (h *Handler) add(s *session) condition {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := s.network()
	switch {
	case h.stopped:
		return systemShutdown
	case h.strange >= maxYoung, h.young[from] >= maxYoungOfClient:
		return policyViolation
	}
	h.sessions[s.sid] = s
	h.young[from]++
	h.strange++
	if s.own {
		h.running.Add(1)
	}
	return ""
}

// network returns what counts as one client: of IPv6 the first 64 bits, as the others are
// the client's to choose (RFC 4291, section 2.5.4).
func (s *session) network() netip.Addr {
	a := s.peer.Addr.Addr()
	if !a.Is6() {
		return a
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}

// grown notes that the client of a session has logged in, or that nobody serves it any
// more.
func (h *Handler) grown(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.grown {
		return
	}
	s.grown = true
	from := s.network()
	h.strange--
	if h.young[from]--; h.young[from] == 0 {
		delete(h.young, from)
	}
}

// forget removes a session.
func (h *Handler) forget(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, s.sid)
}

// owned returns the sessions that Shutdown ends.
func (h *Handler) owned() (list []*session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		if s.own {
			list = append(list, s)
		}
	}
	return list
}
