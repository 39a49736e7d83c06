package stun

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Target is the server under load.
type Target struct {
	// Addr is where it listens, for UDP and TCP.
	Addr string
	// User and Password are for relays.
	User, Password string
	// Timeout is how long an answer may take until it counts as lost, or the whole of
	// a transaction until it fails. 0: 1 s, and 4 s for transactions.
	Timeout time.Duration
	// Loss is the share of what was sent by datagrams that may get lost before that is
	// the server's fault.
	Loss float64
	// PID is the server's process, 0 if it is not to be measured.
	PID int

	ports ports
}

func (t *Target) timeout() time.Duration {
	if t.Timeout <= 0 {
		return time.Second
	}
	return t.Timeout
}

// dial makes a socket of UDP that is connected to the server.
func (t *Target) dial() (*net.UDPConn, error) {
	remote, err := net.ResolveUDPAddr("udp4", t.Addr)
	if err != nil {
		return nil, err
	}
	if !remote.IP.IsLoopback() {
		return net.DialUDP("udp4", nil, remote)
	}
	for range 100 {
		var conn *net.UDPConn
		conn, err = net.DialUDP("udp4", t.ports.next(), remote)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return conn, err
		}
	}
	return nil, err
}

// ports gives each client on loopback an address of its own, so that none comes
// back to a server that may still remember it. Its ports are below those that the
// system chooses, and that relays have.
type ports struct {
	once sync.Once
	n    atomic.Uint32
}

const (
	firstPort   = 8000
	numPorts    = 24000
	numLoopback = 250 // addresses from 127.0.0.1 on
)

func (p *ports) next() *net.UDPAddr {
	// A run does not begin where the one before has begun.
	p.once.Do(func() { p.n.Store(uint32(time.Now().UnixMilli()) % numPorts) })
	n := p.n.Add(1)
	return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1+byte(n/numPorts%numLoopback)), Port: firstPort + int(n%numPorts)}
}

// localAddr returns the client's own address as the server should see it.
func localAddr(c net.Conn) netip.AddrPort {
	var a netip.AddrPort
	switch l := c.LocalAddr().(type) {
	case *net.UDPAddr:
		a = l.AddrPort()
	case *net.TCPAddr:
		a = l.AddrPort()
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// phase is where a run is.
type phase struct{ v atomic.Int32 }

const (
	warming int32 = iota
	measuring
	ending
)

func (p *phase) measuring() bool { return p.v.Load() == measuring }
func (p *phase) ended() bool     { return p.v.Load() == ending }

// span says how long a run takes.
type span struct{ warm, measured time.Duration }

// measure runs jobs, each in a goroutine, for as long as s says, and notes in r what
// has been used and dropped. It returns the first error of a job, or the cause of
// the end of ctx.
func (t *Target) measure(ctx context.Context, s span, jobs []func(*phase) error) (spent meter.Spent, drops meter.Drops, err error) {
	var now phase
	var running sync.WaitGroup
	failed := make(chan error, len(jobs))
	for _, job := range jobs {
		running.Go(func() {
			if err := job(&now); err != nil {
				failed <- err
			}
		})
	}
	defer running.Wait()
	defer now.v.Store(ending)
	if err := hold(ctx, s.warm, failed); err != nil {
		return spent, drops, err
	}
	before, dropped, err := t.read()
	if err != nil {
		return spent, drops, err
	}
	now.v.Store(measuring)
	if err := hold(ctx, s.measured, failed); err != nil {
		return spent, drops, err
	}
	after, droppedThen, err := t.read()
	return after.Since(before), droppedThen.Since(dropped), err
}

// read reads what was used and dropped so far.
func (t *Target) read() (meter.Usage, meter.Drops, error) {
	u, err := meter.Read(t.PID)
	if err != nil {
		return u, meter.Drops{}, err
	}
	d, err := meter.ReadDrops()
	if t.PID == 0 {
		err = nil // nobody has asked
	}
	return u, d, err
}

// hold waits for d, or until a job fails.
func hold(ctx context.Context, d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refusal is an error that the server has answered with.
type refusal struct {
	code   int
	reason string
}

func (r *refusal) Error() string { return fmt.Sprintf("the server refuses: %d %q", r.code, r.reason) }
