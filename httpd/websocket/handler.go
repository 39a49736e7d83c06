package websocket

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/wsock"
)

// Handler is an http.Handler for clients of XMPP. Its path is that at which it is
// mounted and all below.
type Handler struct {
	h       Host
	log     *slog.Logger
	options atomic.Pointer[settings]
}

// settings are Options as they are needed.
type settings struct {
	Options
	origins []string // nil: all
}

// New returns a handler with the options of Defaults.
func New(h Host) *Handler {
	s := &Handler{h: h, log: h.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.Configure(Defaults())
	return s
}

// Configure changes the options, for those who connect from now on. It does not block.
func (h *Handler) Configure(o Options) {
	s := &settings{Options: o}
	for _, item := range o.Origin {
		for origin := range strings.FieldsSeq(item) {
			if origin != "ignore" {
				s.origins = append(s.origins, strings.ToLower(origin))
			}
		}
	}
	h.options.Store(s)
}

// subprotocol is that of RFC 7395, section 3.1.
const subprotocol = "xmpp"

const page = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>XMPP over WebSocket</title></head>
<body><h1>XMPP over WebSocket</h1><p>Clients of XMPP connect here (RFC 7395), by the address of this page with <code>ws</code> instead of <code>http</code>.</p></body></html>
`

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set := h.options.Load()
	switch {
	case r.Method == http.MethodOptions:
		head := w.Header()
		head.Set("Access-Control-Allow-Origin", "*")
		head.Set("Access-Control-Allow-Methods", "GET, OPTIONS")
		head.Set("Access-Control-Allow-Headers", "Content-Type")
		head.Set("Access-Control-Max-Age", "86400")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "this is a WebSocket for XMPP", http.StatusMethodNotAllowed)
	case r.Method == http.MethodHead || !wsock.IsUpgrade(r):
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_, _ = io.WriteString(w, page)
	case !set.lets(r.Header["Origin"]):
		http.Error(w, "pages of this site may not connect; see websocket_origin", http.StatusForbidden)
	default:
		h.accept(w, r, set)
	}
}

// lets says whether a page of an origin may connect.
func (s *settings) lets(origin []string) bool {
	return len(s.origins) == 0 || len(origin) == 0 || len(origin) == 1 && slices.Contains(s.origins, strings.ToLower(origin[0]))
}

// accept makes a stream of a request.
func (h *Handler) accept(w http.ResponseWriter, r *http.Request, set *settings) {
	conn, err := wsock.Accept(w, r, wsock.Terms{Subprotocols: []string{subprotocol}, Deflate: set.Compression})
	if err != nil {
		return // the client was told
	}
	t := newTransport(conn, httpd.InfoOf(r), set)
	httpd.Go(r, func(ctx context.Context) {
		defer t.end()
		if err := h.h.Serve(ctx, t); err != nil && ctx.Err() == nil {
			h.log.DebugContext(ctx, "stream ended", netserve.KeyPeer, t.peer.Addr.String(), netserve.KeyErr, err)
		}
	}, conn.Cut)
}
