package s2s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// revTalk has a.test and b.test talk; step is called before each of n stanzas.
func revTalk(t *testing.T, seed uint64, count int, prepare func(string, *inServer), step func(i int, rnd *rand.Rand, servers map[string]*inServer)) (lost, back, dup int, logs string) {
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
	rnd := rand.New(rand.NewPCG(seed, 2))
	var ids []string
	for i := range count {
		from, to := "a.test", "b.test"
		id := fmt.Sprint(from[:1], i)
		ids = append(ids, id)
		st, _ := stanza.Parse(fmt.Sprintf("<message from='x@%s' to='y@%s' id='%s' type='chat'><body>x</body></message>", from, to, id))
		step(i, rnd, n.servers)
		_ = n.servers[from].Route(ctx, st)
	}
	time.Sleep(30 * time.Second)
	mu.Lock()
	for _, id := range ids {
		switch a, e := got[id+"chat"], got[id+"error"]; {
		case a+e == 0:
			lost++
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
	return lost, back, dup, n.servers["a.test"].log.String() + n.servers["b.test"].log.String()
}

// A stanza that comes while an idle stream is being closed by the one that takes it
// is not dropped: nothing has gone wrong with the connection.
func TestIdleClose(t *testing.T) {
	lost, back, dup := 0, 0, 0
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			l, b, d, _ := revTalk(t, seed, 20, func(domain string, s *inServer) {
				s.set.Bidi.Value = false
				if domain == "b.test" {
					s.set.Timeout.Value = 10 * time.Second
				}
			}, func(_ int, rnd *rand.Rand, _ map[string]*inServer) {
				time.Sleep(10*time.Second + time.Duration(rnd.IntN(300))*time.Millisecond)
			})
			lost, back, dup = lost+l, back+b, dup+d
		})
	}
	if lost+dup > 0 {
		t.Errorf("of 2000, lost %d, came back %d, more than once %d; want none lost", lost, back, dup)
	}
	t.Log(back)
}
