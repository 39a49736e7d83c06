package conf

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// Document is a configuration whose includes, macros and keywords are
// expanded and whose tables are decoded. Its methods decode the rest; they
// report problems to it and Finish returns these.
type Document struct {
	// Hosts are the virtual hosts, in file order and canonical form.
	Hosts []string

	top    *Node
	vhosts map[string]*Node // what host_config and append_host_config make of the top level, by host
	tables *Tables
	problems

	used        map[string]bool // top-level keys that the program reads
	usedHost    map[string]bool // those of them that it reads for each virtual host
	broken      bool            // the file is no YAML: there is nothing to decode
	content     Content
	refs        []reference
	settings    []Setting
	loaded      *certs.Set // what certfiles names
	certsFailed bool
}

// Parse reads a configuration. file is its name in messages, and paths in it
// are relative to its directory. Parse reads what it includes and the
// certificates that it names.
func Parse(file string, src []byte, t *Tables) *Document {
	d := newDocument(t)
	b := newBudget()
	r := &reader{problems: &d.problems, budget: b}
	d.expand(r.file(file, src), file, b)
	return d
}

// FromTree does the same for a tree of maps, lists and scalars of Go. name
// stands for the file.
func FromTree(name string, tree map[string]any, t *Tables) *Document {
	d := newDocument(t)
	b := newBudget()
	top := treeNode(name, tree, &d.problems)
	r := &reader{problems: &d.problems, budget: b}
	d.expand(r.top(top), name, b)
	return d
}

func newDocument(t *Tables) *Document {
	return &Document{
		vhosts:   make(map[string]*Node),
		tables:   t,
		used:     make(map[string]bool),
		usedHost: make(map[string]bool),
	}
}

// expand finishes the tree and decodes what does not depend on modules.
func (d *Document) expand(top *Node, file string, b *budget) {
	if top == nil {
		d.top, d.broken = &Node{Kind: Map, File: file}, true
		return
	}
	d.top = top
	expandMacros(top, &d.problems, b)
	expandKeywords(top, &d.problems, b)
	for _, key := range []string{"define_macro", "define_keyword"} {
		d.used[key] = true
	}
	d.modernise()
	d.readHosts()
	d.readPolicies()
	d.readCertificates()
}

// Top returns the value of a top-level key, or nil, and notes that the program
// reads it.
func (d *Document) Top(key string) *Node {
	d.used[key] = true
	return d.top.Get(key)
}

// host returns the value of a key for one virtual host, or nil when it has
// none of its own, and notes that the program reads it there.
func (d *Document) host(host, key string) *Node {
	d.usedHost[key] = true
	return d.vhosts[host].Get(key)
}

// Errorf reports an error about n.
func (d *Document) Errorf(n *Node, format string, args ...any) *Error {
	return d.problems.errorf(n, format, args...)
}

// Warnf reports a warning about n.
func (d *Document) Warnf(n *Node, format string, args ...any) *Error {
	return d.problems.warnf(n, format, args...)
}

// Missing reports that a map lacks a key.
func (d *Document) Missing(n *Node, key string) {
	d.Errorf(n, "missing").about(key)
}

// Meant adds a hint to an error: the name that is nearest to word.
func (e *Error) Meant(word string, names []string) { e.meant(word, names) }

// Finish reports the top-level keys that nobody has read and the names that
// are used and not defined, and returns all problems in the order of their
// positions.
func (d *Document) Finish() (errors, warnings []*Error) {
	if !d.broken {
		d.checkKeys()
		d.checkReferences()
	}
	return finish(d.errors), finish(d.warnings)
}

// checkKeys reports keys at the top level and in host_config that mean nothing
// here.
func (d *Document) checkKeys() {
	for _, pair := range d.top.Map {
		if name := pair.Key.Text; !d.used[name] {
			d.unknownKey(pair.Key)
		}
	}
	for _, section := range []string{"host_config", "append_host_config"} {
		n := d.top.Get(section)
		if n == nil {
			continue
		}
		for _, host := range n.Map {
			for _, pair := range host.Value.Map {
				d.checkHostKey(pair.Key)
			}
		}
	}
}

func (d *Document) unknownKey(key *Node) {
	if instead, ok := removedOption(key.Text); ok {
		d.Warnf(key, "has no effect any more%s", instead)
		return
	}
	if _, known := knownOption(key.Text); known {
		d.Warnf(key, "known to ejabberd, has no effect here")
		return
	}
	d.Errorf(key, "unknown option").meant(key.Text, d.optionNames())
}

func (d *Document) checkHostKey(key *Node) {
	name := key.Text
	global, known := knownOption(name)
	switch {
	case d.usedHost[name], name == "define_keyword":
	case name == "define_macro", d.used[name] && (global || !known), global:
		d.Errorf(key, "is for the whole server and cannot be set for one virtual host")
	case d.used[name]:
		d.Warnf(key, "has no effect for single virtual hosts here")
	default:
		d.unknownKey(key)
	}
}

// optionNames returns the names that a top-level key could have been meant to
// be.
func (d *Document) optionNames() []string {
	names := knownOptions()
	for name := range d.used {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return append(names, "include_config_file")
}

// Content returns what the configuration puts into the tables.
func (d *Document) Content() *Content { return &d.content }
