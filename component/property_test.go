package component

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream/streamtest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// ledger notes what becomes of numbered stanzas.
type ledger struct {
	mu       sync.Mutex
	written  map[string][]int // by sender, in the order in which they were
	returned map[string]map[int]int
	refused  map[string]map[int]bool
}

var numbered = regexp.MustCompile(`<message from='(u\d+)@house\.test[^>]* id='(\d+)'`)

func (l *ledger) write(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range numbered.FindAllSubmatch(b, -1) {
		n, _ := strconv.Atoi(string(m[2]))
		l.written[string(m[1])] = append(l.written[string(m[1])], n)
	}
}

// flaky is a connection whose writes are noted. It may break: then nothing of a
// write arrives.
type flaky struct {
	net.Conn
	*ledger
	broken atomic.Bool
}

func (f *flaky) Write(b []byte) (int, error) {
	if f.broken.Load() {
		return 0, errors.New("connection is broken")
	}
	n, err := f.Conn.Write(b)
	if err == nil {
		f.ledger.write(b)
	}
	return n, err
}

// noting is a listener of flaky connections.
type noting struct {
	net.Listener
	*ledger
	mu    sync.Mutex
	conns map[string]*flaky // by the address of the other end
}

func (n *noting) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f := &flaky{Conn: c, ledger: n.ledger}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c.RemoteAddr().String()] = f
	return f, nil
}

// TestLoadSharing lets components of all kinds come and go while many senders send
// numbered stanzas: each stanza is written once, returned once or refused, and those
// of one sender are written in their order.
func TestLoadSharing(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 10
	}
	written, back := 0, 0
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			w, b := loadSharing(t, uint64(seed))
			written, back = written+w, back+b
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if min(written, back) < 100*seeds {
		t.Errorf("in %d runs %d stanzas were written and %d returned: too few to say something", seeds, written, back)
	}
}

const (
	sharingUsers   = 12
	sharingStanzas = 150 // of each
)

func loadSharing(t *testing.T, seed uint64) (written, returned int) {
	l := &ledger{written: make(map[string][]int), returned: make(map[string]map[int]int), refused: make(map[string]map[int]bool)}
	ln := &noting{ledger: l, conns: make(map[string]*flaky)}
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := start(t, func(r *rig) {
		r.wrap = func(below net.Listener) net.Listener { ln.Listener = below; return ln }
		r.o.MaxFSMQueue = []int{20, 200, 10000}[rnd.IntN(3)]
		r.o.Conflict = []Conflict{Share, Share, CloseOld, CloseNew}[rnd.IntN(4)]
		r.o.SendTimeout = 2 * time.Second
		r.router.onRoute = func(st *stanza.Stanza) error {
			n, _ := strconv.Atoi(st.ID)
			l.mu.Lock()
			defer l.mu.Unlock()
			user := st.To.Local()
			if l.returned[user] == nil {
				l.returned[user] = make(map[int]int)
			}
			l.returned[user][n]++
			return nil
		}
	})
	var senders, components sync.WaitGroup
	done := make(chan struct{})
	for i := range uint64(sharingUsers) {
		senders.Go(func() { l.send(r, fmt.Sprintf("u%d", i), rand.New(rand.NewPCG(seed, i+1))) })
	}
	for i := range uint64(4) {
		components.Go(func() { comeAndGo(r, ln, rand.New(rand.NewPCG(seed, 100+i)), done) })
	}
	senders.Wait()
	close(done)
	components.Wait()
	_ = r.stop(errors.New("end")) // waits for what is still to be returned
	l.audit(t)
	for _, list := range l.written {
		written += len(list)
	}
	for _, list := range l.returned {
		returned += len(list)
	}
	return written, returned
}

// send sends the stanzas of one user, in bursts.
func (l *ledger) send(r *rig, name string, rnd *rand.Rand) {
	l.mu.Lock()
	l.refused[name] = make(map[int]bool)
	l.mu.Unlock()
	from, _ := stanza.NewJID(name, "house.test", "boat")
	to, _ := stanza.NewJID("", "bot.test", "")
	time.Sleep(500 * time.Millisecond)
	for n := range sharingStanzas {
		st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeChat, ID: strconv.Itoa(n), From: from, To: to}
		if rnd.IntN(10) == 0 {
			st.Inner = "<body>" + strings.Repeat("x", rnd.IntN(30_000)) + "</body>"
		}
		err := stanza.ErrClosed
		if sink := r.router.sink("bot.test"); sink != nil {
			err = sink.Deliver(st)
		}
		if err != nil {
			l.mu.Lock()
			l.refused[name][n] = true
			l.mu.Unlock()
		}
		if rnd.IntN(10) == 0 {
			time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
		}
	}
}

// comeAndGo is one component after the other.
func comeAndGo(r *rig, ln *noting, rnd *rand.Rand, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond)
		c := &client{t: r.t, seen: new(streamtest.Recorder)}
		c.conn = r.ln.Dial()
		if c.attach() {
			ln.mu.Lock()
			f := ln.conns[c.conn.LocalAddr().String()]
			ln.mu.Unlock()
			c.live(rnd, f)
		}
		_ = c.conn.Close()
	}
}

// attach makes the handshake, if the server lets it.
func (c *client) attach() bool {
	_, _ = c.conn.Write([]byte(header("bot.test")))
	id := ""
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		_ = c.conn.SetReadDeadline(deadline)
		buf := make([]byte, 4096)
		n, err := c.conn.Read(buf)
		_, _ = c.seen.Write(buf[:n])
		if err != nil {
			return false
		}
		got := c.seen.String()
		if m := regexp.MustCompile("<stream:stream[^>]* id='([^']*)'[^>]*>").FindStringSubmatch(got); m != nil && id == "" {
			id = m[1]
			_, _ = c.conn.Write([]byte(proof(id, "anchor")))
		}
		if strings.Contains(got, "<handshake/>") {
			return true
		}
	}
	return false
}

// live reads for a while, quickly or not, and ends in one way or another.
func (c *client) live(rnd *rand.Rand, f *flaky) {
	until := time.Now().Add(time.Duration(rnd.IntN(2000)) * time.Millisecond)
	pause := []time.Duration{0, 0, 20 * time.Millisecond, time.Hour}[rnd.IntN(4)]
	buf := make([]byte, 16<<10)
	for time.Now().Before(until) {
		_ = c.conn.SetReadDeadline(until)
		if pause == time.Hour {
			time.Sleep(time.Until(until)) // reads nothing at all
		} else {
			time.Sleep(pause)
		}
		if _, err := c.conn.Read(buf); err != nil {
			break
		}
	}
	switch rnd.IntN(3) {
	case 0:
		_, _ = c.conn.Write([]byte("</stream:stream>"))
	case 1:
		f.broken.Store(true)
	default:
		_, _ = c.conn.Write([]byte("<nonsense/>"))
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Duration(rnd.IntN(3000)) * time.Millisecond))
	for {
		if _, err := c.conn.Read(buf); err != nil {
			return
		}
	}
}

// audit checks that nothing is lost, doubled or out of order.
func (l *ledger) audit(t *testing.T) {
	for i := range sharingUsers {
		user := fmt.Sprintf("u%d", i)
		count := make([]int, sharingStanzas)
		last := -1
		for _, n := range l.written[user] {
			count[n]++
			if n <= last {
				t.Errorf("%s: stanza %d was written after %d", user, n, last)
			}
			last = n
		}
		for n := range count {
			back := l.returned[user][n]
			if l.refused[user][n] {
				back++
			}
			if count[n]+back != 1 {
				t.Errorf("%s: stanza %d was written %d times, returned %d times, refused: %t", user, n, count[n], l.returned[user][n], l.refused[user][n])
			}
		}
	}
}
