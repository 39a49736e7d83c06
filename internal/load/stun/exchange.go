package stun

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// exchange is what is sent on a socket, and what must come back.
type exchange interface {
	// write writes what a slot sends into b and returns its length.
	write(b []byte, slot int, sequence uint32) int
	// read returns what an answer belongs to; ok is false if it is not as it must be.
	read(b []byte) (slot int, sequence uint32, ok bool)
}

// binding is a Binding request. The transaction has the number of the socket, the
// slot and the sequence number.
type binding struct {
	number uint32
	own    netip.AddrPort
}

func (e *binding) write(b []byte, slot int, sequence uint32) int {
	binary.BigEndian.PutUint32(b, bindingRequest<<16)
	binary.BigEndian.PutUint32(b[4:], cookie)
	binary.BigEndian.PutUint32(b[8:], e.number)
	binary.BigEndian.PutUint32(b[12:], uint32(slot))
	binary.BigEndian.PutUint32(b[16:], sequence)
	return headerLength
}

func (e *binding) read(b []byte) (slot int, sequence uint32, ok bool) {
	if !isMessage(b) || kindOf(b) != bindingSuccess || binary.BigEndian.Uint32(b[8:]) != e.number ||
		addressOf(b, attrXORMappedAddress) != e.own {
		return 0, 0, false
	}
	return int(binary.BigEndian.Uint32(b[12:])), binary.BigEndian.Uint32(b[16:]), true
}

// payload is what a client sends to the peer: the mark of the run, the client's
// number, the slot, the sequence number, and text that depends on it.
type payload struct {
	run, number uint32
	size        int
	text        []byte // for all clients
}

// minPayload is the length of a payload without text.
const minPayload = 16

// shifts is in how many ways the text of a payload may begin.
const shifts = 16

// newPayload returns that of the first client.
func newPayload(size int) payload {
	p := payload{run: rand.Uint32(), size: max(size, minPayload)}
	p.text = make([]byte, p.size-minPayload+shifts)
	for i := range p.text {
		p.text[i] = byte(rand.Uint32())
	}
	return p
}

func (p *payload) fill(sequence uint32) []byte {
	return p.text[sequence%shifts:][:p.size-minPayload]
}

func (p *payload) write(b []byte, slot int, sequence uint32) {
	binary.BigEndian.PutUint32(b, p.run)
	binary.BigEndian.PutUint32(b[4:], p.number)
	binary.BigEndian.PutUint32(b[8:], uint32(slot))
	binary.BigEndian.PutUint32(b[12:], sequence)
	copy(b[minPayload:], p.fill(sequence))
}

func (p *payload) read(b []byte) (slot int, sequence uint32, ok bool) {
	if len(b) != p.size || binary.BigEndian.Uint32(b) != p.run || binary.BigEndian.Uint32(b[4:]) != p.number {
		return 0, 0, false
	}
	sequence = binary.BigEndian.Uint32(b[12:])
	return int(binary.BigEndian.Uint32(b[8:])), sequence, bytes.Equal(b[minPayload:], p.fill(sequence))
}

// author returns the number of the client that has written a payload, if it is one of
// this run.
func (p *payload) author(b []byte) (number uint32, ok bool) {
	if len(b) != p.size || binary.BigEndian.Uint32(b) != p.run {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[4:]), true
}

// channelNumber is the channel of every client.
const channelNumber = 0x4000

const channelHeader = 4

// channelData carries a payload both ways (RFC 8656, section 12.4).
type channelData struct{ payload }

func (e *channelData) write(b []byte, slot int, sequence uint32) int {
	binary.BigEndian.PutUint16(b, channelNumber)
	binary.BigEndian.PutUint16(b[2:], uint16(e.size))
	e.payload.write(b[channelHeader:channelHeader+e.size], slot, sequence)
	return channelHeader + e.size
}

// read takes padding, which servers may add (section 12.5).
func (e *channelData) read(b []byte) (slot int, sequence uint32, ok bool) {
	if len(b) < channelHeader+e.size || len(b) > channelHeader+(e.size+3)&^3 ||
		binary.BigEndian.Uint16(b) != channelNumber || int(binary.BigEndian.Uint16(b[2:])) != e.size {
		return 0, 0, false
	}
	return e.payload.read(b[channelHeader : channelHeader+e.size])
}

// indication carries a payload to the peer by a Send indication, and back by a Data
// indication (RFC 8656, section 11).
type indication struct {
	payload
	peer     netip.AddrPort
	envelope []byte // of a Send indication, up to its data
}

// envelopeLength is that of an indication without data.
const envelopeLength = headerLength + 12 + 4

func newIndication(p payload, peer netip.AddrPort) *indication {
	e := &indication{payload: p, peer: peer}
	r := newRequest(sendIndication).addPeer(peer).add(attrData, make([]byte, p.size))
	e.envelope = r[:envelopeLength]
	return e
}

func (e *indication) write(b []byte, slot int, sequence uint32) int {
	copy(b, e.envelope)
	binary.BigEndian.PutUint32(b[12:], uint32(slot)) // each has a transaction of its own
	binary.BigEndian.PutUint32(b[16:], sequence)
	e.payload.write(b[envelopeLength:envelopeLength+e.size], slot, sequence)
	end := envelopeLength + (e.size+3)&^3
	clear(b[envelopeLength+e.size : end])
	return end
}

func (e *indication) read(b []byte) (slot int, sequence uint32, ok bool) {
	if !isMessage(b) || kindOf(b) != dataIndication || addressOf(b, attrXORPeerAddress) != e.peer {
		return 0, 0, false
	}
	data, ok := attribute(b, attrData)
	if !ok {
		return 0, 0, false
	}
	return e.payload.read(data)
}
