package datagram

import (
	"encoding/binary"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// mostICMP is how many errors of one socket are taken before the others have their
// turn.
const mostICMP = 16

// reportICMP has the kernel queue the errors of a socket (ip(7), IP_RECVERR).
func (n *native) reportICMP(fd int) error {
	level, option := unix.IPPROTO_IP, unix.IP_RECVERR
	if n.inet6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, 1))
}

// takeICMP reads the error queue of a socket.
func (n *native) takeICMP(r Receiver) {
	for range mostICMP {
		var oob [512]byte
		var size int
		var from unix.Sockaddr
		var err error
		cerr := n.raw.Control(func(fd uintptr) {
			_, size, _, from, err = unix.Recvmsg(int(fd), nil, oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		})
		if cerr != nil || err != nil {
			return
		}
		if e, ok := parseICMP(oob[:size], from); ok {
			r.ICMP(e)
		}
	}
}

// parseICMP reads an entry of an error queue: the address that the datagram was
// going to, and struct sock_extended_err.
func parseICMP(oob []byte, peer unix.Sockaddr) (ICMP, bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return ICMP{}, false
	}
	for _, m := range messages {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if !v4 && !v6 || len(m.Data) < 16 {
			continue
		}
		origin := m.Data[4]
		e := ICMP{Type: m.Data[5], Code: m.Data[6]}
		if origin != unix.SO_EE_ORIGIN_ICMP && origin != unix.SO_EE_ORIGIN_ICMP6 {
			continue // found out here, and told to who sent
		}
		if tooBig := origin == unix.SO_EE_ORIGIN_ICMP && e.Type == 3 && e.Code == 4 ||
			origin == unix.SO_EE_ORIGIN_ICMP6 && e.Type == 2; tooBig {
			e.Data = binary.NativeEndian.Uint32(m.Data[8:])
		}
		e.Peer = peerOf(peer)
		return e, e.Peer.IsValid()
	}
	return ICMP{}, false
}

func peerOf(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(a.ZoneId), 10))
		}
		return netip.AddrPortFrom(addr, uint16(a.Port))
	}
	return netip.AddrPort{}
}
