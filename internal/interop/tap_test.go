//go:build interop

package interop

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// tap passes connections on to a server, counts them, remembers how they began,
// and can cut them.
type tap struct {
	addr   string // where it listens
	target string

	ln      net.Listener
	running sync.WaitGroup

	mu    sync.Mutex
	conns []*tapped
}

// tapped is one connection.
type tapped struct {
	in, out net.Conn

	mu    sync.Mutex
	began bytes.Buffer // what both sides said, up to maxBegan bytes
	ended bool
}

const maxBegan = 16 << 10

// tapTo returns a tap in front of a server, until the test ends.
func tapTo(t *testing.T, target string) *tap {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{addr: ln.Addr().String(), target: target, ln: ln}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *tap) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			continue
		}
		c := &tapped{in: in, out: out}
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		p.running.Go(func() { c.pass(out, in) })
		p.running.Go(func() { c.pass(in, out) })
	}
}

// pass copies one direction and ends both with it.
func (c *tapped) pass(to, from net.Conn) {
	_, _ = io.Copy(to, io.TeeReader(from, c))
	c.end()
}

func (c *tapped) end() {
	c.in.Close()
	c.out.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// Write remembers what passes.
func (c *tapped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began.Write(p[:min(len(p), maxBegan-c.began.Len())])
	return len(p), nil
}

// cut ends all connections, without a word to either side.
func (p *tap) cut() {
	for _, c := range p.all() {
		c.end()
	}
}

func (p *tap) all() []*tapped {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*tapped(nil), p.conns...)
}

// count returns how many connections there have been, and how many there are.
func (p *tap) count() (total, open int) {
	all := p.all()
	for _, c := range all {
		c.mu.Lock()
		if !c.ended {
			open++
		}
		c.mu.Unlock()
	}
	return len(all), open
}

// said returns what both sides said at the beginning of each connection after the
// first n.
func (p *tap) said(n int) []string {
	var list []string
	for _, c := range p.all()[n:] {
		c.mu.Lock()
		list = append(list, c.began.String())
		c.mu.Unlock()
	}
	return list
}
