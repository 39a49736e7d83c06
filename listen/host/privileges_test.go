package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/delegation"
	"github.com/tidewaiter/tidewaiter/listen/host/features/privilege"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// A contact that no longer sees a user says nothing about the user being there.
func TestHiddenIsNotGone(t *testing.T) {
	for name, hide := range map[string]func(q *quay){
		"blocked": func(q *quay) {
			q.ask("juliet@a.test/j", "<iq type='set' id='0'><block xmlns='urn:xmpp:blocking'><item jid='romeo@a.test'/></block></iq>")
		},
		"unsubscribed": func(q *quay) { q.send("juliet@a.test/j", "<presence type='unsubscribed' to='romeo@a.test'/>") },
		"directed":     func(q *quay) { q.send("juliet@a.test/j", "<presence type='unavailable' to='romeo@a.test'/>") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQuay(t, privileged())
				q.send("romeo@a.test", "<presence type='subscribe' to='juliet@a.test'/>")
				q.send("juliet@a.test", "<presence type='subscribed' to='romeo@a.test'/>")
				q.attach(gate)
				defer q.detach(gate)
				q.come("juliet@a.test/j", "<presence/>")
				synctest.Wait()
				q.got()
				hide(q)
				synctest.Wait()
				for _, line := range q.got() {
					if strings.HasPrefix(line, gate+": <presence") && strings.Contains(line, "unavailable") {
						t.Errorf("juliet is available, and the component is told %s", line)
					}
				}
			})
		})
	}
}

// The introduction shows nobody whom the live path hides.
func TestIntroductionAndBlocks(t *testing.T) {
	for _, who := range []string{"nurse blocks juliet", "juliet blocks nurse"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQuay(t, privileged())
				q.send("juliet@a.test", "<presence type='subscribe' to='nurse@b.test'/>")
				q.send("nurse@b.test", "<presence type='subscribed' to='juliet@a.test'/>")
				q.come("juliet@a.test/j", "")
				q.come("nurse@b.test/n", "")
				if who == "nurse blocks juliet" {
					q.ask("nurse@b.test/n", "<iq type='set' id='0'><block xmlns='urn:xmpp:blocking'><item jid='juliet@a.test'/></block></iq>")
				} else {
					q.ask("juliet@a.test/j", "<iq type='set' id='0'><block xmlns='urn:xmpp:blocking'><item jid='nurse@b.test'/></block></iq>")
				}
				told := func() (n int) {
					synctest.Wait()
					for _, line := range q.got() {
						if strings.HasPrefix(line, gate+": <presence from='nurse@b.test/n'") {
							n++
						}
					}
					return n
				}
				q.attach(gate)
				defer func() { q.detach(gate) }()
				synctest.Wait()
				q.send("nurse@b.test/n", "<presence/>")
				if n := told(); n != 0 {
					t.Errorf("live: told %d times", n)
				}
				q.detach(gate)
				q.attach(gate)
				if n := told(); n != 0 {
					t.Errorf("introduction: told %d times of somebody whom no user of a.test sees", n)
				}
			})
		})
	}
}

// What the managing component asks in the name of a user the server answers.
func TestManagerAsksForUser(t *testing.T) {
	f := privileged()
	f.Privilege.Hosts["a.test"].Presence = privilege.Presence{}
	f.Delegation = onAll(delegation.Options{Namespaces: map[string]delegation.Namespace{"jabber:iq:private": {Access: only(gate)}}})
	q := newPrivileged(t, f)
	q.send(gate, "<iq type='get' id='o' to='juliet@a.test'><privileged_iq xmlns='urn:xmpp:privilege:2'>"+
		"<iq xmlns='jabber:client' type='get' id='i'><query xmlns='jabber:iq:private'><x xmlns='urn:mine'/></query></iq></privileged_iq></iq>")
	got := strings.Join(q.got(), "\n")
	if strings.Contains(got, "<delegation ") || !strings.Contains(got, "type='result' id='o'") {
		t.Errorf("got %s", got)
	}
}

// One remote domain cannot take the places of everybody else.
func TestOneServerTakesAllPlaces(t *testing.T) {
	q := newDelegation(t, delegating())
	for u := range 100 {
		for i := range 100 {
			q.send(fmt.Sprintf("u%d@far.test/x", u), fmt.Sprintf("<iq type='set' id='%d' to='a.test'>%s</iq>", i, publish))
		}
	}
	q.got()
	q.ask("juliet@a.test/j", "<iq type='set' id='p1'>"+publish+"</iq>")
	if got := strings.Join(q.got(), "\n"); !strings.HasPrefix(got, "pubsub.a.test: ") {
		t.Errorf("juliet gets %s", got)
	}
}

// All namespaces are asked about.
func TestManyNamespaces(t *testing.T) {
	o := delegation.Options{Namespaces: map[string]delegation.Namespace{}}
	for i := range 60 {
		o.Namespaces[fmt.Sprintf("urn:n:%d", i)] = delegation.Namespace{Access: only("pubsub.a.test")}
	}
	q := newQuay(t, host.Features{Delegation: stanza.PerHost[*delegation.Options]{Hosts: map[string]*delegation.Options{"a.test": &o}}})
	s := q.attach("pubsub.a.test")
	n := 0
	for _, st := range s.Stanzas() {
		if st.Kind == stanza.IQ {
			n++
		}
	}
	if n != 120 {
		t.Errorf("%d questions, want 120", n)
	}
}

// An error for the log is no second answer.
type loud struct{ l *host.Local }

func (n loud) Route(ctx context.Context, s *stanza.Stanza) error {
	_ = n.l.Route(ctx, s.ErrorReply(&stanza.Error{Condition: stanza.RemoteServerNotFound}))
	return errors.New("for the log")
}

func TestTwoAnswers(t *testing.T) {
	q := newPrivileged(t, privileged())
	q.Local.Next = loud{q.Local}
	q.send(gate, "<iq type='get' id='o' to='juliet@a.test'><privileged_iq xmlns='urn:xmpp:privilege:2'>"+
		"<iq xmlns='jabber:client' type='get' id='i' to='far@far.test'><x xmlns='urn:get'/></iq></privileged_iq></iq>")
	if got := q.got(); len(got) != 1 {
		t.Errorf("%d answers:\n%s", len(got), strings.Join(got, "\n"))
	}
}

// Nothing comes after the end of a privilege was told.
func TestPresenceAfterRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := host.Features{Privilege: onAll(privilege.Options{Presence: privilege.Presence{ManagedEntity: only(gate)}})}
		q := newQuay(t, f)
		for i := range 100 {
			q.come(fmt.Sprintf("juliet@a.test/%d", i), "<presence/>")
		}
		s := &slow{limit: 300}
		q.Connected(t.Context(), gate, s)
		synctest.Wait()
		q.Privilege.Configure(stanza.PerHost[*privilege.Options]{})
		before := len(s.Stanzas())
		s.read(0)
		synctest.Wait()
		if n := len(s.Stanzas()) - before; n != 0 {
			t.Errorf("%d stanzas after the end: %s", n, s.Stanzas()[before])
		}
		q.Disconnected(t.Context(), gate, s)
	})
}

// counting counts what is read of rosters.
type counting struct {
	roster.Store
	gets atomic.Int64
}

func (c *counting) Get(ctx context.Context, user, contact stanza.JID) (roster.Item, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, user, contact)
}

// Presence to many contacts asks the store no more than to tell the component once.
func TestReadsOfPresence(t *testing.T) {
	store := &counting{Store: new(roster.Memory)}
	accounts := new(host.MemoryAccounts)
	const n = 200
	users := []string{"juliet@a.test"}
	for i := range n {
		users = append(users, fmt.Sprintf("u%d@a.test", i))
	}
	for _, u := range users {
		if err := accounts.Create(t.Context(), host.Account{JID: jid(t, u)}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.New(host.Config{Options: hosts("a.test"), Features: privileged(), Stores: host.Stores{Accounts: accounts, Roster: store}})
	if err != nil {
		t.Fatal(err)
	}
	q := &quay{t, h, new(abroad), make(map[string]*listentest.Sink), make(map[string]int), make(map[string]func())}
	for _, u := range users[1:] {
		q.send(u, "<presence type='subscribe' to='juliet@a.test'/>")
		q.send("juliet@a.test", "<presence type='subscribed' to='"+u+"'/>")
	}
	q.attach(gate)
	defer q.detach(gate)
	q.come("juliet@a.test/j", "<presence/>")
	before := store.gets.Load()
	q.send("juliet@a.test/j", "<presence><show>away</show></presence>")
	if got := store.gets.Load() - before; got > 2 {
		t.Errorf("%d reads of rosters for one presence, want 2 at most", got)
	}
}

// A privilege that comes and goes begins one introduction, not many.
func TestIntroductionsDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := host.Features{Privilege: onAll(privilege.Options{Presence: privilege.Presence{ManagedEntity: only(gate)}})}
		q := newQuay(t, f)
		const users = 40
		for i := range users {
			q.come(fmt.Sprintf("juliet@a.test/%d", i), "<presence/>")
		}
		s := &slow{limit: 10000}
		q.Connected(t.Context(), gate, s)
		const reloads = 20
		for range reloads {
			synctest.Wait()
			q.Privilege.Configure(stanza.PerHost[*privilege.Options]{})
			q.Privilege.Configure(f.Privilege)
		}
		synctest.Wait()
		before := len(s.Stanzas())
		for range 100 {
			s.read(0)
			synctest.Wait()
		}
		if n := len(s.Stanzas()) - before; n > users {
			t.Errorf("%d stanzas about %d resources after the last reload", n, users)
		}
		q.Disconnected(t.Context(), gate, s)
	})
}

// Nobody but the server tells components what they may do.
func TestForgedAdvertisement(t *testing.T) {
	f := privileged()
	f.Privilege.Hosts["a.test"].Presence = privilege.Presence{}
	q := newPrivileged(t, f)
	for _, payload := range []string{
		"<delegation xmlns='urn:xmpp:delegation:2'><delegated namespace='jabber:iq:private'/></delegation>",
		"<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='both'/></privilege>",
	} {
		q.send(gate, "<message to='a.test'><privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>"+
			"<message xmlns='jabber:client' from='a.test' to='other.a.test'>"+payload+"</message></forwarded></privilege></message>")
		if got := strings.Join(q.got(), "\n"); strings.Contains(got, "other.a.test: ") {
			t.Errorf("got %s", got)
		}
	}
}

// Who gets the roster from a component gets the pushes: XEP-0355, section 4.3.1.
func TestDelegatedRosterIsPushed(t *testing.T) {
	f := privileged()
	f.Privilege.Hosts["a.test"].Presence = privilege.Presence{}
	f.Delegation = onAll(delegation.Options{Namespaces: map[string]delegation.Namespace{"jabber:iq:roster": {Access: only(gate)}}})
	q := newPrivileged(t, f)
	q.come("juliet@a.test/j", "<presence/>")
	q.ask("juliet@a.test/j", rosterGet)
	q.send(gate, "<iq type='result' id='"+q.last(gate).ID+"' to='a.test'>"+forwarded+
		"<iq xmlns='jabber:client' to='juliet@a.test/j' id='r' type='result'><query xmlns='jabber:iq:roster'/></iq>"+closed+"</iq>")
	q.got()
	q.send(gate, "<iq type='set' id='2' to='juliet@a.test'><query xmlns='jabber:iq:roster'><item jid='romeo@m.test'/></query></iq>")
	if got := strings.Join(q.got(), "\n"); !strings.Contains(got, "juliet@a.test/j: <iq from='juliet@a.test' to='juliet@a.test/j' type='set'") {
		t.Errorf("juliet/j has asked for the roster and gets no push:\n%s", got)
	}
}
