package calls

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Foreign reports whether a request may be that of a web page of another site: browsers
// send what such a page says from the address of who looks at it, and with a password
// that they have kept for the server. host is the virtual host of the request, secure
// says that it came encrypted; both as in httpd.Info.
//
// Programs other than browsers send nothing that makes a request foreign. One of a
// browser (it has Origin or Sec-Fetch-Site) is foreign unless
//   - Host names this server: an IP address, localhost or host. A page can have its own
//     name resolve to our address (DNS rebinding), and so be of the same site.
//   - Sec-Fetch-Site, if it is there, is same-origin or none: the user has typed the
//     address. Pages on other ports of this machine are same-site.
//   - Origin, if it is there, is this server.
//
// Browsers leave out both in a GET without encryption to another machine. What looks
// like one of these (User-Agent: Mozilla/… and Accept-Language, of which pages can remove
// neither) is foreign.
// See Fetch, section 3.2 (Origin), and W3C Fetch Metadata, section 2.4 (Sec-Fetch-Site).
func Foreign(r *http.Request, host string, secure bool) bool {
	origins, sites := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	if origins == nil && sites == nil {
		return r.Header["Accept-Language"] != nil && strings.HasPrefix(r.UserAgent(), "Mozilla/")
	}
	if !isOurs(r.Host, host) {
		return true
	}
	for _, site := range sites {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	for _, origin := range origins {
		if !isOrigin(origin, r.Host, secure) {
			return true
		}
	}
	return false
}

// isOurs reports whether the value of a field Host is a name that nobody else can give
// to this machine.
func isOurs(field, host string) bool {
	name := (&url.URL{Host: field}).Hostname()
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	jid, err := stanza.NewJID("", name, "")
	if err != nil {
		return false
	}
	name = jid.Domain()
	return name == host || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// isOrigin reports whether an origin is that of a server. One that is reached without
// encryption may have a proxy that does it.
func isOrigin(origin, field string, secure bool) bool {
	scheme, rest, _ := strings.Cut(origin, "://")
	return strings.EqualFold(rest, field) && (scheme == "https" || scheme == "http" && !secure)
}
