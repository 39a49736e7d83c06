package httpd

import (
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// Validate yields what is wrong with the options: names of options as in the tags, with
// what Listen has against them.
func (o Options) Validate() iter.Seq2[string, string] {
	return func(yield func(option, msg string) bool) {
		for _, name := range slices.Sorted(maps.Keys(o.CustomHeaders)) {
			value := o.CustomHeaders[name]
			switch {
			case !httpguts.ValidHeaderFieldName(name):
				if !yield("custom_headers", fmt.Sprintf("%q is no name of a header field", name)) {
					return
				}
			case !httpguts.ValidHeaderFieldValue(value):
				if !yield("custom_headers", fmt.Sprintf("%s: %q cannot be in a header", name, value)) {
					return
				}
			}
		}
		for _, pattern := range slices.Sorted(maps.Keys(o.HostsAlias)) {
			if _, err := path.Match(pattern, ""); err != nil && !yield("hosts_alias", fmt.Sprintf("%q is no pattern", pattern)) {
				return
			}
		}
		mounts := make(map[string]string)
		for _, p := range slices.Sorted(maps.Keys(o.RequestHandlers)) {
			c, ok := clean(p)
			if !ok && !yield("request_handlers", fmt.Sprintf("%q is no path", p)) {
				return
			}
			if other, twice := mounts[c]; twice && !yield("request_handlers", fmt.Sprintf("%q and %q are the same path", other, p)) {
				return
			}
			mounts[c] = p
		}
	}
}
