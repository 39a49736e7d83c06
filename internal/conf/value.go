package conf

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// infinite is what a written infinity means for a size.
const infiniteSize = 16 << 20

// isInfinity reports whether n is one of ejabberd's words for no limit.
func isInfinity(n *Node) bool {
	return n.Kind == String && (n.Text == "infinity" || n.Text == "infinite" || n.Text == "unlimited")
}

// Bool reads true or false and ejabberd's other words for them.
func (d *Document) Bool(n *Node) (value, ok bool) {
	if value, ok = n.boolean(); ok {
		return value, true
	}
	e := d.Errorf(n, "want true or false, got %s", n.What())
	if low := strings.ToLower(n.Text); low != n.Text && n.scalar() {
		e.meant(low, []string{"true", "false", "yes", "no", "on", "off"})
	}
	return false, false
}

// boolean returns the value of a word for true or false.
func (n *Node) boolean() (value, ok bool) {
	if n.Kind == Bool || n.Kind == String {
		switch n.Text {
		case "true", "yes", "on", "y":
			return true, true
		case "false", "no", "off", "n":
			return false, true
		}
	}
	return false, false
}

// String reads a text. Numbers want quotes, as in ejabberd.
func (d *Document) String(n *Node) (value string, ok bool) {
	switch n.Kind {
	case String, Bool:
		return n.Text, true
	case Int, Float:
		d.Errorf(n, "want a string, got %s; put it in quotes", n.What())
	default:
		d.Errorf(n, "want a string, got %s", n.What())
	}
	return "", false
}

var decimal = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)

// Int reads an integer between two bounds.
func (d *Document) Int(n *Node, low, high int64) (value int64, ok bool) {
	want := "want an integer"
	switch {
	case low > math.MinInt64 && high < math.MaxInt64:
		want = fmt.Sprintf("want an integer from %d to %d", low, high)
	case low == 1:
		want = "want a positive integer"
	case low > math.MinInt64:
		want = fmt.Sprintf("want an integer of at least %d", low)
	case high < math.MaxInt64:
		want = fmt.Sprintf("want an integer of at most %d", high)
	}
	switch {
	case n.Kind == String && decimal.MatchString(n.Text):
		d.Errorf(n, "%s, got the string %q; remove the quotes", want, n.Text)
		return 0, false
	case n.Kind != Int:
		d.Errorf(n, "%s, got %s", want, n.What())
		return 0, false
	case !decimal.MatchString(n.Text):
		d.Errorf(n, "%s in decimal notation, got %s", want, n.Text)
		return 0, false
	}
	v, err := strconv.ParseInt(n.Text, 10, 64)
	if err != nil || v < low || v > high {
		d.Errorf(n, "%s, got %s", want, n.Text)
		return 0, false
	}
	return v, true
}

// size reads a number of bytes.
func (d *Document) size(n *Node) (int64, bool) {
	if isInfinity(n) {
		d.Warnf(n, "%s means %d bytes here; write a number", n.Text, infiniteSize)
		return infiniteSize, true
	}
	return d.Int(n, 1, math.MaxInt32)
}

// amount reads a positive number of which infinity stands for most.
func (d *Document) amount(n *Node, most int64) (int64, bool) {
	if isInfinity(n) {
		d.Warnf(n, "%s means %d here; write a number", n.Text, most)
		return most, true
	}
	return d.Int(n, 1, math.MaxInt32)
}

var timeout = regexp.MustCompile(`^([0-9]+)[ \t]*([a-zA-Z]+)$`)

// unit returns the length of a unit of time as ejabberd writes them.
func unit(word string) time.Duration {
	switch strings.ToLower(word) {
	case "ms", "msec", "msecs", "millisec", "millisecs", "millisecond", "milliseconds":
		return time.Millisecond
	case "s", "sec", "secs", "second", "seconds":
		return time.Second
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute
	case "h", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return 24 * time.Hour
	}
	return 0
}

const wantTimeout = "want seconds or a time with its unit such as 15 s or 500 ms"

// timeout reads a length of time. A bare integer is seconds; with millis one
// of 1000 and up is milliseconds.
func (d *Document) timeout(n *Node, f *Field) (time.Duration, bool) {
	want := wantTimeout
	if f.infinity {
		want += ", or infinity"
	}
	zero := f.min != nil && *f.min == 0
	text, length := n.Text, time.Second
	switch {
	case f.infinity && isInfinity(n):
		return 0, true
	case n.Kind == Int && decimal.MatchString(n.Text):
	case n.Kind == String && timeout.MatchString(n.Text):
		m := timeout.FindStringSubmatch(n.Text)
		text, length = m[1], unit(m[2])
		if length == 0 {
			d.Errorf(n, "unknown unit of time %q; use ms, s, min, h or d", m[2])
			return 0, false
		}
	default:
		d.Errorf(n, "%s, got %s", want, n.What())
		return 0, false
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if n.Kind == Int && f.millis && v >= 1000 {
		length = time.Millisecond
		d.Warnf(n, "%d is taken for milliseconds; write %d ms, or %d s for seconds", v, v, v)
	}
	if n.Kind == Int && f.big != 0 && v >= f.big {
		d.Warnf(n, "%d is taken for seconds; write %d s, or %d ms for milliseconds", v, v, v)
	}
	switch {
	case err != nil || v > math.MaxInt64/int64(length):
		d.Errorf(n, "%s is too long", n.Text)
		return 0, false
	case v < 0 || v == 0 && !zero:
		d.Errorf(n, "%s, got %s", want, n.Text)
		return 0, false
	}
	return time.Duration(v) * length, true
}

// Addr reads an IP address.
func (d *Document) Addr(n *Node) (netip.Addr, bool) {
	if n.Kind == String {
		a, err := netip.ParseAddr(n.Text)
		if err == nil && a.Zone() == "" {
			return a, true
		}
	}
	d.Errorf(n, "want an IPv4 or IPv6 address, got %s", n.What())
	return netip.Addr{}, false
}

// addr reads an IP address of the family of a field.
func (d *Document) addr(f *Field, n *Node) (netip.Addr, bool) {
	if f.family == "" {
		return d.Addr(n)
	}
	a, err := netip.ParseAddr(n.Text)
	a = a.Unmap()
	if n.Kind == String && err == nil && a.Zone() == "" && a.Is4() == (f.family == "ipv4") {
		return a, true
	}
	want := "an IPv4 address"
	if f.family == "ipv6" {
		want = "an IPv6 address"
	}
	d.Errorf(n, "want %s, got %s", want, n.What())
	return netip.Addr{}, false
}

// addrPort reads an IP address with a port.
func (d *Document) addrPort(n *Node) (netip.AddrPort, bool) {
	if n.Kind == String {
		a, err := netip.ParseAddrPort(n.Text)
		if err == nil && a.Port() != 0 && a.Addr().Zone() == "" {
			return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), true
		}
	}
	d.Errorf(n, "want ADDRESS:PORT or [ADDRESS]:PORT, got %s", n.What())
	return netip.AddrPort{}, false
}

// Prefix reads an IP address or prefix. Host bits are dropped.
func (d *Document) Prefix(n *Node) (netip.Prefix, bool) {
	if n.Kind == String {
		if p, err := netip.ParsePrefix(n.Text); err == nil {
			return unmapPrefix(p).Masked(), true
		}
		if a, err := netip.ParseAddr(n.Text); err == nil && a.Zone() == "" {
			a = a.Unmap()
			return netip.PrefixFrom(a, a.BitLen()), true
		}
	}
	d.Errorf(n, "want an address or ADDRESS/LENGTH, got %s", n.What())
	return netip.Prefix{}, false
}

// unmapPrefix turns a prefix of IPv4-mapped addresses into one of IPv4.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// Prefixes reads a list of addresses and prefixes, or a single one. With
// every, the word all stands for all addresses.
func (d *Document) Prefixes(n *Node, every bool) (list []netip.Prefix, ok bool) {
	if every && n.Kind == String && n.Text == "all" {
		return []netip.Prefix{
			netip.PrefixFrom(netip.IPv4Unspecified(), 0),
			netip.PrefixFrom(netip.IPv6Unspecified(), 0),
		}, true
	}
	ok = true
	for _, item := range d.Items(n) {
		p, good := d.Prefix(item)
		list, ok = append(list, p), ok && good
	}
	return list, ok
}

// Strings reads a list of texts, or a single one.
func (d *Document) Strings(n *Node) (list []string, ok bool) {
	ok = true
	for _, item := range d.Items(n) {
		s, good := d.String(item)
		list, ok = append(list, s), ok && good
	}
	return list, ok
}

// Items returns the elements of a list. A single value stands for a list of
// one, nothing for an empty list.
func (d *Document) Items(n *Node) []*Node { return n.items() }

// oneOf sees that a text is one of a closed set.
func (d *Document) oneOf(n *Node, s string, enum []string) bool {
	if len(enum) == 0 || slices.Contains(enum, s) {
		return true
	}
	d.Errorf(n, "want %s, got %q", alternatives(enum), s).meant(s, enum)
	return false
}

// alternatives writes names as a, b or c.
func alternatives(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// value decodes n into a value of type t. spec is a text that is equal for
// equal values.
func (d *Document) value(f *Field, t reflect.Type, n *Node) (v reflect.Value, spec string, ok bool) {
	v = reflect.New(t).Elem()
	switch t {
	case durationType:
		x, ok := d.timeout(n, f)
		v.SetInt(int64(x))
		return v, x.String(), ok
	case addrType:
		x, ok := d.addr(f, n)
		v.Set(reflect.ValueOf(x))
		return v, x.String(), ok
	case addrPortType:
		x, ok := d.addrPort(n)
		v.Set(reflect.ValueOf(x))
		return v, x.String(), ok
	case prefixType:
		x, ok := d.Prefix(n)
		v.Set(reflect.ValueOf(x))
		return v, x.String(), ok
	case accessType:
		x, spec, ok := d.access(n)
		if ok {
			v.Set(reflect.ValueOf(x))
		}
		return v, spec, ok
	case shaperType:
		x, spec, ok := d.shaper(n)
		if ok {
			v.Set(reflect.ValueOf(x))
		}
		return v, spec, ok
	}
	if isText(t) {
		return d.text(f, v, n)
	}
	switch t.Kind() {
	case reflect.Bool:
		x, ok := d.Bool(n)
		if ok && x && f.notYet != "" {
			d.Errorf(n, "this build has no %s", f.notYet)
			return v, "", false
		}
		v.SetBool(x)
		return v, strconv.FormatBool(x), ok
	case reflect.Int, reflect.Int64:
		x, ok := d.number(f, n)
		v.SetInt(x)
		return v, strconv.FormatInt(x, 10), ok
	case reflect.String:
		read := d.String
		if f.host {
			read = d.ownHost
		}
		x, ok := read(n)
		v.SetString(x)
		if ok && !slices.Contains(f.enum, x) && slices.ContainsFunc(f.enum, KnownHandler) && KnownHandler(x) {
			d.Errorf(n, "this build has no request handler %s", x)
			return v, "", false
		}
		return v, strconv.Quote(x), ok && d.oneOf(n, x, f.enum)
	case reflect.Slice:
		return d.slice(f, t, n)
	case reflect.Map:
		return d.mapping(f, t, n)
	}
	spec, ok = d.structure(v, f.nested, n)
	return v, spec, ok
}

// isText reports whether values of t read themselves from text, as addresses do.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// text decodes n into v, which reads itself.
func (d *Document) text(f *Field, v reflect.Value, n *Node) (reflect.Value, string, bool) {
	x := n.Text
	if !f.number || n.Kind != Int {
		var ok bool
		if x, ok = d.String(n); !ok {
			return v, "", false
		}
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(x)); err != nil {
		d.Errorf(n, "%v", err).because(err)
		return v, "", false
	}
	return v, strconv.Quote(x), true
}

func (d *Document) number(f *Field, n *Node) (int64, bool) {
	switch {
	case f.size:
		return d.size(n)
	case f.count != 0:
		return d.amount(n, f.count)
	}
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if f.min != nil {
		low = *f.min
	}
	if f.max != nil {
		high = *f.max
	}
	return d.Int(n, low, high)
}

func (d *Document) slice(f *Field, t reflect.Type, n *Node) (v reflect.Value, spec string, ok bool) {
	v = reflect.MakeSlice(t, 0, 0)
	if f.every {
		list, ok := d.Prefixes(n, true)
		return reflect.ValueOf(list), fmt.Sprint(list), ok
	}
	items := d.Items(n)
	if len(items) == 0 && f.enum != nil {
		d.Errorf(n, "want %s, or a list of them, got none", alternatives(f.enum))
		return v, "", false
	}
	var b strings.Builder
	ok = true
	for i, item := range items {
		x, s, good := d.value(f, t.Elem(), item)
		if good && f.enum != nil && slices.ContainsFunc(items[:i], func(o *Node) bool { return o.Text == item.Text }) {
			d.Errorf(item, "%s is listed already", item.Text)
			good = false
		}
		ok = ok && good
		v = reflect.Append(v, x)
		b.WriteString(s + ",")
	}
	return v, "[" + b.String() + "]", ok
}

func (d *Document) mapping(f *Field, t reflect.Type, n *Node) (v reflect.Value, spec string, ok bool) {
	v = reflect.MakeMap(t)
	if n.Kind != Map && !n.empty() {
		d.Errorf(n, "want a map, got %s", n.What())
		return v, "", false
	}
	specs := make([]string, 0, len(n.Map))
	ok = true
	for _, pair := range n.Map {
		if f.keys != nil && !slices.Contains(f.keys, pair.Key.Text) {
			d.Errorf(pair.Key, "want %s, got %q", alternatives(f.keys), pair.Key.Text).meant(pair.Key.Text, f.keys)
			ok = false
			continue
		}
		key, known := pair.Key.Text, true
		if f.domains {
			key, known = d.Domain(pair.Key)
		}
		x, s, good := d.value(f, t.Elem(), pair.Value)
		index := reflect.ValueOf(key).Convert(t.Key())
		if known && v.MapIndex(index).IsValid() { // in another spelling
			d.Errorf(pair.Key, "%s is listed already", key)
			known = false
		}
		ok = ok && good && known
		v.SetMapIndex(index, x)
		specs = append(specs, strconv.Quote(key)+":"+s)
	}
	slices.Sort(specs)
	return v, "{" + strings.Join(specs, ",") + "}", ok
}
