package datagram

import (
	"net"
	"net/netip"
)

// plainReader reads one datagram at a time. It keeps its buffer while it waits.
type plainReader struct {
	conn  net.PacketConn
	batch [1]Packet
}

func newPlainReader(conn net.PacketConn) *plainReader {
	r := &plainReader{conn: conn}
	r.batch[0].slot = make([]byte, slotSize)
	return r
}

func (r *plainReader) receive() ([]Packet, error) {
	n, from, err := r.read(r.batch[0].slot[Headroom:])
	if err != nil {
		return nil, err
	}
	r.batch[0].fill(n, unmapped(from))
	return r.batch[:], nil
}

// addrPortConn is a *net.UDPConn, which allocates nothing this way.
type addrPortConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

func (r *plainReader) read(b []byte) (int, netip.AddrPort, error) {
	if c, ok := r.conn.(addrPortConn); ok {
		return c.ReadFromUDPAddrPort(b)
	}
	n, a, err := r.conn.ReadFrom(b)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	return n, a.(*net.UDPAddr).AddrPort(), nil
}

// plainWrite sends one datagram.
func plainWrite(conn net.PacketConn, data []byte, to netip.AddrPort) error {
	var err error
	if c, ok := conn.(addrPortConn); ok {
		_, err = c.WriteToUDPAddrPort(data, to)
	} else {
		_, err = conn.WriteTo(data, net.UDPAddrFromAddrPort(to))
	}
	return err
}
