package conf

import (
	"cmp"
	"iter"
	"reflect"
	"strconv"
)

// validator is implemented by options that can contradict one another. Validate
// yields names of options, or "" for all of them, each with what is wrong about it.
type validator interface {
	Validate() iter.Seq2[string, string]
}

// validate reports what is wrong with options that are right one by one.
func (x *filler) validate(v reflect.Value) {
	o, ok := v.Interface().(validator)
	if !ok {
		return
	}
	for name, msg := range o.Validate() {
		at := cmp.Or(x.entry.Node, x.top)
		if n := at.Get(name); n != nil {
			x.Errorf(n, "%s", msg)
		} else {
			x.Errorf(at, "%s", msg).about(name)
		}
	}
}

// implied turns on what written options imply, unless it is written, too.
func (x *filler) implied(v reflect.Value, s *Schema) {
	for _, f := range s.fields {
		own := x.entry.Node.Get(f.Name)
		if f.implies == "" || own == nil {
			continue
		}
		sw := s.named(f.implies)
		written, field := x.entry.Node.Get(sw.Name), v.Field(sw.index)
		switch {
		case field.Bool():
		case written == nil:
			field.SetBool(true)
			x.note(sw.Name, "true", own)
		default:
			if _, ok := written.boolean(); ok {
				x.Warnf(own, "has no effect with %s: %s", sw.Name, written.Text)
			}
		}
	}
}

// firstHost gives a field that names a virtual host the first one.
func (x *filler) firstHost(field reflect.Value, f *Field) {
	if len(x.Hosts) == 0 || field.String() == x.Hosts[0] {
		return
	}
	field.SetString(x.Hosts[0])
	spec := strconv.Quote(x.Hosts[0])
	x.spec = append(x.spec, f.Name+"="+spec)
	x.settings = append(x.settings, Setting{Name: f.Name, value: spec})
}
