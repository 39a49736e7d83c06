package s2s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// revSlow is a connection with latency, drawn anew for each connection and write.
type revSlow struct {
	net.Conn
	mu  *sync.Mutex
	rnd *rand.Rand
}

func (c *revSlow) pause() {
	c.mu.Lock()
	d := time.Duration(c.rnd.IntN(50)) * time.Millisecond
	c.mu.Unlock()
	time.Sleep(d)
}
func (c *revSlow) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.pause()
	}
	return n, err
}
func (c *revSlow) Write(p []byte) (int, error) { c.pause(); return c.Conn.Write(p) }
func (c *revSlow) CloseWrite() error           { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

type revNet struct {
	inNet
	mu  sync.Mutex
	rnd *rand.Rand
}

func (n *revNet) dial(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	for _, s := range n.servers {
		if s.ln.Addr().(*net.TCPAddr).AddrPort().Addr() == to.Addr() {
			return &revSlow{s.ln.Dial(), &n.mu, n.rnd}, nil
		}
	}
	return nil, errors.New("connection refused")
}

// Two servers that begin to talk to one another at the same time: each stanza
// arrives once, or comes back once. Nothing breaks on the network.
func TestMutual(t *testing.T) {
	enc := inEncrypt(t)
	modes := map[string]func(string, *inServer){
		"plain":    func(string, *inServer) {},
		"external": enc(true, TLSOptional),
		"nobidi":   func(_ string, s *inServer) { s.set.Bidi.Value = false },
	}
	for name, prepare := range modes {
		lost, back, dup, total, worst := 0, 0, 0, 0, time.Duration(0)
		for seed := range uint64(revSeeds) {
			synctest.Test(t, func(t *testing.T) {
				n := &revNet{inNet: inNet{make(map[string]*inServer)}, rnd: rand.New(rand.NewPCG(seed, 1))}
				ctx, cancel := context.WithCancelCause(t.Context())
				results := make(chan error)
				var mu sync.Mutex
				got := map[string]int{}
				for i, domain := range []string{"a.test", "b.test"} {
					s := &inServer{fake: inNewHost(), log: new(inRecorder), set: DefaultSettings(), o: Defaults()}
					s.fake.domains = []string{domain}
					s.fake.onRoute = func(_ context.Context, st *stanza.Stanza) error {
						mu.Lock()
						defer mu.Unlock()
						got[st.ID+st.Type]++
						return nil
					}
					s.ln = listentest.NewListenerAt(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 5269))
					prepare(domain, s)
					s.Server = New(Host{Domains: s.fake, Router: s.fake, Resolver: n, Dial: n.dial, Log: slog.New(slog.NewTextHandler(s.log, nil))})
					s.Configure(s.set)
					n.servers[domain] = s
					go func() { results <- s.Listen(ctx, s.ln, s.o) }()
				}
				start := time.Now()
				rnd := rand.New(rand.NewPCG(seed, 2))
				var ids []string
				for i := range 40 {
					from, to := "a.test", "b.test"
					if i%2 == 1 {
						from, to = to, from
					}
					id := fmt.Sprint(from[:1], i)
					ids = append(ids, id)
					st, _ := stanza.Parse(fmt.Sprintf("<message from='x@%s' to='y@%s' id='%s' type='chat'><body>x</body></message>", from, to, id))
					if err := n.servers[from].Route(ctx, st); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Duration(rnd.IntN(40)) * time.Millisecond)
				}
				for range 200 {
					time.Sleep(100 * time.Millisecond)
					mu.Lock()
					all := len(got) >= len(ids)
					mu.Unlock()
					if all {
						break
					}
				}
				if os.Getenv("REVLOG") != "" {
					for d, s := range n.servers {
						t.Logf("seed %d %s queued %d out %d in %+v", seed, d, s.Queued(), s.Outgoing(), s.IncomingStats())
						if len(got) < len(ids) {
							t.Log(s.log.String())
						}
					}
				}
				worst = max(worst, time.Since(start))
				mu.Lock()
				for _, id := range ids {
					total++
					a, e := got[id+"chat"], got[id+"error"]
					switch {
					case a+e == 0:
						lost++
						if os.Getenv("REVLOG") != "" {
							t.Logf("seed %d lost %s", seed, id)
						}
					case a+e > 1:
						dup++
					case e == 1:
						back++
					}
				}
				mu.Unlock()
				for _, s := range n.servers {
					c, stop := context.WithTimeout(context.Background(), time.Minute)
					_ = s.Shutdown(c)
					stop()
				}
				cancel(errors.New("end"))
				<-results
				<-results
			})
		}
		t.Logf("%s: of %d, lost %d, came back %d, more than once %d, longest %v", name, total, lost, back, dup, worst)
		if lost+back+dup > 0 {
			t.Errorf("%s: of %d, lost %d, came back %d, more than once %d; want none", name, total, lost, back, dup)
		}
	}
}

const revSeeds = 300
