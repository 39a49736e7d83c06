package conf

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// The types that need more than their kind to be decoded.
var (
	durationType = reflect.TypeFor[time.Duration]()
	addrType     = reflect.TypeFor[netip.Addr]()
	addrPortType = reflect.TypeFor[netip.AddrPort]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	accessType   = reflect.TypeFor[acl.Access]()
	shaperType   = reflect.TypeFor[shaper.Rule]()
	permitsType  = reflect.TypeFor[acl.Permissions]()
	tlsType      = reflect.TypeFor[*tls.Config]()
)

// Schema describes an Options struct by its conf tags. The zero Schema has no
// options.
type Schema struct {
	typ    reflect.Type
	def    func() reflect.Value // addressable, a new one each call
	fields []*Field
}

// Field is one field of an Options struct that is read from a configuration.
type Field struct {
	Name string   // of the option
	Keys []string // of a *tls.Config: the options that build it, Name included
	Go   string   // of the struct field
	Type reflect.Type

	index    int
	elem     reflect.Type // Type, or T of a PerHost
	perHost  bool
	infinity bool     // inf
	millis   bool     // ms
	size     bool     // size
	count    int64    // count=N; 0: not given
	min, max *int64   // min=N, max=N
	enum     []string // enum=a|b
	keys     []string // keys=a|b
	number   bool     // number
	global   bool     // global
	top      bool     // top
	rule     bool     // rule
	every    bool     // all
	domains  bool     // domains
	host     bool     // host
	stream   bool     // stream
	implies  string   // implies=NAME
	family   string   // ipv4 or ipv6
	big      int64    // big=N; 0: not given
	notYet   string   // notyet=WHAT
	warning  string   // deprecated=TEXT
	prefix   string   // prefix=c2s
	alpn     []string // alpn=a|b
	ask      bool     // ask
	client   bool     // client
	direct   bool     // direct
	handlers bool     // handlers
	first    bool     // first
	nested   *Schema  // of struct values
}

// SchemaOf returns the schema of the struct that def returns. It panics when a
// tag is wrong: that is a mistake of the program, not of a configuration.
func SchemaOf[O any](def func() O) Schema {
	s, err := schemaOf(reflect.TypeFor[O]())
	if err != nil {
		panic("conf: " + err.Error())
	}
	s.def = func() reflect.Value {
		v := reflect.New(s.typ).Elem()
		v.Set(reflect.ValueOf(def()))
		return v
	}
	for _, f := range s.fields {
		if f.handlers {
			f.enum = any(def()).(interface{ HandlerNames() []string }).HandlerNames()
		}
	}
	return *s
}

// Type returns the type of the Options struct.
func (s Schema) Type() reflect.Type { return s.typ }

// Fields returns the fields that are options, in the order of the struct.
func (s Schema) Fields() []*Field { return s.fields }

// named returns the field of an option, nil if there is none.
func (s Schema) named(option string) *Field {
	if i := slices.IndexFunc(s.fields, func(f *Field) bool { return f.Name == option }); i >= 0 {
		return s.fields[i]
	}
	return nil
}

// Nested returns the schema of the struct that is the field's value, or the
// element of its list or map.
func (f *Field) Nested() (Schema, bool) {
	if f.nested == nil {
		return Schema{}, false
	}
	return *f.nested, true
}

func schemaOf(t reflect.Type) (*Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	s := &Schema{typ: t, def: func() reflect.Value { return reflect.New(t).Elem() }}
	seen := make(map[string]string)
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("conf")
		if tag == "-" {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("%s.%s has no conf tag (use conf:\"-\")", t, sf.Name)
		}
		if !sf.IsExported() {
			return nil, fmt.Errorf("%s.%s is not exported", t, sf.Name)
		}
		f, err := newField(sf, i, tag)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, sf.Name, err)
		}
		if f.elem != tlsType && !f.rule {
			if other, dup := seen[f.Name]; dup {
				return nil, fmt.Errorf("%s.%s: option %s belongs to %s already", t, sf.Name, f.Name, other)
			}
			seen[f.Name] = sf.Name
		}
		s.fields = append(s.fields, f)
	}
	for _, f := range s.fields {
		if sw := s.named(f.implies); f.implies != "" && (sw == nil || sw.Type.Kind() != reflect.Bool || sw.top || sw.global) {
			return nil, fmt.Errorf("%s.%s: implies %s, which is no bool option of the struct", t, f.Go, f.implies)
		}
	}
	return s, nil
}

func newField(sf reflect.StructField, index int, tag string) (*Field, error) {
	words := strings.Split(tag, ",")
	f := &Field{Name: words[0], Go: sf.Name, Type: sf.Type, elem: sf.Type, index: index}
	if f.Name == "" {
		return nil, fmt.Errorf("the tag has no option name")
	}
	if t, ok := perHost(sf.Type); ok {
		f.elem, f.perHost, f.top = t, true, true
	}
	if f.elem == tlsType {
		f.Keys = []string{f.Name}
	}
	for _, w := range words[1:] {
		if err := f.flag(w); err != nil {
			return nil, err
		}
	}
	return f, f.check()
}

// perHost returns T of a struct {Value T; Hosts map[string]T}.
func perHost(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct || t.NumField() != 2 {
		return nil, false
	}
	v, h := t.Field(0), t.Field(1)
	ok := v.Name == "Value" && h.Name == "Hosts" && h.Type == reflect.MapOf(reflect.TypeFor[string](), v.Type)
	return v.Type, ok
}

func (f *Field) flag(w string) error {
	name, value, hasValue := strings.Cut(w, "=")
	if !hasValue {
		return f.word(name)
	}
	if value == "" {
		return fmt.Errorf("flag %s= has no value", name)
	}
	switch name {
	case "min", "max", "count", "big":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("flag %s is no number", w)
		}
		switch name {
		case "min":
			f.min = &n
		case "max":
			f.max = &n
		case "big":
			f.big = n
		default:
			f.count = n
		}
	case "enum":
		f.enum = strings.Split(value, "|")
	case "keys":
		f.keys = strings.Split(value, "|")
	case "notyet":
		f.notYet = value
	case "deprecated":
		f.warning = value
	case "prefix":
		f.prefix = value
	case "implies":
		f.implies = value
	case "alpn":
		f.alpn = strings.Split(value, "|")
	default:
		return fmt.Errorf("unknown flag %s", name)
	}
	return nil
}

func (f *Field) word(w string) error {
	switch w {
	case "inf":
		f.infinity = true
	case "ms":
		f.millis = true
	case "size":
		f.size = true
	case "global":
		f.global = true
	case "top":
		f.top = true
	case "rule":
		f.rule = true
	case "all":
		f.every = true
	case "number":
		f.number = true
	case "domains":
		f.domains = true
	case "host":
		f.host = true
	case "stream":
		f.stream = true
	case "ipv4", "ipv6":
		f.family = w
	case "ask":
		f.ask = true
	case "client":
		f.client = true
	case "direct":
		f.direct = true
	case "handlers":
		f.handlers = true
	case "first":
		f.first = true
	default:
		if f.elem != tlsType {
			return fmt.Errorf("unknown flag %q", w)
		}
		if !knownTLSKey(w) {
			return fmt.Errorf("unknown TLS option %q", w)
		}
		f.Keys = append(f.Keys, w)
	}
	return nil
}

// knownTLSKey reports whether key is one of those that build a *tls.Config.
func knownTLSKey(key string) bool {
	switch key {
	case "tls", "certfile", "cafile", "ciphers", "dhfile", "protocol_options", "tls_compression", "tls_verify":
		return true
	}
	return false
}

// check sees that the flags go with the type and that it can be decoded.
func (f *Field) check() error {
	t := f.elem
	number := t.Kind() == reflect.Int || t.Kind() == reflect.Int64
	for _, c := range []struct {
		flag string
		set  bool
		ok   bool
	}{
		{"inf", f.infinity, t == durationType},
		{"ms", f.millis, t == durationType},
		{"size", f.size, t != durationType && number},
		{"count", f.count != 0, t != durationType && number},
		{"min", f.min != nil, number},
		{"max", f.max != nil, t != durationType && number},
		{"enum", f.enum != nil, leaf(t).Kind() == reflect.String},
		{"keys", f.keys != nil, t.Kind() == reflect.Map},
		{"number", f.number, isText(leaf(t))},
		{"rule", f.rule, t == shaperType && !f.perHost},
		{"all", f.every, t == reflect.SliceOf(prefixType)},
		{"domains", f.domains, t.Kind() == reflect.Map},
		{"handlers", f.handlers, t == reflect.TypeFor[map[string]string]()},
		{"first", f.first, t.Kind() == reflect.Struct && !f.perHost},
		{"host", f.host, t.Kind() == reflect.String && !f.perHost},
		{"implies", f.implies != "", !f.top && !f.global},
		{"ipv4 or ipv6", f.family != "", leaf(t) == addrType},
		{"big", f.big != 0, t == durationType && !f.millis},
		{"notyet", f.notYet != "", t.Kind() == reflect.Bool},
		{"prefix", f.prefix != "", t == tlsType},
		{"alpn", f.alpn != nil, t == tlsType},
		{"ask", f.ask, t == tlsType},
		{"client", f.client, t == tlsType && !f.ask},
		{"direct", f.direct, t == tlsType && !f.client},
		{"global", f.global, !f.top},
	} {
		if c.set && !c.ok {
			return fmt.Errorf("flag %s does not go with %s", c.flag, f.Type)
		}
	}
	if t == tlsType && f.perHost {
		return fmt.Errorf("a *tls.Config has its virtual hosts inside")
	}
	return f.decodable(t)
}

// leaf returns what lists and maps are of.
func leaf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// decodable sees that there is a decoder for t, and makes the schema of a
// nested struct.
func (f *Field) decodable(t reflect.Type) error {
	switch t {
	case durationType, addrType, addrPortType, prefixType, accessType, shaperType, permitsType, tlsType:
		return nil
	}
	if isText(t) {
		return nil
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.String:
		return nil
	case reflect.Slice:
		return f.decodable(t.Elem())
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("a map needs string keys, not %s", t.Key())
		}
		return f.decodable(t.Elem())
	case reflect.Struct:
		n, err := schemaOf(t)
		f.nested = n
		return err
	}
	return fmt.Errorf("no decoder for %s", t)
}
