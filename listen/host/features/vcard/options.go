package vcard

// Options of vCards; the names in the tags are those of mod_vcard, where it has
// them. Start from Defaults.
type Options struct {
	// MaxBytes is how large the vCard of an account may be, as XML; a larger one
	// gives the error policy-violation. ejabberd has no such option. Default:
	// 131072.
	MaxBytes int `conf:"max_bytes,size"`

	// VCard is the vCard of the server. With all fields empty there is none.
	// Default: a name alone.
	VCard Card `conf:"vcard"`

	// Search would offer a directory of the users. This build has none: true is
	// an error in a configuration file. Default: false.
	Search bool `conf:"search,notyet=search of vCards"`
}

// Card is the vCard of a server: those fields of a vCard that are plain text.
// An empty one is left out.
type Card struct {
	FN       string `conf:"fn"` // the name for people
	Nickname string `conf:"nickname"`
	BDay     string `conf:"bday"` // 2002-11-16
	JabberID string `conf:"jabberid"`
	TZ       string `conf:"tz"` // of the server: -05:00
	Title    string `conf:"title"`
	Role     string `conf:"role"`
	Note     string `conf:"note"`
	URL      string `conf:"url"`
	Desc     string `conf:"desc"`
}

// Defaults returns the options of a mod_vcard that configures nothing.
func Defaults() Options {
	return Options{MaxBytes: 128 << 10, VCard: Card{FN: "Tidewaiter"}}
}
