package sock

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// maxHeaders is how many PROXY headers of one listener are awaited at a time.
// Only the known proxies can use these places up, and none for longer than
// ProxyWait.
const maxHeaders = 1024

// Tuning is what may change while a Pump runs.
type Tuning struct {
	Interval time.Duration // pause after each connection
	Proxied  bool          // some peers have to send a PROXY protocol header
	Proxies  Proxies       // those peers
}

// Pump owns Accept of a stream socket, from when it is opened to when it is
// closed, and hands the connections to whoever serves them. So the server
// behind it can be replaced while connections come in.
type Pump struct {
	socket  net.Listener
	meter   *Meter
	out     chan<- net.Conn
	log     *netserve.Sampler
	tuning  atomic.Pointer[Tuning]
	headers chan struct{} // has an element for each PROXY header that is awaited
	reading sync.WaitGroup
	cancel  context.CancelFunc
	done    chan struct{}
}

// StartPump starts to accept connections, which go to out, one at a time. It
// calls ended in the end, with true if the socket was closed by somebody else
// than Stop.
func StartPump(socket net.Listener, m *Meter, out chan<- net.Conn, t Tuning, log *slog.Logger, ended func(lost bool)) *Pump {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pump{
		socket:  socket,
		meter:   m,
		out:     out,
		log:     netserve.NewSampler(log, "further connections failed"),
		headers: make(chan struct{}, maxHeaders),
		cancel:  cancel,
		done:    make(chan struct{}),
	}
	p.tuning.Store(&t)
	go func() {
		defer close(p.done)
		netserve.Accept(ctx, socket, p.log, func(c net.Conn) { p.admit(ctx, c) })
		lost := ctx.Err() == nil
		cancel()
		p.reading.Wait()
		p.log.Flush()
		ended(lost)
	}()
	return p
}

// Tune changes how the next connections are treated.
func (p *Pump) Tune(t Tuning) { p.tuning.Store(&t) }

// Stop closes the socket and waits for everything to end, which it does at
// once. It may be called again.
func (p *Pump) Stop() {
	p.cancel()
	_ = p.socket.Close()
	<-p.done
}

// admit takes a connection that was just accepted.
func (p *Pump) admit(ctx context.Context, raw net.Conn) {
	t := p.tuning.Load()
	c := p.meter.Count(raw)
	if t.Proxied && t.Proxies.Include(raw.RemoteAddr()) {
		p.admitProxied(ctx, c)
	} else {
		p.deliver(ctx, c)
	}
	if t.Interval > 0 {
		pause := time.NewTimer(t.Interval)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

// admitProxied reads the header in a goroutine of the connection, so that
// nobody else waits for it.
func (p *Pump) admitProxied(ctx context.Context, c *Conn) {
	select {
	case p.headers <- struct{}{}:
	case <-ctx.Done():
		p.meter.Reject(c, Unserved)
		return
	}
	p.reading.Go(func() {
		defer func() { <-p.headers }()
		err := readHeader(ctx, c)
		switch {
		case err == nil:
			p.deliver(ctx, c)
		case ctx.Err() != nil:
			p.meter.Reject(c, Unserved)
		default:
			p.refuse(ctx, c, err)
		}
	})
}

// readHeader is ReadProxyHeader that ends with ctx.
func readHeader(ctx context.Context, c *Conn) error {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.Conn.Close()
		close(interrupted)
	})
	err := c.ReadProxyHeader()
	if !stop() {
		<-interrupted
	}
	return err
}

func (p *Pump) refuse(ctx context.Context, c *Conn, err error) {
	reason := ProxyHeader
	if errors.Is(err, os.ErrDeadlineExceeded) {
		reason = ProxyTimeout
	}
	p.log.Log(ctx, slog.LevelInfo, "connection refused", netserve.KeyPeer, c.RemoteAddr().String(), netserve.KeyErr, err)
	p.meter.Reject(c, reason)
}

// deliver waits until the connection is taken. Those that come meanwhile wait
// in the system's queue.
func (p *Pump) deliver(ctx context.Context, c *Conn) {
	select {
	case p.out <- c.Serving():
	case <-ctx.Done():
		p.meter.Reject(c, Unserved)
	}
}
