package hostmeta

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Host is what the handler needs of the program around it.
type Host struct {
	// Endpoints returns the services that the listeners of this program have, in the
	// order of the configuration: what Auto chooses from. It is asked at each request,
	// must not block and may be called by several goroutines. nil: there are none.
	Endpoints func() []Endpoint

	Log *slog.Logger // nil discards
}

// Endpoint is a service at a path of a listener.
type Endpoint struct {
	Service Service
	TLS     bool   // the listener's connections are TLS from the first byte
	Port    int    // of the listener
	Path    string // of the handler, such as /bosh
}

// Service is a way to connect by HTTP.
type Service uint8

const (
	BOSH      Service = iota // XEP-0124, XEP-0206
	WebSocket                // RFC 7395
)

// String returns the name of the service.
func (s Service) String() string {
	if s == BOSH {
		return "BOSH"
	}
	return "WebSocket"
}

// option returns the name of the option about the service, and its scheme.
func (s Service) option() (name, scheme string) {
	if s == BOSH {
		return "bosh_service_url", "https"
	}
	return "websocket_url", "wss"
}

// Handler answers requests for host-meta and host-meta.json. Create it with New. It is
// safe for concurrent use.
type Handler struct {
	endpoints func() []Endpoint
	log       *slog.Logger
	settings  atomic.Pointer[settings]
}

// settings are options, and what was said about them.
type settings struct {
	options   stanza.PerHost[*Options]
	omitted   [WebSocket + 1]atomic.Bool // Auto found nothing
	plaintext atomic.Bool                // it was asked for without TLS
}

// New returns a Handler that has Defaults for every virtual host until it is configured.
func New(h Host) *Handler {
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	if h.Endpoints == nil {
		h.Endpoints = func() []Endpoint { return nil }
	}
	o := Defaults()
	s := &Handler{endpoints: h.Endpoints, log: h.Log}
	s.Configure(stanza.PerHost[*Options]{Value: &o})
	return s
}

// Configure takes new options, for requests that come from now on. nil: the virtual host
// has no host-meta.
func (h *Handler) Configure(o stanza.PerHost[*Options]) { h.settings.Store(&settings{options: o}) }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	encode, kind := format(r.URL.Path)
	info := httpd.InfoOf(r)
	domain := domainOf(info, r)
	s := h.settings.Load()
	o := s.options.For(domain)
	if encode == nil || domain == "" || o == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "host-meta is there to be read (GET)", http.StatusMethodNotAllowed)
		return
	}
	if !info.Secure && s.plaintext.CompareAndSwap(false, true) {
		h.log.Warn("host-meta was read without TLS: clients want it by https from port 443 of the domain, and should not trust this", "host", domain)
	}
	body, err := encode(h.links(s, o, domain))
	if err != nil {
		h.log.Error("host-meta cannot be written", netserve.KeyErr, err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	serve(w, r, kind, body)
}

// domainOf returns the virtual host that is asked, "" if that is unclear: in a mux that
// knows of none, it is the host of the URL.
func domainOf(info httpd.Info, r *http.Request) string {
	if info.Host != "" {
		return info.Host
	}
	at := url.URL{Host: r.Host}
	jid, err := stanza.NewJID("", strings.TrimSuffix(r.Host, ":"+at.Port()), "")
	if err != nil {
		return ""
	}
	return jid.Domain()
}

// links returns where the services of a virtual host are.
func (h *Handler) links(s *settings, o *Options, domain string) (list []link) {
	for _, l := range []struct {
		service Service
		rel     string
		url     URL
	}{
		{BOSH, "urn:xmpp:alt-connections:xbosh", o.BOSHServiceURL},
		{WebSocket, "urn:xmpp:alt-connections:websocket", o.WebsocketURL},
	} {
		switch l.url {
		case Undefined, "":
		case Auto:
			if href := h.auto(s, l.service, domain); href != "" {
				list = append(list, link{l.rel, href})
			}
		default:
			list = append(list, link{l.rel, l.url.at(domain)})
		}
	}
	return list
}

// auto returns where a listener with TLS has a service, "" if none has.
func (h *Handler) auto(s *settings, service Service, domain string) string {
	option, scheme := service.option()
	plain := false
	for _, e := range h.endpoints() {
		switch {
		case e.Service != service:
		case e.TLS:
			// An IPv6 address has its brackets already.
			u := url.URL{Scheme: scheme, Host: certs.ASCIIName(domain) + ":" + strconv.Itoa(e.Port), Path: strings.TrimRight(e.Path, "/") + "/"}
			return u.String()
		default:
			plain = true
		}
	}
	if plain && s.omitted[service].CompareAndSwap(false, true) {
		h.log.Warn("host-meta does not tell of "+service.String()+": no listener with TLS has it; a proxy that adds TLS goes into "+option, "host", domain)
	}
	return ""
}
