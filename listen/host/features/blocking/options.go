package blocking

// Options of blocking; the names in the tags are those of mod_blocking. Start
// from Defaults.
type Options struct {
	// MaxItems is how many addresses an account may block; one more gives the
	// error resource-constraint. ejabberd has no such option. Default: 1000.
	MaxItems int `conf:"max_items,count=10000"`
}

// Defaults returns the options of a mod_blocking that configures nothing.
func Defaults() Options { return Options{MaxItems: 1000} }
