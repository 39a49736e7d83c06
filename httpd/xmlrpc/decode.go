package xmlrpc

import "errors"

// errRequest says that a document is XML but no call, or one beyond the bounds.
var errRequest = errors.New("malformed request")

// call is a method call.
type call struct {
	method string
	params []any
}

// decoder reads calls. What it returns has nothing of its buffers.
type decoder struct {
	scanner
	depth, values int

	// What the arrays and structures that have begun have so far, the innermost last: one
	// stack for all of them, so that each is made once its size is known.
	items   []any
	members []member
}

// decode reads a document, in a buffer that it may change.
func (d *decoder) decode(b []byte) (call, error) {
	d.depth, d.values, d.items, d.members = 0, 0, d.items[:0], d.members[:0]
	if err := d.start(b); err != nil {
		return call{}, err
	}
	c, err := d.call()
	if err != nil {
		return call{}, err
	}
	if rest, err := d.content(); err != nil || !blank(rest) || d.i < len(d.b) {
		return call{}, errMalformed
	}
	return c, nil
}

// reset drops what the decoder has of the last document, and reports whether it is
// small enough to be kept.
func (d *decoder) reset() bool {
	const most = 1024
	if cap(d.items) > most || cap(d.members) > most || cap(d.joined) > maxKept {
		return false
	}
	clear(d.items[:cap(d.items)])
	clear(d.members[:cap(d.members)])
	d.items, d.members, d.b = d.items[:0], d.members[:0], nil
	return true
}

func (d *decoder) call() (c call, err error) {
	if err := d.begin("methodCall"); err != nil {
		return c, err
	}
	if c.method, err = d.text("methodName"); err != nil {
		return c, err
	}
	t, err := d.next()
	if err != nil {
		return c, err
	}
	if !t.end {
		if string(t.name) != "params" {
			return c, errRequest
		}
		if c.params, err = d.params(); err != nil {
			return c, err
		}
		if t, err = d.next(); err != nil {
			return c, err
		}
	}
	return c, t.ends("methodCall")
}

// params reads what is in <params>, and its end.
func (d *decoder) params() (list []any, err error) {
	for {
		t, err := d.next()
		if err != nil {
			return nil, err
		}
		if t.end {
			return list, t.ends("params")
		}
		if string(t.name) != "param" {
			return nil, errRequest
		}
		if err := d.begin("value"); err != nil {
			return nil, err
		}
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if err := d.end("param"); err != nil {
			return nil, err
		}
	}
}

// value reads what is in <value>, and its end.
func (d *decoder) value() (v any, err error) {
	if d.values++; d.values > maxValues {
		return nil, errRequest
	}
	text, err := d.content()
	if err != nil {
		return nil, err
	}
	t, err := d.tag()
	switch {
	case err != nil:
		return nil, err
	case t.end:
		return string(text), t.ends("value")
	case !blank(text):
		return nil, errRequest
	}
	switch string(t.name) {
	case "array":
		v, err = d.array()
	case "struct":
		v, err = d.structure()
	default:
		v, err = d.scalar(t.name)
	}
	if err != nil {
		return nil, err
	}
	return v, d.end("value")
}

// array reads what is in <array>, and its end.
func (d *decoder) array() (any, error) {
	if err := d.begin("data"); err != nil {
		return nil, err
	}
	if d.depth++; d.depth > maxDepth {
		return nil, errRequest
	}
	from := len(d.items)
	for {
		t, err := d.next()
		if err != nil {
			return nil, err
		}
		if t.end {
			if err := t.ends("data"); err != nil {
				return nil, err
			}
			break
		}
		if string(t.name) != "value" {
			return nil, errRequest
		}
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		d.items = append(d.items, v)
	}
	d.depth--
	list := make([]any, len(d.items)-from)
	copy(list, d.items[from:])
	d.items = d.items[:from]
	return list, d.end("array")
}

// structure reads what is in <struct>, and its end.
func (d *decoder) structure() (any, error) {
	if d.depth++; d.depth > maxDepth {
		return nil, errRequest
	}
	from := len(d.members)
	for {
		t, err := d.next()
		if err != nil {
			return nil, err
		}
		if t.end {
			if err := t.ends("struct"); err != nil {
				return nil, err
			}
			break
		}
		if string(t.name) != "member" {
			return nil, errRequest
		}
		m, err := d.member()
		if err != nil {
			return nil, err
		}
		d.members = append(d.members, m)
	}
	d.depth--
	s := make(structure, len(d.members)-from)
	copy(s, d.members[from:])
	d.members = d.members[:from]
	return s, nil
}

// member reads what is in <member>, and its end.
func (d *decoder) member() (m member, err error) {
	if m.name, err = d.text("name"); err != nil {
		return m, err
	}
	if err := d.begin("value"); err != nil {
		return m, err
	}
	if m.value, err = d.value(); err != nil {
		return m, err
	}
	return m, d.end("member")
}

// scalar reads what is in an element of a type without parts, and its end.
func (d *decoder) scalar(name []byte) (any, error) {
	text, err := d.content()
	if err != nil {
		return nil, err
	}
	t, err := d.tag()
	if err != nil {
		return nil, err
	}
	if err := t.ends(string(name)); err != nil {
		return nil, err
	}
	return scalar(name, text)
}

// text reads an element that has only text.
func (d *decoder) text(name string) (string, error) {
	if err := d.begin(name); err != nil {
		return "", err
	}
	b, err := d.content()
	if err != nil {
		return "", err
	}
	text := string(b)
	t, err := d.tag()
	if err != nil {
		return "", err
	}
	return text, t.ends(name)
}

// next reads a tag, before which there may be white space.
func (d *decoder) next() (tag, error) {
	text, err := d.content()
	if err != nil {
		return tag{}, err
	}
	t, err := d.tag()
	if err == nil && !blank(text) {
		err = errRequest
	}
	return t, err
}

// begin reads the start of an element.
func (d *decoder) begin(name string) error {
	t, err := d.next()
	if err == nil && (t.end || string(t.name) != name) {
		err = errRequest
	}
	return err
}

// end reads the end of an element, before which there may be white space.
func (d *decoder) end(name string) error {
	t, err := d.next()
	if err != nil {
		return err
	}
	return t.ends(name)
}

// ends sees that a tag is the end of an element.
func (t tag) ends(name string) error {
	switch {
	case !t.end:
		return errRequest
	case string(t.name) != name:
		return errMalformed
	}
	return nil
}
