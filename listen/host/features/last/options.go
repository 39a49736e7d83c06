package last

// Options of the last activity. Those of mod_last concern its cache, which there
// is none of here: that the Options are there switches it on.
type Options struct{}

// Defaults returns the options of a mod_last that configures nothing.
func Defaults() Options { return Options{} }
