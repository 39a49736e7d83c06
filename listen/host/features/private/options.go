package private

// Options of private storage; the names in the tags are those of mod_private,
// where it has them. Start from Defaults.
type Options struct {
	// MaxElements is how many elements an account may keep, which is also how
	// many one request may name; more gives the error resource-constraint.
	// ejabberd has no such option. Default: 100.
	MaxElements int `conf:"max_elements,count=10000"`

	// MaxBytes is how many bytes of XML these may have together; more gives the
	// error resource-constraint. ejabberd has no such option. Default: 262144.
	MaxBytes int `conf:"max_bytes,size"`
}

// Defaults returns the options of a mod_private that configures nothing.
func Defaults() Options { return Options{MaxElements: 100, MaxBytes: 256 << 10} }
