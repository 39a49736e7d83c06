package oauth

import (
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of scopes.
const (
	maxScopes     = 64
	maxScopeBytes = 2048
)

// parseScopes returns scopes that are separated by spaces or semicolons, each once. ok is
// false for none, for too many and for what cannot be one.
func parseScopes(s string) (list []string, ok bool) {
	if len(s) > maxScopeBytes {
		return nil, false
	}
	for _, scope := range strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == ';' }) {
		if !stanza.IsOAuthScope(scope) {
			return nil, false
		}
		if !slices.Contains(list, scope) {
			list = append(list, scope)
		}
	}
	return list, len(list) > 0 && len(list) <= maxScopes
}

// among reports whether all scopes of list are in scopes.
func among(list []string, scopes string) bool {
	all := strings.Fields(scopes)
	return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(all, s) })
}
