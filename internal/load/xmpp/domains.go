package xmpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Domains plays the servers of many domains, each of which has two idle streams
// with the server of the target, one in each direction: what is measured is the
// memory that they cost it. They prove themselves by dialback (XEP-0220); with
// Target.TLS the streams are encrypted, and each domain shows a certificate of
// its own that nobody has signed. Target.Dial connects to the server's port for
// servers.
type Domains struct {
	Count int
	// Suffix is what their names end with: the server must find all that is below
	// it at the address of Listen.
	Suffix string
	Listen func(ctx context.Context) (net.Listener, error)
	Settle time.Duration // before memory is read
}

// domains is a run of Domains.
type domains struct {
	Domains
	t   *Target
	run string // makes dialback keys

	mu       sync.Mutex
	accepted map[net.Conn]struct{}
	remotes  map[string]*remoteDomain
}

// remoteDomain is one domain.
type remoteDomain struct {
	name     string
	cert     *tls.Certificate // nil: plain streams
	out      *Client          // the stream that we opened
	incoming atomic.Int32     // streams of the server that were let in and are open
	answered chan struct{}    // gets one when the server has answered
}

// Run connects the domains and measures. It should be the first to connect to
// the server.
func (w Domains) Run(ctx context.Context, t *Target) (meter.Result, error) {
	r := meter.Result{Workload: "domains"}
	if err := t.room(2 * w.Count); err != nil {
		return r, err
	}
	d := &domains{Domains: w, t: t, run: newRun(), accepted: make(map[net.Conn]struct{}), remotes: make(map[string]*remoteDomain)}
	ln, err := w.Listen(ctx)
	if err != nil {
		return r, err
	}
	serving, stop := context.WithCancel(ctx)
	var streams sync.WaitGroup
	streams.Go(func() { d.accept(serving, ln, &streams) })
	defer func() {
		_ = ln.Close()
		stop()
		streams.Wait()
	}()
	first, err := d.connect(ctx, "w", min(warmUp, w.Count))
	if err != nil {
		return r, err
	}
	d.close(first)
	if err := crowd.Sleep(ctx, w.Settle); err != nil {
		return r, err
	}
	return d.measure(ctx)
}

// measure connects the domains that count.
func (d *domains) measure(ctx context.Context) (meter.Result, error) {
	r, err := d.t.start("domains")
	if err != nil {
		return r, err
	}
	r.Set("encrypted", d.t.TLS)
	before, err := meter.Read(d.t.PID)
	if err != nil {
		return r, err
	}
	all, err := d.connect(ctx, "d", d.Count)
	if err != nil {
		return r, err
	}
	defer d.close(all)
	if err := crowd.Sleep(ctx, d.Settle); err != nil {
		return r, err
	}
	after, err := meter.Read(d.t.PID)
	if err != nil {
		return r, err
	}
	r.Counted(int64(d.Count), "idle domains", after.Since(before))
	if err := d.t.finish(&r, d.Count, nil); err != nil {
		return r, err
	}
	for _, one := range all {
		r.Faults.Broken += one.broken(d.t)
	}
	return r, nil
}

// connect has n domains exchange a request and its answer with the server, for
// which each needs a stream in each direction. After an error none is left.
func (d *domains) connect(ctx context.Context, prefix string, n int) ([]*remoteDomain, error) {
	all := make([]*remoteDomain, n)
	err := crowd.Parallel(n, d.t.logins(), func(i int) error {
		one, err := d.add(fmt.Sprintf("%s%d.%s", prefix, i, d.Suffix))
		if err != nil {
			return err
		}
		all[i] = one
		if err := d.exchange(ctx, one); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		return nil
	})
	if err != nil {
		d.close(all)
		return nil, err
	}
	return all, nil
}

// add makes a domain that the server can connect to.
func (d *domains) add(name string) (*remoteDomain, error) {
	one := &remoteDomain{name: name, answered: make(chan struct{}, 1)}
	if d.t.TLS {
		cert, key, err := certs.SelfSigned([]string{name})
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		one.cert = &pair
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remotes[name] = one
	return one, nil
}

// remote returns the domain of a name, nil if it is none of ours.
func (d *domains) remote(name []byte) *remoteDomain {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.remotes[string(name)]
}

// exchange connects a domain, sends a ping and waits until the answer has come
// by a stream of the server's.
func (d *domains) exchange(ctx context.Context, one *remoteDomain) error {
	conn, err := d.t.Dial(ctx)
	if err != nil {
		return err
	}
	timeout := d.t.loginTimeout()
	_ = conn.SetDeadline(time.Now().Add(timeout))
	one.out = newClient(ctx, conn, idleBuffer)
	if err := d.prove(one); err != nil {
		return err
	}
	if err := one.out.send("<iq type='get' id='ping' from='" + one.name + "' to='" + d.t.Domain + "'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
		return err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-one.answered:
		return conn.SetDeadline(time.Time{})
	case <-timer.C:
		return errors.New("the server has not answered")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// broken counts the streams of a domain that are not there any more.
func (one *remoteDomain) broken(t *Target) (n int64) {
	if one.incoming.Load() < 1 {
		t.complain("%s: the server's stream has ended", one.name)
		n++
	}
	one.out.goOn(time.Millisecond)
	for {
		_, err := one.out.next()
		if isTimeout(err) {
			return n
		}
		if err != nil {
			t.complain("%s: %v", one.name, err)
			return n + 1
		}
	}
}

// close ends the streams of domains, some of which may be nil, and all of the
// server's.
func (d *domains) close(all []*remoteDomain) {
	_ = crowd.Parallel(len(all), d.t.logins(), func(i int) error {
		if all[i] != nil && all[i].out != nil {
			all[i].out.Close()
		}
		return nil
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	for conn := range d.accepted {
		_ = conn.Close()
	}
}

// accept serves the streams of the server until ln is closed.
func (d *domains) accept(ctx context.Context, ln net.Listener, streams *sync.WaitGroup) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		streams.Go(func() {
			d.mu.Lock()
			d.accepted[conn] = struct{}{}
			d.mu.Unlock()
			d.serve(ctx, conn)
			d.mu.Lock()
			delete(d.accepted, conn)
			d.mu.Unlock()
		})
	}
}
