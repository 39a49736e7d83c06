package host_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// longChat sends a message of juliet's with a long body.
func (w *world) longChat(to, id string, size int) {
	w.Helper()
	w.send("juliet@a.test/x", fmt.Sprintf("<message xmlns='jabber:client' to='%s' type='chat' id='%s'><body>%s</body></message>",
		to, id, strings.Repeat("x", size)))
}

// reads has a client acknowledge everything, until nothing more comes. It notes
// what came at most between two acknowledgements.
func (c *client) reads(t *testing.T) (ids []string, most, mostBytes int) {
	t.Helper()
	c.got = func(s *stanza.Stanza) {
		if s.Kind == stanza.Message {
			ids = append(ids, s.ID)
		}
	}
	for {
		synctest.Wait()
		c.mu.Lock()
		n, size := len(c.queue), c.size()
		c.mu.Unlock()
		if n == 0 {
			return ids, most, mostBytes
		}
		most, mostBytes = max(most, n), max(mostBytes, size)
		c.acknowledge(-1)
	}
}

// upTo returns the numbers below n.
func upTo(n int) (ids []string) {
	for i := range n {
		ids = append(ids, strconv.Itoa(i))
	}
	return ids
}

// However much is stored, a client gets it in order and piece by piece, and keeps
// its session.
func TestCatchUp(t *testing.T) {
	for _, tt := range []struct {
		name           string
		messages, size int
		stanzas, bytes int  // bounds of the queue
		silent         bool // the session does not tell how much it would take
		most           int  // stanzas at once
	}{
		{name: "many", messages: 1000, stanzas: 5000, bytes: 8 << 20, most: host.MaxWindow + 1},
		{name: "large", messages: 60, size: 200_000, stanzas: 5000, bytes: 8 << 20, most: 2},
		{name: "many into a small queue", messages: 1000, stanzas: 20, most: 10 + 1},
		{name: "into a queue for a single one", messages: 10, stanzas: 1, most: 1},
		{name: "larger than the queue", messages: 10, size: 9000, bytes: 5000, most: 1},
		{name: "into a session that does not tell", messages: 1000, stanzas: 5000, silent: true, most: host.MaxWindow + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, o := takeover(t)
				for i := range tt.messages {
					w.longChat("romeo@a.test", strconv.Itoa(i), tt.size)
				}
				var c *client
				if tt.silent {
					c = w.join(orchard, "<presence/>")
					c.stanzas = tt.stanzas
				} else {
					c = w.joinBounded(orchard, "<presence/>", tt.stanzas, tt.bytes)
				}
				if n := w.Stats().CatchUps; n != 1 {
					t.Errorf("%d sessions catch up, want 1", n)
				}
				ids, most, bytes := c.reads(t)
				for len(ids) < tt.messages { // it may have to try again
					time.Sleep(time.Second)
					more, n, size := c.reads(t)
					if len(more) == 0 {
						break
					}
					ids, most, bytes = append(ids, more...), max(most, n), max(bytes, size)
				}
				if !slices.Equal(ids, upTo(tt.messages)) {
					t.Errorf("got %d messages %v, want %d in order", len(ids), ids, tt.messages)
				}
				if most > tt.most || most > 2 && bytes > host.MaxWindowBytes+1000 {
					t.Errorf("%d stanzas and %d bytes waited at once, want at most %d and %d", most, bytes, tt.most, host.MaxWindowBytes)
				}
				if c.full || o.count() != 0 || w.Stats().CatchUps != 0 {
					t.Errorf("the queue was full: %t; %d messages are left, and %d sessions catch up", c.full, o.count(), w.Stats().CatchUps)
				}
				c.end(w)
			})
		})
	}
}

// What comes while a session catches up comes after what was stored: also what
// has to be left in the store, because too much waits.
func TestCatchUpMeanwhile(t *testing.T) {
	const stored = 2 * host.MaxWindow
	for _, live := range []int{10, host.MaxWindow + 10, host.MaxHeld + 1000} {
		t.Run(fmt.Sprint(live), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, o := takeover(t)
				for i := range stored {
					w.chat("romeo@a.test", strconv.Itoa(i))
				}
				c := w.joinBounded(orchard, "<presence/>", 2*host.MaxWindow, 0)
				synctest.Wait()
				for i := range live {
					w.chat("romeo@a.test", strconv.Itoa(stored+i))
				}
				if n := w.Stats().Held; n != min(live, host.MaxHeld) {
					t.Errorf("%d messages wait, want %d", n, min(live, host.MaxHeld))
				}
				ids, _, _ := c.reads(t)
				if !slices.Equal(ids, upTo(stored+live)) {
					t.Errorf("got %d messages, want %d in order", len(ids), stored+live)
				}
				if got := outcome(w); got != "" || c.full || o.count() != 0 {
					t.Errorf("others got %q, the queue was full: %t, %d messages are left", got, c.full, o.count())
				}
				w.chat("romeo@a.test", "last")
				c.want(t, "in the end", "last")
				c.end(w)
			})
		})
	}
}

// What cannot be stored keeps its place, too.
func TestCatchUpKeepsPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := takeover(t)
		for i := range 30 {
			w.chat("romeo@a.test", strconv.Itoa(i))
		}
		c := w.joinBounded(orchard, "<presence/>", 20, 0)
		for i := range 30 {
			typ := []string{"chat", "groupchat", "headline"}[i%3]
			w.send("juliet@a.test/x", fmt.Sprintf("<message xmlns='jabber:client' to='%s' type='%s' id='%d'><body/></message>", orchard, typ, 30+i))
		}
		ids, _, _ := c.reads(t)
		if !slices.Equal(ids, upTo(60)) || c.full {
			t.Errorf("got %v, want 60 in order; the queue was full: %t", ids, c.full)
		}
		c.end(w)
	})
}

// A queue that others have filled is no reason to end the session.
func TestCatchUpIntoAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := takeover(t)
		w.chat("romeo@a.test", "0")
		c := w.joinBounded(orchard, "", 2, 0)
		for range 2 {
			w.send("juliet@a.test/x", "<iq xmlns='jabber:client' to='"+orchard+"' type='get' id='q'><q xmlns='urn:x'/></iq>")
		}
		if c.full {
			t.Fatal("the queue is too small")
		}
		c.stanzas = 3 // for the own presence
		w.send(orchard, "<presence/>")
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.full {
			t.Fatal("the session has ended")
		}
		c.want(t, "while it is full", "")
		c.mu.Lock()
		c.queue, c.acked = nil, c.taken // nobody hears of it
		c.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		c.want(t, "a moment later", "0*")
		c.acknowledge(-1)
		synctest.Wait()
		if o.count() != 0 {
			t.Errorf("%d messages are left", o.count())
		}
		c.end(w)
	})
}

// A session that ends in the middle leaves the rest to the next one, and its
// goroutine has ended when Release returns.
func TestCatchUpEnds(t *testing.T) {
	const stored = 3 * host.MaxWindow
	for _, how := range []string{"ends", "is replaced", "is detached and ends", "becomes unavailable"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := takeover(t)
				for i := range stored {
					w.chat("romeo@a.test", strconv.Itoa(i))
				}
				c := w.joinBounded(orchard, "<presence/>", 1000, 0)
				c.acknowledge(101) // the presence as well
				synctest.Wait()
				w.chat("romeo@a.test", strconv.Itoa(stored))
				next := c
				switch how {
				case "ends":
					c.end(w)
					next = w.joinBounded(orchard, "<presence/>", 1000, 0)
				case "is replaced":
					next = w.joinBounded(orchard, "", 1000, 0)
					here := w.route(orchard, "<presence/>")
					synctest.Wait()
					c.end(w)
					<-here
				case "is detached and ends":
					c.detach(w)
					w.chat("romeo@a.test", strconv.Itoa(stored+1))
					c.end(w)
					next = w.joinBounded(orchard, "<presence/>", 1000, 0)
				case "becomes unavailable":
					w.send(orchard, "<presence type='unavailable'/>")
					c.acknowledge(-1)
					synctest.Wait()
					if n := w.Stats().CatchUps; n != 0 {
						t.Errorf("%d sessions catch up", n)
					}
					w.send(orchard, "<presence/>")
				}
				first, _, _ := next.reads(t)
				want := upTo(stored + 2)[100:]
				switch how {
				case "becomes unavailable":
					want = want[host.MaxWindow-100:]
					fallthrough
				case "ends", "is replaced":
					want = want[:len(want)-1] // one less was sent
				}
				if how == "becomes unavailable" {
					first = slices.DeleteFunc(first, func(id string) bool { n, _ := strconv.Atoi(id); return n < host.MaxWindow })
				}
				if !slices.Equal(first, want) {
					t.Errorf("then came %d messages %v, want %d from %s on", len(first), first, len(want), want[0])
				}
				next.end(w)
			})
		})
	}
}

// A session that is resumed goes on.
func TestCatchUpIsResumed(t *testing.T) {
	const stored = 3 * host.MaxWindow
	synctest.Test(t, func(t *testing.T) {
		w, _ := takeover(t)
		for i := range stored {
			w.chat("romeo@a.test", strconv.Itoa(i))
		}
		c := w.joinBounded(orchard, "<presence/>", 1000, 0)
		c.detach(w)
		w.chat("romeo@a.test", strconv.Itoa(stored))
		time.Sleep(time.Hour)
		c.resume(w)
		w.chat("romeo@a.test", strconv.Itoa(stored+1))
		ids, most, _ := c.reads(t)
		if !slices.Equal(ids, upTo(stored+2)) || most > host.MaxWindow+1 {
			t.Errorf("got %d messages, %d at once, want %d in order", len(ids), most, stored+2)
		}
		c.end(w)
	})
}
