//go:build !linux

package datagram

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// native is what is done with the plain calls of package net.
type native struct{}

func (*native) adopt(net.PacketConn) {}
func (*native) isPolled() bool       { return false }
func (*native) close() error         { return nil }
func (*native) drops() uint64        { return 0 }

func (*native) write(s *Socket, data []byte, to netip.AddrPort, _ netip.Addr, _ bool) error {
	return plainWrite(s.conn, data, to)
}

// Raise asks for kernel buffers of size bytes in each direction. It returns what
// they are then: the system has a limit (net.core.rmem_max and wmem_max on Linux).
// Zero: not known.
func (s *Socket) Raise(size int) (receive, send int) {
	if c, ok := s.conn.(*net.UDPConn); ok {
		_ = c.SetReadBuffer(size)
		_ = c.SetWriteBuffer(size)
	}
	return 0, 0
}

type sendBatch struct{}

func (s *Socket) post(_ *sendBatch, letters []letter) { s.postPlain(letters) }

// poll is nothing: each socket of a group has a goroutine of its own.
type poll struct{}

func (*poll) open() error                                 { return nil }
func (*poll) close()                                      {}
func (*poll) remove(*Socket)                              {}
func (*poll) add(*Group, *Socket, Receiver) (bool, error) { return false, nil }

// trial is a search for a port.
type trial struct{}

// inUse is WSAEADDRINUSE of Windows.
const inUse = syscall.Errno(10048)

// bind opens a socket; nil if the port is taken.
func (*trial) bind(at netip.AddrPort) (*Socket, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, inUse) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return NewSocket(conn), nil
}

func (*trial) close() {}
