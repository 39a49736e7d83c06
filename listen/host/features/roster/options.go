package roster

import "github.com/tidewaiter/tidewaiter/acl"

// Options of rosters; the names in the tags are those of mod_roster. Start from
// Defaults.
type Options struct {
	// Access says which users may change their rosters and subscriptions.
	// Default: all. nil: nobody.
	Access acl.Access `conf:"access"`

	// MaxItems is how many contacts a user has at most, those whose requests
	// nobody answered included; at most half of them are strangers who ask, and
	// they make place for contacts and for other strangers. 0: no limit.
	// Default: 5000. An extension.
	MaxItems int `conf:"max_items,count=100000"`

	// StoreCurrentID would store the version of a roster rather than compute it.
	// It is always stored. Default: false, of no effect.
	StoreCurrentID bool `conf:"store_current_id"`

	// Versioning offers clients to get only what has changed in the roster since
	// they saw it last (RFC 6121, section 2.6). Default: false.
	Versioning bool `conf:"versioning"`
}

// Defaults returns the options of a mod_roster that configures nothing.
func Defaults() Options { return Options{Access: acl.All, MaxItems: 5000} }
