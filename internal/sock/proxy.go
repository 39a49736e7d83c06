package sock

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pires/go-proxyproto"
)

// ProxyWait is how long a proxy has for its header, as in ejabberd.
const ProxyWait = 10 * time.Second

// Bounds of the header: the longest line of version 1, and what may follow the
// first 16 bytes of version 2 (the library's own bound).
const (
	maxProxyLine = 107
	maxProxyTail = 4096
)

// Proxies are the peers that have to send a PROXY protocol header. Whoever
// connects to a unix socket is one, too: only programs of this machine that
// were given permission can.
type Proxies []netip.Prefix

// ParseProxies takes prefixes and single addresses.
func ParseProxies(list []string) (Proxies, error) {
	p := make(Proxies, 0, len(list))
	for _, s := range list {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fmt.Errorf("proxy %q: neither an address nor a prefix such as 192.0.2.0/24", s)
			}
			prefix = netip.PrefixFrom(a, a.BitLen())
		}
		if a := prefix.Addr(); a.Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

// Include reports whether a peer is one of the proxies.
func (p Proxies) Include(peer net.Addr) bool {
	switch a := peer.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		ip := a.AddrPort().Addr().Unmap().WithZone("")
		return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(ip) })
	}
	return false
}

// Errors of ReadProxyHeader. It also returns those of the connection.
var (
	ErrNoProxyHeader = errors.New("a proxy did not send a PROXY protocol header")
	errProxyAddress  = errors.New("PROXY header with an address of datagrams")
)

// ReadProxyHeader reads the PROXY protocol header, version 1 or 2, and nothing
// of what follows, and makes its addresses those of c. UNKNOWN in version 1,
// LOCAL and AF_UNSPEC in version 2 leave the addresses alone, as does AF_UNIX:
// a client is not local because a proxy says so. (ejabberd closes the
// connection on UNKNOWN; the specification wants it served.)
// It blocks until the header is complete, or for ProxyWait.
// See section 2 of HAProxy's "The PROXY protocol, versions 1 & 2".
func (c *Conn) ReadProxyHeader() error {
	if err := c.Conn.SetReadDeadline(time.Now().Add(ProxyWait)); err != nil {
		return err
	}
	raw, err := rawProxyHeader(c.Conn)
	if err != nil {
		return err
	}
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return err
	}
	switch t := h.TransportProtocol; {
	case h.Command.IsLocal(), t.IsUnspec(), t == proxyproto.UnixStream:
	case t == proxyproto.TCPv4, t == proxyproto.TCPv6:
		c.remote, c.local = h.SourceAddr, h.DestinationAddr
	default:
		return errProxyAddress
	}
	return c.Conn.SetReadDeadline(time.Time{})
}

// rawProxyHeader reads a header without a buffer: the bytes that follow belong
// to somebody else.
func rawProxyHeader(r io.Reader) ([]byte, error) {
	raw := make([]byte, len(proxyproto.SIGV2), maxProxyLine)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, noHeader(err)
	}
	switch {
	case bytes.Equal(raw, proxyproto.SIGV2):
		return proxyBlock(r, raw)
	case bytes.HasPrefix(raw, []byte("PROXY ")):
		return proxyLine(r, raw)
	}
	return nil, ErrNoProxyHeader
}

// proxyBlock reads the rest of a header of version 2.
func proxyBlock(r io.Reader, raw []byte) ([]byte, error) {
	const fixed = 16 // signature, version and command, family, length
	raw = raw[:fixed]
	if _, err := io.ReadFull(r, raw[len(proxyproto.SIGV2):]); err != nil {
		return nil, noHeader(err)
	}
	n := int(binary.BigEndian.Uint16(raw[fixed-2:]))
	if n > maxProxyTail {
		return nil, fmt.Errorf("PROXY header of %d bytes; %d are the most", fixed+n, fixed+maxProxyTail)
	}
	if raw[12] == byte(proxyproto.PROXY) && raw[13] == byte(proxyproto.UNSPEC) {
		// The receiver may accept this and use the real addresses. The library
		// does so for LOCAL only.
		raw[12] = byte(proxyproto.LOCAL)
	}
	raw = append(raw, make([]byte, n)...)
	_, err := io.ReadFull(r, raw[fixed:])
	return raw, noHeader(err)
}

// proxyLine reads the rest of a header of version 1: at once what the shortest
// line must have, then byte by byte up to the end of the line.
func proxyLine(r io.Reader, raw []byte) ([]byte, error) {
	shortest := len("PROXY UNKNOWN\r\n")
	switch {
	case bytes.HasPrefix(raw, []byte("PROXY TCP4 ")):
		shortest = len("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n")
	case bytes.HasPrefix(raw, []byte("PROXY TCP6 ")):
		shortest = len("PROXY TCP6 :: :: 0 0\r\n")
	}
	n := len(raw)
	raw = raw[:shortest]
	if _, err := io.ReadFull(r, raw[n:]); err != nil {
		return nil, noHeader(err)
	}
	for raw[len(raw)-1] != '\n' {
		if len(raw) == maxProxyLine {
			return nil, proxyproto.ErrVersion1HeaderTooLong
		}
		raw = raw[:len(raw)+1]
		if _, err := io.ReadFull(r, raw[len(raw)-1:]); err != nil {
			return nil, noHeader(err)
		}
	}
	return raw, nil
}

// noHeader says of a connection that ended what that means here.
func noHeader(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrNoProxyHeader
	}
	return err
}
