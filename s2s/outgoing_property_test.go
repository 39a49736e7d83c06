package s2s

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// outPlan says how a server behaves on one connection.
type outPlan struct {
	managed bool
	chunk   int           // bytes that it reads at once
	pause   time.Duration // after each
	most    int           // bytes that it reads before it ends the connection
	end     outEnd
}

// outEnd is how a connection ends.
type outEnd int

const (
	outHalf  outEnd = iota // it breaks, but all arrives that was sent
	outOrder               // the stream is closed, then the same
	outHard                // it breaks in both directions
)

var outElements = regexp.MustCompile(`(?s)<stream:stream [^>]*>|<db:result [^>]*>[^<]*</db:result>|<enable [^>]*/>|<r [^>]*/>|` +
	`<message [^>]*id='([^']*)'[^>]*>.*?</message>|</stream:stream>`)

// play is a server on a connection, which notes the ids of messages.
func (p *outPeer) play(plan outPlan, note func(id string)) {
	defer p.raw.Close()
	var text []byte
	handled, read := 0, 0
	buf := make([]byte, plan.chunk)
	ended := false
	for {
		n, err := p.raw.Read(buf)
		text = append(text, buf[:n]...)
		if read += n; read > plan.most && !ended {
			ended = true
			switch plan.end {
			case outHard:
				return
			case outOrder:
				_, _ = io.WriteString(p.raw, "</stream:stream>")
			case outHalf:
				_ = p.raw.(interface{ CloseWrite() error }).CloseWrite()
			}
		}
		for at := outElements.FindSubmatchIndex(text); at != nil; at = outElements.FindSubmatchIndex(text) {
			answer := ""
			switch e := string(text[at[0]:at[1]]); {
			case strings.HasPrefix(e, "<stream"):
				features := outDialback
				if plan.managed {
					features += outSM
				}
				answer = p.header(" version='1.0'") + "<stream:features>" + features + "</stream:features>"
			case strings.HasPrefix(e, "<db"):
				answer = "<db:result from='there.test' to='here.test' type='valid'/>"
			case strings.HasPrefix(e, "<enable"):
				answer = "<enabled xmlns='urn:xmpp:sm:3'/>"
			case strings.HasPrefix(e, "<r"):
				answer = fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", handled)
			case strings.HasPrefix(e, "<m"):
				handled++
				note(string(text[at[2]:at[3]]))
			}
			if text = text[at[1]:]; answer != "" && !ended {
				_, _ = io.WriteString(p.raw, answer)
			}
		}
		if err != nil {
			return
		}
		time.Sleep(plan.pause)
	}
}

// TestOutgoingSentOrReturned sends thousands of stanzas from several senders to a
// server whose connections break anywhere. None is sent twice, returned twice or
// dropped, and those of a sender stay in order. What was on its way when a
// connection broke may have arrived and is returned all the same.
func TestOutgoingSentOrReturned(t *testing.T) {
	for _, managed := range []bool{false, true} {
		sent, returned := 0, 0
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("managed %t seed %d", managed, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := outStorm(t, managed, seed)
					sent, returned = sent+a, returned+b
				})
			})
		}
		if sent < 1000 || returned < 1000 {
			t.Errorf("managed %t: %d arrived, %d came back: the test is about both", managed, sent, returned)
		}
	}
}

func outStorm(t *testing.T, managed bool, seed uint64) (arrivals, returns int) {
	const senders, each = 8, 400
	r := outStart(t, func(r *outRig) { r.set.MaxQueueBytes = 1 << 20 })
	var mu sync.Mutex
	arrived, last := map[string]int{}, map[string]int{}
	note := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		arrived[id]++
		from, number, _ := strings.Cut(id, ".")
		n, _ := strconv.Atoi(number)
		if n <= last[from] {
			t.Errorf("%s came after number %d of its sender", id, last[from])
		}
		last[from] = n
	}
	stop := make(chan struct{})
	var peers sync.WaitGroup
	peers.Go(func() {
		random := rand.New(rand.NewPCG(seed, 2))
		for {
			select {
			case p := <-r.conns:
				plan := outPlan{
					managed: managed, chunk: 1000 + random.IntN(20_000), pause: time.Duration(random.IntN(300)) * time.Millisecond,
					most: random.IntN(1 << (8 + random.IntN(12))), end: outEnd(random.IntN(2)),
				}
				if managed {
					plan.end = outEnd(random.IntN(3))
				}
				p.play(plan, note) // one after the other, as the order of two connections is nobody's
			case <-stop:
				return
			}
		}
	})
	var receipts, sending sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(s+10)))
			var receipt stanza.Receipt
			ctx := receipt.Context(context.Background())
			for n := range each {
				xml := fmt.Sprintf("<message from='u%d@here.test/r' to='x@there.test' id='%d.%d'><body>%s</body></message>", s, s, n+1, strings.Repeat("b", random.IntN(1<<random.IntN(14))))
				if err := r.srv.Route(ctx, inStanza(t, xml)); err != nil {
					t.Errorf("Route: %v", err)
				}
				time.Sleep(time.Duration(random.IntN(1<<random.IntN(10))) * time.Millisecond)
			}
			receipts.Add(1)
			receipt.Mark(receipts.Done)
		})
	}
	sending.Wait()
	_ = r.srv.Shutdown(t.Context())
	close(stop)
	peers.Wait()
	receipts.Wait() // all are in other hands
	return outAccount(t, r, arrived, senders, each)
}

// outAccount checks that each stanza arrived or was returned.
func outAccount(t *testing.T, r *outRig, arrived map[string]int, senders, each int) (sent, back int) {
	returned := map[string]int{}
	for _, st := range r.routed() {
		returned[st.ID]++
	}
	for s := range senders {
		for n := range each {
			id := fmt.Sprintf("%d.%d", s, n+1)
			a, b := arrived[id], returned[id]
			sent += a
			switch {
			case a > 1 || b > 1:
				t.Errorf("%s arrived %d times and was returned %d times", id, a, b)
			case a+b == 0:
				t.Errorf("%s was dropped", id)
			}
		}
	}
	return sent, len(returned)
}
