package s2s

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// bothWire is what two servers talk by: with latency, drawn anew each time, and
// connections that may break.
type bothWire struct {
	cut int // of 1000 writes, those before which the connection breaks

	mu  sync.Mutex
	rnd *rand.Rand
}

func (w *bothWire) draw(below int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rnd.IntN(below)
}

func (w *bothWire) pause() { time.Sleep(time.Duration(w.draw(50)) * time.Millisecond) }

type bothConn struct {
	net.Conn
	w *bothWire
}

func (c *bothConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.w.pause()
	}
	return n, err
}

func (c *bothConn) Write(p []byte) (int, error) {
	c.w.pause()
	if c.w.cut > 0 && c.w.draw(1000) < c.w.cut {
		_ = c.Conn.Close()
	}
	return c.Conn.Write(p)
}

func (c *bothConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// bothRig is two servers that talk to one another.
type bothRig struct {
	t    *testing.T
	a, b *inServer
	rnd  *rand.Rand // for the test
	ids  []string   // of what was sent

	mu  sync.Mutex
	got map[string]int // how often, by id and type
}

// bothStart starts a.test and b.test. Of 1000 writes cut break their connection.
func bothStart(t *testing.T, seed uint64, cut int, prepare func(domain string, s *inServer)) *bothRig {
	r := &bothRig{t: t, rnd: rand.New(rand.NewPCG(seed, 2)), got: make(map[string]int)}
	w := &bothWire{cut: cut, rnd: rand.New(rand.NewPCG(seed, 1))}
	n := &inNet{wrap: func(c net.Conn) net.Conn { return &bothConn{c, w} }}
	r.a, r.b = inServersOn(t, n, func(domain string, s *inServer) {
		s.fake.onRoute = func(_ context.Context, st *stanza.Stanza) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got[st.ID+st.Type]++
			return nil
		}
		prepare(domain, s)
	})
	return r
}

// send sends a stanza from one server to the other.
func (r *bothRig) send(from, to *inServer) {
	r.t.Helper()
	id := fmt.Sprint(from.domain, len(r.ids))
	r.ids = append(r.ids, id)
	st := inStanza(r.t, fmt.Sprintf("<message from='x@%s' to='y@%s' id='%s' type='chat'><body>x</body></message>", from.domain, to.domain, id))
	if err := from.Route(r.t.Context(), st); err != nil {
		r.t.Error(err)
	}
}

// bothFate is what has become of stanzas.
type bothFate struct {
	sent, lost int
	back       int // to the sender, as errors
	both       int // arrived and came back
	twice      int // one or the other
}

func (f *bothFate) add(o bothFate) {
	f.sent += o.sent
	f.lost += o.lost
	f.back += o.back
	f.both += o.both
	f.twice += o.twice
}

// fate says what has become of the stanzas so far.
func (r *bothRig) fate() bothFate {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := bothFate{sent: len(r.ids)}
	for _, id := range r.ids {
		switch arrived, back := r.got[id+stanza.TypeChat], r.got[id+stanza.TypeError]; {
		case arrived+back == 0:
			f.lost++
		case arrived > 1 || back > 1:
			f.twice++
		case arrived == 1 && back == 1:
			f.both++
		case back == 1:
			f.back++
		}
	}
	return f
}
