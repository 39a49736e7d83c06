package datagram

import "net/netip"

// Headroom is how many bytes in front of a packet's data belong to it.
const Headroom = 64

// room is for the largest datagram that there can be.
const room = 1<<16 - 1

// slotSize is the distance of buffers for packets: whole pages, so that of a buffer
// that never holds a large packet all pages but the first stay untouched and cost
// no memory.
const slotSize = (Headroom + room + 4095) &^ 4095

// Packet is a datagram that was received. Its bytes belong to the handler until
// that returns.
type Packet struct {
	// Data is what was received. Its capacity is its length.
	Data []byte

	// Addr is who sent it, unmapped.
	Addr netip.AddrPort

	// Local is the address that it was sent to, if the socket has many (it is bound to
	// an unspecified address) and the system tells, which is Linux.
	Local netip.Addr

	slot []byte // Headroom bytes, then room for the data
}

// Grow returns the data with n bytes of the headroom in front of it, which the
// handler may overwrite; at most Headroom. Nothing is copied.
func (p *Packet) Grow(n int) []byte {
	end := Headroom + len(p.Data)
	return p.slot[Headroom-n : end : end]
}

// fill says what was received into the packet's slot.
func (p *Packet) fill(n int, from netip.AddrPort) {
	end := Headroom + n
	p.Data, p.Addr = p.slot[Headroom:end:end], from
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
