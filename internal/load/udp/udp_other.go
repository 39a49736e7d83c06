//go:build !linux

package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Batch is buffers for datagrams. There is no socket to use it with.
type Batch struct{ buffers [][]byte }

// NewBatch returns an empty batch.
func NewBatch(int, int) *Batch { return new(Batch) }

// Len returns 0.
func (b *Batch) Len() int { return len(b.buffers) }

// Buffer returns the memory of datagram i.
func (b *Batch) Buffer(i int) []byte { return b.buffers[i] }

// Receive receives nothing.
func (b *Batch) Receive(uintptr) (n int, refused bool) { return 0, false }

// Data returns the i-th datagram that was received.
func (b *Batch) Data(i int) []byte { return b.buffers[i] }

// From returns where it came from.
func (b *Batch) From(int) netip.AddrPort { return netip.AddrPort{} }

// Set does nothing.
func (b *Batch) Set(int, int) {}

// Return does nothing.
func (b *Batch) Return(int, int) {}

// Send sends nothing.
func (b *Batch) Send(uintptr, int) (sent int, refused bool) { return 0, false }

// Socket is one that nobody has.
type Socket struct{}

var errSystem = fmt.Errorf("datagrams in batches: %w on this system", errors.ErrUnsupported)

// Take closes the connection and returns an error.
func Take(conn *net.UDPConn) (*Socket, error) { return nil, errors.Join(errSystem, conn.Close()) }

// FD returns no descriptor.
func (s *Socket) FD() uintptr { return ^uintptr(0) }

// Conn returns an error.
func (s *Socket) Conn() (net.Conn, error) { return nil, errSystem }

// Close does nothing.
func (s *Socket) Close() error { return nil }

// Poll is one that nobody has.
type Poll struct{}

// NewPoll returns an error.
func NewPoll() (*Poll, error) { return nil, errSystem }

// Add returns an error.
func (p *Poll) Add(*Socket, int) error { return errSystem }

// Wait returns an error.
func (p *Poll) Wait(time.Duration, func(tag int)) error { return errSystem }

// Close does nothing.
func (p *Poll) Close() error { return nil }
