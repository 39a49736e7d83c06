package httpd

import (
	"context"
	"net/http"
	"net/netip"
)

// Info is what a listener knows of a request besides the request.
type Info struct {
	// Host is the virtual host that the request is for, in its canonical form.
	Host string

	// Client is where the request is from: what trusted proxies say, else the other end
	// of the connection. Not valid on a unix socket without a proxy. ClientPort is the
	// port there, 0 if that is not known.
	Client     netip.Addr
	ClientPort uint16

	// Secure says that the request came encrypted (to a trusted proxy, if one says so),
	// or by a unix socket.
	Secure bool

	// Tag is the option of the listener, AllowUnencryptedSASL2 too.
	Tag                   string
	AllowUnencryptedSASL2 bool

	// Mount is the path of the handler, such as /api; / for everything. Rest is the
	// path below it, decoded and without empty segments, . and ..: a/b of /api/a//b/.
	Mount, Rest string
}

// Peer returns Client with its port.
func (i *Info) Peer() netip.AddrPort { return netip.AddrPortFrom(i.Client, i.ClientPort) }

type infoKey struct{}

// WithInfo returns a request that has an Info, for handlers in a program's own mux. With
// no Mount in it, Mount and Rest are those of a request that has no Info.
func WithInfo(r *http.Request, i Info) *http.Request {
	if i.Mount == "" {
		i.Mount, i.Rest = "/", restOf(r)
	}
	return r.WithContext(context.WithValue(r.Context(), infoKey{}, i))
}

// InfoOf returns the Info of a request. Of one that no Server has passed on it says what
// the request says: nothing of virtual hosts, and of the path that all of it is below the
// handler's (http.StripPrefix).
func InfoOf(r *http.Request) Info {
	switch v := r.Context().Value(infoKey{}).(type) {
	case *served:
		return v.Info
	case Info:
		return v
	}
	i := Info{Secure: r.TLS != nil, Mount: "/", Rest: restOf(r)}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		i.Client, i.ClientPort = a.Addr().Unmap().WithZone(""), a.Port()
	}
	return i
}

// restOf returns the path of a request as Info.Rest has it. What a Server would say that
// nothing is there stays escaped, and so is nothing that a handler knows.
func restOf(r *http.Request) string {
	if path, ok := requestPath(r.URL); ok {
		return path
	}
	return r.URL.EscapedPath()
}
