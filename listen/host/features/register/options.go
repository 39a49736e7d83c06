package register

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Options of in-band registration; the names in the tags are those of
// mod_register. Start from Defaults. The zero Options switch it off.
type Options struct {
	// Access says which accounts may be registered; it sees the name of the new
	// account. Default: all. nil: none.
	Access acl.Access `conf:"access"`

	// AccessFrom says which users that are logged in may register further
	// accounts. Default: none.
	AccessFrom acl.Access `conf:"access_from"`

	// AccessRemove says which users may remove their accounts. Default: all.
	AccessRemove acl.Access `conf:"access_remove"`

	// AllowModules names the modules through which accounts can be registered,
	// or all. Without mod_register there is no registration in-band; passwords
	// can still be changed and accounts removed. Default: all.
	AllowModules []string `conf:"allow_modules"`

	// CaptchaProtected would ask for a CAPTCHA. This build has none: true is an
	// error in a configuration file.
	CaptchaProtected bool `conf:"captcha_protected,notyet=CAPTCHA"`

	// IPAccess says from which addresses accounts can be registered.
	// Default: all.
	IPAccess acl.Access `conf:"ip_access"`

	// PasswordStrength is the least entropy of a password, in bits; 32 is a
	// sensible value. Default: 0, no check.
	PasswordStrength int `conf:"password_strength,min=0"`

	// RedirectURL is a web page where accounts are registered instead. The form
	// then only points there. Default: none.
	RedirectURL string `conf:"redirect_url"`

	// RegistrationWatchers are sent a message about each new account.
	// Default: none.
	RegistrationWatchers []stanza.JID `conf:"registration_watchers"`

	// WelcomeMessage is sent to each new account. Default: none.
	WelcomeMessage Welcome `conf:"welcome_message"`
}

// Welcome is a message to a new account. With both fields empty none is sent.
type Welcome struct {
	Subject string `conf:"subject"`
	Body    string `conf:"body"`
}

// Defaults returns the options of a mod_register that configures nothing.
func Defaults() Options {
	return Options{
		Access:       acl.All,
		AccessFrom:   acl.None,
		AccessRemove: acl.All,
		AllowModules: []string{"all"},
		IPAccess:     acl.All,
	}
}

// Off returns options by which there is no in-band registration.
func Off() Options { return Options{} }

// isOff reports whether the options are the zero Options.
func (o *Options) isOff() bool {
	return o.Access == nil && o.AccessRemove == nil && o.RedirectURL == ""
}

// open reports whether anybody may register in-band.
func (o *Options) open() bool {
	closed := func(a acl.Access) bool { return a == nil || a == acl.Access(acl.None) }
	return !closed(o.Access) && !closed(o.IPAccess) &&
		(slices.Contains(o.AllowModules, "all") || slices.Contains(o.AllowModules, "mod_register"))
}
