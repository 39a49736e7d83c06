package c2s

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	nsSM      = "urn:xmpp:sm:3"
	smRequest = "<r xmlns='" + nsSM + "'/>"
	smEnable  = "<enable xmlns='" + nsSM + "' resume='true'/>"
)

// manage switches stream management on.
func manage(r *rig) {
	o := StreamManagementDefaults()
	r.sm = &o
}

func smAck(h int) string { return fmt.Sprintf("<a xmlns='%s' h='%d'/>", nsSM, h) }

func smResume(id string, h int) string {
	return fmt.Sprintf("<resume xmlns='%s' previd='%s' h='%d'/>", nsSM, id, h)
}

func failedWith(condition string) string {
	return "<failed xmlns='" + nsSM + "'><" + condition + " xmlns='" + stanza.NSStanzas + "'/></failed>"
}

// enable makes the stream managed and returns its id.
func (c *client) enable() string {
	c.t.Helper()
	c.Send(smEnable)
	return c.ExpectMatch("<enabled xmlns='" + nsSM + "' id='([A-Z2-7]{26,})' resume='true' max='300'/>")[1]
}

// managed logs in and makes the stream one that can be resumed.
func (r *rig) managed(user, resource string) (*client, string) {
	r.t.Helper()
	c := r.login(user, resource)
	return c, c.enable()
}

// resume logs in anew and takes up a session. It returns how many stanzas the
// server has handled.
func (r *rig) resume(user, id string, h int) (*client, string) {
	r.t.Helper()
	c := r.authenticated(user)
	c.Send(smResume(id, h))
	return c, c.ExpectMatch("<resumed xmlns='" + nsSM + "' previd='" + id + "' h='([0-9]+)'/>")[1]
}

// last returns what comes before the answer to a ping of the client's.
func (c *client) last() string {
	c.t.Helper()
	synctest.Wait()
	c.Send("<iq type='set' id='last'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
	return c.Expect(" type='result' id='last'/>")
}

func numberedMessage(i int) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.Message, ID: fmt.Sprint(i), Inner: "<body>x</body>"}
}

// deliver gives messages to a session.
func (r *rig) deliver(jid string, from, to int) {
	r.t.Helper()
	for i := from; i <= to; i++ {
		if err := r.fake.sink(jid).Deliver(numberedMessage(i)); err != nil {
			r.t.Fatalf("Deliver %d: %v", i, err)
		}
	}
}

func undelivered(end ending) string {
	var list []string
	for _, s := range end.undelivered {
		list = append(list, s.Stanza.ID)
	}
	return strings.Join(list, " ")
}

// TestManagementOffered wants stream management among the features after the
// login, where it is on: XEP-0198, section 2.
func TestManagementOffered(t *testing.T) {
	const feature = "<sm xmlns='" + nsSM + "'/>"
	r := start(t)
	o := StreamManagementDefaults()
	for _, tt := range []struct {
		name string
		o    stanza.PerHost[*StreamManagement]
		want bool
	}{
		{"off", stanza.PerHost[*StreamManagement]{}, false},
		{"on", stanza.PerHost[*StreamManagement]{Value: &o}, true},
		{"off for this host", stanza.PerHost[*StreamManagement]{Value: &o, Hosts: map[string]*StreamManagement{"one.test": nil}}, false},
		{"on for another host", stanza.PerHost[*StreamManagement]{Hosts: map[string]*StreamManagement{"two.test": &o}}, false},
		{"on for this host", stanza.PerHost[*StreamManagement]{Hosts: map[string]*StreamManagement{"one.test": &o}}, true},
	} {
		r.server.SetStreamManagement(tt.o)
		c := r.dial()
		if got := c.open("one.test"); strings.Contains(got, feature) {
			t.Errorf("%s: got %s before the login", tt.name, got)
		}
		c.Send(auth("PLAIN", "\x00ana\x00anchor"))
		c.Expect("<success")
		c.Expect(">")
		if got := c.open("one.test"); strings.Contains(got, feature) != tt.want {
			t.Errorf("%s: got %s, want stream management: %v", tt.name, got, tt.want)
		}
	}
}

// stage is how far a client has come.
type stage int

const (
	opened stage = iota
	authenticated
	bound
)

// proceed takes a client from one stage to another.
func (c *client) proceed(from, to stage) {
	c.t.Helper()
	if from < authenticated && to >= authenticated {
		c.plain("ana")
	}
	if from < bound && to >= bound {
		c.bind("ana", "boat")
	}
}

// enableTest is what a client sends to manage its stream, and what comes of it.
type enableTest struct {
	name  string
	o     func(o *StreamManagement) // nil: off
	stage stage
	send  string
	want  string // a pattern
	end   string // condition of the stream error that follows
}

func (tt *enableTest) run(t *testing.T) {
	r := start(t, func(r *rig) {
		if tt.o != nil {
			manage(r)
			tt.o(r.sm)
		}
	})
	c := r.open()
	c.proceed(opened, tt.stage)
	c.Send(tt.send)
	if tt.want != "" {
		c.ExpectMatch(tt.want)
	}
	if tt.end != "" {
		c.expectError(tt.end)
		return
	}
	c.proceed(tt.stage, bound) // the stream goes on
	c.Send(message("bo@one.test", "x"))
	receive(t, "stanza", r.fake.routed)
}

// TestEnable goes through XEP-0198, section 3.
func TestEnable(t *testing.T) {
	const ns = " xmlns='" + nsSM + "'"
	resumable := func(maximum string) string {
		return "<enabled xmlns='" + nsSM + "' id='[A-Z2-7]{26,}' resume='true' max='" + maximum + "'/>$"
	}
	tests := []enableTest{
		{"acks only", same, bound, "<enable" + ns + "/>", "<enabled" + ns + "/>$", ""},
		{"resume", same, bound, "<enable" + ns + " resume='true'/>", resumable("300"), ""},
		{"resume, 1 for true", same, bound, "<enable" + ns + " resume='1'/>", resumable("300"), ""},
		{"resume, false", same, bound, "<enable" + ns + " resume='false'/>", "<enabled" + ns + "/>$", ""},
		{"resume, no truth value", same, bound, "<enable" + ns + " resume='maybe'/>", failedWith("bad-request") + "$", ""},
		{"shorter time", same, bound, "<enable" + ns + " resume='1' max='60'/>", resumable("60"), ""},
		{"longer time", same, bound, "<enable" + ns + " resume='1' max='6000'/>", resumable("300"), ""},
		{"longer time that is allowed", func(o *StreamManagement) { o.MaxResumeTimeout = time.Hour }, bound,
			"<enable" + ns + " resume='1' max='6000'/>", resumable("3600"), ""},
		{"no wish where a longer time is allowed", func(o *StreamManagement) { o.MaxResumeTimeout = time.Hour }, bound,
			"<enable" + ns + " resume='1'/>", resumable("300"), ""},
		{"resumption is off", func(o *StreamManagement) { o.ResumeTimeout = 0 }, bound,
			"<enable" + ns + " resume='1' max='60'/>", "<enabled" + ns + "/>$", ""},
		{"off", nil, bound, "<enable" + ns + "/>", failedWith("feature-not-implemented") + "$", ""},
		{"before the resource", same, authenticated, "<enable" + ns + "/>", failedWith("unexpected-request") + "$", ""},
		{"before the login", same, opened, "<enable" + ns + "/>", failedWith("unexpected-request") + "$", ""},
		{"resume before the login", same, opened, smResume("x", 0), failedWith("unexpected-request") + "$", ""},
		{"resume after the resource", same, bound, smResume("x", 0), failedWith("unexpected-request") + "$", ""},
		{"twice", same, bound, "<enable" + ns + "/><enable" + ns + "/>",
			"<enabled" + ns + "/>" + failedWith("unexpected-request"), "policy-violation"},
		{"request before it is enabled", same, bound, smRequest, "", "unsupported-stanza-type"},
		{"request before the resource", same, authenticated, smRequest, "", "unsupported-stanza-type"},
		{"answer before it is enabled", same, bound, smAck(0), "", "unsupported-stanza-type"},
		{"unknown element", same, bound, "<enable" + ns + "/><x" + ns + "/>", "<enabled" + ns + "/>", "unsupported-stanza-type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.run(t)
		})
	}
}

func same(*StreamManagement) {}

// TestRefusalsEnd checks that a client cannot ask for what is refused for ever.
func TestRefusalsEnd(t *testing.T) {
	for name, begin := range map[string]func(r *rig) *client{
		"before the login":    (*rig).open,
		"before the resource": func(r *rig) *client { return r.authenticated("ana") },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, manage)
			c := begin(r)
			c.Send(strings.Repeat(smResume("x", 0), 20))
			c.expectError("policy-violation")
		})
	}
}

// TestCounts checks which elements the server says to have handled.
func TestCounts(t *testing.T) {
	tests := []struct {
		name, send string
		want       int
	}{
		{"nothing", "", 0},
		{"space", " \n ", 0},
		{"message", message("bo@one.test", "x"), 1},
		{"presence", "<presence/>", 1},
		{"request that is answered", "<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", 1},
		{"request that is refused", "<iq type='get' id='1'><q xmlns='urn:x'/></iq>", 1},
		{"answer", "<iq type='result' id='1' to='bo@one.test'/>", 1},
		{"stanza that is wrong in itself", "<message to='@'><body/></message>", 1},
		{"request that is wrong in itself", "<iq id='1' type='get'/>", 1},
		{"other elements", smAck(0) + smRequest, 0},
		{"all of them", message("bo@one.test", "x") + smRequest + "<presence/>" + "<iq id='1' type='get'/>", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				c := r.login("ana", "boat")
				c.Send(message("bo@one.test", "not counted"))
				c.enable()
				c.Send(tt.send)
				c.last() // counts
				c.Send(smRequest)
				c.Expect(smAck(tt.want + 1))
			})
		})
	}
}

// TestCountWrapsAround sends over the highest number in both directions.
func TestCountWrapsAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, id := r.managed("ana", "boat")
		m := r.fake.sink("ana@one.test/boat").(*session).m
		m.mu.Lock()
		m.handled, m.safe = 1<<32-2, 1<<32-2
		m.mu.Unlock()
		for _, want := range []string{"4294967295", "0", "1"} {
			c.Send(message("bo@one.test", "x") + smRequest)
			c.Expect("<a xmlns='" + nsSM + "' h='" + want + "'/>")
		}
		c.Close()
		<-r.fake.detached
		if _, h := r.resume("ana", id, 0); h != "1" {
			t.Errorf("got %s stanzas handled, want 1", h)
		}
	})
}

// TestAnswerWaits checks that a client hears only of what is safe: after a
// second of what is, and of the rest when that is.
func TestAnswerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dones []func()
		r := start(t, manage, func(r *rig) {
			r.sm.AckTimeout = 0 // the client acknowledges nothing
			r.fake.onRoute = func(ctx context.Context, s *stanza.Stanza) error {
				if s.ID == "slow" {
					dones = append(dones, stanza.ReceiptOf(ctx).Begin())
				}
				return nil
			}
		})
		c, _ := r.managed("ana", "boat")
		c.Send("<message id='1'/>" + smRequest)
		c.Expect(smAck(1))
		c.Send("<message id='2'/>" + smRequest + "<message id='slow'/><message id='4'/>" + smRequest)
		c.Expect(smAck(2))
		began := time.Now()
		c.Expect(smAck(2))
		if took := time.Since(began); took != lateAnswer {
			t.Errorf("the answer took %v, want %v", took, lateAnswer)
		}
		c.Send("<message id='5'/>" + smRequest)
		time.Sleep(time.Hour)
		if got := c.last(); strings.Count(got, "<a ") != 1 || !strings.Contains(got, smAck(2)) {
			t.Errorf("got %s in an hour, want the number once more, for the second request", got)
		}
		dones[0]()
		c.Expect(smAck(5))
		time.Sleep(time.Hour)
		if got := c.last(); strings.Contains(got, "<a ") {
			t.Errorf("got %s, want no answer more", got)
		}
	})
}

// TestUnaskedAcks checks that a client that asks for nothing hears of what is
// safe all the same, so that it need not keep it.
func TestUnaskedAcks(t *testing.T) {
	r := start(t, manage)
	c, _ := r.managed("ana", "boat")
	c.Send(strings.Repeat(message("bo@one.test", "x"), 2*markEvery))
	c.Expect(smAck(2 * markEvery)) // perhaps after one of the first half
}

// TestLastAck checks that a stream ends with an acknowledgement.
func TestLastAck(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(r *rig, c *client)
		then string
	}{
		"by the client":     {func(_ *rig, c *client) { c.Send("</stream:stream>") }, "</stream:stream>"},
		"by an error":       {func(_ *rig, c *client) { c.Send("<x/>") }, "<stream:error><unsupported-stanza-type"},
		"by a kick":         {func(r *rig, _ *client) { r.fake.sink("ana@one.test/boat").Kick(xmppstream.ErrShutdown) }, "<stream:error><system-shutdown"},
		"by the listener":   {func(r *rig, _ *client) { r.cancel(errors.New("the end")) }, "<stream:error><system-shutdown"},
		"by another stanza": {func(_ *rig, c *client) { c.Send(message("bo@one.test", "x") + "</stream:stream>") }, "</stream:stream>"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				c, _ := r.managed("ana", "boat")
				c.Send(message("bo@one.test", "x") + message("bo@one.test", "y"))
				synctest.Wait()
				end.by(r, c)
				n := 2
				if name == "by another stanza" {
					n = 3
				}
				if got := c.ExpectEOF(); !strings.HasPrefix(got, smAck(n)+end.then) {
					t.Errorf("got %s, want %s and the end", got, smAck(n))
				}
				c.wellFormed()
				c.Close()
			})
		})
	}
}

// TestLastAckWaits checks that a client that closes its stream hears of what is
// safe a moment later.
func TestLastAckWaits(t *testing.T) {
	for _, safe := range []bool{true, false} {
		t.Run(fmt.Sprint("safe ", safe), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage, func(r *rig) {
					r.fake.onRoute = func(ctx context.Context, s *stanza.Stanza) error {
						if s.ID == "2" {
							done := stanza.ReceiptOf(ctx).Begin()
							if safe {
								time.AfterFunc(lateAnswer/2, done)
							}
						}
						return nil
					}
				})
				c, _ := r.managed("ana", "boat")
				c.Send("<message id='1'/>" + smRequest + "<message id='2'/></stream:stream>")
				want, took := smAck(1)+smAck(2), lateAnswer/2
				if !safe {
					want, took = smAck(1)+smAck(1), lateAnswer
				}
				began := time.Now()
				if got := c.ExpectEOF(); got != want+"</stream:stream>" || time.Since(began) != took {
					t.Errorf("got %s after %v, want %s after %v", got, time.Since(began), want, took)
				}
				c.Close()
			})
		})
	}
}

// TestRequests checks that a client is asked for acknowledgements, once at a
// time, and what comes of its answers.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage)
		c, _ := r.managed("ana", "boat")
		r.deliver("ana@one.test/boat", 1, 2)
		c.Expect(smRequest)
		r.deliver("ana@one.test/boat", 3, 3)
		if got := c.last(); strings.Contains(got, smRequest) {
			t.Errorf("got %s, want no request while one is not answered", got)
		}
		c.Send(smAck(2))
		c.Expect(smRequest)
		c.Send(smAck(4)) // 4 is the answer to c.last
		time.Sleep(time.Hour)
		if got := c.last(); strings.HasPrefix(got, smRequest) {
			t.Errorf("got %s, want no request on an idle stream", got)
		}
		c.Send(smAck(5) + "</stream:stream>")
		if end := <-r.fake.ended; undelivered(end) != "" || end.reason != nil {
			t.Errorf("got %q undelivered, reason %v, want nothing", undelivered(end), end.reason)
		}
	})
}

// TestWrongAck ends the session for good.
func TestWrongAck(t *testing.T) {
	tests := []struct{ name, send, want string }{
		{"too high", smAck(2), "<undefined-condition xmlns='" + nsStreams + "'/><text xmlns='" + nsStreams +
			"' xml:lang='en'>2 stanzas are said to be handled, but only 1 were sent</text><handled-count-too-high xmlns='" + nsSM + "' h='2' send-count='1'/>"},
		{"no number", "<a xmlns='" + nsSM + "' h='x'/>", "<bad-format xmlns='" + nsStreams + "'/>"},
		{"without number", "<a xmlns='" + nsSM + "'/>", "<bad-format xmlns='" + nsStreams + "'/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				c, _ := r.managed("ana", "boat")
				r.deliver("ana@one.test/boat", 1, 1)
				c.Expect(smRequest)
				c.Send(tt.send)
				if got := c.ExpectEOF(); !strings.Contains(got, "<stream:error>"+tt.want) {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				c.wellFormed()
				c.Close()
				if end := <-r.fake.ended; undelivered(end) != "1" {
					t.Errorf("got %q undelivered, want 1", undelivered(end))
				}
			})
		})
	}
}

// TestAckQueueBound ends a session whose client does not acknowledge.
func TestAckQueueBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, manage, func(r *rig) { r.sm.MaxAckQueue = 100 })
		c, _ := r.managed("ana", "boat")
		r.deliver("ana@one.test/boat", 1, 100)
		c.Expect("id='100'")
		if err := r.fake.sink("ana@one.test/boat").Deliver(numberedMessage(101)); !errors.Is(err, stanza.ErrQueueFull) {
			t.Errorf("got %v, want %v", err, stanza.ErrQueueFull)
		}
		c.expectError("resource-constraint")
		if end := <-r.fake.ended; len(end.undelivered) != 100 {
			t.Errorf("got %d undelivered, want 100", len(end.undelivered))
		}
	})
}

// TestArrived checks that the host hears once of each stanza of a store that
// has arrived.
func TestArrived(t *testing.T) {
	for _, managed := range []bool{false, true} {
		t.Run(fmt.Sprint("managed ", managed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage)
				c := r.login("ana", "boat")
				if managed {
					c.enable()
				}
				for i := range 4 {
					s := numberedMessage(i)
					if i != 2 {
						s.Kept = uint64(10 + i)
					}
					_ = r.fake.sink("ana@one.test/boat").Deliver(s)
				}
				if got := c.last(); strings.Contains(strings.ToLower(got), "kept") {
					t.Errorf("got %s, want nothing of the store's keys", got)
				}
				want := "[10 11 13]"
				if managed {
					for _, h := range []int{1, 1, 3, 4, 5, 5} {
						c.Send(smAck(h))
					}
					synctest.Wait()
				}
				if got := fmt.Sprint(r.fake.arrived); got != want {
					t.Errorf("got %s arrived, want %s", got, want)
				}
			})
		})
	}
}

// acknowledger reads what comes on a connection and acknowledges it when asked,
// until the connection ends.
func acknowledger(conn net.Conn) {
	in := bufio.NewReaderSize(conn, 64<<10)
	var answer []byte
	for n := int64(0); ; {
		tag, err := in.ReadSlice('>')
		switch {
		case err != nil:
			return
		case bytes.HasSuffix(tag, []byte("</message>")):
			n++
		case bytes.HasPrefix(tag, []byte("<r ")):
			answer = append(answer[:0], "<a xmlns='"+nsSM+"' h='"...)
			answer = strconv.AppendInt(answer, n, 10)
			_, _ = conn.Write(append(answer, "'/>"...))
		}
	}
}

// BenchmarkManagedStanza is BenchmarkStanza with stream management on both
// sides: the sender asks for each 100 messages, the recipient acknowledges them
// when asked.
func BenchmarkManagedStanza(b *testing.B) {
	const batch = 100
	r := start(b, manage)
	ana, _ := r.managed("ana", "boat")
	bo, _ := r.managed("bo", "pier")
	for _, c := range []*client{ana, bo} {
		_ = c.conn.SetDeadline(time.Time{})
	}
	text := []byte(strings.Repeat(message("bo@one.test/pier", strings.Repeat("x", 100)), batch) + smRequest)
	var reading sync.WaitGroup
	reading.Go(func() { acknowledger(bo.conn) })
	answers := bufio.NewReader(ana.conn)
	var want []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(text) / batch))
	b.ResetTimer()
	for i := range (b.N + batch - 1) / batch {
		if _, err := ana.conn.Write(text); err != nil {
			b.Fatal(err)
		}
		want = append(strconv.AppendInt(append(want[:0], '\''), int64(i+1)*batch, 10), "'/>"...)
		for tag := []byte(nil); !bytes.HasSuffix(tag, want); {
			var err error
			if tag, err = answers.ReadSlice('>'); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	_ = bo.conn.Close()
	reading.Wait()
}
