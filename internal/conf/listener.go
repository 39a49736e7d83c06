package conf

import (
	"crypto/tls"
	"maps"
	"net/netip"
	"slices"
)

// ListenerKind is a module that the program can run on a socket.
type ListenerKind struct {
	Schema         Schema // of its options
	Stream, Packet bool   // what it speaks
}

// Listener is one element of listen.
type Listener struct {
	Module   string
	Network  string // as net.Listen wants it
	Address  string // host:port or the path of a unix socket
	Socket   Socket
	Options  any         // of the type of the kind's schema
	TLS      *tls.Config // set with tls: true
	Spec     string      // canonical form of all that it was decoded from
	Settings []Setting   // the same, option by option

	File         string // where it begins
	Line, Column int
}

// Build is what the program that reads a configuration offers to its listeners.
type Build struct {
	Kinds    map[string]ListenerKind
	Modules  []string // entries of modules that it reads
	StateDir string   // where relative paths of unix sockets begin
	// CheckUnixPath says whether a path can be that of a unix socket.
	CheckUnixPath func(path string) error
}

// Listeners decodes listen, and sees that the top-level keys that its modules
// read are right even without a listener.
func (d *Document) Listeners(b Build) []Listener {
	for _, name := range slices.Sorted(maps.Keys(b.Kinds)) {
		d.Check(b.Kinds[name].Schema)
	}
	p := &listeners{Document: d, Build: b}
	if n := p.Top("trusted_proxies"); n != nil {
		p.trusted, _ = p.Prefixes(n, true)
	}
	n := p.Top("listen")
	if n == nil || n.Kind == Null {
		return nil
	}
	if n.Kind != List {
		p.Errorf(n, "want a list of listeners, got %s", n.What())
		return nil
	}
	for _, item := range n.List {
		if item.Kind != Map {
			p.Errorf(item, "want a map of options, got %s", item.What())
			continue
		}
		p.listener(item)
	}
	p.overlaps()
	var list []Listener
	for _, s := range p.sockets {
		s.bind(p.sockets)
		list = append(list, s.Listener)
	}
	return list
}

// listeners decodes the elements of listen.
type listeners struct {
	*Document
	Build
	sockets []*socket
	trusted []netip.Prefix // trusted_proxies
}

// listener decodes one element of listen.
func (p *listeners) listener(n *Node) {
	n, module := p.modern(n)
	s := &socket{node: n, Listener: Listener{Module: module, File: n.File, Line: n.Line, Column: n.Column}}
	kind, ok := p.Kinds[module]
	if !ok && module != "" {
		p.unknownModule(n.Get("module"), module)
	}
	p.socket(s, kind, ok)
	p.sockets = append(p.sockets, s)
	if !ok {
		return
	}
	e := Entry{Node: n, Owner: module, Known: SocketOptions(), Datagram: s.udp}
	if t := n.Get("timeout"); t != nil {
		e.Instead = p.setupTimeout(t, kind)
	}
	o := p.Decode(kind.Schema, e)
	s.Options, s.TLS, s.options, s.Settings = o.Value, o.TLS, o.Spec, o.Settings
	if r, ok := o.Value.(interface{ Readers() int }); ok && s.udp {
		s.Socket.Readers = r.Readers()
	}
	switch module {
	case "ejabberd_service":
		p.components(n)
	case "ejabberd_stun":
		p.relays(s, kind.Schema)
	}
	p.unlisted(n.Get("module"), module)
	if handlers := n.Get("request_handlers"); handlers != nil {
		for _, pair := range handlers.Map {
			p.unlisted(pair.Value, pair.Value.Text)
		}
	}
}

// unknownModule reports a module that this build cannot run.
func (p *listeners) unknownModule(n *Node, name string) {
	switch {
	case KnownListener(name):
		p.Errorf(n, "this build has no module %s", name)
	case KnownHandler(name):
		p.Errorf(n, "%s is a request handler of ejabberd_http and no listening module", name)
	case KnownModule(name):
		p.Errorf(n, "%s is no listening module", name)
	default:
		names := slices.Collect(maps.Keys(p.Kinds))
		p.Errorf(n, "unknown listening module %q", name).meant(name, append(names, KnownListeners()...))
	}
}

// unlisted warns of a listener or request handler whose entry of modules is
// missing: here its defaults apply, ejabberd would not serve it.
func (p *listeners) unlisted(n *Node, module string) {
	if slices.Contains(p.Modules, module) && !p.Listed(module) {
		p.Warnf(n, "%s is not in modules, which ejabberd needs: modules: {%s: {}}; its defaults apply on all virtual hosts",
			module, module)
	}
}
