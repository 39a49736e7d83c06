package bosh_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestStress has clients talk to one another over connections that are cut, repeat and
// overtake their requests, pause, terminate and stay away: what they say is routed once and
// in order, and comes once and in order, or is found undelivered.
func TestStress(t *testing.T) {
	clients, steps := 40, 10
	if testing.Short() {
		clients, steps = 20, 8
	}
	seed := rand.Uint64()
	for _, managed := range []bool{false, true} {
		bubble(t, fmt.Sprintf("managed %t", managed), func(t *testing.T) { stress(t, seed, clients, steps, managed) })
	}
	if t.Failed() {
		t.Logf("the seed was %d", seed)
	}
}

func stress(t *testing.T, seed uint64, clients, steps int, managed bool) {
	h := &harbour{sinks: make(map[string]stanza.Sink), routed: make(map[string]int), came: make(map[string]int), offline: make(map[string]int)}
	s := h.open(t)
	var all sync.WaitGroup
	for n := range clients {
		c := &sailor{
			site: s, harbour: h, rnd: rand.New(rand.NewPCG(seed, uint64(n))), n: n, clients: clients, managed: managed,
			said: make(map[int]int), seen: make(map[int]int),
		}
		all.Go(func() { c.sail(steps) })
	}
	all.Wait()
	s.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	twice := 0
	for m, n := range h.routed {
		switch {
		case n != 1:
			t.Errorf("%s was routed %d times", m, n)
		case h.came[m] > 1:
			t.Errorf("%s came %d times", m, h.came[m])
		case h.came[m]+h.offline[m] == 0:
			t.Errorf("%s is lost", m)
		case h.came[m]+h.offline[m] > 1:
			twice++
		}
	}
	for _, m := range h.accepted {
		if h.routed[m] == 0 {
			t.Errorf("%s was accepted and not routed", m)
		}
	}
	t.Logf("%d messages, %d undelivered, %d of them with a client all the same", len(h.routed), len(h.offline), twice)
}

// harbour is a host of everybody.
type harbour struct {
	backend
	sinks                 map[string]stanza.Sink // by account
	routed, came, offline map[string]int         // how often, by message
	accepted              []string               // messages of requests that were answered
}

func (*harbour) VerifyPassword(context.Context, stanza.JID, string) error { return nil }

func (h *harbour) Bind(_ context.Context, want stanza.Binding) (stanza.JID, error) {
	h.mu.Lock()
	old := h.sinks[want.JID.Local()]
	h.sinks[want.JID.Local()] = want.Sink
	h.mu.Unlock()
	if old != nil {
		old.Kick(&stanza.StreamError{Condition: stanza.StreamConflict})
	}
	return want.JID.WithResource("boat")
}

func (h *harbour) Release(_ context.Context, full stanza.JID, sink stanza.Sink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sinks[full.Local()] == sink {
		delete(h.sinks, full.Local())
	}
}

func (h *harbour) Route(_ context.Context, st *stanza.Stanza) error {
	h.mu.Lock()
	h.routed[st.Inner]++
	sink := h.sinks[st.To.Local()]
	h.mu.Unlock()
	if sink == nil || sink.Deliver(st) != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.offline[st.Inner]++
	}
	return nil
}

func (h *harbour) Ended(_ context.Context, _ stanza.SessionInfo, undelivered []stanza.Queued, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range undelivered {
		h.offline[q.Stanza.Inner]++
	}
}

// open returns a listener for the harbour.
func (h *harbour) open(t testing.TB) *site {
	clients := c2s.New(c2s.Host{Domains: h, Router: h, Password: h, Session: h})
	managed := c2s.StreamManagementDefaults()
	clients.SetStreamManagement(stanza.PerHost[*c2s.StreamManagement]{Value: &managed})
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true
	s := &site{rig: &rig{t: t}, ln: listentest.NewListener(), done: make(chan error, 1)}
	s.handler = bosh.New(bosh.Host{Serve: func(ctx context.Context, t stanza.Transport) error { return clients.ServeTransport(ctx, t, o) }})
	server := httpd.New(httpd.Host{Handlers: map[string]http.Handler{"bosh": s.handler}, Domains: h})
	of := httpd.Defaults()
	of.RequestHandlers = map[string]string{"/bosh": "bosh"}
	var ctx context.Context
	ctx, s.stop = context.WithCancelCause(context.Background())
	go func() { s.done <- server.Listen(ctx, s.ln, of) }()
	return s
}

// sailor is a client.
type sailor struct {
	*site
	*harbour
	rnd        *rand.Rand
	n, clients int
	managed    bool

	said, seen map[int]int // the last message to and from each other client

	sid       string
	rid, next int64 // the last request, and the one whose answer is due
	waiting   map[int64]chan string
	sent      map[int64]string // what these requests have
	ctx       context.Context  // of the requests
	leave     context.CancelFunc
	over      bool
	told      bool // about stream management

	id           string   // by which the session is resumed
	heard, acked uint32   // stanzas
	unsafe       []string // those that were sent and not acknowledged
}

// sail is the life of a client.
func (c *sailor) sail(steps int) {
	c.board()
	for range steps {
		if c.over {
			c.board()
		}
		switch k := c.rnd.IntN(20); {
		case k < 11:
			c.say("", c.rnd.IntN(4))
		case k < 13:
			c.overtake()
		case k == 13:
			c.drain()
			time.Sleep(3 * time.Second)
			c.say("", 0)
		case k == 14:
			c.say("pause='100'", 0)
			c.drain()
			time.Sleep(time.Duration(c.rnd.IntN(90)) * time.Second)
		case k == 15:
			c.terminate()
		case k == 16:
			c.drain()
			time.Sleep(time.Duration(35+c.rnd.IntN(100)) * time.Second)
		case k == 17 && c.managed: // else what was on its way is lost
			c.leave()
			time.Sleep(time.Duration(c.rnd.IntN(60)) * time.Second)
			c.over = true
		default:
			time.Sleep(time.Duration(c.rnd.IntN(5000)) * time.Millisecond)
		}
	}
	time.Sleep(3 * time.Second)
	c.drain()
	if c.over {
		c.board()
	}
	c.terminate()
}

// board logs in, or resumes the session.
func (c *sailor) board() {
	for c.over = true; c.over; {
		c.over, c.waiting, c.sent = false, make(map[int64]chan string), make(map[int64]string)
		c.ctx, c.leave = context.WithCancel(context.Background())
		c.rid, c.next = ridBefore, ridBefore+1
		a := reply{text: c.exchange(c.dialIn(), creation("ver='1.6' wait='20' hold='1'"))}
		c.sid = a.attributes()["sid"]
		c.request("", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"+base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "\x00u%d\x00p", c.n))+"</auth>")
		c.drain()
		c.request("xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", "")
		c.drain()
		if c.id != "" {
			c.told = false
			c.request("", fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", c.id, c.heard))
			c.until(&c.told)
		}
		if c.id != "" {
			if len(c.unsafe) > 0 {
				c.request("", strings.Join(c.unsafe, ""))
			}
			continue
		}
		c.request("", "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
		if c.drain(); c.managed && !c.over {
			c.told, c.acked, c.unsafe = false, 0, nil
			c.request("", "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
			c.until(&c.told)
		}
	}
}

// until asks until something has come.
func (c *sailor) until(told *bool) {
	for c.drain(); !*told && !c.over; c.drain() {
		time.Sleep(3 * time.Second)
		c.request("", "")
	}
}

// messages returns some to others, and an acknowledgement.
func (c *sailor) messages(n int) (text string) {
	for range n {
		to := c.rnd.IntN(c.clients)
		c.said[to]++
		m := fmt.Sprintf("<message to='u%d@a.test'><body>%d-%d-%d</body></message>", to, c.n, to, c.said[to])
		if c.id != "" {
			c.unsafe = append(c.unsafe, m)
		}
		text += m
	}
	if c.id != "" {
		text += fmt.Sprintf("<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='%d'/>", c.heard)
	}
	return text
}

// say makes a request, and waits until there may be another one.
func (c *sailor) say(attrs string, n int) {
	if attrs == "" && c.next <= c.rid {
		n = max(n, 1) // it is too early to wait only
	}
	c.request(attrs, c.messages(n))
	for c.rid-c.next >= 1 && !c.over && attrs == "" {
		c.collect()
	}
}

// overtake makes two requests, the later one first.
func (c *sailor) overtake() {
	if c.drain(); c.over {
		return
	}
	one, two := c.messages(1), c.messages(1)
	c.rid += 2
	c.send(c.rid, "", two)
	time.Sleep(time.Duration(c.rnd.IntN(100)) * time.Millisecond)
	c.send(c.rid-1, "", one)
	c.collect()
}

// terminate ends the session.
func (c *sailor) terminate() {
	if c.drain(); c.over { // else what was on its way is lost
		return
	}
	c.request("type='terminate'", c.messages(1))
	c.drain()
	c.over, c.id, c.unsafe = true, "", nil
}

// request makes the next request.
func (c *sailor) request(attrs, payload string) {
	if !c.over {
		c.rid++
		c.send(c.rid, attrs, payload)
	}
}

func (c *sailor) send(rid int64, attrs, payload string) {
	answer := make(chan string, 1)
	c.waiting[rid], c.sent[rid] = answer, payload
	text := body(rid, "sid='"+c.sid+"' "+attrs, payload)
	faults := rand.New(rand.NewPCG(c.rnd.Uint64(), 0))
	ctx := c.ctx
	go func() { answer <- c.insist(ctx, text, faults) }()
}

// drain waits for all answers.
func (c *sailor) drain() {
	for c.next <= c.rid && !c.over {
		c.collect()
	}
}

var heardBy = regexp.MustCompile(`<enabled [^>]*id='([^']*)'|<(?:resumed|a) [^>]*h='(\d+)'|<(message|iq) |(<failed )|<body>(\d+)-(\d+)-(\d+)</body>`)

var messageBody = regexp.MustCompile(`<body>\d+-\d+-\d+</body>`)

// collect takes the next answer.
func (c *sailor) collect() {
	text := <-c.waiting[c.next]
	delete(c.waiting, c.next)
	c.next++
	for _, m := range heardBy.FindAllStringSubmatch(text, -1) {
		switch {
		case m[1] != "":
			c.id, c.heard, c.told = m[1], 0, true
		case m[2] != "":
			h, _ := strconv.Atoi(m[2])
			c.unsafe = c.unsafe[uint32(h)-c.acked:]
			c.acked, c.told = uint32(h), true
		case m[3] != "":
			c.heard++
		case m[4] != "":
			c.id, c.unsafe, c.told = "", nil, true
		default:
			c.comes(m[0], m[5], m[7])
		}
	}
	if strings.Contains(text, "type='terminate'") {
		c.over = true
		c.leave()
		return
	}
	c.harbour.mu.Lock()
	defer c.harbour.mu.Unlock()
	c.accepted = append(c.accepted, messageBody.FindAllString(c.sent[c.next-1], -1)...)
}

// comes notes a message.
func (c *sailor) comes(inner, sender, number string) {
	from, _ := strconv.Atoi(sender)
	n, _ := strconv.Atoi(number)
	if n <= c.seen[from] {
		c.t.Errorf("%s came after number %d", inner, c.seen[from])
	}
	c.seen[from] = n
	c.harbour.mu.Lock()
	defer c.harbour.mu.Unlock()
	c.came[inner]++
}

func (c *sailor) dialIn() io.ReadWriteCloser { return c.ln.Dial() }

// insist makes a request until it has an answer, over connections that may be cut.
func (c *sailor) insist(ctx context.Context, body string, rnd *rand.Rand) string {
	for try := range 12 {
		if ctx.Err() != nil {
			break
		}
		conn := c.dialIn()
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		fault := rnd.IntN(10)
		if try > 3 || strings.Contains(body, "terminate") {
			fault = 9
		}
		nap := time.Duration(rnd.IntN(2000)) * time.Millisecond
		text := ""
		switch fault {
		case 0: // in the middle of the request
			_, _ = io.WriteString(conn, post(body)[:len(post(body))-1-rnd.IntN(len(body)-1)])
			time.Sleep(nap)
		case 1: // before the answer
			_, _ = io.WriteString(conn, post(body))
			time.Sleep(nap)
		case 2: // in the middle of the answer
			_, _ = io.WriteString(conn, post(body))
			_, _ = io.ReadFull(conn, make([]byte, 1+rnd.IntN(150)))
		case 3: // and again, in the meantime
			_, _ = io.WriteString(conn, post(body))
			time.Sleep(nap)
			again := c.dialIn()
			text = c.exchange(again, body)
		default:
			text = c.exchange(conn, body)
		}
		stop()
		_ = conn.Close()
		if text != "" && !strings.Contains(text, "type='error'") {
			return text
		}
	}
	return "type='terminate'"
}

func post(body string) string {
	return "POST /bosh HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// exchange makes a request and returns the answer, "" if there is none.
func (c *sailor) exchange(conn io.ReadWriteCloser, body string) string {
	defer conn.Close()
	_, _ = io.WriteString(conn, post(body))
	a, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return ""
	}
	return string(text)
}
