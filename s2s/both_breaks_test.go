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

type revCut struct {
	revSlow
	n *revNet
	p int
}

func (c *revCut) Write(p []byte) (int, error) {
	c.pause()
	c.mu.Lock()
	cut := c.rnd.IntN(1000) < c.p
	c.mu.Unlock()
	if cut {
		_ = c.Conn.Close()
	}
	return c.Conn.Write(p)
}

// Managed streams that break: nothing is lost in silence, nothing arrives twice or
// comes back twice.
func TestBreaks(t *testing.T) {
	enc := inEncrypt(t)
	for _, bidi := range []bool{true, false} {
		lost, back, both, total, twice, hung := 0, 0, 0, 0, 0, 0
		for seed := range uint64(60) {
			synctest.Test(t, func(t *testing.T) {
				n := &revNet{inNet: inNet{make(map[string]*inServer)}, rnd: rand.New(rand.NewPCG(seed, 1))}
				dial := func(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
					for _, s := range n.servers {
						if s.ln.Addr().(*net.TCPAddr).AddrPort().Addr() == to.Addr() {
							return &revCut{revSlow: revSlow{s.ln.Dial(), &n.mu, n.rnd}, n: n, p: 30}, nil
						}
					}
					return nil, errors.New("connection refused")
				}
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
					enc(true, TLSRequiredTrusted)(domain, s)
					s.set.Bidi.Value = bidi
					s.set.AckTimeout = 5 * time.Second
					s.Server = New(Host{Domains: s.fake, Router: s.fake, Resolver: n, Dial: dial, Log: slog.New(slog.NewTextHandler(s.log, nil))})
					s.Configure(s.set)
					n.servers[domain] = s
					go func() { results <- s.Listen(ctx, s.ln, s.o) }()
				}
				rnd := rand.New(rand.NewPCG(seed, 2))
				var ids []string
				for i := range 300 {
					from, to := "a.test", "b.test"
					if rnd.IntN(2) == 1 {
						from, to = to, from
					}
					id := fmt.Sprint(from[:1], i)
					ids = append(ids, id)
					st, _ := stanza.Parse(fmt.Sprintf("<message from='x@%s' to='y@%s' id='%s' type='chat'><body>x</body></message>", from, to, id))
					if err := n.servers[from].Route(ctx, st); err != nil {
						t.Error(err)
					}
					if rnd.IntN(4) == 0 {
						time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
					}
				}
				time.Sleep(60 * time.Second)
				start := time.Now()
				for _, s := range n.servers {
					c, stop := context.WithTimeout(context.Background(), time.Hour)
					_ = s.Shutdown(c)
					stop()
				}
				if time.Since(start) > 3*time.Minute {
					hung++
				}
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
					case a > 1 || e > 1:
						twice++
					case a == 1 && e == 1:
						both++
					case e == 1:
						back++
					}
				}
				mu.Unlock()
				cancel(errors.New("end"))
				<-results
				<-results
			})
		}
		t.Logf("bidi %t: of %d, lost %d, came back %d, both %d, twice %d, hung %d", bidi, total, lost, back, both, twice, hung)
		if lost+twice+hung > 0 {
			t.Errorf("bidi %t: of %d, lost %d, came back %d, both %d, twice %d", bidi, total, lost, back, both, twice)
		}
	}
}
