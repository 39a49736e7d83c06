package stun

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// fake is a small server of STUN and TURN that can do one thing wrong.
type fake struct {
	binding func(n int, answer []byte) [][]byte // of the n-th Binding answer, what is sent
	relayed func(n int, data []byte) [][]byte   // of the n-th message to a client with data
	again   int                                 // how often answers about allocations come again
	refuse  int                                 // the error that Allocate is answered with

	t       *testing.T
	addr    netip.AddrPort
	running sync.WaitGroup

	mu      sync.Mutex
	n, m    int // answers and messages with data so far
	allocs  map[netip.AddrPort]*allocation
	largest int // number of allocations at a time
	conns   []net.Conn
}

// allocation is one of a client.
type allocation struct {
	relay     *net.UDPConn
	client    netip.AddrPort
	permitted map[netip.Addr]bool
	channels  map[uint16]netip.AddrPort
}

const (
	fakeRealm = "realm"
	fakeNonce = "nonce"
)

// startFake runs a fake on a port of 127.0.0.1, by UDP and TCP, until the test ends.
func startFake(t *testing.T, f *fake) *Target {
	t.Helper()
	f.t, f.allocs = t, make(map[netip.AddrPort]*allocation)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = ln.Addr().(*net.TCPAddr).AddrPort()
	pc, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(f.addr))
	if err != nil {
		ln.Close()
		t.Skip(err)
	}
	f.running.Go(func() { f.datagrams(pc) })
	f.running.Go(func() { f.accept(ln) })
	t.Cleanup(func() {
		pc.Close()
		ln.Close()
		f.mu.Lock()
		if len(f.allocs) > 0 {
			t.Errorf("%d allocations were not given back", len(f.allocs))
		}
		for _, a := range f.allocs {
			a.relay.Close()
		}
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		f.running.Wait()
	})
	return &Target{Addr: f.addr.String(), User: "u", Password: "p"}
}

// seen returns how many Binding answers there were, and allocations at a time.
func (f *fake) seen() (answers, allocations int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n, f.largest
}

func (f *fake) datagrams(pc *net.UDPConn) {
	buf := make([]byte, 10000)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		f.mu.Lock()
		for _, m := range f.handle(pc, buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())) {
			_, _ = pc.WriteToUDPAddrPort(m, from)
		}
		f.mu.Unlock()
	}
}

// accept answers Binding requests over TCP.
func (f *fake) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, conn)
		f.mu.Unlock()
		f.running.Go(func() {
			defer conn.Close()
			in := bufio.NewReader(conn)
			b := make([]byte, headerLength)
			for {
				if _, err := io.ReadFull(in, b); err != nil {
					return
				}
				f.mu.Lock()
				answers := f.answer(b, conn.RemoteAddr().(*net.TCPAddr).AddrPort())
				f.mu.Unlock()
				for _, m := range answers {
					if len(m) == 0 {
						return // a fault: the connection is cut
					}
					if _, err := conn.Write(m); err != nil {
						return
					}
				}
			}
		})
	}
}

// reply begins the answer to a request.
func reply(b []byte, class uint16) request {
	return appendHeader(nil, kindOf(b)|class, [12]byte(b[8:headerLength]))
}

func (f *fake) answer(b []byte, from netip.AddrPort) [][]byte {
	m := reply(b, successClass).add(attrXORMappedAddress, xorAddress(from))
	f.n++
	if f.binding != nil {
		return f.binding(f.n, m)
	}
	return [][]byte{m}
}

func (f *fake) handle(pc *net.UDPConn, b []byte, from netip.AddrPort) [][]byte {
	a := f.allocs[from]
	if b[0]&0xC0 == 0x40 {
		if a != nil {
			a.send(a.channels[kindOf(b)], b[channelHeader:][:binary.BigEndian.Uint16(b[2:])])
		}
		return nil
	}
	switch {
	case !isMessage(b):
		f.t.Errorf("got %x", b)
		return nil
	case kindOf(b) == bindingRequest:
		return f.answer(b, from)
	case kindOf(b) == sendIndication:
		if data, ok := attribute(b, attrData); ok && a != nil {
			a.send(addressOf(b, attrXORPeerAddress), data)
		}
		return nil
	case !f.authentic(b):
		return [][]byte{reply(b, classMask).add(attrErrorCode, []byte{0, 0, 4, 1}).add(attrRealm, []byte(fakeRealm)).add(attrNonce, []byte(fakeNonce))}
	case f.refuse != 0:
		return [][]byte{reply(b, classMask).add(attrErrorCode, []byte{0, 0, byte(f.refuse / 100), byte(f.refuse % 100)})}
	}
	m := f.control(pc, b, a, from)
	all := [][]byte{m}
	for range f.again {
		all = append(all, m)
	}
	return all
}

// authentic checks MESSAGE-INTEGRITY, which is the last attribute.
func (f *fake) authentic(b []byte) bool {
	mac, ok := attribute(b, attrMessageIntegrity)
	if !ok {
		return false
	}
	user, _ := attribute(b, attrUsername)
	nonce, _ := attribute(b, attrNonce)
	key := md5.Sum([]byte("u:" + fakeRealm + ":p"))
	h := hmac.New(sha1.New, key[:])
	h.Write(b[:len(b)-4-sha1.Size])
	return string(user) == "u" && string(nonce) == fakeNonce && bytes.Equal(mac, h.Sum(nil))
}

// control handles an authentic request.
func (f *fake) control(pc *net.UDPConn, b []byte, a *allocation, from netip.AddrPort) []byte {
	m := reply(b, successClass)
	peer := addressOf(b, attrXORPeerAddress)
	switch kindOf(b) {
	case allocateRequest:
		a, err := f.allocate(pc, from)
		if err != nil {
			f.t.Error(err)
			return nil
		}
		return m.add(attrXORRelayedAddress, xorAddress(localAddr(a.relay))).add(attrXORMappedAddress, xorAddress(from))
	case permissionRequest:
		a.permitted[peer.Addr()] = true
	case channelBindRequest:
		v, _ := attribute(b, attrChannelNumber)
		a.permitted[peer.Addr()] = true
		a.channels[binary.BigEndian.Uint16(v)] = peer
	case refreshRequest:
		if v, _ := attribute(b, attrLifetime); !bytes.Equal(v, []byte{0, 0, 0, 0}) {
			f.t.Errorf("lifetime: got %x, want 0", v)
		}
		a.relay.Close()
		delete(f.allocs, from)
	}
	return m
}

func (f *fake) allocate(pc *net.UDPConn, from netip.AddrPort) (*allocation, error) {
	relay, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	a := &allocation{relay: relay, client: from, permitted: make(map[netip.Addr]bool), channels: make(map[uint16]netip.AddrPort)}
	f.allocs[from] = a
	f.largest = max(f.largest, len(f.allocs))
	f.running.Go(func() { f.relay(pc, a) })
	return a, nil
}

func (a *allocation) send(peer netip.AddrPort, data []byte) {
	if a.permitted[peer.Addr()] {
		_, _ = a.relay.WriteToUDPAddrPort(data, peer)
	}
}

// relay passes on what peers send.
func (f *fake) relay(pc *net.UDPConn, a *allocation) {
	buf := make([]byte, 10000)
	for {
		n, from, err := a.relay.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		f.mu.Lock()
		m := a.toClient(buf[:n], from)
		f.m++
		all := [][]byte{m}
		if f.relayed != nil {
			all = f.relayed(f.m, m)
		}
		for _, m := range all {
			_, _ = pc.WriteToUDPAddrPort(m, a.client)
		}
		f.mu.Unlock()
	}
}

func (a *allocation) toClient(data []byte, from netip.AddrPort) []byte {
	for number, peer := range a.channels {
		if peer == from {
			m := binary.BigEndian.AppendUint16(nil, number)
			m = binary.BigEndian.AppendUint16(m, uint16(len(data)))
			return append(m, data...)
		}
	}
	return newRequest(dataIndication).addPeer(from).add(attrData, data)
}
