//go:build linux

package datagram

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// ICMP that comes faster than it is read is the sender's of one socket to bear: it
// does not make the reader pause, which the relays of all clients share.
func TestICMPFloodDoesNotPause(t *testing.T) {
	var ports Ports
	s, err := ports.Open(loopback4, relays)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.raw.Control(func(fd uintptr) { err = s.reportICMP(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	gone := listenUDP(t, "udp4", "127.0.0.1:0")
	to := gone.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
	_ = gone.Close()
	reader := &groupReader{group: &Group{}, in: newInbox(groupSlots)}
	told := 0
	m := &member{s, &receiver{onICMP: func(ICMP) { told++ }}}
	for range 12 {
		for range 2 * mostICMP {
			_ = s.Write([]byte("x"), to)
		}
		reader.serve(m, unix.EPOLLERR|unix.EPOLLIN, reader.take)
	}
	if told < 12*mostICMP {
		t.Skipf("the kernel told of %d datagrams only", told)
	}
	if reader.failed > 0 {
		t.Errorf("after a flood of ICMP: got %d failures of the reader, want none", reader.failed)
	}
}
