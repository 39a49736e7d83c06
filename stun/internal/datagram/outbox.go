package datagram

import "net/netip"

// outboxSize is how many datagrams an Outbox holds.
const outboxSize = 64

// Outbox collects datagrams, for one socket or several, and sends them together:
// those for one socket with one call, and on Linux runs of equal size for one
// address as one message that the network splits. The order of the datagrams for
// one address of a socket stays. The zero value is ready for use, by one goroutine.
type Outbox struct {
	letters []letter
	batch   sendBatch
}

// letter is a datagram in an Outbox.
type letter struct {
	socket *Socket // nil: sent
	data   []byte
	to     netip.AddrPort
	from   netip.Addr // not valid: what the system chooses
}

// Add puts a datagram into the box. data is not copied: it must stay as it is until
// Flush or, in the Outbox of a handler, until the handler returns. A full box is
// flushed first.
func (o *Outbox) Add(s *Socket, data []byte, to netip.AddrPort) {
	o.AddFrom(s, data, to, netip.Addr{})
}

// AddFrom is Add with the source address, which is the Local of a packet that came in
// by the same socket.
func (o *Outbox) AddFrom(s *Socket, data []byte, to netip.AddrPort, from netip.Addr) {
	if len(o.letters) == outboxSize {
		o.Flush()
	}
	if o.letters == nil {
		o.letters = make([]letter, 0, outboxSize)
	}
	o.letters = append(o.letters, letter{s, data, to, from})
}

// Flush sends what is in the box. On Linux it does not block: what the kernel does
// not take is lost and counted (Socket.Drops).
func (o *Outbox) Flush() {
	for i := range o.letters {
		if s := o.letters[i].socket; s != nil {
			s.post(&o.batch, o.letters[i:])
		}
	}
	clear(o.letters)
	o.letters = o.letters[:0]
}

// postPlain sends those of the letters that are for s one by one.
func (s *Socket) postPlain(letters []letter) {
	for i := range letters {
		if l := &letters[i]; l.socket == s {
			if plainWrite(s.conn, l.data, l.to) != nil {
				s.lost.Add(1)
			}
			l.socket = nil
		}
	}
}

// Write sends one datagram. On Linux it does not block. What the kernel does not take
// is lost, counted (Socket.Drops), and an error; net.ErrClosed on a closed socket.
func (s *Socket) Write(data []byte, to netip.AddrPort) error {
	return s.WriteFrom(data, to, netip.Addr{})
}

// WriteFrom is Write with the source address, as in Outbox.AddFrom.
func (s *Socket) WriteFrom(data []byte, to netip.AddrPort, from netip.Addr) error {
	return s.count(s.native.write(s, data, to, from, false))
}

// WriteDF is Write with the DF bit of IPv4, and without fragmentation here
// (RFC 8656, section 11.3). What is larger than the interface lets through is an
// error. Datagrams that other goroutines send on the socket at the same moment may
// get the bit, too: Linux has it for a socket, not for a datagram. Where the system
// has no such thing this is Write.
func (s *Socket) WriteDF(data []byte, to netip.AddrPort) error {
	return s.count(s.native.write(s, data, to, netip.Addr{}, true))
}

func (s *Socket) count(err error) error {
	if err != nil {
		s.lost.Add(1)
	}
	return err
}
