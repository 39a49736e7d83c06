package host_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/privilege"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// XEP-0356, sections 7.1 to 7.3.
func TestPresenceOfUsers(t *testing.T) {
	f := host.Messenger()
	f.Privilege.Hosts = map[string]*privilege.Options{"a.test": {Presence: privilege.Presence{ManagedEntity: only(gate)}}}
	synctest.Test(t, func(t *testing.T) {
		q := newPrivileged(t, f)
		synctest.Wait()
		defer func() {
			q.detach(gate)
			q.detach("other.a.test")
		}()
		toGate := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, line := range q.got() {
				if strings.HasPrefix(line, gate) || strings.HasPrefix(line, "other") || strings.HasPrefix(line, "far") {
					got = append(got, line)
				}
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		q.come("juliet@a.test/j", "<presence id='p1' xml:lang='en'><show>chat</show></presence>")
		toGate(gate + ": <presence from='juliet@a.test/j' to='" + gate + "' id='p1' xml:lang='en'><show>chat</show></presence>")
		q.send("juliet@a.test/j", "<presence><show>away</show></presence>") // neither the first nor the last
		q.send("juliet@a.test/j", "<presence to='romeo@a.test'/>")
		q.come("nurse@b.test/n", "<presence/>")
		q.send("far@far.test/f", "<presence to='juliet@a.test'/>")
		q.send("nurse@b.test/n", "<presence to='juliet@a.test'/>")
		toGate()
		q.send("juliet@a.test/j", "<presence type='unavailable'><status>bye</status></presence>")
		toGate(gate + ": <presence from='juliet@a.test/j' to='" + gate + "' type='unavailable'><status>bye</status></presence>")
		q.send("juliet@a.test/j", "<presence type='unavailable'/>")
		toGate()
		q.send("juliet@a.test/j", "<presence/>")
		toGate(gate + ": <presence from='juliet@a.test/j' to='" + gate + "'/>")
		q.leave("juliet@a.test/j")
		toGate(gate + ": <presence from='juliet@a.test/j' to='" + gate + "' type='unavailable'/>")
		q.come("juliet@a.test/silent", "")
		q.leave("juliet@a.test/silent")
		toGate()

		// Section 8, rule 1: a component that comes later.
		q.come("juliet@a.test/one", "<presence><show>dnd</show></presence>")
		q.come("romeo@a.test/two", "<presence/>")
		q.come("romeo@a.test/silent", "")
		toGate(gate+": <presence from='juliet@a.test/one' to='"+gate+"'><show>dnd</show></presence>", gate+": <presence from='romeo@a.test/two' to='"+gate+"'/>")
		q.detach(gate)
		q.send("juliet@a.test/one", "<presence type='unavailable'/>")
		q.send("juliet@a.test/one", "<presence><show>xa</show></presence>")
		q.attach(gate)
		toGate(gate+": <message from='a.test' to='"+gate+"' id='*'><privilege xmlns='urn:xmpp:privilege:2'><perm access='presence' type='managed_entity'/></privilege></message>",
			gate+": <presence from='juliet@a.test/one' to='"+gate+"'><show>xa</show></presence>", gate+": <presence from='romeo@a.test/two' to='"+gate+"'/>")

		// The same for a privilege that comes later.
		q.Privilege.Configure(stanza.PerHost[*privilege.Options]{})
		q.got()
		q.send("juliet@a.test/one", "<presence type='unavailable'/>")
		toGate()
		q.Privilege.Configure(onAll(privilege.Options{Presence: privilege.Presence{ManagedEntity: only(gate)}}))
		synctest.Wait()
		if got := strings.Join(q.got(), "\n"); !strings.Contains(got, "<presence from='romeo@a.test/two'") || !strings.Contains(got, "<presence from='nurse@b.test/n'") || strings.Contains(got, "juliet") {
			t.Errorf("got\n%s", got)
		}
	})
}

// XEP-0356, sections 7.4 and 7.6, and section 8.
func TestPresenceForComponents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuay(t, privileged())
		// juliet sees romeo, nurse and far@far.test; so does romeo nurse and far.
		befriend := func(watcher, user string) {
			q.send(watcher, "<presence type='subscribe' to='"+user+"'/>")
			q.send(user, "<presence type='subscribed' to='"+watcher+"'/>")
		}
		befriend("juliet@a.test", "romeo@a.test")
		for _, w := range []string{"juliet@a.test", "romeo@a.test"} {
			befriend(w, "nurse@b.test")
			befriend(w, "far@far.test")
		}
		q.attach(gate)
		defer q.detach(gate)
		toGate := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, line := range q.got() {
				if strings.HasPrefix(line, gate) && !strings.Contains(line, "<message") {
					got = append(got, line)
				}
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		toGate()
		told := func(from, attrs, inner string) string {
			if inner == "" {
				return gate + ": <presence from='" + from + "' to='" + gate + "'" + attrs + "/>"
			}
			return gate + ": <presence from='" + from + "' to='" + gate + "'" + attrs + ">" + inner + "</presence>"
		}
		// Nobody of a.test is there, and the component hears all the same. It hears
		// once of who is a contact of two.
		for _, to := range []string{"juliet@a.test", "romeo@a.test"} {
			q.send("far@far.test/f", "<presence to='"+to+"'/>")
		}
		toGate(told("far@far.test/f", "", ""))
		q.come("nurse@b.test/n", "<presence/>")
		toGate(told("nurse@b.test/n", "", ""))
		q.send("nurse@b.test/n", "<presence><show>away</show></presence>")
		toGate(told("nurse@b.test/n", "", "<show>away</show>"))
		q.send("nurse@b.test/n", "<presence/>")
		toGate(told("nurse@b.test/n", "", ""))
		q.come("romeo@a.test/r", "<presence/>")
		toGate(told("romeo@a.test/r", "", ""))
		q.send("romeo@a.test/r", "<presence><show>away</show></presence>") // juliet sees it
		toGate(told("romeo@a.test/r", "", "<show>away</show>"))

		// Not who is no contact, whom the user blocks, or who is the component itself.
		q.send("stranger@far.test/f", "<presence to='juliet@a.test'/>")
		q.send("c@"+gate, "<presence to='juliet@a.test'/>")
		q.come("juliet@a.test/j", "")
		q.ask("juliet@a.test/j", "<iq type='set' id='0'><block xmlns='urn:xmpp:blocking'><item jid='far.test'/></block></iq>")
		q.leave("juliet@a.test/j")
		q.got()
		q.send("far@far.test/g", "<presence to='juliet@a.test'/>")
		q.send("far@far.test/g", "<presence to='juliet@a.test' type='error'/>")
		q.send("far@far.test/g", "<presence to='juliet@a.test' type='probe'/>")
		toGate()

		q.send("far@far.test/f", "<presence to='romeo@a.test' type='unavailable'/>")
		toGate(told("far@far.test/f", " type='unavailable'", ""))
		q.leave("nurse@b.test/n")
		toGate(told("nurse@b.test/n", " type='unavailable'", ""))

		// Rule 1: who is there when it comes; also contacts on other hosts here.
		q.come("nurse@b.test/m", "<presence/>")
		toGate(told("nurse@b.test/m", "", ""))
		q.detach(gate)
		q.attach(gate)
		toGate(told("nurse@b.test/m", "", ""), told("romeo@a.test/r", "", "<show>away</show>"))
	})
}

// slow is a stream of a component with a bounded queue, whose peer reads when it
// is told to.
type slow struct {
	listentest.Sink
	limit int

	mu    sync.Mutex
	queue int
	most  int
	ready []func()
}

func (s *slow) Deliver(st *stanza.Stanza) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue >= s.limit {
		panic("the queue is too long")
	}
	s.queue++
	s.most = max(s.most, s.queue)
	return s.Sink.Deliver(st)
}

func (s *slow) Room() (stanzas, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit - s.queue, 1 << 20
}

func (s *slow) Confirm(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, f)
}

// read leaves so many stanzas in the queue.
func (s *slow) read(left int) {
	s.mu.Lock()
	s.queue = left
	ready := s.ready
	s.ready = nil
	s.mu.Unlock()
	for _, f := range ready {
		f()
	}
}

// A component is told of many users as fast as it reads, and not after it has
// gone.
func TestIntroductionIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := host.Features{Privilege: onAll(privilege.Options{Presence: privilege.Presence{ManagedEntity: only(gate)}})}
		q := newQuay(t, f)
		const users = 400
		for i := range users {
			q.come(fmt.Sprintf("juliet@a.test/%d", i), "<presence/>")
		}
		s := &slow{limit: 300}
		q.Connected(t.Context(), gate, s)
		for range 100 {
			synctest.Wait()
			s.read(0)
		}
		synctest.Wait()
		if n := len(s.Stanzas()); n != users+2 {
			t.Errorf("got %d stanzas, want %d", n, users+2)
		}
		if s.most > 40 {
			t.Errorf("%d were in the queue, want 40 at most", s.most)
		}
		q.Disconnected(t.Context(), gate, s)

		s = &slow{limit: 300}
		q.Connected(t.Context(), gate, s)
		synctest.Wait()
		q.Disconnected(t.Context(), gate, s) // while it waits
		s.read(0)
		synctest.Wait()
		if n := len(s.Stanzas()); n > 40 {
			t.Errorf("got %d stanzas after the end", n)
		}

		s = &slow{limit: 300} // with a queue full of something else
		q.Privilege.Configure(stanza.PerHost[*privilege.Options]{})
		q.Connected(t.Context(), gate, s)
		s.read(298)
		q.Privilege.Configure(f.Privilege)
		synctest.Wait()
		time.Sleep(time.Minute)
		if n := len(s.Stanzas()); n != 2 {
			t.Errorf("got %d stanzas without room, want the 2 that tell of the privilege", n)
		}
		for range 100 {
			s.read(0)
			time.Sleep(time.Minute)
		}
		if n := len(s.Stanzas()); n != users+2 {
			t.Errorf("got %d stanzas after a while, want %d", n, users+2)
		}
		q.Disconnected(t.Context(), gate, s)
	})
}
