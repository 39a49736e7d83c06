package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/tidewaiter/tidewaiter/internal/load/udp"
)

const (
	datagrams  = 32  // at once
	request    = 512 // bytes of a request, at most
	answerSize = 32

	receiveBuffer = 4 << 20 // bytes
	cookie        = 0x2112A442
)

// answerBinding makes each datagram that comes a Binding answer (RFC 8489, section
// 6.3.1) with its transaction, and sends it back: it looks at nothing else. It returns
// when conn is closed.
func answerBinding(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	b := udp.NewBatch(datagrams, request)
	err = raw.Read(func(fd uintptr) bool {
		for n := datagrams; n == datagrams; { // until nothing is left
			n, _ = b.Receive(fd) // a client may be gone
			for i := range n {
				answer(b.Buffer(i), b.From(i))
				b.Return(i, answerSize)
			}
			b.Send(fd, n)
		}
		return false // wait for more
	})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func answer(m []byte, to netip.AddrPort) {
	ip := to.Addr().As4()
	binary.BigEndian.PutUint32(m, 0x0101<<16|answerSize-20)
	binary.BigEndian.PutUint32(m[20:], 0x0020<<16|8) // XOR-MAPPED-ADDRESS
	binary.BigEndian.PutUint16(m[24:], 1)            // IPv4
	binary.BigEndian.PutUint16(m[26:], to.Port()^(cookie>>16))
	binary.BigEndian.PutUint32(m[28:], binary.BigEndian.Uint32(ip[:])^cookie)
}
