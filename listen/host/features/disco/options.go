package disco

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// Options of service discovery; the names in the tags are those of mod_disco.
// Start from Defaults.
type Options struct {
	// ExtraDomains are listed among the items of the server. Default: none.
	ExtraDomains []stanza.JID `conf:"extra_domains"`

	// Name is that of the server. Default: Tidewaiter.
	Name string `conf:"name"`

	// ServerInfo are contact addresses and other information about the server
	// (XEP-0157). Default: none.
	ServerInfo []ServerInfo `conf:"server_info"`
}

// ServerInfo is one piece of information about the server.
type ServerInfo struct {
	// Modules are those whose services tell it: all, or names such as mod_disco,
	// which is the server itself. Default: all.
	Modules []string `conf:"modules"`

	// Name is that of the field, such as abuse-addresses. Information of one name
	// is joined.
	Name string `conf:"name"`

	// URLs are the values.
	URLs []string `conf:"urls"`
}

// Defaults returns the options of a mod_disco that configures nothing.
func Defaults() Options { return Options{Name: "Tidewaiter"} }
