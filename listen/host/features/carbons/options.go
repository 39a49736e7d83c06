package carbons

// Options of message carbons. mod_carboncopy has none.
type Options struct{}

// Defaults returns the options of a mod_carboncopy that configures nothing.
func Defaults() Options { return Options{} }
