package host_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/conf"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/delegation"
	"github.com/tidewaiter/tidewaiter/listen/host/features/privilege"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// quay is a host with juliet@a.test, romeo@a.test and nurse@b.test, and servers
// beyond it.
type quay struct {
	*testing.T
	*host.Host
	far   *abroad
	sinks map[string]*listentest.Sink // of sessions by full JID, of components by domain
	read  map[string]int
	away  map[string]func() // ends a component
}

func newQuay(t *testing.T, f host.Features) *quay {
	t.Helper()
	accounts := new(host.MemoryAccounts)
	for _, u := range []string{"juliet@a.test", "romeo@a.test", "nurse@b.test"} {
		if err := accounts.Create(t.Context(), host.Account{JID: jid(t, u)}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.New(host.Config{Options: hosts("a.test", "b.test"), Features: f, Stores: host.Stores{Accounts: accounts}})
	if err != nil {
		t.Fatal(err)
	}
	q := &quay{t, h, new(abroad), make(map[string]*listentest.Sink), make(map[string]int), make(map[string]func())}
	h.Local.Next = q.far
	t.Cleanup(func() {
		for _, leave := range q.away {
			leave()
		}
	})
	return q
}

// only allows a component, by its domain.
type only string

func (d only) Allow(s acl.Subject) bool {
	return s.Server == string(d) && s.User == "" && s.Host != ""
}

// come makes a session; presence is XML, "" for none.
func (q *quay) come(full, presence string) {
	q.Helper()
	s := new(listentest.Sink)
	if _, err := q.Local.Bind(q.Context(), stanza.Binding{JID: jid(q.T, full), Sink: s}); err != nil {
		q.Fatal(err)
	}
	q.sinks[full], q.read[full] = s, 0
	if presence != "" {
		q.send(full, presence)
	}
}

func (q *quay) leave(full string) {
	q.Local.Release(q.Context(), jid(q.T, full), q.sinks[full])
	q.Local.Ended(q.Context(), stanza.SessionInfo{JID: jid(q.T, full), Sink: q.sinks[full]}, nil, nil)
}

// attach connects a component.
func (q *quay) attach(domain string) *listentest.Sink {
	q.Helper()
	s := new(listentest.Sink)
	release, err := q.Local.RegisterDomain(domain, s)
	if err != nil {
		q.Fatal(err)
	}
	q.sinks[domain], q.read[domain] = s, 0
	q.away[domain] = func() {
		release()
		q.Disconnected(q.Context(), domain, s)
	}
	q.Connected(q.Context(), domain, s)
	return s
}

// detach ends it.
func (q *quay) detach(domain string) {
	q.away[domain]()
	delete(q.away, domain)
}

// send routes a stanza of a session, a component or another server.
func (q *quay) send(from, xml string) {
	q.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		q.Fatalf("stanza %q: %v", xml, err)
	}
	if err := q.Local.Route(q.Context(), s.WithFrom(jid(q.T, from))); err != nil {
		q.Errorf("Route(%s): %v", xml, err)
	}
}

// ask makes a request of a session to the server or to its own account, as c2s
// does it.
func (q *quay) ask(from, xml string) {
	q.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		q.Fatalf("stanza %q: %v", xml, err)
	}
	s.From = jid(q.T, from)
	answer, err := q.IQ.HandleIQ(q.Context(), s, stanza.Peer{})
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		answer = s.ErrorReply(e)
	case err != nil:
		q.Fatal(err)
	}
	if answer != nil {
		_ = q.sinks[from].Deliver(answer)
	}
}

// last returns what a session or component got last.
func (q *quay) last(name string) *stanza.Stanza {
	q.Helper()
	list := q.sinks[name].Stanzas()
	if len(list) == 0 {
		q.Fatalf("%s got nothing", name)
	}
	return list[len(list)-1]
}

var madeID = regexp.MustCompile(`id='([A-Z2-7]{26}|push[0-9a-z]+)'`)

// got returns what sessions, components and other servers got since the last
// call, sorted. Ids that the server has made are *.
func (q *quay) got() []string {
	all := q.far.take()
	for name, s := range q.sinks {
		list := s.Stanzas()
		for _, st := range list[q.read[name]:] {
			all = append(all, name+": "+st.String())
		}
		q.read[name] = len(list)
	}
	for i := range all {
		all[i] = madeID.ReplaceAllString(all[i], "id='*'")
	}
	slices.Sort(all)
	return all
}

func (q *quay) expect(want ...string) {
	q.Helper()
	got := q.got()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		q.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// errorXML is the error of an answer.
func errorXML(typ, condition, text string) string {
	x := "<error type='" + typ + "'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
	if text != "" {
		x += "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>" + text + "</text>"
	}
	return x + "</error>"
}

// allow allows several components.
type allow []string

func (a allow) Allow(s acl.Subject) bool { return slices.Contains(a, s.Server) }

// onAll are the options of a feature on all hosts.
func onAll[O any](o O) stanza.PerHost[*O] { return stanza.PerHost[*O]{Value: &o} }

// Components come and go, options change, and users do what they do: nothing is
// held up, and nothing of it stays.
func TestComponentsComeAndGo(t *testing.T) {
	f := privileged()
	f.Delegation = delegating().Delegation
	q := newQuay(t, f)
	for _, s := range []string{"juliet@a.test/j", "romeo@a.test/r", "nurse@b.test/n"} {
		q.come(s, "<presence/>")
	}
	parse := func(from, xml string) *stanza.Stanza {
		s, err := stanza.Parse(xml)
		if err != nil {
			t.Fatal(err)
		}
		return s.WithFrom(jid(t, from))
	}
	request := parse("romeo@a.test/r", "<iq type='set' id='1' to='juliet@a.test'>"+publish+"</iq>")
	private := parse(gate, "<iq type='get' id='o' to='juliet@a.test'><privileged_iq xmlns='urn:xmpp:privilege:2'>"+
		"<iq xmlns='jabber:client' type='get' id='i'><query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query></iq></privileged_iq></iq>")
	here, away := parse("nurse@b.test/n", "<presence/>"), parse("nurse@b.test/n", "<presence type='unavailable'/>")
	var wg sync.WaitGroup
	const rounds = 200
	for _, domain := range []string{gate, "pubsub.a.test", "other.a.test"} {
		for range 2 {
			wg.Go(func() {
				for range rounds {
					s := new(listentest.Sink)
					if release, err := q.Local.RegisterDomain(domain, s); err == nil {
						q.Connected(t.Context(), domain, s)
						release()
						q.Disconnected(t.Context(), domain, s)
					}
				}
			})
		}
	}
	for _, s := range []*stanza.Stanza{request, private} {
		wg.Go(func() {
			for range rounds {
				_ = q.Local.Route(t.Context(), s)
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			_ = q.Local.Route(t.Context(), here)
			_ = q.Local.Route(t.Context(), away)
		}
	})
	wg.Go(func() {
		for range rounds {
			q.Privilege.Configure(stanza.PerHost[*privilege.Options]{})
			q.Delegation.Configure(stanza.PerHost[*delegation.Options]{})
			q.Privilege.Configure(f.Privilege)
			q.Delegation.Configure(f.Delegation)
		}
	})
	wg.Wait()
	for _, domain := range []string{gate, "pubsub.a.test"} {
		s := q.attach(domain)
		if len(s.Stanzas()) == 0 {
			t.Errorf("%s is told nothing any more", domain)
		}
	}
}

// The options can be read from a configuration file.
func TestComponentSchemas(t *testing.T) {
	for _, tt := range []struct {
		schema conf.Schema
		want   string
	}{
		{conf.SchemaOf(delegation.Defaults), "namespaces{filtering access}"},
		{conf.SchemaOf(privilege.Defaults), "roster{both get set} iq{both get set} message{outgoing} presence{managed_entity roster}"},
	} {
		var names []string
		for _, f := range tt.schema.Fields() {
			name := f.Name
			if n, ok := f.Nested(); ok {
				var inner []string
				for _, i := range n.Fields() {
					inner = append(inner, i.Name)
				}
				name += "{" + strings.Join(inner, " ") + "}"
			}
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("options are %s, want %s", got, tt.want)
		}
	}
}
