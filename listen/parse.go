package listen

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/conf"
)

// parser decodes one configuration.
type parser struct {
	*conf.Document
	reg     *Registry
	config  *Config
	sockets []*socket
	trusted []netip.Prefix // trusted_proxies
}

// decode turns a document into a Config.
func decode(d *conf.Document, reg *Registry) (*Config, error) {
	p := &parser{Document: d, reg: reg, config: &Config{Hosts: d.Hosts, content: d.Content()}}
	if !d.Broken() {
		p.topLevel()
		p.sections()
		p.entries()
	}
	errors, warnings := d.Finish()
	if len(errors) > 0 {
		return nil, &ParseError{Errors: errors, Warnings: warnings}
	}
	p.config.Warnings = warnings
	return p.config, nil
}

// topLevel checks the keys of the top level that modules read, whether or not a
// listener makes use of them.
func (p *parser) topLevel() {
	for _, name := range slices.Sorted(maps.Keys(p.reg.kinds)) {
		p.Check(p.reg.kinds[name].schema)
	}
	if n := p.Top("trusted_proxies"); n != nil {
		p.trusted, _ = p.Prefixes(n, true)
	}
}

func (p *parser) sections() {
	var modules []string
	for _, s := range p.reg.sections {
		var v ModuleConfig[any]
		if s.module == "" {
			v.Value = p.Section(s.schema)
		} else {
			v.Listed, v.Value, v.Hosts = p.Module(s.module, s.schema)
			modules = append(modules, s.module)
		}
		p.config.sections = append(p.config.sections, sectionValue{s, v})
	}
	p.CheckModules(modules)
}

func (p *parser) entries() {
	n := p.Top("listen")
	if n == nil || n.Kind == conf.Null {
		return
	}
	if n.Kind != conf.List {
		p.Errorf(n, "want a list of listeners, got %s", n.What())
		return
	}
	for _, item := range n.List {
		if item.Kind != conf.Map {
			p.Errorf(item, "want a map of options, got %s", item.What())
			continue
		}
		p.entry(item)
	}
	p.overlaps()
	for _, s := range p.sockets {
		s.bind(p.sockets)
		p.config.Entries = append(p.config.Entries, s.entry)
	}
}

// entry decodes one element of listen.
func (p *parser) entry(n *conf.Node) {
	n, module := p.modernise(n)
	s := &socket{node: n, entry: Entry{Module: module, File: n.File, Line: n.Line, Column: n.Column}}
	kind, ok := p.reg.kinds[module]
	if ok {
		s.entry.kind = kind
	} else if module != "" {
		p.unknownModule(n.Get("module"), module)
	}
	p.socket(s, kind, ok)
	p.sockets = append(p.sockets, s)
	if !ok {
		return
	}
	e := conf.Entry{Node: n, Owner: module, Known: socketOptions(), Datagram: s.udp}
	if t := n.Get("timeout"); t != nil {
		e.Instead = p.setupTimeout(t, kind)
	}
	o := p.Decode(kind.schema, e)
	s.entry.Options, s.entry.TLS = o.Value, o.TLS
	s.options = o.Spec
	p.unlisted(n.Get("module"), module)
	if handlers := n.Get("request_handlers"); handlers != nil {
		for _, pair := range handlers.Map {
			p.unlisted(pair.Value, pair.Value.Text)
		}
	}
}

// unknownModule reports a module that this build cannot run.
func (p *parser) unknownModule(n *conf.Node, name string) {
	switch {
	case conf.KnownListener(name):
		p.Errorf(n, "this build has no module %s", name)
	case conf.KnownHandler(name):
		p.Errorf(n, "%s is a request handler of ejabberd_http and no listening module", name)
	case conf.KnownModule(name):
		p.Errorf(n, "%s is no listening module", name)
	default:
		names := slices.Collect(maps.Keys(p.reg.kinds))
		p.Errorf(n, "unknown listening module %q", name).Meant(name, append(names, conf.KnownListeners()...))
	}
}

// unlisted warns of a listener or request handler whose entry of modules is
// missing: here its defaults apply, ejabberd would not serve it.
func (p *parser) unlisted(n *conf.Node, module string) {
	for _, s := range p.reg.sections {
		if s.module != "" && s.module == module && !p.Listed(module) {
			p.Warnf(n, "%s is not in modules, which ejabberd needs: modules: {%s: {}}; its defaults apply on all virtual hosts",
				module, module)
		}
	}
}

// fingerprint returns the canonical text of an entry.
func (s *socket) fingerprint() string {
	return fmt.Sprintf("%s %s %s %+v\n%s", s.entry.Module, s.entry.Network, s.entry.Address, s.entry.Socket, s.options)
}
