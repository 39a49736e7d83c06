package hostmeta

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// Options of a virtual host; the names in the tags are those of mod_host_meta. Start
// from Defaults.
type Options struct {
	// BOSHServiceURL is where its BOSH service is (http, https), WebsocketURL where its
	// WebSocket is (ws, wss). Defaults: auto.
	BOSHServiceURL URL `conf:"bosh_service_url"`
	WebsocketURL   URL `conf:"websocket_url"`
}

// Defaults returns the options of a mod_host_meta that configures nothing.
func Defaults() Options { return Options{BOSHServiceURL: Auto, WebsocketURL: Auto} }

// URL is that of a service: Auto, Undefined, or one in which @HOST@ stands for the
// virtual host, with A-labels (RFC 5890) for what is not ASCII, and @HOST_URL_ENCODE@ for
// it with escapes. The zero URL is Undefined.
type URL string

const (
	// Auto is the first listener of this program with TLS that has the service; none if
	// there is no such listener.
	Auto URL = "auto"
	// Undefined is no URL: the service is not told of.
	Undefined URL = "undefined"
)

// UnmarshalText reads auto, undefined or a URL with a scheme and a host.
func (u *URL) UnmarshalText(text []byte) error {
	*u = URL(text)
	if *u == Auto || *u == Undefined {
		return nil
	}
	p, err := url.Parse(u.at("example.org"))
	if err != nil || p.Host == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, p.Scheme) {
		return fmt.Errorf("want auto, undefined or a URL such as wss://@HOST@:5443/ws, got %q", text)
	}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (u URL) MarshalText() ([]byte, error) { return []byte(u), nil }

// at returns the URL for a virtual host.
func (u URL) at(domain string) string {
	return strings.NewReplacer("@HOST@", certs.ASCIIName(domain), "@HOST_URL_ENCODE@", url.QueryEscape(domain)).Replace(string(u))
}
