package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestXEP0198Random has juliet send numbered messages to romeo while whatever
// can happen to their connections and to the store happens at random. Both do
// what XEP-0198 asks of clients. In the end romeo has got each message, in
// order, and again only what he has not acknowledged.
func TestXEP0198Random(t *testing.T) {
	var rows []row
	for seed := range uint64(60) {
		rows = append(rows, row{name: fmt.Sprintf("5 seed %d", seed), do: func(p *play) {
			(&chaos{play: p, carbons: seed%3 == 0}).run(steps(seed))
		}})
	}
	rows = append(rows, row{name: "5 and the store is slow", do: func(p *play) {
		for seed := range uint64(60) {
			c := &chaos{play: p, carbons: seed%3 == 0, gated: true}
			p.s = newServer(p.t, gated)
			if c.run(steps(seed)); p.failures != nil {
				return
			}
			p.close()
			p.clients = map[string]*client{}
		}
	}})
	run(t, rows)
}

// step is one thing that happens; its numbers choose what.
type step [2]uint64

func steps(seed uint64) []step {
	r := rand.New(rand.NewPCG(seed, 1))
	all := make([]step, 80)
	for i := range all {
		all[i] = step{r.Uint64(), r.Uint64()}
	}
	return all
}

// chaos is one such run.
type chaos struct {
	*play
	rand    *rand.Rand
	carbons bool
	gated   bool
	log     []string

	sent    []string // what juliet has sent on her managed stream
	next    int      // number of the next message
	got     []int    // what romeo has got, in order
	pending []int    // of that, what he has not acknowledged
	safe    map[int]bool
	here    bool // romeo's connection is there
	joined  bool // and his stream has begun or been resumed
	lost    bool // and what comes by it is lost
	slow    bool // the store is held up
}

func (c *chaos) run(steps []step) {
	c.rand = rand.New(rand.NewPCG(0, 0))
	c.safe = map[int]bool{}
	c.script("login jb 0\nenable jb\nacks jb")
	c.login()
	actions := []func(){c.send, c.send, c.send, c.send, c.ack, c.ack, c.lose, c.cut, c.resume, c.resume, c.login, c.store, c.wait, c.break_}
	if !c.gated {
		actions[11] = c.wait
	}
	for _, s := range steps {
		c.rand = rand.New(rand.NewPCG(s[0], s[1]))
		actions[c.rand.IntN(len(actions))]()
		c.collect()
		if c.failures != nil {
			break
		}
	}
	if c.slow {
		c.store()
	}
	c.resume()
	c.collect()
	c.login()
	c.collect()
	c.verdict()
}

func (c *chaos) note(format string, args ...any) { c.log = append(c.log, fmt.Sprintf(format, args...)) }

func (c *chaos) do(script string) {
	c.note("%s", script)
	for line := range strings.SplitSeq(script, "\n") {
		c.action = line
		c.command(strings.Fields(line))
	}
}

// send has juliet send a message.
func (c *chaos) send() {
	to := []string{"$r", "$ro"}[c.rand.IntN(2)]
	text := c.expand(fmt.Sprintf("<message to='%s' type='chat'><body>%d</body></message>", to, c.next))
	c.note("send %d to %s", c.next, to)
	c.next++
	c.sent = append(c.sent, text)
	c.client("jb").send(text)
}

// break_ breaks juliet's connection. What the server has not handled she sends
// again. While the store is slow she would have to do so with messages that have
// arrived.
func (c *chaos) break_() {
	if c.slow {
		return
	}
	c.collect()
	c.note("juliet resumes")
	if c.rand.IntN(2) == 0 {
		c.client("jb").close()
	}
	c.command([]string{"resume", "jb"})
	jb := c.client("jb")
	jb.set(func() { jb.acks = true })
	for _, e := range jb.take() {
		if e.name.Local != "resumed" {
			continue
		}
		h, err := strconv.Atoi(e.attr("h"))
		if err != nil || h > len(c.sent) {
			c.fatal("got %s after %d stanzas", e.raw, len(c.sent))
		}
		c.note("juliet sends %d again", len(c.sent)-h)
		jb.send(strings.Join(c.sent[h:], ""))
		return
	}
	c.fatal("juliet could not resume")
}

func (c *chaos) ack() {
	c.collect()
	if !c.here || !c.joined || c.lost || c.ended("ro") {
		return
	}
	c.note("romeo acknowledges %v", c.pending)
	ro := c.client("ro")
	ro.send(ro.ack())
	c.acknowledged()
}

// acknowledged notes that the server has heard of all that romeo has got.
func (c *chaos) acknowledged() {
	for _, n := range c.pending {
		c.safe[n] = true
	}
	c.pending = nil
}

func (c *chaos) lose() {
	if c.here && !c.lost {
		c.collect()
		c.lost = true
		c.do("lose ro")
	}
}

func (c *chaos) cut() {
	if c.here {
		c.collect()
		c.here = false
		c.do("cut ro")
	}
}

// resume brings romeo back, also while his connection is still there.
func (c *chaos) resume() {
	c.collect()
	c.note("romeo resumes")
	c.command([]string{"resume", "ro"})
	if old := c.clients["ro-old"]; old != nil {
		old.close()
		delete(c.clients, "ro-old")
	}
	c.here, c.joined, c.lost = true, false, false
	c.collect()
}

// login has romeo begin a new session. What he has not acknowledged may come
// again. The connection of before breaks first, or at that moment, or the server
// hears nothing of its end.
func (c *chaos) login() {
	c.collect()
	if ro := c.clients["ro"]; c.here && ro != nil {
		switch c.rand.IntN(3) {
		case 0:
			c.do("cut ro")
		case 1:
			c.note("ro hangs")
			delete(c.clients, "ro")
			ro.set(func() { ro.lost = true })
			defer ro.close()
		}
	}
	c.do("login ro\nenable ro")
	if c.carbons {
		c.client("ro").send("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	}
	c.client("ro").send("<presence/>")
	c.here, c.joined, c.lost, c.pending = true, true, false, nil
	c.collect()
}

func (c *chaos) store() {
	c.slow = !c.slow
	if c.slow {
		c.do("hold add")
	} else {
		c.do("release add")
	}
}

// wait lets time pass: a moment, or longer than a session lasts without a
// connection.
func (c *chaos) wait() {
	d := []time.Duration{time.Second, 20 * time.Second, 400 * time.Second}[c.rand.IntN(3)]
	c.collect()
	c.note("pass %s", d)
	<-time.After(d)
	c.collect()
	if d > time.Minute {
		c.here = c.here && !c.ended("ro")
		if c.ended("jb") {
			c.fatal("juliet has lost the connection")
		}
	}
}

// ended reports whether the server has closed a connection.
func (c *chaos) ended(name string) bool {
	select {
	case <-c.client(name).done:
		return true
	default:
		return false
	}
}

func (c *chaos) collect() {
	if c.clients["ro"] != nil {
		c.receive(c.client("ro").take())
	}
	for _, e := range c.client("jb").take() {
		if e.name.Local == "message" {
			c.fail("juliet got %s", e.raw)
		}
	}
}

func (c *chaos) receive(got []*element) {
	for _, e := range got {
		switch e.name.Local {
		case "message":
		case "failed":
			c.note("that failed")
			c.login()
			return
		case "resumed":
			c.joined = true
			c.acknowledged() // by resuming
			continue
		default:
			continue
		}
		body := e.child("body")
		if body == nil {
			c.fail("romeo got %s", e.raw)
			continue
		}
		n, _ := strconv.Atoi(body.text)
		c.note("romeo gets %d", n)
		if c.safe[n] {
			c.fail("romeo got %d again, which he has acknowledged", n)
		}
		if slices.Contains(c.pending, n) {
			c.fail("romeo got %d twice on one stream", n)
		}
		c.got = append(c.got, n)
		c.pending = append(c.pending, n)
	}
}

func (c *chaos) verdict() {
	var first []int
	for _, n := range c.got {
		if !slices.Contains(first, n) {
			first = append(first, n)
		}
	}
	if !slices.IsSorted(first) {
		c.fail("romeo got %v, want them in order", first)
	}
	for n := range c.next {
		if !slices.Contains(first, n) {
			c.fail("romeo never got %d", n)
		}
	}
	if c.failures != nil {
		c.fail("that was\n\t\t%s", strings.Join(c.log, "\n\t\t"))
	}
}
