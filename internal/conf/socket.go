package conf

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Socket are the options of an element of listen that concern its socket and
// not its module.
type Socket struct {
	Backlog        int           // length of the queue of connections to accept; 0: the system's
	AcceptInterval time.Duration // pause before each accept
	UnixMode       os.FileMode   // of the socket file, if UnixModeSet
	UnixModeSet    bool
	UnixOwner      int // -1: unchanged
	UnixGroup      int // -1: unchanged
	// ProxyProtocol expects a PROXY protocol header (v1 or v2) from the peers
	// in ProxyFrom, and from all peers of a unix socket, and treats others as
	// clients of their own.
	ProxyProtocol bool
	ProxyFrom     []string // prefixes in CIDR notation
	Readers       int      // sockets with SO_REUSEPORT for a datagram listener; 0: one
}

// socket is a listener whose socket is decoded.
type socket struct {
	Listener
	node    *Node
	options string // spec of the module's options

	valid bool // the address below is
	udp   bool
	path  string // of a unix socket
	addr  netip.AddrPort
}

// SocketOptions are the options of an element of listen that are not the module's.
func SocketOptions() []string {
	return []string{
		"port", "ip", "transport", "module", "unix_socket", "use_proxy_protocol", "proxy_protocol_from",
		"backlog", "accept_interval", "supervisor", "timeout",
	}
}

// defaultBacklog is ejabberd's.
const defaultBacklog = 128

// socket decodes the socket options of an entry. kind counts if known.
func (p *listeners) socket(s *socket, kind ListenerKind, known bool) {
	n := s.node
	s.Socket = Socket{Backlog: defaultBacklog, UnixOwner: -1, UnixGroup: -1}
	p.transport(s)
	if s.udp {
		s.Socket.Backlog = 0
	}
	p.address(s)
	p.unixSocket(s)
	p.accepting(s)
	p.proxyProtocol(s)
	if v := n.Get("supervisor"); v != nil {
		p.Bool(v)
	}
	transport := n.Get("transport")
	switch {
	case !known:
	case s.udp && !kind.Packet:
		p.Errorf(transport, "%s does not speak udp", s.Module)
	case !s.udp && !kind.Stream:
		p.Errorf(n.Get("module"), "%s speaks udp only; add transport: udp", s.Module)
	}
	if v := n.Get("tls"); v != nil && s.udp {
		if on, ok := p.Bool(v); ok && on {
			p.Errorf(v, "there is no TLS with transport: udp: DTLS is not supported")
		}
	}
}

func (p *listeners) transport(s *socket) {
	n := s.node.Get("transport")
	if n == nil {
		return
	}
	switch n.Text {
	case "tcp":
	case "udp":
		s.udp = true
	default:
		p.Errorf(n, "want tcp or udp, got %s", n.What()).meant(n.Text, []string{"tcp", "udp"})
	}
	if !s.udp {
		return
	}
	for _, key := range []string{"backlog", "accept_interval", "use_proxy_protocol", "proxy_protocol_from"} {
		if v := s.node.Get(key); v != nil {
			p.Errorf(v, "not allowed with transport: udp")
		}
	}
}

// address reads port and ip.
func (p *listeners) address(s *socket) {
	port := s.node.Get("port")
	if port == nil {
		p.Missing(s.node, "port")
		return
	}
	ip, ok := netip.IPv4Unspecified(), true
	if n := s.node.Get("ip"); n != nil {
		ip, ok = p.Addr(n)
	}
	if path, unix := strings.CutPrefix(port.Text, "unix:"); unix && port.Kind == String {
		p.unixPath(s, port, path)
		return
	}
	if port.Kind == String {
		if _, err := strconv.Atoi(port.Text); err != nil {
			p.Errorf(port, "want a port from 0 to 65535 or unix:PATH, got %q", port.Text)
			return
		}
	}
	v, good := p.Int(port, 0, 65535)
	s.addr, s.valid = netip.AddrPortFrom(ip.Unmap(), uint16(v)), ok && good
}

func (p *listeners) unixPath(s *socket, port *Node, path string) {
	if path == "" {
		p.Errorf(port, "want a path after unix:")
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.StateDir, path)
	}
	path, err := filepath.Abs(path)
	switch {
	case err != nil:
		p.Errorf(port, "%v", err)
	case s.udp:
		p.Errorf(port, "a unix socket has no transport: udp")
	default:
		if err := p.CheckUnixPath(path); err != nil {
			p.Errorf(port, "%v", err).because(err)
		}
		s.path, s.valid = path, true
	}
	if n := s.node.Get("ip"); n != nil {
		p.Warnf(n, "has no effect on a unix socket")
	}
}

func (p *listeners) unixSocket(s *socket) {
	n := s.node.Get("unix_socket")
	if n == nil {
		return
	}
	if n.Kind != Map {
		if n.Kind == Null || n.Kind == List && len(n.List) == 0 {
			return
		}
		p.Errorf(n, "want a map of mode, owner and group, got %s", n.What())
		return
	}
	o := &s.Socket
	for _, pair := range n.Map {
		switch v := pair.Value; pair.Key.Text {
		case "mode":
			o.UnixMode, o.UnixModeSet = p.mode(v)
		case "owner":
			o.UnixOwner = p.id(v)
		case "group":
			o.UnixGroup = p.id(v)
		default:
			p.Errorf(pair.Key, "unknown option of unix_socket").meant(pair.Key.Text, []string{"mode", "owner", "group"})
		}
	}
	if s.valid && s.path == "" {
		p.Warnf(n, "has no effect: the port is no unix socket")
	}
}

// mode reads file permissions in octal notation, which must be a string: the
// number 0600 would be another one in every version of YAML.
func (p *listeners) mode(n *Node) (os.FileMode, bool) {
	if n.Kind == Int {
		p.Errorf(n, "want octal digits in quotes, got the number %s", n.Text)
		return 0, false
	}
	v, err := strconv.ParseUint(n.Text, 8, 32)
	if n.Kind != String || err != nil || v > 0o777 {
		p.Errorf(n, `want octal digits in quotes, such as "0660"`)
		return 0, false
	}
	return os.FileMode(v), true
}

func (p *listeners) id(n *Node) int {
	v, ok := p.Int(n, 0, math.MaxInt32)
	if !ok {
		return -1
	}
	return int(v)
}

func (p *listeners) accepting(s *socket) {
	if n := s.node.Get("backlog"); n != nil {
		v, _ := p.Int(n, 0, 65535)
		s.Socket.Backlog = int(v)
	}
	if n := s.node.Get("accept_interval"); n != nil {
		v, _ := p.Int(n, 0, int64(time.Hour/time.Millisecond))
		s.Socket.AcceptInterval = time.Duration(v) * time.Millisecond
	}
}

// proxyProtocol reads use_proxy_protocol and whose headers are believed.
func (p *listeners) proxyProtocol(s *socket) {
	if s.udp {
		return
	}
	o := &s.Socket
	use, from := s.node.Get("use_proxy_protocol"), s.node.Get("proxy_protocol_from")
	if use != nil {
		o.ProxyProtocol, _ = p.Bool(use)
	}
	list := p.trusted
	if from != nil {
		list, _ = p.Prefixes(from, true)
	}
	switch {
	case !o.ProxyProtocol && from != nil:
		p.Warnf(from, "has no effect without use_proxy_protocol: true")
		return
	case !o.ProxyProtocol:
		return
	case from == nil && p.Top("trusted_proxies") == nil && s.path == "":
		p.Warnf(use, "only loopback peers are believed; name the proxies in proxy_protocol_from or trusted_proxies")
		list = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	case len(list) == 0 && s.path == "":
		p.Warnf(use, "has no effect: the list of the proxies is empty")
	}
	for _, prefix := range list {
		o.ProxyFrom = append(o.ProxyFrom, prefix.String())
	}
}

// bind fills in what the entry binds to. A wildcard IPv6 address takes IPv4
// connections, too, unless another socket is there for them.
func (s *socket) bind(others []*socket) {
	e := &s.Listener
	switch {
	case s.path != "":
		e.Network, e.Address = "unix", s.path
	case s.addr.IsValid():
		e.Address = net.JoinHostPort(s.addr.Addr().String(), strconv.Itoa(int(s.addr.Port())))
		e.Network = "tcp"
		if s.udp {
			e.Network = "udp"
		}
		switch {
		case s.addr.Addr().Is4():
			e.Network += "4"
		case !s.dualStack(others):
			e.Network += "6"
		}
	}
	e.Spec = fmt.Sprintf("%s %s %s %+v\n%s", e.Module, e.Network, e.Address, e.Socket, s.options)
	e.Settings = append(e.Settings, s.settings()...)
}

// settings returns the options of the socket.
func (s *socket) settings() []Setting {
	o := &s.Socket
	list := []Setting{
		{Name: "module", value: s.Module},
		{Name: "network", value: s.Network}, // whether :: takes IPv4, too
		{Name: "backlog", value: strconv.Itoa(o.Backlog)},
		{Name: "accept_interval", value: o.AcceptInterval.String()},
		{Name: "use_proxy_protocol", value: strconv.FormatBool(o.ProxyProtocol)},
		{Name: "proxy_protocol_from", value: "[" + strings.Join(o.ProxyFrom, ", ") + "]"},
	}
	if o.UnixModeSet {
		list = append(list, Setting{Name: "unix_socket.mode", value: fmt.Sprintf("%04o", o.UnixMode)})
	}
	if o.UnixOwner >= 0 {
		list = append(list, Setting{Name: "unix_socket.owner", value: strconv.Itoa(o.UnixOwner)})
	}
	if o.UnixGroup >= 0 {
		list = append(list, Setting{Name: "unix_socket.group", value: strconv.Itoa(o.UnixGroup)})
	}
	return list
}
