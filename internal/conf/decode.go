package conf

import (
	"crypto/tls"
	"reflect"
	"slices"
	"strings"
)

// Entry is a map of options to decode: an element of listen or of modules.
type Entry struct {
	// Node is the map; nil: nothing is written.
	Node *Node
	// Owner says whose options they are, for messages: ejabberd_c2s.
	Owner string
	// Module says that it is an entry of modules.
	Module bool
	// Known are options of the map that the caller reads.
	Known []string
	// Datagram says that the socket is one, so that there is no TLS.
	Datagram bool
	// Instead are values to take in place of those of top-level keys.
	Instead map[string]*Node
}

// Options are decoded options.
type Options struct {
	// Value has the type of the schema.
	Value any
	// TLS is set with tls: true. It is what the TLS field of Value has, too.
	TLS *tls.Config
	// Spec is a text that is equal for equal options. It covers what they took
	// from the top level. Certificates of certfiles do not count, as they
	// change in place; that there are none counts.
	Spec string
	// Settings are the same for humans, option by option.
	Settings []Setting
}

// Decode fills the options of an entry. A TLS field is set whenever there is a
// certificate, for STARTTLS or for what is checked after it; with the flag direct it is
// set with tls: true only. Problems are reported to d, those
// that a Validate method of the options finds among them; the options then are of no use.
func (d *Document) Decode(s Schema, e Entry) Options {
	v := s.def()
	x := &filler{Document: d, entry: e}
	x.fill(v, &s)
	return Options{Value: v.Interface(), TLS: x.tls, Spec: strings.Join(x.spec, "\n"), Settings: x.settings}
}

// Check decodes the top-level keys that a schema reads, so that their mistakes
// are found even if no entry makes use of them.
func (d *Document) Check(s Schema) {
	v := s.def()
	x := &filler{Document: d}
	for _, f := range s.fields {
		switch {
		case f.elem == tlsType:
			x.build(f, x.tlsOptions(f))
		case f.top:
			x.topField(v.Field(f.index), f)
		case f.global:
			if n := d.Top(f.Name); n != nil {
				d.value(f, f.elem, n)
			}
		}
	}
}

// Section decodes a struct whose fields are all top-level keys.
func (d *Document) Section(s Schema) any {
	v := s.def()
	x := &filler{Document: d}
	for _, f := range s.fields {
		switch {
		case f.rule:
			v.Field(f.index).Set(reflect.ValueOf(d.tables.Shapers.Rule(f.Name)))
		case f.elem == permitsType:
			v.Field(f.index).Set(reflect.ValueOf(d.tables.ACL))
		case f.first:
			d.first(v.Field(f.index), f)
		case f.client:
			x.clientField(v.Field(f.index), f)
		case f.elem == tlsType:
			x.tlsField(v.Field(f.index), f)
		default:
			x.topField(v.Field(f.index), f)
		}
	}
	d.addSettings("", "", x.settings)
	return v.Interface()
}

// first fills a field from the first listener of a module, whose problems are reported
// where that is decoded. Without such a listener the defaults stay.
func (d *Document) first(field reflect.Value, f *Field) {
	all := d.Top("listen")
	if all == nil {
		return
	}
	quiet := *d
	quiet.problems, quiet.refs, quiet.settings = problems{}, nil, nil
	p := &listeners{Document: &quiet}
	for _, n := range all.items() {
		if n.Kind != Map {
			continue
		}
		if n, module := p.modern(n); module == f.Name {
			x := &filler{Document: &quiet, entry: Entry{Node: n, Owner: module}}
			x.fill(field, f.nested)
			return
		}
	}
}

// filler fills the struct of one entry.
type filler struct {
	*Document
	entry    Entry
	spec     []string // a line for each option that differs from its default
	settings []Setting
	tls      *tls.Config
}

func (x *filler) fill(v reflect.Value, s *Schema) {
	n := x.entry.Node
	before := len(x.errors)
	for _, f := range s.fields {
		field := v.Field(f.index)
		switch {
		case f.rule:
			field.Set(reflect.ValueOf(x.tables.Shapers.Rule(f.Name)))
		case f.elem == tlsType:
			x.tlsField(field, f)
		case f.top:
			x.topField(field, f)
		default:
			own := n.Get(f.Name)
			if own != nil && f.warning != "" {
				x.Warnf(own, "deprecated: %s", f.warning)
			}
			if own == nil && f.global {
				own = x.Top(f.Name)
			}
			if own != nil && f.stream && x.entry.Datagram {
				x.Warnf(own, "has no effect with transport: udp")
			}
			x.set(field, f, own)
			if own == nil && f.host {
				x.firstHost(field, f)
			}
		}
	}
	x.implied(v, s)
	if len(x.errors) == before {
		x.validate(v)
	}
	if n != nil {
		x.unknown(n, s)
	}
}

// set decodes n, if there is one, into a field.
func (x *filler) set(field reflect.Value, f *Field, n *Node) {
	if n == nil {
		return
	}
	v, spec, ok := x.value(f, f.elem, n)
	if !ok || equal(v, field) {
		return
	}
	field.Set(v)
	x.note(f.Name, spec, n)
}

// equal reports whether two values are the same, as far as they are data.
func equal(a, b reflect.Value) bool {
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// note adds an option that n sets.
func (x *filler) note(name, spec string, n *Node) {
	x.spec = append(x.spec, name+"="+spec)
	x.settings = append(x.settings, Setting{name, spec, n.sensitive(n.key)})
}

// topField fills a field from the top-level key of its name, and from
// host_config if it has values for virtual hosts.
func (x *filler) topField(field reflect.Value, f *Field) {
	n := x.Top(f.Name)
	if n != nil && f.warning != "" {
		x.Warnf(n, "deprecated: %s", f.warning)
	}
	if own := x.entry.Instead[f.Name]; own != nil {
		millis := *f
		millis.millis = true
		f, n = &millis, own
	}
	if !f.perHost {
		x.set(field, f, n)
		return
	}
	x.set(field.Field(0), f, n)
	hosts := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), f.elem))
	for _, h := range x.Hosts {
		n := x.host(h, f.Name)
		if n == nil {
			continue
		}
		if v, spec, ok := x.value(f, f.elem, n); ok {
			hosts.SetMapIndex(reflect.ValueOf(h), v)
			x.note(f.Name+"@"+h, spec, n)
		}
	}
	if hosts.Len() > 0 {
		field.Field(1).Set(hosts)
	}
}

// unknown reports the keys of an entry that are no options.
func (x *filler) unknown(n *Node, s *Schema) {
	names := slices.Clone(x.entry.Known)
	var top []string
	for _, f := range s.fields {
		switch {
		case f.elem == tlsType:
			names = append(names, f.Keys...)
		case f.top:
			top = append(top, f.Name)
		case !f.rule:
			names = append(names, f.Name)
		}
	}
	for _, pair := range n.Map {
		name := pair.Key.Text
		switch {
		case slices.Contains(names, name):
		case slices.Contains(top, name):
			x.Errorf(pair.Key, "is an option of the top level and not of %s", x.entry.Owner)
		case x.entry.Module && listed(storageOptions, name):
			x.Warnf(pair.Key, "has no effect here: where things are kept is not up to a module")
		case x.entry.Owner == "mod_http_api" && name == "admin_ip_access":
			x.Warnf(pair.Key, "has no effect any more; use api_permissions")
		case elsewhere(x.entry.Owner, name) != "":
			x.Errorf(pair.Key, "unknown option of %s; %s", x.entry.Owner, elsewhere(x.entry.Owner, name))
		default:
			x.Errorf(pair.Key, "unknown option of %s", x.entry.Owner).meant(name, names)
		}
	}
}

// structure decodes a map into a struct that is the value of an option.
func (d *Document) structure(v reflect.Value, s *Schema, n *Node) (spec string, ok bool) {
	if n.Kind != Map && !n.empty() {
		d.Errorf(n, "want a map, got %s", n.What())
		return "", false
	}
	before := len(d.errors)
	x := &filler{Document: d, entry: Entry{Node: n, Owner: "this map"}}
	x.fill(v, s)
	return "{" + strings.Join(x.spec, ",") + "}", len(d.errors) == before
}
