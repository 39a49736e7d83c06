package conformance

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// gate holds up what stores write.
type gate struct {
	mu     sync.Mutex
	closed bool
	held   []func()
}

// do calls f as soon as the gate is open.
func (g *gate) do(f func()) {
	g.mu.Lock()
	closed := g.closed
	if closed {
		g.held = append(g.held, f)
	}
	g.mu.Unlock()
	if !closed {
		f()
	}
}

// wait returns as soon as the gate is open.
func (g *gate) wait() {
	open := make(chan struct{})
	g.do(func() { close(open) })
	<-open
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *gate) open() {
	g.mu.Lock()
	held := g.held
	g.held, g.closed = nil, false
	g.mu.Unlock()
	for _, f := range held {
		f()
	}
}

type gatedOffline struct {
	offline.Memory
	adds, deletes gate
	fails         bool
}

func (s *gatedOffline) Add(ctx context.Context, user stanza.JID, xml string, limits offline.Limits, done func(uint64, error)) {
	s.adds.do(func() {
		if s.fails {
			done(0, errors.New("the disk is full"))
			return
		}
		s.Memory.Add(context.WithoutCancel(ctx), user, xml, limits, done)
	})
}

func (s *gatedOffline) Delete(ctx context.Context, user stanza.JID, keys []uint64, done func(error)) {
	s.deletes.do(func() { s.Memory.Delete(context.WithoutCancel(ctx), user, keys, done) })
}

type gatedRoster struct {
	roster.Memory
	gate
}

func (s *gatedRoster) Set(ctx context.Context, user stanza.JID, i roster.Item, limit int) (uint64, error) {
	s.wait()
	return s.Memory.Set(ctx, user, i, limit)
}

func (s *gatedRoster) Delete(ctx context.Context, user, contact stanza.JID, version uint64) (uint64, error) {
	s.wait()
	return s.Memory.Delete(ctx, user, contact, version)
}

type gatedPrivate struct {
	private.Memory
	gate
}

func (s *gatedPrivate) Set(ctx context.Context, user stanza.JID, name stanza.Name, xml string, l private.Limits) error {
	s.wait()
	return s.Memory.Set(ctx, user, name, xml, l)
}

type gatedVCard struct {
	vcard.Memory
	gate
}

func (s *gatedVCard) Set(ctx context.Context, user stanza.JID, xml string) error {
	s.wait()
	return s.Memory.Set(ctx, user, xml)
}

type gatedBlocking struct {
	blocking.Memory
	gate
}

func (s *gatedBlocking) CompareAndSet(ctx context.Context, user stanza.JID, l blocking.List) (uint64, error) {
	s.wait()
	return s.Memory.CompareAndSet(ctx, user, l)
}

// gated has stores that all wait for gates.
func gated(s *server) {
	s.config.Stores.Offline = &gatedOffline{}
	s.config.Stores.Roster = &gatedRoster{}
	s.config.Stores.Private = &gatedPrivate{}
	s.config.Stores.VCard = &gatedVCard{}
	s.config.Stores.Blocking = &gatedBlocking{}
}

// gate returns a gate by the name of what it holds up.
func (s *server) gate(name string) *gate {
	switch name {
	case "add":
		return &s.config.Stores.Offline.(*gatedOffline).adds
	case "delete":
		return &s.config.Stores.Offline.(*gatedOffline).deletes
	case "roster":
		return &s.config.Stores.Roster.(*gatedRoster).gate
	case "private":
		return &s.config.Stores.Private.(*gatedPrivate).gate
	case "vcard":
		return &s.config.Stores.VCard.(*gatedVCard).gate
	case "blocking":
		return &s.config.Stores.Blocking.(*gatedBlocking).gate
	}
	return nil
}

var durableRows = []row{
	{name: "an offline message", with: gated, script: `
		login ro 0
		enable ro
		hold add
		ro > <message to='$j' type='chat'><body>1</body></message>
		ro > <r $sm/>
		ro ? <a $sm h='0'/>
		pass 5m
		ro ? <a $sm h='0'/>
		release add
		ro ? <a $sm h='~0|1'/>
		ro > <r $sm/>
		ro < <a $sm h='1'/>
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <message><body>1</body></message>`},
	{name: "what follows an offline message is not acknowledged before it", with: gated, script: `
		login ro 0
		login ts 0
		enable ro
		hold add
		ro > <message to='$j' type='chat'><body>1</body></message>
		ro > <iq type='get' id='1'><ping $ping/></iq>
		ro < <iq type='result' id='1'/>
		ro > <message to='$ts' type='chat'><body>2</body></message>
		ts < <message><body>2</body></message>
		ro > <r $sm/>
		ro ? <a $sm h='0'/>
		release add
		ro < <a $sm h='3'/>`},
	{name: "what goes before is acknowledged", with: gated, script: `
		login ro 0
		login ts 0
		enable ro
		ro > <message to='$ts' type='chat'><body>1</body></message>
		ts < <message><body>1</body></message>
		hold add
		ro > <message to='$j' type='chat'><body>2</body></message>
		ro > <r $sm/>
		ro ? <a $sm h='~0|1'/>
		release add
		ro < <a $sm h='2'/>`},
	{name: "a message to a session without connection", with: gated, script: `
		login jb 0
		enable jb
		login ro
		enable ro
		cut jb
		hold add
		ro > <message to='$jb' type='chat'><body>1</body></message>
		ro > <r $sm/>
		ro ? <a $sm h='0'/>
		release add
		ro < <a $sm h='1'/>
		resume jb
		jb << <resumed $sm/>
		jb << <message><body>1</body></message>`},
	{name: "a message that waits for the store while the session comes back", with: gated, script: `
		login jb 0
		enable jb
		login ro
		enable ro
		cut jb
		hold add
		ro > <message to='$jb' type='chat'><body>1</body></message>
		resume jb
		jb << <resumed $sm/>
		jb ? <message><body>1</body></message>
		ro > <r $sm/>
		ro ? <a $sm h='0'/>
		release add
		jb ? <message><body>1</body></message>
		ro ? <a $sm h='1'/>
		jb > <a $sm h='$h_jb'/>
		ro ? <a $sm h='1'/>
		cut jb
		resume jb
		jb < <resumed $sm/>`},
	{name: "a message to a client that has not acknowledged it", with: gated, script: `
		login jb 0
		enable jb
		login ro
		enable ro
		ro > <message to='$jb' type='chat'><body>1</body></message>
		jb < <message><body>1</body></message>
		ro > <r $sm/>
		ro ? <a $sm h='0'/>
		jb > <a $sm h='1'/>
		ro < <a $sm h='1'/>`},
	{name: "a message to a client that goes before it has acknowledged it", with: gated, script: `
		login jb 0
		enable jb
		login ro
		enable ro
		lose jb
		ro > <message to='$jb' type='chat'><body>1</body></message>
		ro > <r $sm/>
		ro ? <a $sm h='0'/>
		hold add
		cut jb
		release add
		ro < <a $sm h='1'/>`},
	{name: "the sender goes before the store is done", with: gated, script: `
		login ro 0
		enable ro
		hold add
		ro > <message to='$j' type='chat'><body>1</body></message>
		cut ro
		resume ro
		ro < <resumed $sm h='~0|1'/>
		release add
		ro ? <a $sm h='~0|1'/>
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <message><body>1</body></message>`},
	{name: "resumed tells no more than is safe", with: gated, script: `
		login ro 0
		enable ro
		hold add
		ro > <message to='$j' type='chat'><body>1</body></message>
		cut ro
		resume ro
		ro < <resumed $sm h='0'/>
		ro > <message to='$j' type='chat'><body>1</body></message>
		release add
		ro ? <a $sm h='~0|1'/>
		ro > <r $sm/>
		ro < <a $sm h='1'/>
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <message><body>1</body></message>
		jb ? <message><body>1</body></message>`},
	{name: "a message that cannot be stored", with: gated, do: func(p *play) {
		p.s.config.Stores.Offline.(*gatedOffline).fails = true
		p.script(`
		login ro 0
		enable ro
		ro > <message to='$j' type='chat' id='1'><body>1</body></message>
		ro < <message type='error' id='1' from='$j'>!internal-server-error</message>
		ro > <r $sm/>
		ro < <a $sm h='1'/>`)
	}},
	{name: "what is being deleted does not come again", with: gated, script: `
		login ro
		ro > <message to='$j' type='chat'><body>1</body></message>
		hold delete
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		jb < <message><body>1</body></message>
		end jb
		login jb
		jb > <presence/>
		jb < <presence from='$jb'/>
		release delete`},
	{name: "a login waits for messages that are on their way", with: gated, script: `
		login ro
		hold add
		ro > <message to='$j' type='chat'><body>1</body></message>
		login jb
		jb > <presence/>
		jb ? <presence from='$jb'/>
		release add
		jb ? <presence from='$jb'/>
		jb < <message><body>1</body></message>`},
	{name: "messages keep their order while the store is slow", with: gated, script: `
		login ro
		hold add
		ro > <message to='$j' type='chat'><body>1</body></message>
		ro > <message to='$j' type='chat'><body>2</body></message>
		login jb
		jb > <presence/>
		jb ? <presence from='$jb'/>
		ro > <message to='$j' type='chat'><body>3</body></message>
		release add
		jb ? <presence from='$jb'/>
		jb << <message><body>1</body></message>
		jb << <message><body>2</body></message>
		jb << <message><body>3</body></message>`},
	{name: "a roster item", with: gated, script: `
		login ro
		login rg
		interested rg
		hold roster
		ro > <iq type='set' id='1'><query $roster><item jid='$j'/></query></iq>
		pass 1m
		release roster
		ro < <iq type='result' id='1'/>
		rg < <iq type='set'><query $roster/></iq>
		hold roster
		ro > <iq type='set' id='2'><query $roster><item jid='$j' subscription='remove'/></query></iq>
		pass 1m
		release roster
		ro < <iq type='result' id='2'/>
		rg < <iq type='set'><query $roster/></iq>`},
	{name: "a request of subscription", with: gated, script: `
		here ro 0
		enable ro
		login jb 0
		hold roster
		ro > <presence type='subscribe' to='$j'/>
		ro > <r $sm/>
		ro ? <a $sm h='0'/>
		pass 10s
		release roster
		ro < <iq type='set'><query $roster><item ask='subscribe'/></query></iq>
		ro ? <presence type='unavailable' from='$j'/>
		ro < <a $sm h='1'/>
		jb < <presence type='subscribe' from='$r'/>`},
	{name: "private XML", with: gated, script: `
		login ro
		hold private
		ro > <iq type='set' id='1'><query $private><a xmlns='urn:a'>x</a></query></iq>
		pass 1m
		release private
		ro < <iq type='result' id='1'/>`},
	{name: "a vCard", with: gated, script: `
		login ro
		hold vcard
		ro > <iq type='set' id='1'><vCard $vcard><FN>x</FN></vCard></iq>
		pass 1m
		release vcard
		ro < <iq type='result' id='1'/>`},
	{name: "a block list", with: gated, script: `
		login ro
		hold blocking
		ro > <iq type='set' id='1'><block $blocking><item jid='$j'/></block></iq>
		pass 1m
		release blocking
		ro < <iq type='result' id='1'/>`},
}

// TestDurable checks that nobody is told that something is safe before the store
// has it.
func TestDurable(t *testing.T) { run(t, durableRows) }
