package all

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/api"
	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/httpd/ctl"
	"github.com/tidewaiter/tidewaiter/httpd/hostmeta"
	"github.com/tidewaiter/tidewaiter/httpd/oauth"
	"github.com/tidewaiter/tidewaiter/httpd/websocket"
	"github.com/tidewaiter/tidewaiter/httpd/xmlrpc"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// web is the HTTP module with its handlers.
type web struct {
	*httpd.Server
	clients     webClients
	permissions permissions
	sockets     *websocket.Handler
	bosh        *bosh.Handler
	api         *api.Handler
	oauth       *oauth.Handler
	hostMeta    *hostmeta.Handler

	mu      sync.Mutex
	running []*webListener
}

// webListener is a socket that takes requests.
type webListener struct {
	addr    net.Addr
	options httpd.Options
}

// newWeb returns the module with the handlers that a configuration can name, and the
// program's own.
func newWeb(h *host.Host, clients *c2s.Server, own map[string]http.Handler, log func(pkg string) *slog.Logger) *web {
	w := &web{clients: webClients{Server: clients}}
	w.sockets = websocket.New(websocket.Host{Serve: w.clients.serve, Log: log("websocket")})
	w.bosh = bosh.New(bosh.Host{Serve: w.clients.serve, Log: log("bosh")})
	w.api = api.New(api.Host{
		Commands: h.Commands, Permissions: &w.permissions, Passwords: h.Accounts, Tokens: h.Tokens, Log: log("api"),
	})
	w.oauth = oauth.New(oauth.Host{Passwords: h.Accounts, Store: h.Tokens, Log: log("oauth")})
	w.hostMeta = hostmeta.New(hostmeta.Host{Endpoints: w.endpoints, Log: log("hostmeta")})
	handlers := map[string]http.Handler{
		"ejabberd_http_ws": w.sockets,
		"mod_bosh":         w.bosh,
		"ejabberd_xmlrpc": xmlrpc.New(xmlrpc.Host{
			Commands: h.Commands, Permissions: &w.permissions, Passwords: h.Accounts, Tokens: h.Tokens, Log: log("xmlrpc"),
		}),
		"mod_http_api":   w.api,
		"ejabberd_oauth": w.oauth,
		"ejabberd_ctl":   ctl.New(ctl.Host{Commands: h.Commands, Permissions: &w.permissions, Log: log("ctl")}),
		"mod_host_meta":  w.hostMeta,
	}
	maps.Copy(handlers, own)
	w.Server = httpd.New(httpd.Host{Handlers: handlers, Domains: virtualHosts{h.Local}, Log: log("httpd")})
	return w
}

// webOptions are what the handlers take from the rest of a configuration.
type webOptions struct {
	// Clients are the options of the first ejabberd_c2s.
	Clients c2s.Options `conf:"ejabberd_c2s,first"`
	// Permissions say who may run which command.
	Permissions acl.Permissions `conf:"api_permissions"`
}

// parts are those of a registry about HTTP.
func (w *web) parts() []listen.Part {
	defaults := func() webOptions { return webOptions{Clients: c2s.Defaults()} }
	return []listen.Part{
		listen.StreamKind("ejabberd_http", w, w.Defaults),
		listen.TopSection(defaults, func(o webOptions) {
			w.clients.options.Store(&o.Clients)
			w.permissions.p.Store(&o.Permissions)
		}),
		listen.TopSection(websocket.Defaults, w.sockets.Configure),
		listen.TopSection(oauth.Defaults, w.oauth.Configure),
		listen.ModuleSection("mod_bosh", bosh.Defaults, func(c listen.ModuleConfig[bosh.Options]) {
			c.Listed = true // where it is mounted, it is on
			w.bosh.Configure(switched(c))
		}),
		listen.ModuleSection("mod_http_api", api.Defaults, func(c listen.ModuleConfig[api.Options]) { w.api.Configure(c.Value) }),
		listen.ModuleSection("mod_host_meta", hostmeta.Defaults, func(c listen.ModuleConfig[hostmeta.Options]) {
			c.Listed = true // where it is mounted, it is on
			w.hostMeta.Configure(switched(c))
		}),
	}
}

// Listen counts a listener until it takes no more connections: the sessions may take
// longer.
func (w *web) Listen(ctx context.Context, ln net.Listener, o httpd.Options) error {
	l := &webListener{ln.Addr(), o}
	w.mu.Lock()
	w.running = append(w.running, l)
	w.mu.Unlock()
	remove := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.running = slices.DeleteFunc(w.running, func(x *webListener) bool { return x == l })
	}
	defer remove()
	return w.Server.Listen(ctx, &closing{ln, remove}, o)
}

// endpoints returns where clients can come by HTTP.
func (w *web) endpoints() (list []hostmeta.Endpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.running {
		at, err := netip.ParseAddrPort(l.addr.String())
		if err != nil {
			continue // a unix socket
		}
		for _, path := range slices.Sorted(maps.Keys(l.options.RequestHandlers)) {
			e := hostmeta.Endpoint{TLS: l.options.TLS != nil, Port: int(at.Port()), Path: path}
			switch l.options.RequestHandlers[path] {
			case "ejabberd_http_ws":
				e.Service = hostmeta.WebSocket
			case "mod_bosh":
				e.Service = hostmeta.BOSH
			default:
				continue
			}
			list = append(list, e)
		}
	}
	return list
}

// virtualHosts are those of a host, as httpd wants to know them.
type virtualHosts struct{ *host.Local }

// Default implements httpd.Domains.
func (v virtualHosts) Default() string {
	if hosts := v.Hosts(); len(hosts) > 0 {
		return hosts[0]
	}
	return ""
}

// webClients gives the streams that come by HTTP to c2s, with the options of the first
// ejabberd_c2s of the file.
type webClients struct {
	*c2s.Server
	options atomic.Pointer[c2s.Options]
}

// serve is the Serve of websocket.Host.
func (w *webClients) serve(ctx context.Context, t stanza.Transport) error {
	o := c2s.Defaults()
	if p := w.options.Load(); p != nil {
		o = *p
	}
	return w.ServeTransport(ctx, t, o)
}

// permissions are the api_permissions of the configuration: before there is one, nobody
// may do anything.
type permissions struct {
	p atomic.Pointer[acl.Permissions]
}

// Permits implements acl.Permissions.
func (x *permissions) Permits(caller acl.Subject, cmd acl.Command) bool {
	p := x.p.Load()
	return p != nil && *p != nil && (*p).Permits(caller, cmd)
}
