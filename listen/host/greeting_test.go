package host_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// popular is a world in which romeo sees contacts with many sessions each.
func popular(t *testing.T, people, sessions int, status string) (*world, *contacts) {
	w, _ := takeover(t)
	c := new(contacts)
	w.Local.Contacts = c
	for i := range people {
		name := fmt.Sprintf("c%d@a.test", i)
		c.subscribe(t, "romeo@a.test", name)
		for n := range sessions {
			full := fmt.Sprintf("%s/%d", name, n)
			if _, err := w.Bind(t.Context(), stanza.Binding{JID: jid(t, full), Sink: new(listentest.Sink)}); err != nil {
				t.Fatal(err)
			}
			w.send(full, "<presence><status>"+status+"</status></presence>")
		}
	}
	return w, c
}

// come returns what has come to a client until nothing more comes, by sender and
// type, or the id of a message; and how much came at most at once.
func (c *client) come() (all []string, most, mostBytes int) {
	c.got = func(s *stanza.Stanza) {
		if s.Kind == stanza.Message {
			all = append(all, s.ID)
		} else {
			all = append(all, strings.TrimSpace(s.From.String()+" "+s.Type))
		}
	}
	for {
		synctest.Wait()
		c.mu.Lock()
		n, size := len(c.queue), c.size()
		c.mu.Unlock()
		if n == 0 {
			return all, most, mostBytes
		}
		most, mostBytes = max(most, n), max(mostBytes, size)
		c.acknowledge(-1)
	}
}

// However many contacts there are, and however much they say: a client gets all
// of it piece by piece.
func TestGreetingIsPaced(t *testing.T) {
	for _, tt := range []struct {
		name               string
		contacts, sessions int
		status             int
		stanzas            int // bound of the queue
		silent             bool
	}{
		{"many", 300, 20, 10, 5000, false},
		{"large", 5, 20, host.MaxPresence - 200, 5000, false},
		{"into a small queue", 30, 20, 10, 8, false},
		{"into a session that does not tell", 300, 20, 10, 5000, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, roster := popular(t, tt.contacts, tt.sessions, strings.Repeat("x", tt.status))
				w.bind("romeo@a.test/other", "<presence/>")
				roster.item(jid(t, "romeo@a.test"), jid(t, "tybalt@a.test")).request = parse(t, "<presence from='tybalt@a.test' to='romeo@a.test' type='subscribe'/>")
				w.Release(t.Context(), jid(t, "romeo@a.test/other"), w.sinks["romeo@a.test/other"])
				for i := range 10 {
					w.chat("romeo@a.test", fmt.Sprint(i))
				}
				w.bind("romeo@a.test/quiet", prio(-1))
				var c *client
				if tt.silent {
					c = w.join(orchard, "<presence/>")
					c.stanzas = tt.stanzas
				} else {
					c = w.joinBounded(orchard, "<presence/>", tt.stanzas, 8<<20)
				}
				all, most, size := c.come()
				n := tt.contacts * tt.sessions
				if len(all) != 1+1+1+n+10 {
					t.Fatalf("%d stanzas came, want %d", len(all), 1+1+1+n+10)
				}
				if got, want := fmt.Sprint(all[:3]), "[romeo@a.test/orchard romeo@a.test/quiet tybalt@a.test subscribe]"; got != want {
					t.Errorf("first came %s, want %s", got, want)
				}
				if got, want := fmt.Sprint(all[3+n:]), fmt.Sprint(upTo(10)); got != want {
					t.Errorf("last came %s, want %s", got, want)
				}
				if most > min(host.MaxWindow, tt.stanzas)+1 || size > host.MaxWindowBytes+1000 || c.full {
					t.Errorf("%d stanzas and %d bytes waited at once; the queue was full: %t", most, size, c.full)
				}
				c.end(w)
			})
		})
	}
}

// What changes while a client is slow to take the presence of others.
func TestGreetingMeanwhile(t *testing.T) {
	const contact = "c0@a.test"
	for _, tt := range []struct {
		name   string
		change func(w *world)
		want   int // how many sessions of the contact romeo hears of in all
	}{
		{"nothing", func(*world) {}, 20},
		{"one of them goes", func(w *world) { w.send(contact+"/19", "<presence type='unavailable'/>") }, 19},
		{"the contact hides", func(w *world) { w.send(contact+"/0", "<presence to='romeo@a.test' type='unsubscribed'/>") }, 4},
		{"the user blocks the contact", func(w *world) {
			w.SetBlocked(jid(w.T, "romeo@a.test"), func(p stanza.JID) bool { return p.Bare() == jid(w.T, contact) })
		}, 4},
		{"the session becomes unavailable", func(w *world) { w.send(orchard, "<presence type='unavailable'/>") }, 4},
		{"it announces itself once more", func(w *world) {
			w.send(orchard, "<presence type='unavailable'/>")
			w.send(orchard, "<presence/>")
		}, 24},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := popular(t, 1, 20, "")
				c := w.joinBounded(orchard, "<presence/>", 8, 0)
				synctest.Wait() // the own presence and four others
				c.stanzas = 1000
				seen := make(map[string]string) // the last thing by sender
				heard := 0
				c.got = func(s *stanza.Stanza) {
					if s.From.Bare() == jid(t, contact) && s.From.IsFull() {
						seen[s.From.String()] = s.Type
						if s.Type == "" {
							heard++
						}
					}
				}
				tt.change(w)
				for range 20 {
					synctest.Wait()
					c.acknowledge(-1)
				}
				for from, typ := range seen {
					if tt.name == "the contact hides" && typ != stanza.TypeUnavailable {
						t.Errorf("%s is shown last with type %q", from, typ)
					}
				}
				if heard != tt.want {
					t.Errorf("heard of %d sessions, want %d", heard, tt.want)
				}
				c.end(w)
			})
		})
	}
}

// Presence for others is bounded.
func TestLongPresence(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test", "juliet@a.test")
	w.bind("romeo@a.test/x", "<presence/>")
	w.bind("juliet@a.test/x", "<presence/>")
	w.got()
	for _, tt := range []struct {
		attrs string
		size  int
		want  string
	}{
		{"", host.MaxPresence - 200, "x"},
		{"", host.MaxPresence, "policy-violation"},
		{" to='juliet@a.test/x'", host.MaxPresence - 200, "x"},
		{" to='juliet@a.test/x'", host.MaxPresence, "policy-violation"},
		{" to='juliet@a.test' type='subscribe'", host.MaxPresence, "policy-violation"},
		{" to='juliet@a.test/x' type='unavailable'", host.MaxPresence, "policy-violation"},
		{" to='juliet@a.test/x' type='error'", host.MaxPresence, "x"},
	} {
		w.send("romeo@a.test/x", "<presence"+tt.attrs+"><status>"+strings.Repeat("x", tt.size)+"</status></presence>")
		if got := outcome(w); got != tt.want && !(tt.want == "x" && strings.Trim(got, "x ") == "") {
			t.Errorf("%q, %d bytes: got %q, want %q", tt.attrs, tt.size, got, tt.want)
		}
	}
}

// A login that finds nothing takes no goroutine and, in the router, no more than
// the turn of its messages.
func TestPlainLoginAllocates(t *testing.T) {
	w := newWorld(t, hosts("a.test"), "romeo@a.test")
	w.Offline = new(nothing)
	full := jid(t, orchard)
	if _, err := w.Bind(t.Context(), stanza.Binding{JID: full, Sink: new(counter)}); err != nil {
		t.Fatal(err)
	}
	come, leave := parse(t, "<presence/>").WithFrom(full), parse(t, "<presence type='unavailable'/>").WithFrom(full)
	n := testing.AllocsPerRun(100, func() {
		for _, p := range []*stanza.Stanza{come, leave} {
			if err := w.Route(t.Context(), p); err != nil {
				t.Error(err)
			}
		}
	})
	if n > 9 {
		t.Errorf("got %v allocations, want at most 9", n)
	}
}

// nothing is a store that is empty.
type nothing struct{ host.Offline }

func (nothing) Offered(string) bool { return true }

func (nothing) Deliver(context.Context, stanza.JID, stanza.Sink, func(*stanza.Stanza) error) error {
	return nil
}
