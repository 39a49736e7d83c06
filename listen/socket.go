package listen

import (
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/conf"
)

// socket is an entry of which the socket is decoded.
type socket struct {
	node    *conf.Node
	entry   Entry
	options string // spec of the module's options

	valid bool // the address below is
	udp   bool
	path  string // of a unix socket
	addr  netip.AddrPort
}

// socketOptions are the options of an entry that are not the module's.
func socketOptions() []string {
	return []string{
		"port", "ip", "transport", "module", "unix_socket", "use_proxy_protocol", "proxy_protocol_from",
		"backlog", "accept_interval", "supervisor", "timeout",
	}
}

// maxUnixPath is what sockaddr_un has room for on Linux.
const maxUnixPath = 107

// defaultBacklog is ejabberd's.
const defaultBacklog = 128

// socket decodes the socket options of an entry. kind counts if known.
func (p *parser) socket(s *socket, kind Kind, known bool) {
	n := s.node
	s.entry.Socket = SocketOptions{Backlog: defaultBacklog, UnixOwner: -1, UnixGroup: -1}
	p.transport(s)
	if s.udp {
		s.entry.Socket.Backlog = 0
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
	case s.udp && kind.packet == nil:
		p.Errorf(transport, "%s does not speak udp", s.entry.Module)
	case !s.udp && kind.stream == nil:
		p.Errorf(n.Get("module"), "%s speaks udp only; add transport: udp", s.entry.Module)
	}
	if v := n.Get("tls"); v != nil && s.udp {
		if on, ok := p.Bool(v); ok && on {
			p.Errorf(v, "there is no TLS with transport: udp")
		}
	}
}

func (p *parser) transport(s *socket) {
	n := s.node.Get("transport")
	if n == nil {
		return
	}
	switch n.Text {
	case "tcp":
	case "udp":
		s.udp = true
	default:
		p.Errorf(n, "want tcp or udp, got %q", n.Text).Meant(n.Text, []string{"tcp", "udp"})
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
func (p *parser) address(s *socket) {
	port := s.node.Get("port")
	if port == nil {
		p.Missing(s.node, "port")
		return
	}
	ip, ok := netip.IPv4Unspecified(), true
	if n := s.node.Get("ip"); n != nil {
		ip, ok = p.Addr(n)
	}
	if path, unix := strings.CutPrefix(port.Text, "unix:"); unix && port.Kind == conf.String {
		p.unixPath(s, port, path)
		return
	}
	if port.Kind == conf.String {
		if _, err := strconv.Atoi(port.Text); err != nil {
			p.Errorf(port, "want a port from 0 to 65535 or unix:PATH, got %q", port.Text)
			return
		}
	}
	v, good := p.Int(port, 0, 65535)
	s.addr, s.valid = netip.AddrPortFrom(ip.Unmap(), uint16(v)), ok && good
}

func (p *parser) unixPath(s *socket, port *conf.Node, path string) {
	if path == "" {
		p.Errorf(port, "want a path after unix:")
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.reg.StateDir, path)
	}
	path, err := filepath.Abs(path)
	switch {
	case err != nil:
		p.Errorf(port, "%v", err)
	case len(path) > maxUnixPath:
		p.Errorf(port, "the path %s has %d bytes, and sockets have room for %d", path, len(path), maxUnixPath)
	case s.udp:
		p.Errorf(port, "a unix socket has no transport: udp")
	default:
		s.path, s.valid = path, true
	}
	if n := s.node.Get("ip"); n != nil {
		p.Warnf(n, "has no effect on a unix socket")
	}
}

func (p *parser) unixSocket(s *socket) {
	n := s.node.Get("unix_socket")
	if n == nil {
		return
	}
	if n.Kind != conf.Map {
		if n.Kind == conf.Null || n.Kind == conf.List && len(n.List) == 0 {
			return
		}
		p.Errorf(n, "want a map of mode, owner and group, got %s", n.What())
		return
	}
	o := &s.entry.Socket
	for _, pair := range n.Map {
		switch v := pair.Value; pair.Key.Text {
		case "mode":
			o.UnixMode, o.UnixModeSet = p.mode(v)
		case "owner":
			o.UnixOwner = p.id(v)
		case "group":
			o.UnixGroup = p.id(v)
		default:
			p.Errorf(pair.Key, "unknown option of unix_socket").Meant(pair.Key.Text, []string{"mode", "owner", "group"})
		}
	}
	if s.valid && s.path == "" {
		p.Warnf(n, "has no effect: the port is no unix socket")
	}
}

// mode reads file permissions in octal notation, which must be a string: the
// number 0600 would be another one in every version of YAML.
func (p *parser) mode(n *conf.Node) (os.FileMode, bool) {
	if n.Kind == conf.Int {
		p.Errorf(n, "want octal digits in quotes, got the number %s", n.Text)
		return 0, false
	}
	v, err := strconv.ParseUint(n.Text, 8, 32)
	if n.Kind != conf.String || err != nil || v > 0o777 {
		p.Errorf(n, `want octal digits in quotes, such as "0660"`)
		return 0, false
	}
	return os.FileMode(v), true
}

func (p *parser) id(n *conf.Node) int {
	v, ok := p.Int(n, 0, math.MaxInt32)
	if !ok {
		return -1
	}
	return int(v)
}

func (p *parser) accepting(s *socket) {
	if n := s.node.Get("backlog"); n != nil {
		v, _ := p.Int(n, 0, 65535)
		s.entry.Socket.Backlog = int(v)
	}
	if n := s.node.Get("accept_interval"); n != nil {
		v, _ := p.Int(n, 0, int64(time.Hour/time.Millisecond))
		s.entry.Socket.AcceptInterval = time.Duration(v) * time.Millisecond
	}
}

// proxyProtocol reads use_proxy_protocol and whose headers are believed.
func (p *parser) proxyProtocol(s *socket) {
	if s.udp {
		return
	}
	o := &s.entry.Socket
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
	}
	for _, prefix := range list {
		o.ProxyFrom = append(o.ProxyFrom, prefix.String())
	}
}

// bind fills in what the entry binds to. A wildcard IPv6 address takes IPv4
// connections, too, unless another socket is there for them.
func (s *socket) bind(others []*socket) {
	e := &s.entry
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
	e.spec = s.fingerprint()
}
