package c2s

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// numbered is the number of messages that each side of the property test sends.
const numbered = 1000

// TestExactlyOnce kills the connections of two clients, again and again, in the
// middle of the messages that they send one another, and has them resume: each
// message arrives exactly once and in order.
func TestExactlyOnce(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { exactlyOnce(t, uint64(seed)) })
		})
	}
}

func exactlyOnce(t *testing.T, seed uint64) {
	store := &keeper{stored: map[uint64]bool{}}
	r := start(t, manage, func(r *rig) {
		if seed%2 == 1 {
			r.fake.onKeep = store.keep
		}
	})
	var all sync.WaitGroup
	clients := [2]*patient{
		newPatient(r, "ana", "bo", rand.New(rand.NewPCG(seed, 1))),
		newPatient(r, "bo", "ana", rand.New(rand.NewPCG(seed, 2))),
	}
	for _, c := range clients { // both are there before the first message
		if err := c.connect(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range clients {
		all.Go(c.run)
	}
	all.Wait()
	for _, c := range clients {
		for i, n := range c.got {
			if i != n {
				t.Errorf("%s got message %d at place %d: %v", c.user, n, i, c.got[max(0, i-3):min(len(c.got), i+4)])
				break
			}
		}
		if len(c.got) != numbered || c.err != nil {
			t.Errorf("%s got %d messages, %d acknowledged, error %v, want %d", c.user, len(c.got), c.acked, c.err, numbered)
		}
		t.Logf("%s had %d connections", c.user, c.connections)
	}
	synctest.Wait()
	store.check(t, r.fake.arrived)
	for range clients {
		if end := <-r.fake.ended; len(end.undelivered) > 0 || end.reason != nil {
			t.Errorf("%s ended with %d undelivered, reason %v, want none", end.info.JID, len(end.undelivered), end.reason)
		}
	}
	if n := r.server.Stats(); n.Sessions+n.Detached+n.Queued+n.QueuedBytes+n.Unacked+n.UnackedBytes > 0 {
		t.Errorf("got %+v at the end, want nothing left", n)
	}
}

// keeper is a store of messages that nobody has got yet.
type keeper struct {
	mu     sync.Mutex
	last   uint64
	stored map[uint64]bool
}

func (k *keeper) keep(waiting []stanza.Queued) []*stanza.Stanza {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]*stanza.Stanza, len(waiting))
	for i, s := range stanzasOf(waiting) {
		list[i] = s
		if s.Kept == 0 {
			k.last++
			k.stored[k.last] = true
			c := *s
			c.Kept = k.last
			list[i] = &c
		}
	}
	return list
}

// check wants each stored message to have arrived once.
func (k *keeper) check(t *testing.T, arrived []uint64) {
	t.Helper()
	for _, key := range arrived {
		if !k.stored[key] {
			t.Errorf("key %d arrived twice, or out of nothing", key)
		}
		delete(k.stored, key)
	}
	if len(k.stored) > 0 {
		t.Errorf("%d stored messages never arrived", len(k.stored))
	}
}

// patient is a client that resumes its session as often as it takes.
type patient struct {
	r          *rig
	user, peer string
	rnd        *rand.Rand
	began      time.Time

	conn        *doomed
	in          *xml.Decoder
	id          string // of the session
	connections int
	old         []net.Conn // left open
	drain       sync.WaitGroup

	mu      sync.Mutex // guards what both goroutines use, and writing
	acked   uint32
	handled uint32
	got     []int
	over    chan struct{} // of this connection
	err     error
}

func newPatient(r *rig, user, peer string, rnd *rand.Rand) *patient {
	return &patient{r: r, user: user, peer: peer, rnd: rnd, began: time.Now()}
}

// connect logs in and begins or resumes the session.
func (p *patient) connect() error {
	conn := &doomed{Conn: p.r.ln.Dial(), read: p.rnd.IntN(20000), written: p.rnd.IntN(20000)}
	if p.id == "" { // the first connection gets as far as <enabled/>
		conn.read += 5000
		conn.written += 5000
	}
	p.conn, p.over = conn, make(chan struct{})
	p.connections++
	read := bufio.NewReader(conn)
	p.in = xml.NewDecoder(read)
	login := []struct{ send, until string }{
		{header("one.test"), "features"},
		{auth("PLAIN", "\x00"+p.user+"\x00anchor"), "success"},
		{header("one.test"), "features"},
	}
	for i, step := range login {
		if i == 2 {
			p.in = xml.NewDecoder(read)
		}
		if _, err := p.ask(step.send, step.until); err != nil {
			return err
		}
	}
	if p.id == "" {
		if _, err := p.ask(bindRequest("x"), "iq"); err != nil {
			return err
		}
		e, err := p.ask("<enable xmlns='urn:xmpp:sm:3' resume='1'/>", "enabled")
		p.id = e.attr("id")
		return err
	}
	e, err := p.ask(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", p.id, p.handled), "resumed")
	if err != nil {
		return err
	}
	p.acked = e.number("h")
	return nil
}

// ask sends text and waits for an element.
func (p *patient) ask(text, until string) (element, error) {
	if _, err := io.WriteString(p.conn, text); err != nil {
		return element{}, err
	}
	for {
		e, err := p.next()
		if err != nil || e.XMLName.Local == until {
			return e, err
		}
		if e.XMLName.Local == "failed" {
			return e, errFailed
		}
	}
}

var (
	errFailed  = errors.New("got <failed/>")
	errTooMany = errors.New("got no end")
)

// element is what came.
type element struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Body    string     `xml:"body"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e element) number(name string) uint32 {
	n, _ := strconv.ParseUint(e.attr(name), 10, 32)
	return uint32(n)
}

func (p *patient) next() (element, error) {
	for {
		token, err := p.in.Token()
		if err != nil {
			return element{}, err
		}
		start, ok := token.(xml.StartElement)
		switch _, end := token.(xml.EndElement); {
		case end:
			return element{}, io.EOF
		case !ok || start.Name.Local == "stream":
			continue
		}
		var e element
		err = p.in.DecodeElement(&e, &start)
		return e, err
	}
}

// run plays until everything has arrived on both sides.
func (p *patient) run() {
	for {
		done, err := p.play()
		if !done && (p.connections > 200 || time.Since(p.began) > 10*time.Minute) {
			err = errTooMany
		}
		if p.err = err; done || errors.Is(err, errFailed) || errors.Is(err, errTooMany) {
			break
		}
		time.Sleep(time.Duration(p.rnd.IntN(3)) * time.Second)
		for p.connect() != nil && p.connections <= 200 {
			p.hangUp()
		}
	}
	for _, c := range p.old {
		_ = c.Close()
	}
	p.drain.Wait()
}

// hangUp gives up a connection: it closes it, or forgets it as a phone does that
// has moved to another network.
func (p *patient) hangUp() {
	if p.rnd.IntN(3) > 0 {
		_ = p.conn.Close()
		return
	}
	conn := p.conn.Conn
	p.old = append(p.old, conn)
	_ = conn.SetReadDeadline(time.Time{})
	p.drain.Go(func() { _, _ = io.Copy(io.Discard, conn) })
}

// play uses one connection until it breaks.
func (p *patient) play() (done bool, err error) {
	var sender sync.WaitGroup
	over, rnd := p.over, rand.New(rand.NewPCG(p.rnd.Uint64(), 0))
	sender.Go(func() { p.send(over, rnd) })
	for err == nil && !p.finished() {
		var e element
		if e, err = p.next(); err == nil {
			err = p.take(e)
		}
	}
	close(over)
	if p.finished() {
		sender.Wait()
		_ = p.write(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/></stream:stream>", p.handled))
		_, _ = io.Copy(io.Discard, p.conn)
		_ = p.conn.Close()
		return true, nil
	}
	p.conn.kill()
	p.hangUp()
	sender.Wait()
	return false, err
}

// finished reports whether all has come and gone. What closes a stream cannot be
// repeated, so the connection must not break any more.
func (p *patient) finished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got) >= numbered && p.acked >= numbered && p.conn.spare()
}

func (p *patient) take(e element) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.XMLName.Local {
	case "message":
		p.handled++
		n, _ := strconv.Atoi(e.Body)
		p.got = append(p.got, n)
	case "a":
		p.acked = e.number("h")
	case "r":
		_, err := fmt.Fprintf(p.conn, "<a xmlns='urn:xmpp:sm:3' h='%d'/>", p.handled)
		return err
	}
	return nil
}

func (p *patient) write(text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := io.WriteString(p.conn, text)
	return err
}

// send sends what the server has not acknowledged, and then the rest.
func (p *patient) send(over chan struct{}, rnd *rand.Rand) {
	p.mu.Lock()
	next := int(p.acked)
	p.mu.Unlock()
	for {
		select {
		case <-over:
			return
		case <-time.After(time.Duration(rnd.IntN(20)) * time.Millisecond):
		}
		if time.Since(p.began) > 10*time.Minute {
			_ = p.conn.Close()
			return
		}
		var b strings.Builder
		for range rnd.IntN(20) {
			if next < numbered {
				b.WriteString(message(p.peer+"@one.test/x", fmt.Sprint(next)))
				next++
			}
		}
		b.WriteString("<r xmlns='urn:xmpp:sm:3'/>")
		if p.write(b.String()) != nil {
			return
		}
	}
}

// doomed is a connection that breaks after so many bytes.
type doomed struct {
	net.Conn
	mu            sync.Mutex
	read, written int
	safe          bool
}

var errDoomed = errors.New("connection is broken")

// kill breaks the connection for this side.
func (d *doomed) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read, d.written, d.safe = 0, 0, false
}

// spare lets the connection live on, if it is not too late.
func (d *doomed) spare() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.safe = d.safe || d.read > 0 && d.written > 0
	return d.safe
}

// left returns how many of n bytes still pass.
func (d *doomed) left(budget *int, n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.safe {
		return n
	}
	return min(n, *budget)
}

func (d *doomed) use(budget *int, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*budget = max(*budget-n, 0)
}

func (d *doomed) Read(b []byte) (int, error) {
	n := d.left(&d.read, len(b))
	if n == 0 {
		return 0, errDoomed
	}
	n, err := d.Conn.Read(b[:n])
	d.use(&d.read, n)
	return n, err
}

func (d *doomed) Write(b []byte) (int, error) {
	n := d.left(&d.written, len(b))
	if n < len(b) {
		defer d.Conn.SetReadDeadline(time.Now()) // whoever reads notices, too
	}
	if n == 0 {
		return 0, errDoomed
	}
	m, err := d.Conn.Write(b[:n])
	d.use(&d.written, m)
	if err == nil && n < len(b) {
		err = errDoomed
	}
	return m, err
}
