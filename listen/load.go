package listen

import "github.com/tidewaiter/tidewaiter/internal/conf"

// Parse checks a configuration in ejabberd's format and decodes it for the
// modules of reg. It opens no sockets. file is the name of the source in
// messages; paths in it are relative to its directory. Files that it includes,
// and those with certificates, are read.
//
// The error is a *ParseError with all problems of the configuration.
func Parse(file string, src []byte, reg *Registry) (*Config, error) {
	return decode(conf.Parse(file, src, reg.tables), reg)
}

// Load reads a file and parses it.
func Load(path string, reg *Registry) (*Config, error) {
	src, err := conf.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, src, reg)
}

// FromTree is Parse for a configuration that is not YAML: maps with string
// keys, slices, strings, bools and numbers. name stands for the file in
// messages, which have paths and no lines. Where the order of entries counts,
// as in access_rules, a map may have one entry only: write a slice of maps.
func FromTree(name string, tree map[string]any, reg *Registry) (*Config, error) {
	return decode(conf.FromTree(name, tree, reg.tables), reg)
}
