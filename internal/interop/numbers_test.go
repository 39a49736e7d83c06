//go:build interop

package interop

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// stream is how many numbered messages a test sends to somebody.
const stream = 10000

// tally counts what becomes of numbered messages.
type tally struct {
	mu      sync.Mutex
	fates   []fate
	settled int           // numbers that are delivered or returned
	last    int           // delivered last
	late    []string      // numbers that were delivered after a higher one
	changed chan struct{} // closed when something has come
}

// fate is what became of one message.
type fate struct {
	delivered, returned int
	why                 string // all errors
}

func newTally(n int) *tally { return &tally{fates: make([]fate, n), changed: make(chan struct{})} }

// note is for person.take of the sender and of the recipient.
func (c *tally) note(e element) bool {
	number, ok := strings.CutPrefix(e.ID, "n")
	n, err := strconv.Atoi(number)
	if e.XMLName.Local != "message" || !ok || err != nil || n < 0 || n >= len(c.fates) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &c.fates[n]
	if f.delivered+f.returned == 0 {
		c.settled++
	}
	if e.Type == "error" {
		f.returned++
		f.why += e.Inner
	} else {
		f.delivered++
		if n < c.last {
			c.late = append(c.late, fmt.Sprintf("%d after %d", n, c.last))
		}
		c.last = n
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return true
}

// wait waits until all are settled, or until nothing has come for quiet.
func (c *tally) wait(quiet time.Duration) {
	for {
		c.mu.Lock()
		changed, done := c.changed, c.settled == len(c.fates)
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-time.After(quiet):
			return
		}
	}
}

// condition finds that of a stanza error.
var condition = regexp.MustCompile(`[a-z-]+-[a-z-]+`)

// outcome is what became of all.
type outcome struct {
	sent, delivered, returned, both int

	reasons     map[string]int // conditions of what was returned
	twice, late []string
	lost        []int
}

func (c *tally) outcome() outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := outcome{sent: len(c.fates), late: c.late, reasons: make(map[string]int)}
	for n, f := range c.fates {
		if f.delivered > 0 {
			o.delivered++
		}
		if f.returned > 0 {
			o.returned++
			o.reasons[condition.FindString(f.why)]++
		}
		switch {
		case f.delivered+f.returned == 0:
			o.lost = append(o.lost, n)
		case f.delivered > 1 || f.returned > 1:
			o.twice = append(o.twice, fmt.Sprintf("%d: %d delivered, %d returned: %s", n, f.delivered, f.returned, f.why))
		case f.delivered == f.returned:
			o.both++
		}
	}
	return o
}

func (o outcome) String() string {
	s := fmt.Sprintf("%d sent: %d delivered, %d returned %v, %d both, %d twice, %d late, %d lost",
		o.sent, o.delivered, o.returned, o.reasons, o.both, len(o.twice), len(o.late), len(o.lost))
	if len(o.lost) > 0 {
		s += fmt.Sprintf(" (from %d to %d)", slices.Min(o.lost), slices.Max(o.lost))
	}
	return s
}

// flood sends the messages from first to last, in pieces of a few.
func flood(from *person, to string, first, last int) {
	var b strings.Builder
	for n := first; n < last; n++ {
		fmt.Fprintf(&b, "<message to='%s' type='chat' id='n%d'><body>%d</body></message>", to, n, n)
		if b.Len() > 4000 || n == last-1 {
			from.send(b.String())
			b.Reset()
		}
	}
}

// reachable waits until a domain answers. A request may be lost with a connection.
func reachable(t *testing.T, p *person, domain string) {
	t.Helper()
	mark := "reach-" + newID()
	answered := make(chan struct{})
	p.also(func(e element) bool {
		switch {
		case e.XMLName.Local != "iq" || e.ID != mark:
			return false
		case e.Type == "result":
			select {
			case <-answered:
			default:
				close(answered)
			}
		}
		return true
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		p.sendf("<iq type='get' to='%s' id='%s'><ping xmlns='urn:xmpp:ping'/></iq>", domain, mark)
		select {
		case <-answered:
			return
		case <-time.After(100 * time.Millisecond):
		case <-timer.C:
			t.Fatalf("%s does not answer %s", domain, p.jid)
		}
	}
}

// A peer is killed in the middle of a stream of messages, and comes back.
//
// Prosody acknowledges what it has taken (XEP-0198), and keeps messages for who is
// not there on disk: none is lost. What is written to ejabberd without being
// acknowledged may be lost with it, but what was written is all that may be: a run
// of messages, after which they are returned. Nothing is sent twice.
func TestPeerKilled(t *testing.T) {
	for _, c := range []struct {
		name   string
		peer   int // of peers
		online bool
	}{
		{"prosody, recipient away", 0, false},
		{"prosody, recipient there", 0, true},
		{"ejabberd, recipient there", 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := peers[c.peer]
			tide, zone := "tide.test", p.name+".test"
			us, them, f := pairOfServers(t, c.peer, false)
			f.names.serve(t, zone, "xmpp-server", "node."+zone, them.s2s) // who is gone is seen to be gone
			count := newTally(stream)
			ana := login(t, us.c2s, tide, "ana")
			ana.also(count.note)
			bo := count.recipient(t, them.c2s, zone, "bo")
			chat(t, ana, bo)
			if !c.online {
				bo.leave()
			}
			const half = stream / 2
			flood(ana, bo.bare(), 0, half/2)
			reachable(t, ana, zone) // it has these
			flood(ana, bo.bare(), half/2, half)
			them.kill()
			them.launch(t)
			if c.online {
				bo = count.recipient(t, them.c2s, zone, "bo")
			}
			reachable(t, ana, zone)
			flood(ana, bo.bare(), half, stream)
			reachable(t, ana, zone) // it has those
			if !c.online {
				count.recipient(t, them.c2s, zone, "bo")
			}
			count.wait(quiet(c.peer))
			o := count.outcome()
			t.Log(o)
			// Without acknowledgements what was written counts as delivered.
			o.check(t, demands{lossless: c.peer == 0, run: true, ordered: true, settled: c.peer == 1})
		})
	}
}

// quiet is how long nothing may come until what is missing counts as lost. Prosody
// takes its time to read what it has kept.
func quiet(peer int) time.Duration {
	if peer == 0 {
		return patience
	}
	return 3 * time.Second
}

// pairOfServers starts Tidewaiter as tide.test and one of peers.
func pairOfServers(t *testing.T, peer int, bidi bool) (us *ours, them *peer, f *federation) {
	t.Helper()
	p := peers[peer]
	f = newFederation(t)
	f.logLevel = "info"
	tide, zone := "tide.test", p.name+".test"
	together(t, func() {
		us = f.tidewaiter(t, vhost{Domain: tide, Cert: f.cert(t, tide), Dialback: true, Bidi: bidi})
	}, func() {
		them = p.run(f, t, vhost{Domain: zone, Cert: f.cert(t, zone), Dialback: true, Bidi: bidi, Managed: true})
	})
	return us, them, f
}

// recipient logs somebody in who gets the messages.
func (c *tally) recipient(t *testing.T, addr, domain, user string) *person {
	t.Helper()
	p, err := dial(addr, domain, user, "boat", c.note)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.leave)
	return p
}

// demands are what must hold for a stream of messages, besides that none comes
// twice.
type demands struct {
	lossless bool // none is lost
	run      bool // those that are lost follow one another: they were on the way when the connection broke
	ordered  bool // those that come keep their order
	settled  bool // none is delivered and returned as well
}

func (o outcome) check(t *testing.T, d demands) {
	t.Helper()
	if len(o.twice) > 0 {
		t.Errorf("messages came twice: %q", o.twice)
	}
	if d.ordered && len(o.late) > 0 {
		t.Errorf("messages came after later ones: %q", o.late)
	}
	if d.settled && o.both > 0 {
		t.Errorf("%d messages were delivered and returned", o.both)
	}
	if n := len(o.lost); n > 0 && d.lossless {
		t.Errorf("%d messages are lost", n)
	} else if n > 0 && d.run && o.lost[n-1]-o.lost[0] >= n {
		t.Errorf("the %d lost messages are not one run: %v", n, o.lost)
	}
}

// Our server stops in the middle of a stream of messages from a peer to somebody
// who is not there, and comes back. What it has acknowledged is on disk, so that
// none is lost of those that Prosody sends; and when it stops in order it
// acknowledges all that it has taken, so that none of them is returned as well.
// What ejabberd has written when the stream ends is lost in part, whatever is done
// here. The order is not ours: Prosody sends some stanzas on a new connection
// before those that have waited for it.
func TestRestarted(t *testing.T) {
	for _, c := range []struct {
		name string
		peer int  // of peers
		bidi bool // all goes on the stream that we have opened
		kill bool
		demands
	}{
		{"prosody, killed", 0, false, true, demands{lossless: true}},
		{"prosody, stopped", 0, false, false, demands{lossless: true, settled: true}},
		{"prosody by our stream, stopped", 0, true, false, demands{lossless: true, settled: true}},
		{"ejabberd, killed", 1, false, true, demands{settled: true}},
		{"ejabberd, stopped", 1, false, false, demands{settled: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := peers[c.peer]
			tide, zone := "tide.test", p.name+".test"
			us, them, f := pairOfServers(t, c.peer, c.bidi)
			f.names.serve(t, tide, "xmpp-server", "localhost", us.s2s)
			count := newTally(stream)
			ana := login(t, us.c2s, tide, "ana")
			bo := count.recipient(t, them.c2s, zone, "bo")
			chat(t, ana, bo)
			ana.leave()
			const half = stream / 2
			flood(bo, ana.bare(), 0, half/2)
			reachable(t, bo, tide) // we have these
			flood(bo, ana.bare(), half/2, half)
			if c.kill {
				us.server.kill(t)
			} else {
				us.server.stop(t)
			}
			us.server.launch(t)
			reachable(t, bo, tide)
			flood(bo, ana.bare(), half, stream)
			reachable(t, bo, tide)
			count.recipient(t, us.c2s, tide, "ana")
			count.wait(quiet(c.peer))
			o := count.outcome()
			t.Log(o)
			o.check(t, c.demands)
		})
	}
}

// Both sides begin at the same moment, each on connections of its own or on the
// other's: all arrive, once.
func TestBothAtOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		peer    int // of peers
		managed bool
	}{
		{"prosody", 0, false},
		{"prosody, managed", 0, true},
		{"ejabberd", 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFederation(t)
			f.logLevel = "info"
			p := peers[c.peer]
			tide, zone := "tide.test", p.name+".test"
			var us *ours
			var them *peer
			together(t, func() {
				us = f.tidewaiter(t, vhost{Domain: tide, Cert: f.cert(t, tide), Dialback: true, Bidi: true})
			}, func() {
				them = p.run(f, t, vhost{Domain: zone, Cert: f.cert(t, zone), Dialback: true, Bidi: true, Managed: c.managed})
			})
			const n = 2000
			there, here := newTally(n), newTally(n)
			ana, bo := login(t, us.c2s, tide, "ana"), login(t, them.c2s, zone, "bo")
			ana.also(func(e element) bool { return e.Type == "error" && there.note(e) || e.Type != "error" && here.note(e) })
			bo.also(func(e element) bool { return e.Type == "error" && here.note(e) || e.Type != "error" && there.note(e) })
			together(t, func() { flood(ana, bo.jid, 0, n) }, func() { flood(bo, ana.jid, 0, n) })
			for name, c := range map[string]*tally{"from here": there, "from there": here} {
				c.wait(patience)
				o := c.outcome()
				t.Log(name, o)
				o.check(t, demands{lossless: true, ordered: c == there, settled: true})
				if o.returned > 0 {
					t.Errorf("%s: %d messages were returned", name, o.returned)
				}
			}
		})
	}
}
