package conformance

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// cast are the clients that scripts know, by short names.
var cast = map[string]string{
	"ro": "romeo/orchard", "rg": "romeo/garden", "rh": "romeo/hall",
	"jb": "juliet/balcony", "jc": "juliet/chamber",
	"ts": "tybalt/street",
}

// words are the variables of scripts that never change.
var words = func() map[string]string {
	w := map[string]string{"space": " ", "d": domain, "r": "romeo@" + domain, "j": "juliet@" + domain, "t": "tybalt@" + domain}
	for name, full := range cast {
		user, resource, _ := strings.Cut(full, "/")
		w[name] = user + "@" + domain + "/" + resource
	}
	for name, space := range map[string]string{
		"client": "jabber:client", "roster": "jabber:iq:roster", "sm": nsSM, "carbons": "urn:xmpp:carbons:2", "forward": "urn:xmpp:forward:0",
		"hints": "urn:xmpp:hints", "delay": "urn:xmpp:delay", "blocking": "urn:xmpp:blocking", "blocked": "urn:xmpp:blocking:errors",
		"private": "jabber:iq:private", "vcard": "vcard-temp", "last": "jabber:iq:last", "sid": "urn:xmpp:sid:0",
		"info": "http://jabber.org/protocol/disco#info", "items": "http://jabber.org/protocol/disco#items",
		"stanzas": "urn:ietf:params:xml:ns:xmpp-stanzas", "streams": "urn:ietf:params:xml:ns:xmpp-streams",
		"states": "http://jabber.org/protocol/chatstates", "receipts": "urn:xmpp:receipts", "data": "jabber:x:data",
		"muc": "http://jabber.org/protocol/muc#user", "ping": "urn:xmpp:ping",
	} {
		w[name] = "xmlns='" + space + "'"
	}
	return w
}()

// play is one run of a row.
type play struct {
	t        *testing.T
	s        *server
	clients  map[string]*client
	vars     map[string]string
	failures []string

	action string                     // the last
	wants  []map[string][]expectation // what may follow from it: one of these

	also   func(words []string) bool                   // other commands; false: not one of them
	person func(role string) (*client, net.Conn, bool) // a client that is called so, and a connection for it
	store  func(domain string) roster.Store
}

func newPlay(t *testing.T, s *server) *play {
	p := &play{t: t, s: s, clients: map[string]*client{}, vars: map[string]string{}}
	p.also = func([]string) bool { return false }
	p.person = func(role string) (*client, net.Conn, bool) {
		user, resource, ok := strings.Cut(cast[role], "/")
		if !ok {
			return nil, nil, false
		}
		return &client{user: user, resource: resource}, p.s.dial(), true
	}
	p.store = func(string) roster.Store { return p.s.config.Stores.Roster }
	return p
}

// broken ends a play that cannot go on.
type broken struct{}

// attempt runs a play up to its end or to fatal.
func (p *play) attempt(f func()) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(broken); !ok {
				panic(r)
			}
		}
	}()
	f()
}

func (p *play) fail(format string, args ...any) {
	p.failures = append(p.failures, fmt.Sprintf(format, args...))
}

func (p *play) fatal(format string, args ...any) {
	p.fail(format, args...)
	panic(broken{})
}

func (p *play) must(err error) {
	if err != nil {
		p.fatal("%s: %v", p.action, err)
	}
}

func (p *play) close() {
	for _, c := range p.clients {
		c.close()
	}
}

var (
	sending   = regexp.MustCompile(`^(~ )?(\S+) > (.*)$`)
	expecting = regexp.MustCompile(`^(\S+) (<|<<|\?) (.*)$`)
	variable  = regexp.MustCompile(`\$[a-z0-9_]+`)
	condition = regexp.MustCompile(`!([a-z][a-z-]*)`)
	ending    = regexp.MustCompile(`^(\S+) ends( .*)?$`)
)

// script plays a script: lines that say what happens, each followed by lines
// that say all that each client gets for it.
//
//	ro > XML       ro sends; ~ before it drops whatever anybody gets for it
//	ro < PATTERN   ro gets; ? for something that may be missing, << for something
//	               that comes after the << before it. Alternatives are separated by " | "
//	ro ends A|B    its stream ends after an error with one of the conditions; without
//	               any: in order; any: either
//	or             or else this happens: what follows up to the next action
//
// $name is a variable, !condition an error with this condition. Other lines are
// the commands of command.
func (p *play) script(text string) {
	p.wants = []map[string][]expectation{{}}
	started := false
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if m := expecting.FindStringSubmatch(line); m != nil {
			p.expect(m[1], m[2], m[3])
			started = true
			continue
		}
		if m := ending.FindStringSubmatch(line); m != nil {
			p.expectEnd(m[1], strings.TrimSpace(m[2]))
			started = true
			continue
		}
		if line == "or" {
			p.wants = append(p.wants, map[string][]expectation{})
			continue
		}
		if started {
			p.check()
		}
		started, p.action = true, line
		if m := sending.FindStringSubmatch(line); m != nil {
			p.client(m[2]).send(p.expand(m[3]))
			if m[1] != "" {
				p.drop()
			}
			continue
		}
		p.command(strings.Fields(line))
	}
	p.check()
}

func (p *play) client(name string) *client {
	c := p.clients[name]
	if c == nil {
		p.fatal("%s: there is no %s", p.action, name)
	}
	return c
}

// expand replaces variables and conditions. $h_ro is how many stanzas ro has
// got, $id_ro the id of its managed stream.
func (p *play) expand(text string) string {
	text = condition.ReplaceAllString(text, "<error type='*'><$1 $$stanzas/></error>")
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		name := v[1:]
		if w, ok := p.vars[name]; ok {
			return w
		}
		if w, ok := words[name]; ok {
			return w
		}
		if who, ok := strings.CutPrefix(name, "h_"); ok {
			return strconv.Itoa(p.client(who).h)
		}
		if who, ok := strings.CutPrefix(name, "id_"); ok {
			return p.client(who).id
		}
		p.fatal("%s: there is no variable %s", p.action, v)
		return ""
	})
}

func (p *play) expect(name, how, text string) {
	text = p.expand(text)
	any, err := patterns(text, cmp.Or(p.client(name).space, stanza.NSClient))
	if err != nil {
		p.fatal("pattern %q: %v", text, err)
	}
	wants := p.wants[len(p.wants)-1]
	wants[name] = append(wants[name], expectation{text: how + " " + text, any: any, optional: how == "?", ordered: how == "<<"})
}

// expectEnd expects the end of a stream with one of the conditions.
func (p *play) expectEnd(name, conditions string) {
	switch conditions {
	case "":
	case "any":
		p.expect(name, "?", "<stream:error/>")
	default:
		var any []string
		for c := range strings.SplitSeq(conditions, "|") {
			any = append(any, "<stream:error><"+c+" $streams/></stream:error>")
		}
		p.expect(name, "<<", strings.Join(any, " | "))
	}
	p.expect(name, "<<", streamEnd)
	p.expect(name, "<<", eof)
}

// check compares what the clients have got with what they were to get.
func (p *play) check() {
	wants := p.wants
	p.wants = []map[string][]expectation{{}}
	got := map[string][]*element{}
	for _, name := range slices.Sorted(maps.Keys(p.clients)) {
		got[name] = p.clients[name].take()
	}
	for _, alternative := range wants {
		for name, want := range alternative {
			p.settle(name, want, got)
		}
	}
	var differences []string
	for _, alternative := range wants {
		d := p.compare(got, alternative)
		if d == "" {
			return
		}
		differences = append(differences, d)
	}
	p.fail("%s%s", p.expand(p.action), strings.Join(differences, "\n\tor"))
}

// settle has a stream of another server come to its end, when that is wanted:
// whoever ends one may wait for the other side to do so, too.
func (p *play) settle(name string, want []expectation, got map[string][]*element) {
	came := func(what string) bool {
		return slices.ContainsFunc(got[name], func(e *element) bool { return e.raw == what })
	}
	wanted := slices.ContainsFunc(want, func(w expectation) bool { return w.any[0].name.Local == eof })
	c := p.client(name)
	if c.space == "" || !wanted || came(eof) {
		return
	}
	if !came(streamEnd) { // who fails may have to wait
		<-time.After(10 * time.Second)
		got[name] = append(got[name], c.take()...)
	}
	if came(streamEnd) && !came(eof) {
		c.send(streamEnd)
		got[name] = append(got[name], c.take()...)
	}
}

// compare says how what the clients have got differs from what they were to get.
func (p *play) compare(got map[string][]*element, wants map[string][]expectation) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if !same(got[name], wants[name], p.vars) {
			var lines []string
			for _, w := range wants[name] {
				lines = append(lines, w.text)
			}
			fmt.Fprintf(&b, "\n\t%s got\n\t\t%s\n\twant\n\t\t%s", name, raw(got[name]), strings.Join(lines, "\n\t\t"))
		}
	}
	return b.String()
}

// drop forgets what the clients have got.
func (p *play) drop() {
	for _, c := range p.clients {
		c.take()
	}
}

// command does one of:
//
//	connect ro        connects
//	auth ro           connects and logs in
//	login ro [1]      does so and binds the resource; with a priority: becomes
//	                  available, and nobody cares what follows from that
//	here ro 1         does so, asks for the roster and becomes available
//	enable ro         has the stream managed, so that it can be resumed
//	resume ro         connects anew and resumes; the connection of before is ro-old if it is there
//	acks ro           acknowledges from now on when it is asked
//	lose ro           loses from now on what comes
//	cut ro            the connection breaks
//	end ro            the stream ends in order
//	interested ro     asks for the roster
//	carbons ro        wants carbons
//	roster r j both   what romeo's roster has of juliet; then: ask, approved
//	friends r j       both have subscribed to each other
//	off carbons       a feature is switched off
//	hold add          a store is held up, see gate
//	release add       it goes on
//	remove r          an account is removed
//	password r        its password is set again
//	same_count ro 4   how many stanzas have come on the managed stream
//	same a b          two variables have the same value
//	pass 5m           time passes
//	~ COMMAND         nobody cares what follows from the command
func (p *play) command(words []string) {
	if p.also(words) {
		return
	}
	switch words[0] {
	case "connect", "auth", "login", "here", "enable", "resume", "acks", "lose", "cut", "end", "interested", "carbons":
		p.clientCommand(words)
	case "friends":
		p.roster(words[1], words[2], "both")
		p.roster(words[2], words[1], "both")
	case "roster":
		p.roster(words[1], words[2], words[3:]...)
	case "off":
		p.must(p.s.off(words[1]))
	case "hold":
		g := p.s.gate(words[1])
		g.close()
		p.t.Cleanup(g.open)
	case "release":
		p.s.gate(words[1]).open()
	case "remove":
		p.must(p.remove(words[1]))
	case "password":
		p.must(p.setPassword(words[1]))
	case "same_count":
		if got := strconv.Itoa(p.client(words[1]).h); got != words[2] {
			p.fail("%s has got %s stanzas, want %s", words[1], got, words[2])
		}
	case "same":
		if a, b := p.vars[words[1]], p.vars[words[2]]; a != b {
			p.fail("got %q and %q, want the same", a, b)
		}
	case "~":
		p.command(words[1:])
		p.drop()
	case "pass":
		d, err := time.ParseDuration(words[1])
		p.must(err)
		<-time.After(d)
	default:
		p.fatal("what is %q?", p.action)
	}
}

func (p *play) clientCommand(words []string) {
	name := words[1]
	switch words[0] {
	case "connect":
		p.connect(name)
	case "auth":
		p.auth(name)
	case "login", "here":
		p.auth(name)
		p.must(p.clients[name].bind())
		if words[0] == "here" {
			p.clientCommand([]string{"interested", name})
		}
		if len(words) > 2 {
			p.clients[name].send("<presence><priority>" + words[2] + "</priority></presence>")
			p.drop()
		}
	case "enable":
		c := p.client(name)
		c.send("<enable xmlns='" + nsSM + "' resume='true'/>")
		if got := c.take(); len(got) != 1 || got[0].name.Local != "enabled" || c.id == "" {
			p.fatal("%s: got %s", p.action, raw(got))
		}
	case "resume":
		p.resume(name)
	case "acks":
		c := p.client(name)
		c.set(func() { c.acks = true })
	case "lose":
		c := p.client(name)
		c.take()
		c.set(func() { c.lost = true })
	case "cut":
		p.client(name).close()
		p.clients[name].take()
	case "end":
		p.end(name)
	case "interested":
		p.client(name).send("<iq type='get' id='interested'><query xmlns='jabber:iq:roster'/></iq>")
		p.drop()
	case "carbons":
		p.client(name).send("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
		p.drop()
	}
}

// connect makes a client.
func (p *play) connect(name string) *client {
	if old := p.clients[name]; old != nil {
		old.close()
	}
	role, _, _ := strings.Cut(name, "-")
	c, conn, ok := p.person(role)
	if !ok {
		p.fatal("%s: nobody is called %s", p.action, name)
	}
	c.connect(conn)
	p.clients[name] = c
	return c
}

// auth makes a client that has logged in.
func (p *play) auth(name string) []*element {
	features, err := p.connect(name).authenticate()
	p.must(err)
	return features
}

// resume goes on with the stream of a client on another connection.
func (p *play) resume(name string) {
	old := p.client(name)
	delete(p.clients, name)
	old.mu.Lock()
	id, h := old.id, old.h
	old.mu.Unlock()
	select {
	case <-old.done:
	default:
		p.clients[name+"-old"] = old
	}
	p.auth(name)
	c := p.clients[name]
	c.set(func() { c.id, c.h = id, h })
	c.send(fmt.Sprintf("<resume xmlns='%s' previd='%s' h='%d'/>", nsSM, id, h))
}

func (p *play) end(name string) {
	c := p.client(name)
	c.send(streamEnd)
	got := c.take()
	if n := len(got); n < 2 || got[n-2].raw != streamEnd || got[n-1].raw != eof {
		p.fail("%s: got %s, want the end of the stream and of the connection", p.action, raw(got))
	}
	c.close()
	c.take()
}

// roster writes an item into a roster.
func (p *play) roster(user, contact string, state ...string) {
	ctx := context.Background()
	u, err := stanza.ParseJID(p.expand("$" + user))
	p.must(err)
	c, err := stanza.ParseJID(p.expand("$" + contact))
	p.must(err)
	i := roster.Item{Contact: c, Listed: true, Subscription: map[string]roster.Subscription{"none": roster.None, "to": roster.To, "from": roster.From, "both": roster.Both}[state[0]]}
	i.Ask = slices.Contains(state, "ask")
	i.Approved = slices.Contains(state, "approved")
	_, err = p.store(u.Domain()).Set(ctx, u, i, 0)
	p.must(err)
}
