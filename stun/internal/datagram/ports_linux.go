package datagram

import (
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// trial is a search for a port. One socket is tried with one port after the other.
type trial struct {
	fd      int
	unbound bool // fd is a socket
}

// bind opens a socket; nil if the port is taken.
func (t *trial) bind(at netip.AddrPort) (*Socket, error) {
	inet6 := !at.Addr().Is4()
	if !t.unbound {
		fd, err := relayDescriptor(inet6)
		if err != nil {
			return nil, err
		}
		t.fd, t.unbound = fd, true
	}
	err := unix.Bind(t.fd, bindAddress(at, inet6))
	if err == unix.EADDRINUSE {
		return nil, nil
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "udp", Addr: net.UDPAddrFromAddrPort(at), Err: os.NewSyscallError("bind", err)}
	}
	t.unbound = false
	return relayAt(t.fd, at, inet6)
}

func (t *trial) close() {
	if t.unbound {
		_ = unix.Close(t.fd)
	}
}

// relayAt makes a Socket of a descriptor. An os.File counts who uses it, and closes it
// when the last has done; as the descriptor is a blocking one, Go's poller has no
// part in it.
func relayAt(fd int, at netip.AddrPort, inet6 bool) (*Socket, error) {
	file := os.NewFile(uintptr(fd), "relay")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	s := &Socket{local: at}
	s.file, s.raw, s.inet6 = file, raw, inet6
	s.probe(fd)
	return s, nil
}

// relayDescriptor returns a socket that sends without the DF bit (RFC 8656, section
// 14), but is told if a datagram that had it was too large. Over IPv6 there is no
// such bit, and the default is right.
func relayDescriptor(inet6 bool) (int, error) {
	domain, level, option, value := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT
	if inet6 {
		domain, level, option, value = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptInt(fd, level, option, value); err != nil {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("setsockopt", err)
	}
	return fd, nil
}

func bindAddress(at netip.AddrPort, inet6 bool) unix.Sockaddr {
	if inet6 {
		a := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
		if zone := at.Addr().Zone(); zone != "" {
			a.ZoneId = scope(zone)
		}
		return a
	}
	return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
}
