package host_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/delegation"
	"github.com/tidewaiter/tidewaiter/listen/host/features/privilege"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	pubsub  = "http://jabber.org/protocol/pubsub"
	publish = "<pubsub xmlns='" + pubsub + "'><publish node='mood'/></pubsub>"
	mam     = "urn:xmpp:mam:2"

	delegated = "<delegation xmlns='urn:xmpp:delegation:2'>"
	forwarded = delegated + "<forwarded xmlns='urn:xmpp:forward:0'>"
	closed    = "</forwarded></delegation>"
)

// delegating delegates pubsub, and mam where it is about a node, to
// pubsub.a.test.
func delegating() host.Features {
	f := host.Messenger()
	f.Delegation = onAll(delegation.Options{Namespaces: map[string]delegation.Namespace{
		pubsub: {Access: only("pubsub.a.test")},
		mam:    {Access: only("pubsub.a.test"), Filtering: []string{"node"}},
	}})
	return f
}

// newDelegation returns a quay with sessions of juliet and romeo, and
// pubsub.a.test, which has answered nothing yet.
func newDelegation(t *testing.T, f host.Features) *quay {
	t.Helper()
	q := newQuay(t, f)
	q.come("juliet@a.test/j", "")
	q.come("romeo@a.test/r", "")
	q.attach("pubsub.a.test")
	q.got()
	return q
}

// XEP-0355, section 4.2.
func TestDelegationAdvertised(t *testing.T) {
	q := newQuay(t, delegating())
	s := q.attach("pubsub.a.test")
	var said []string
	for _, m := range s.Stanzas() {
		if m.Kind == stanza.Message {
			said = append(said, m.From.String()+" "+m.To.String()+" "+m.Inner)
		}
	}
	const list = delegated + "<delegated namespace='http://jabber.org/protocol/pubsub'/>" +
		"<delegated namespace='urn:xmpp:mam:2'><attribute name='node'/></delegated></delegation>"
	for _, want := range []string{"a.test pubsub.a.test " + list, "b.test pubsub.a.test " + list} {
		if !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("component was told\n%s\nwant\n%s", strings.Join(said, "\n"), want)
		}
	}
	if len(said) != 2 {
		t.Errorf("component got %d messages, want 2", len(said))
	}
	q.attach("other.a.test")
	q.got()
	if n := len(q.sinks["other.a.test"].Stanzas()); n != 0 {
		t.Errorf("a component that manages nothing got %d stanzas", n)
	}

	// A change is told, and only what has changed.
	f := delegating()
	delete(f.Delegation.Value.Namespaces, mam)
	f.Delegation.Hosts = map[string]*delegation.Options{"b.test": f.Delegation.Value, "a.test": nil}
	q.Delegation.Configure(f.Delegation)
	const told = "pubsub.a.test: <message from='%s' to='pubsub.a.test' id='*'>%s</message>"
	q.expect(
		fmt.Sprintf(told, "a.test", delegated+"</delegation>"),
		fmt.Sprintf(told, "b.test", delegated+"<delegated namespace='http://jabber.org/protocol/pubsub'/></delegation>"),
	)
	q.Delegation.Configure(f.Delegation)
	q.expect()
}

// The namespace of the protocol is never delegated: section 8, rule 5.
func TestDelegationOfItself(t *testing.T) {
	q := newQuay(t, host.Features{Delegation: onAll(delegation.Options{
		Namespaces: map[string]delegation.Namespace{delegation.NS: {Access: only("pubsub.a.test")}, "urn:none": {}},
	})})
	q.attach("pubsub.a.test")
	q.come("juliet@a.test/j", "")
	q.expect()
	for _, ns := range []string{delegation.NS, "urn:none"} {
		q.ask("juliet@a.test/j", "<iq type='get' id='1' to='a.test'><query xmlns='"+ns+"'/></iq>")
		q.expect("juliet@a.test/j: <iq from='a.test' to='juliet@a.test/j' type='error' id='1'>" + errorXML("cancel", "service-unavailable", "") + "</iq>")
	}
}

// XEP-0355, section 4.3: what is forwarded.
func TestDelegatedRequests(t *testing.T) {
	tests := []struct {
		name, from, to, payload string
		delegated               bool
	}{
		{"own account", "juliet@a.test/j", "", publish, true},
		{"own account, named", "juliet@a.test/j", "juliet@a.test", publish, true},
		{"server", "juliet@a.test/j", "a.test", publish, true},
		{"other account", "juliet@a.test/j", "romeo@a.test", publish, true},
		{"account of another host", "juliet@a.test/j", "nurse@b.test", publish, true},
		{"from another server to an account", "far@far.test/f", "romeo@a.test", publish, true},
		{"from another server to the server", "far@far.test/f", "a.test", publish, true},
		{"to an account that does not exist", "far@far.test/f", "nobody@a.test", publish, true},
		{"resource", "juliet@a.test/j", "romeo@a.test/r", publish, false},
		{"resource of the server", "juliet@a.test/j", "a.test/x", publish, false},
		{"other namespace", "juliet@a.test/j", "a.test", "<x xmlns='urn:x'/>", false},
		{"attribute", "juliet@a.test/j", "", "<query xmlns='urn:xmpp:mam:2' node=''/>", true},
		{"without the attribute", "juliet@a.test/j", "", "<query xmlns='urn:xmpp:mam:2'/>", false},
		{"attribute of a namespace", "juliet@a.test/j", "", "<query xmlns='urn:xmpp:mam:2' xmlns:p='urn:p' p:node='x'/>", false},
		{"from the managing component", "pubsub.a.test", "juliet@a.test", publish, false},
		{"from somebody behind it", "bot@pubsub.a.test/x", "juliet@a.test", publish, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newDelegation(t, delegating())
			to := ""
			if tt.to != "" {
				to = " to='" + tt.to + "'"
			}
			xml := "<iq type='set' id='p&amp;1'" + to + ">" + tt.payload + "</iq>"
			if q.sinks[tt.from] != nil && (tt.to == "" || tt.to == "a.test" || tt.to == "juliet@a.test") && tt.from != "pubsub.a.test" {
				q.ask(tt.from, xml)
			} else {
				q.send(tt.from, xml)
			}
			host, _, _ := strings.Cut(tt.to[strings.IndexByte(tt.to, '@')+1:], "/")
			if host == "" {
				host = "a.test"
			}
			want := "pubsub.a.test: <iq from='" + host + "' to='pubsub.a.test' type='set' id='*'>" + forwarded +
				"<iq xmlns='jabber:client' from='" + tt.from + "'" + to + " type='set' id='p&amp;1'>" + tt.payload + "</iq>" + closed + "</iq>"
			got := q.got()
			if is := len(got) == 1 && got[0] == want; is != tt.delegated {
				t.Errorf("got\n%s\nwant delegated: %t\n%s", strings.Join(got, "\n"), tt.delegated, want)
			}
		})
	}
}

// XEP-0355, section 4.3: what becomes of the answer.
func TestDelegatedAnswers(t *testing.T) {
	const (
		good    = "<iq xmlns='jabber:client' to='juliet@a.test/j' id='p1' type='result'><pubsub xmlns='" + pubsub + "'/></iq>"
		answer  = "<iq from='juliet@a.test' to='juliet@a.test/j' type='result' id='p1'><pubsub xmlns='" + pubsub + "'/></iq>"
		nothing = ""
	)
	refused := "<iq from='juliet@a.test' to='juliet@a.test/j' type='error' id='p1'>" + errorXML("cancel", "service-unavailable", "") + "</iq>"
	result := func(inner string) string {
		return "<iq type='result' id='ID' to='a.test'>" + forwarded + inner + closed + "</iq>"
	}
	changed := func(old, new string) string { return result(strings.Replace(good, old, new, 1)) }
	tests := []struct{ name, from, answer, want string }{
		{"result", "pubsub.a.test", result(good), answer},
		{"result that says whom it is from", "pubsub.a.test", changed(" to=", " from='juliet@a.test' to="), answer},
		{"forwarded error", "pubsub.a.test",
			result("<iq xmlns='jabber:client' to='juliet@a.test/j' id='p1' type='error'>" + errorXML("cancel", "item-not-found", "") + "</iq>"),
			"<iq from='juliet@a.test' to='juliet@a.test/j' type='error' id='p1'>" + errorXML("cancel", "item-not-found", "") + "</iq>"},
		{"error", "pubsub.a.test", "<iq type='error' id='ID' to='a.test'>" + errorXML("auth", "forbidden", "") + "</iq>", refused},
		{"empty", "pubsub.a.test", "<iq type='result' id='ID' to='a.test'/>", refused},
		{"other type", "pubsub.a.test", changed("type='result'", "type='set'"), refused},
		{"other id", "pubsub.a.test", changed("id='p1'", "id='p2'"), refused},
		{"other recipient", "pubsub.a.test", changed("juliet@a.test/j", "romeo@a.test/r"), refused},
		{"bare recipient", "pubsub.a.test", changed("juliet@a.test/j", "juliet@a.test"), refused},
		{"no recipient", "pubsub.a.test", changed(" to='juliet@a.test/j'", ""), refused},
		{"other sender", "pubsub.a.test", changed(" to=", " from='romeo@a.test' to="), refused},
		{"the server as sender", "pubsub.a.test", changed(" to=", " from='a.test' to="), refused},
		{"two", "pubsub.a.test", result(good + good), refused},
		{"not forwarded", "pubsub.a.test", "<iq type='result' id='ID' to='a.test'>" + good + "</iq>", refused},
		{"from another component", "other.a.test", result(good), nothing},
		{"from somebody behind the component", "x@pubsub.a.test", result(good), nothing},
		{"from another server", "far.test", result(good), nothing},
		{"from a user", "romeo@a.test/r", result(good), nothing},
		{"to another host", "pubsub.a.test", strings.Replace(result(good), "'a.test'", "'b.test'", 1), nothing},
		{"to an account", "pubsub.a.test", strings.Replace(result(good), "'a.test'", "'juliet@a.test'", 1), nothing},
		{"unknown id", "pubsub.a.test", strings.Replace(result(good), "'ID'", "'p1'", 1), nothing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newDelegation(t, delegating())
			q.ask("juliet@a.test/j", "<iq type='set' id='p1'>"+publish+"</iq>")
			id := q.last("pubsub.a.test").ID
			q.got()
			answer := strings.Replace(tt.answer, "'ID'", "'"+id+"'", 1)
			q.send(tt.from, answer)
			if tt.want == nothing {
				q.expect()
				answer = strings.Replace(result(good), "'ID'", "'"+id+"'", 1) // it waits for the right one
				q.send("pubsub.a.test", answer)
				q.got()
			} else {
				q.expect("juliet@a.test/j: " + tt.want)
			}
			q.send("pubsub.a.test", answer) // the second one
			q.expect()
		})
	}
}

// Whoever is asked in the request answers, also to another server.
func TestDelegatedAnswerTo(t *testing.T) {
	tests := []struct{ from, to, from2 string }{
		{"far@far.test/f", "romeo@a.test", ""},
		{"far@far.test/f", "b.test", " from='b.test'"},
		{"juliet@a.test/j", "romeo@a.test", " from='romeo@a.test'"},
	}
	for _, tt := range tests {
		t.Run(tt.from+" "+tt.to, func(t *testing.T) {
			q := newDelegation(t, delegating())
			q.send(tt.from, "<iq type='get' id='1' to='"+tt.to+"'>"+publish+"</iq>")
			st := q.last("pubsub.a.test")
			q.got()
			q.send("pubsub.a.test", "<iq type='result' id='"+st.ID+"' to='"+st.From.String()+"'>"+forwarded+
				"<iq xmlns='jabber:client' to='"+tt.from+"' id='1' type='result'"+tt.from2+"/>"+closed+"</iq>")
			name := tt.from
			if strings.HasPrefix(name, "far") {
				name = "far"
			}
			q.expect(name + ": <iq from='" + tt.to + "' to='" + tt.from + "' type='result' id='1'/>")
		})
	}
}

// XEP-0355, section 4.3: the managing entity is not there, goes, or is silent.
func TestDelegationWithoutAnswer(t *testing.T) {
	const request = "<iq type='set' id='p1'>" + publish + "</iq>"
	refused := func(typ, condition string) string {
		return "juliet@a.test/j: <iq from='juliet@a.test' to='juliet@a.test/j' type='error' id='p1'>" + errorXML(typ, condition, "") + "</iq>"
	}
	t.Run("not there", func(t *testing.T) {
		q := newQuay(t, delegating())
		q.come("juliet@a.test/j", "")
		q.ask("juliet@a.test/j", request)
		q.expect(strings.Replace(refused("cancel", "service-unavailable"), " from='juliet@a.test'", "", 1))
	})
	t.Run("goes", func(t *testing.T) {
		q := newDelegation(t, delegating())
		q.ask("juliet@a.test/j", request)
		q.got()
		q.detach("pubsub.a.test")
		q.expect(refused("cancel", "service-unavailable"))
	})
	t.Run("one of its streams goes", func(t *testing.T) {
		q := newDelegation(t, delegating())
		second := new(quaySink)
		q.Connected(t.Context(), "pubsub.a.test", second)
		q.ask("juliet@a.test/j", request)
		q.got()
		q.Disconnected(t.Context(), "pubsub.a.test", second)
		q.expect()
	})
	t.Run("silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newDelegation(t, delegating())
			q.ask("juliet@a.test/j", request)
			q.got()
			time.Sleep(30*time.Second - time.Nanosecond)
			synctest.Wait()
			q.expect()
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			q.expect(refused("wait", "remote-server-timeout"))
		})
	})
	t.Run("full", func(t *testing.T) {
		q := newDelegation(t, delegating())
		q.sinks["pubsub.a.test"].Limit = 1
		q.ask("juliet@a.test/j", request)
		q.expect(strings.Replace(refused("cancel", "service-unavailable"), " from='juliet@a.test'", "", 1))
	})
	t.Run("too many of one account", func(t *testing.T) {
		q := newDelegation(t, delegating())
		for range 100 {
			q.ask("juliet@a.test/j", request)
		}
		if n := len(q.got()); n != 100 {
			t.Fatalf("got %d, want 100", n)
		}
		q.ask("juliet@a.test/j", request)
		q.expect("juliet@a.test/j: <iq to='juliet@a.test/j' type='error' id='p1'>" +
			errorXML("wait", "resource-constraint", "too many requests wait for an answer: try again later") + "</iq>")
		q.ask("romeo@a.test/r", request)
		if got := q.got(); len(got) != 1 || !strings.HasPrefix(got[0], "pubsub.a.test: ") {
			t.Errorf("the other account: got %q", got)
		}
	})
}

// quaySink is a further stream of a component.
type quaySink struct{ n int }

func (s *quaySink) Deliver(*stanza.Stanza) error { s.n++; return nil }
func (s *quaySink) Kick(*stanza.StreamError)     {}

// Of several components that may manage a namespace one does, and the next one
// when it goes.
func TestDelegationToSeveral(t *testing.T) {
	f := host.Features{Delegation: onAll(delegation.Options{
		Namespaces: map[string]delegation.Namespace{pubsub: {Access: allow{"one.test", "two.test"}}},
	})}
	q := newQuay(t, f)
	q.come("juliet@a.test/j", "")
	q.attach("zero.test")
	q.attach("two.test")
	q.attach("one.test")
	advert := func(c, host string) string {
		return c + ": <message from='" + host + "' to='" + c + "' id='*'>" + delegated + "<delegated namespace='" + pubsub + "'/></delegation></message>"
	}
	info := func(c, host, sep string) string {
		return c + ": <iq from='" + host + "' to='" + c + "' type='get' id='*'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:xmpp:delegation:2" + sep + pubsub + "'/></iq>"
	}
	all := func(c string) []string {
		return []string{advert(c, "a.test"), advert(c, "b.test"), info(c, "a.test", "::"), info(c, "b.test", "::"), info(c, "a.test", ":bare:"), info(c, "b.test", ":bare:")}
	}
	q.expect(all("two.test")...)
	q.detach("two.test")
	q.expect(all("one.test")...)
	q.ask("juliet@a.test/j", "<iq type='set' id='p1'>"+publish+"</iq>")
	if got := q.got(); len(got) != 1 || !strings.HasPrefix(got[0], "one.test: ") {
		t.Errorf("got %q", got)
	}
}

// XEP-0355, section 7.
func TestDelegationDiscovery(t *testing.T) {
	f := delegating()
	f.Delegation.Value.Namespaces["vcard-temp"] = delegation.Namespace{Access: only("pubsub.a.test")}
	q := newQuay(t, f)
	q.come("juliet@a.test/j", "")
	s := q.attach("pubsub.a.test")
	for _, st := range s.Stanzas() {
		if st.Kind != stanza.IQ || !strings.Contains(st.Inner, pubsub+"'") {
			continue
		}
		inner := "<feature var='" + pubsub + "'/><feature var='" + pubsub + "#publish-options'/><feature var='urn:xmpp:ping'/>"
		if strings.Contains(st.Inner, ":bare:") {
			inner = "<identity category='pubsub' type='pep'/><identity category='account' type='registered'/><feature var='" + pubsub + "#auto-create'/>" +
				"<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:form</value></field></x>"
		}
		q.send("pubsub.a.test", "<iq type='result' id='"+st.ID+"' to='"+st.From.String()+"'>"+st.Inner[:len(st.Inner)-2]+">"+inner+"</query></iq>")
	}
	q.got()
	ask := func(to string) string {
		q.ask("juliet@a.test/j", "<iq type='get' id='1' to='"+to+"'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		return strings.Join(q.got(), "\n")
	}
	server, account := ask("a.test"), ask("juliet@a.test")
	for _, tt := range []struct {
		where, text string
		n           int
	}{
		{server, "<feature var='urn:xmpp:delegation:2'/>", 1},
		{server, "<feature var='" + pubsub + "'/>", 1},
		{server, "<feature var='" + pubsub + "#publish-options'/>", 1},
		{server, "<feature var='urn:xmpp:ping'/>", 1},
		{server, "vcard-temp", 0}, // the component has said nothing of it
		{server, "pep", 0},
		{account, "<identity category='pubsub' type='pep'/>", 1},
		{account, "<identity category='account' type='registered'/>", 1},
		{account, "<feature var='" + pubsub + "#auto-create'/>", 1},
		{account, "<feature var='urn:xmpp:delegation:2'/>", 0},
		{account, "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:form</value></field></x></query>", 1},
		{account, "vcard-temp", 0},
	} {
		if got := strings.Count(tt.where, tt.text); got != tt.n {
			t.Errorf("%d times %s, want %d, in\n%s", got, tt.text, tt.n, tt.where)
		}
	}
	q.detach("pubsub.a.test")
	if got := ask("a.test"); strings.Contains(got, "#publish-options") || strings.Contains(got, "vcard-temp") {
		t.Errorf("without the component: got\n%s", got)
	}
	q.Delegation.Configure(stanza.PerHost[*delegation.Options]{})
	if got := ask("a.test"); strings.Contains(got, delegation.NS) || !strings.Contains(got, "vcard-temp") {
		t.Errorf("off: got\n%s", got)
	}
}

// XEP-0355, sections 7.2.4 and 7.2.5.
func TestDelegatedNodes(t *testing.T) {
	const info, items = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items"
	tests := []struct {
		name, to, ns, node string
		delegated          bool
	}{
		{"info of a node", "juliet@a.test", info, "urn:n", true},
		{"info of a node of another account", "romeo@a.test", info, "urn:n", true},
		{"info", "juliet@a.test", info, "", false},
		{"info of a node of the server", "a.test", info, "urn:n", false},
		{"items", "juliet@a.test", items, "", true},
		{"items of a node", "juliet@a.test", items, "urn:n", true},
		{"items of the server", "a.test", items, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newDelegation(t, host.Features{Delegation: onAll(delegation.Options{Namespaces: map[string]delegation.Namespace{
				delegation.NSNodes: {Access: only("pubsub.a.test")}, delegation.NSItems: {Access: only("pubsub.a.test")},
			}})})
			node := ""
			if tt.node != "" {
				node = " node='" + tt.node + "'"
			}
			q.ask("juliet@a.test/j", "<iq type='get' id='1' to='"+tt.to+"'><query xmlns='"+tt.ns+"'"+node+"/></iq>")
			got := strings.Join(q.got(), "\n")
			if is := strings.HasPrefix(got, "pubsub.a.test: "); is != tt.delegated {
				t.Errorf("delegated: got %t, want %t\n%s", is, tt.delegated, got)
			}
		})
	}
}

// Nothing of it goes to other servers, whoever they say they are.
func TestDelegationStaysHere(t *testing.T) {
	q := newDelegation(t, delegating())
	q.away["pubsub.a.test"]()
	q.Connected(t.Context(), "pubsub.a.test", new(quaySink)) // as if it had been told too early
	q.far.take()
	q.ask("juliet@a.test/j", "<iq type='set' id='p1'>"+publish+"</iq>")
	for _, line := range q.got() {
		if strings.HasPrefix(line, "far: ") {
			t.Errorf("got %s", line)
		}
	}
	q.Disconnected(t.Context(), "pubsub.a.test", new(quaySink))
}

// XEP-0355, section 4.3.1: what the managing component does itself the server
// answers.
func TestDelegatedRoster(t *testing.T) {
	f := privileged()
	f.Privilege.Hosts["a.test"].Presence = privilege.Presence{}
	f.Delegation = onAll(delegation.Options{Namespaces: map[string]delegation.Namespace{"jabber:iq:roster": {Access: only(gate)}}})
	q := newPrivileged(t, f)
	q.come("juliet@a.test/j", "<presence/>")
	q.Local.Mark(jid(t, "juliet@a.test/j"), stanza.WantsRoster, true)
	q.got()
	const set = "<query xmlns='jabber:iq:roster'><item jid='romeo@m.test'/></query>"
	q.ask("juliet@a.test/j", "<iq type='set' id='1'>"+set+"</iq>")
	st := q.last(gate)
	q.got()
	q.send(gate, "<iq type='result' id='"+st.ID+"' to='a.test'>"+forwarded+"<iq xmlns='jabber:client' to='juliet@a.test/j' id='1' type='result'/>"+closed+"</iq>")
	q.expect("juliet@a.test/j: <iq from='juliet@a.test' to='juliet@a.test/j' type='result' id='1'/>")
	q.send(gate, "<iq type='set' id='2' to='juliet@a.test'>"+strings.Replace(set, "/></query>", "><group>Rivals</group></item></query>", 1)+"</iq>")
	const push = "<query xmlns='jabber:iq:roster'><item jid='romeo@m.test' subscription='none'><group>Rivals</group></item></query>"
	q.expect(gate+": <iq from='juliet@a.test' to='"+gate+"' type='result' id='2'/>",
		gate+": <iq from='juliet@a.test' to='"+gate+"' type='set' id='*'>"+push+"</iq>",
		"juliet@a.test/j: <iq from='juliet@a.test' to='juliet@a.test/j' type='set' id='*'>"+push+"</iq>")
}
