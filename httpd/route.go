package httpd

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is a handler with its path.
type route struct {
	path    string // without slashes at its ends; "": everything
	mount   string // Info.Mount
	handler http.Handler
}

// newRoutes returns the handlers of a listener, the longest path first.
func (s *Server) newRoutes(handlers map[string]string) ([]route, error) {
	var list []route
	for path, name := range handlers {
		h, ok := s.h.Handlers[name]
		if !ok {
			return nil, fmt.Errorf("request_handlers: %s: there is no handler %q; there are %s", path, name, strings.Join(s.names, ", "))
		}
		p, ok := clean(path)
		if !ok {
			return nil, fmt.Errorf("request_handlers: %q is no path", path)
		}
		if slices.ContainsFunc(list, func(r route) bool { return r.path == p }) {
			return nil, fmt.Errorf("request_handlers: /%s has two handlers", p)
		}
		list = append(list, route{p, "/" + p, h})
	}
	slices.SortFunc(list, func(a, b route) int { return cmp.Or(len(b.path)-len(a.path), cmp.Compare(a.path, b.path)) })
	return list, nil
}

// find returns the route of a clean path, with what is below it.
func (l *listener) find(path string) (r *route, rest string) {
	for i := range l.routes {
		r := &l.routes[i]
		switch {
		case r.path == "":
			return r, path
		case !strings.HasPrefix(path, r.path):
		case len(path) == len(r.path):
			return r, ""
		case path[len(r.path)] == '/':
			return r, path[len(r.path)+1:]
		}
	}
	return nil, ""
}

// requestPath returns the clean path of a request. It returns false for a path with a
// slash inside a segment (%2F): what that names is not clear, so nothing is there.
func requestPath(u *url.URL) (string, bool) {
	if u.RawPath != "" {
		raw := strings.ToLower(u.RawPath)
		if strings.Contains(raw, "%2f") {
			return "", false
		}
	}
	return clean(u.Path)
}

// clean returns a decoded path without slashes at its ends, empty segments, "." and
// "..". It returns false for one with a NUL.
func clean(path string) (string, bool) {
	path = strings.Trim(path, "/")
	if strings.IndexByte(path, 0) >= 0 {
		return "", false
	}
	if !isDirty(path) {
		return path, true
	}
	var segments []string
	for s := range strings.SplitSeq(path, "/") {
		switch s {
		case "", ".":
		case "..":
			segments = segments[:max(0, len(segments)-1)]
		default:
			segments = append(segments, s)
		}
	}
	return strings.Join(segments, "/"), true
}

// isDirty says whether a path has a segment that is empty, "." or "..".
func isDirty(path string) bool {
	for rest := path; rest != ""; {
		segment, more, found := strings.Cut(rest, "/")
		if segment == "" || segment == "." || segment == ".." {
			return true
		}
		if found && more == "" {
			return true
		}
		rest = more
	}
	return false
}
