package conf

import "slices"

// Module decodes the entry name of modules, and what host_config makes of it.
// hosts has the virtual hosts with an entry of their own, off those whose own
// modules have none, unless it is listed nowhere.
func (d *Document) Module(name string, s Schema) (listed bool, value any, hosts map[string]any, off []string) {
	n := d.Top("modules").Get(name)
	value = d.module(name, "", s, n)
	hosts = make(map[string]any)
	for _, h := range d.Hosts {
		modules := d.host(h, "modules")
		if own := modules.Get(name); own != nil {
			hosts[h] = d.module(name, h, s, own)
		} else if modules != nil && d.Listed(name) {
			off = append(off, h)
			d.setting("not listed", "modules", name+"@"+h)
		}
	}
	return n != nil, value, hosts, off
}

// module decodes the entry name of modules that stands in n, if it does, for
// the server or for a virtual host.
func (d *Document) module(name, host string, s Schema, n *Node) any {
	o := d.Decode(s, Entry{Node: d.options(n), Owner: name, Module: true})
	if n != nil {
		d.addSettings("modules.", host, []Setting{{Name: name, value: "listed"}})
		d.addSettings("modules."+name+".", host, o.Settings)
	}
	return o.Value
}

// Listed reports whether modules has an entry, for the server or for one of
// its virtual hosts.
func (d *Document) Listed(name string) bool {
	if d.Top("modules").Get(name) != nil {
		return true
	}
	for _, h := range d.Hosts {
		if d.host(h, "modules").Get(name) != nil {
			return true
		}
	}
	return false
}

// options sees that the options of a module are a map. Nothing and [] stand
// for an empty one.
func (d *Document) options(n *Node) *Node {
	switch {
	case n == nil || n.Kind == Map:
		return n
	case !n.empty():
		d.Errorf(n, "want a map of options, got %s", n.What())
	}
	return &Node{Kind: Map, File: n.File, Line: n.Line, Column: n.Column, parent: n.parent, key: n.key}
}

// CheckModules reports entries of modules that the program does not have, and
// options of those that it always has.
func (d *Document) CheckModules(own, always []string) {
	d.checkModules(d.Top("modules"), own, always)
	for _, h := range d.Hosts {
		d.checkModules(d.host(h, "modules"), own, always)
	}
}

func (d *Document) checkModules(n *Node, own, always []string) {
	if n == nil || n.empty() {
		return
	}
	if n.Kind != Map {
		d.Errorf(n, "want a map of modules, got %s", n.What())
		return
	}
	for _, pair := range n.Map {
		name := pair.Key.Text
		switch {
		case slices.Contains(own, name):
		case slices.Contains(always, name):
			if !pair.Value.empty() {
				d.Warnf(pair.Key, "always on, its options have no effect here")
			}
		case KnownModule(name):
			d.Warnf(pair.Key, "known to ejabberd, has no effect here")
		case name == "mod_echo" || name == "mod_http_bind" || name == "mod_irc":
			d.Warnf(pair.Key, "has no effect any more")
		default:
			d.Errorf(pair.Key, "unknown module").meant(name, slices.Concat(own, always, knownModules()))
		}
	}
}
