package oauth

import (
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Options of the handler; the names in the tags are ejabberd's top-level keys. Start
// from Defaults.
type Options struct {
	// Access says who may have tokens. It is asked when a user logs in, and again with
	// each refresh token, of the address that it comes from: for a user who may not have
	// tokens any more all of that login end. Default: acl.None.
	Access stanza.PerHost[acl.Access] `conf:"oauth_access,top"`

	// Expire is how long access tokens are good for, unless a ttl was asked for.
	// Default: 1 h.
	Expire time.Duration `conf:"oauth_expire,top"`

	// RefreshExpire is how long a refresh token is good for; the next one that it is
	// exchanged for is so for as long again. Default: 30 days.
	RefreshExpire time.Duration `conf:"-"`

	// ClientIDCheck says which clients there are: db is those that are registered, allow
	// lets others use grant_type=password, deny is none. Default: db.
	ClientIDCheck stanza.PerHost[string] `conf:"oauth_client_id_check,top,enum=allow|deny|db"`
}

// Values of Options.ClientIDCheck.
const (
	checkAllow = "allow"
	checkDeny  = "deny"
	checkDB    = "db"
)

// Defaults returns the options of a handler that configures nothing.
func Defaults() Options {
	return Options{
		Access:        stanza.PerHost[acl.Access]{Value: acl.None},
		Expire:        time.Hour,
		RefreshExpire: 30 * 24 * time.Hour,
		ClientIDCheck: stanza.PerHost[string]{Value: checkDB},
	}
}
