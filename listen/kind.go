package listen

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/conf"
)

// Stream is a module that serves stream sockets. The Module interfaces of the
// listener packages have this shape.
type Stream[O any] interface {
	Listen(ctx context.Context, ln net.Listener, o O) error
}

// Packet is a module that serves datagram sockets.
type Packet[O any] interface {
	ListenPacket(ctx context.Context, pc net.PacketConn, o O) error
}

// Dual is a module that serves both.
type Dual[O any] interface {
	Stream[O]
	Packet[O]
}

// Updater is implemented by a datagram module that can change the options of a
// socket that it is reading. addr is the LocalAddr of the socket.
// errors.ErrUnsupported means that the listener must be restarted instead.
type Updater[O any] interface {
	Update(addr net.Addr, o O) error
}

// Kind joins the name of a listener module in a configuration file with the
// code that runs it. Options travel through a Kind as any and are asserted once
// a call: the constructors below are the only ones, so it cannot fail.
type Kind struct {
	name   string
	schema conf.Schema
	stream func(ctx context.Context, ln net.Listener, o any) error
	packet func(ctx context.Context, pc net.PacketConn, o any) error
	update func(addr net.Addr, o any) error // nil: not supported
}

// StreamKind registers a module of stream sockets. def returns the options of
// an entry that sets none; it is called once an entry.
func StreamKind[O any](name string, m Stream[O], def func() O) Kind {
	return Kind{
		name:   name,
		schema: conf.SchemaOf(def),
		stream: func(ctx context.Context, ln net.Listener, o any) error { return m.Listen(ctx, ln, o.(O)) },
	}
}

// PacketKind registers a module of datagram sockets.
func PacketKind[O any](name string, m Packet[O], def func() O) Kind {
	k := Kind{
		name:   name,
		schema: conf.SchemaOf(def),
		packet: func(ctx context.Context, pc net.PacketConn, o any) error { return m.ListenPacket(ctx, pc, o.(O)) },
	}
	if u, ok := m.(Updater[O]); ok {
		k.update = func(addr net.Addr, o any) error { return u.Update(addr, o.(O)) }
	}
	return k
}

// DualKind registers a module of both. The transport option of an entry picks
// the method.
func DualKind[O any](name string, m Dual[O], def func() O) Kind {
	k := PacketKind[O](name, m, def)
	k.stream = func(ctx context.Context, ln net.Listener, o any) error { return m.Listen(ctx, ln, o.(O)) }
	return k
}

// Section registers options that are not those of a listener: top-level keys
// or an entry of modules:. Its use function runs within Server.Apply once the
// new sockets are bound and the tables hold the new rules, and before the listeners
// see the new configuration; it must not block and cannot refuse.
type Section struct {
	module string // "" for top-level keys
	schema conf.Schema
	use    func(ModuleConfig[any])
}

// ModuleConfig holds the options of one entry of modules:.
type ModuleConfig[O any] struct {
	Listed bool         // the file has the entry
	Value  O            // defaults when it is not listed
	Hosts  map[string]O // of virtual hosts that set it in host_config
	Off    []string     // virtual hosts whose modules, in host_config, leave it out
}

// TopSection registers a struct whose conf tags are top-level keys. Fields of
// a PerHost type hear of host_config.
func TopSection[O any](def func() O, use func(O)) Section {
	return Section{schema: conf.SchemaOf(def), use: func(c ModuleConfig[any]) { use(c.Value.(O)) }}
}

// ModuleSection registers the entry name of modules:.
func ModuleSection[O any](name string, def func() O, use func(ModuleConfig[O])) Section {
	return Section{module: name, schema: conf.SchemaOf(def), use: func(c ModuleConfig[any]) {
		t := ModuleConfig[O]{Listed: c.Listed, Value: c.Value.(O), Hosts: make(map[string]O, len(c.Hosts)), Off: c.Off}
		for h, o := range c.Hosts {
			t.Hosts[h] = o.(O)
		}
		use(t)
	}}
}

// Registry knows the modules and sections that a program was built with. It
// also holds the tables (acl, shaper, certificates) that the decoded options
// refer to, so one Registry serves one Server.
type Registry struct {
	// StateDir is where relative paths of unix sockets begin. "": the working
	// directory.
	StateDir string

	kinds    map[string]Kind
	sections []Section
	always   Always
	tables   *conf.Tables
}

// Always names entries of modules: whose services the program has whether or
// not a file lists them. Their options have no effect, of which the file's
// reader is warned.
type Always []string

// Part is a Kind, a Section or an Always.
type Part interface{ part() }

func (Kind) part()    {}
func (Section) part() {}
func (Always) part()  {}

// NewRegistry makes a registry. It panics on a duplicate name, which is a
// mistake of the program and not of its configuration.
func NewRegistry(parts ...Part) *Registry {
	r := &Registry{kinds: make(map[string]Kind), tables: conf.NewTables()}
	r.Add(parts...)
	return r
}

// Add adds parts as NewRegistry does, before the registry is used.
func (r *Registry) Add(parts ...Part) {
	for _, p := range parts {
		switch p := p.(type) {
		case Kind:
			if _, dup := r.kinds[p.name]; dup {
				panic(fmt.Sprintf("listen: module %q registered twice", p.name))
			}
			r.kinds[p.name] = p
		case Section:
			r.sections = append(r.sections, p)
		case Always:
			r.always = append(r.always, p...)
		}
	}
}

// Schemas describes the options of all modules and sections, for tests that
// look at each of them.
func (r *Registry) Schemas() []conf.Schema {
	var list []conf.Schema
	for _, name := range slices.Sorted(maps.Keys(r.kinds)) {
		list = append(list, r.kinds[name].schema)
	}
	for _, s := range r.sections {
		list = append(list, s.schema)
	}
	return list
}
