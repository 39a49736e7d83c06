package listen

import (
	"github.com/tidewaiter/tidewaiter/internal/conf"
	"github.com/tidewaiter/tidewaiter/internal/sock"
)

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

// decode turns a document into a Config.
func decode(d *conf.Document, reg *Registry) (*Config, error) {
	c := &Config{Hosts: d.Hosts, content: d.Content()}
	c.decodeEntries(d, reg, c.decodeSections(d, reg))
	errors, warnings := d.Finish()
	if len(errors) > 0 {
		return nil, &ParseError{Errors: errors, Warnings: warnings}
	}
	c.Warnings, c.settings = warnings, d.Settings()
	return c, nil
}

// decodeSections decodes what the sections read, and returns the entries of
// modules among them.
func (c *Config) decodeSections(d *conf.Document, reg *Registry) (modules []string) {
	for _, s := range reg.sections {
		var v ModuleConfig[any]
		if s.module == "" {
			v.Value = d.Section(s.schema)
		} else {
			v.Listed, v.Value, v.Hosts, v.Off = d.Module(s.module, s.schema)
			modules = append(modules, s.module)
		}
		c.sections = append(c.sections, sectionValue{s, v})
	}
	d.CheckModules(modules, reg.always)
	return modules
}

func (c *Config) decodeEntries(d *conf.Document, reg *Registry, modules []string) {
	kinds := make(map[string]conf.ListenerKind, len(reg.kinds))
	for name, k := range reg.kinds {
		kinds[name] = conf.ListenerKind{Schema: k.schema, Stream: k.stream != nil, Packet: k.packet != nil}
	}
	build := conf.Build{Kinds: kinds, Modules: modules, StateDir: reg.StateDir, CheckUnixPath: sock.CheckUnixPath}
	for _, l := range d.Listeners(build) {
		c.Entries = append(c.Entries, Entry{
			Module: l.Module, Network: l.Network, Address: l.Address, Socket: l.Socket,
			Options: l.Options, TLS: l.TLS, File: l.File, Line: l.Line, Column: l.Column,
			kind: reg.kinds[l.Module], spec: l.Spec, settings: l.Settings,
		})
	}
}
