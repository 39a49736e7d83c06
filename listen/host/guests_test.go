package host_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/host"
	blockstore "github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	offlinestore "github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// party is a host with the accounts juliet and friend at a.test, and guests who
// log in anonymously at anon.test and at both.test, where there are accounts, too.
type party struct {
	*testing.T
	*host.Host
	stores host.Stores
	sinks  map[stanza.JID]*listentest.Sink
	read   map[stanza.JID]int
}

func newParty(t *testing.T, f host.Features) *party {
	t.Helper()
	o := hosts("a.test", "anon.test", "both.test")
	o.AuthMethod.Hosts = map[string][]string{"anon.test": {"anonymous"}, "both.test": {"internal", "anonymous"}}
	p := &party{T: t, sinks: make(map[stanza.JID]*listentest.Sink), read: make(map[stanza.JID]int), stores: host.Stores{
		Accounts: new(host.MemoryAccounts), Roster: new(roster.Memory), Offline: new(offlinestore.Memory), Last: new(last.Memory),
		Private: new(private.Memory), VCard: new(vcard.Memory), Blocking: new(blockstore.Memory),
	}}
	var err error
	if p.Host, err = host.New(host.Config{Options: o, Features: f, Stores: p.stores}); err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{"juliet@a.test", "friend@a.test", "user@both.test"} {
		if err := p.Accounts.Create(t.Context(), jid(t, u), "secret"); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// guest logs in anonymously.
func (p *party) guest(domain, presence string) stanza.JID {
	p.Helper()
	bare, err := p.Accounts.Anonymous(p.Context(), domain)
	if err != nil {
		p.Fatal(err)
	}
	return p.come(bare, presence)
}

// come makes a session; presence is XML, "" for none.
func (p *party) come(user stanza.JID, presence string) stanza.JID {
	p.Helper()
	sink := new(listentest.Sink)
	full, err := p.Local.Bind(p.Context(), stanza.Binding{JID: user, Sink: sink})
	if err != nil {
		p.Fatal(err)
	}
	p.sinks[full] = sink
	if presence != "" {
		p.send(full, presence)
	}
	p.got(full)
	return full
}

func (p *party) send(from stanza.JID, xml string) {
	p.Helper()
	s, err := stanza.Parse(xml)
	if err != nil {
		p.Fatalf("%s: %v", xml, err)
	}
	if err := p.Local.Route(p.Context(), s.WithFrom(from)); err != nil {
		p.Errorf("%s: %v", xml, err)
	}
}

// got returns what a session received since the last call: the condition of an
// error, or the kind and type.
func (p *party) got(full stanza.JID) string {
	list := p.sinks[full].Stanzas()
	var all []string
	for _, s := range list[p.read[full]:] {
		all = append(all, strings.TrimSpace(strings.Trim(fmt.Sprint(s.Kind), "<>")+" "+s.Type+" "+condition(s)))
	}
	p.read[full] = len(list)
	return strings.Join(all, ", ")
}

func (p *party) leave(full stanza.JID) {
	p.Local.Release(p.Context(), full, p.sinks[full])
	p.Local.Ended(p.Context(), stanza.SessionInfo{JID: full, Sink: p.sinks[full]}, nil, nil)
}

// wantNothing wants that nothing is stored of a user.
func (p *party) wantNothing(user stanza.JID) {
	p.Helper()
	user = user.Bare()
	items, err1 := p.stores.Roster.List(p.Context(), user, stanza.JID{}, 10)
	n, err2 := p.stores.Offline.Count(p.Context(), user)
	_, known, err3 := p.stores.Last.Get(p.Context(), user)
	element, err4 := p.stores.Private.Get(p.Context(), user, stanza.Name{Space: "urn:x", Local: "a"})
	card, err5 := p.stores.VCard.Get(p.Context(), user)
	blocked, err6 := p.stores.Blocking.Get(p.Context(), user)
	for _, err := range []error{err1, err2, err3, err4, err5, err6} {
		if err != nil {
			p.Error(err)
		}
	}
	if len(items) > 0 || n > 0 || known || element != "" || card != "" || len(blocked.Blocked) > 0 {
		p.Errorf("%s has left: contacts %v, %d messages, last activity %t, private %q, vCard %q, blocked %v",
			user, items, n, known, element, card, blocked.Blocked)
	}
}

// removed is a user whose removal goes on while a session is still there.
func (p *party) removed() stanza.JID {
	p.Helper()
	full := p.come(jid(p.T, "friend@a.test"), "<presence/>")
	acc, err := p.stores.Accounts.Get(p.Context(), full.Bare())
	if err != nil {
		p.Fatal(err)
	}
	acc.Disabled, acc.Removing = true, true
	if err := p.stores.Accounts.CompareAndSet(p.Context(), acc); err != nil {
		p.Fatal(err)
	}
	return full
}

// Users without an account leave nothing behind: what would be stored is refused,
// and what they ask for is empty.
func TestGuestsStoreNothing(t *testing.T) {
	const notAllowed, result = "not-allowed", "result"
	for _, who := range []string{"anon.test", "both.test", "removed", "account"} {
		t.Run(who, func(t *testing.T) {
			p := newParty(t, host.Messenger())
			var full stanza.JID
			switch who {
			case "removed":
				full = p.removed()
			case "account":
				full = p.come(jid(t, "user@both.test"), "<presence/>")
			default:
				full = p.guest(who, "<presence/>")
			}
			for _, tt := range []struct{ typ, to, payload, want string }{
				{"set", "", "<query xmlns='jabber:iq:roster'><item jid='c@b.test'/></query>", notAllowed},
				{"get", "", "<query xmlns='jabber:iq:roster'/>", result},
				{"set", "own", "<query xmlns='jabber:iq:private'><a xmlns='urn:x'>1</a></query>", notAllowed},
				{"get", "", "<query xmlns='jabber:iq:private'><a xmlns='urn:x'/></query>", result},
				{"set", "own", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>", notAllowed},
				{"get", "", "<vCard xmlns='vcard-temp'/>", "item-not-found"},
				{"set", "juliet@a.test", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>", "forbidden"},
				{"set", "", "<block xmlns='urn:xmpp:blocking'><item jid='e@b.test'/></block>", notAllowed},
				{"set", "", "<unblock xmlns='urn:xmpp:blocking'/>", notAllowed},
				{"get", "", "<blocklist xmlns='urn:xmpp:blocking'/>", result},
				{"set", "", "<enable xmlns='urn:xmpp:carbons:2'/>", result},
				{"get", "", "<query xmlns='jabber:iq:last'/>", result},
			} {
				if who == "account" { // has it stored
					if tt.want == notAllowed || tt.payload == "<vCard xmlns='vcard-temp'/>" {
						tt.want = result
					}
				}
				to := ""
				switch tt.to {
				case "":
				case "own":
					to = " to='" + full.Bare().String() + "'"
				default:
					to = " to='" + tt.to + "'"
				}
				p.got(full)
				p.send(full, "<iq type='"+tt.typ+"' id='1'"+to+">"+tt.payload+"</iq>")
				got := p.sinks[full].Stanzas()
				if a := got[len(got)-1]; p.got(full) == "" || condition(a) != tt.want && a.Type != tt.want {
					t.Errorf("%s %s: got %s, want %s", tt.typ, tt.payload, a, tt.want)
				}
			}
			p.leave(full)
			if who != "account" {
				p.wantNothing(full)
			}
		})
	}
}

// A guest can neither ask for a subscription nor grant one, and whoever asks him
// is refused at once. Nobody's roster keeps anything of it.
func TestGuestsHaveNoContacts(t *testing.T) {
	for _, domain := range []string{"anon.test", "both.test"} {
		for _, rosters := range []bool{true, false} { // at the domain of the guest
			t.Run(fmt.Sprintf("%s, rosters %t", domain, rosters), func(t *testing.T) {
				f := host.Messenger()
				if !rosters {
					f.Roster.Hosts = map[string]*roster.Options{domain: nil}
				}
				p := newParty(t, f)
				juliet := p.come(jid(t, "juliet@a.test"), "<presence/>")
				guest := p.guest(domain, "<presence/>")
				for _, typ := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
					p.send(guest, "<presence type='"+typ+"' to='juliet@a.test'/>")
					want := ""
					if rosters && (typ == "subscribe" || typ == "subscribed") {
						want = "presence error not-allowed"
					}
					if got := p.got(guest); got != want {
						t.Errorf("%s: got %q, want %q", typ, got, want)
					}
				}
				if got := p.got(juliet); got != "" {
					t.Errorf("juliet got %s", got)
				}
				p.wantNothing(guest)
				p.wantNothing(juliet)

				p.send(juliet, "<presence type='subscribe' to='"+guest.Bare().String()+"'/>")
				if got := p.got(juliet); rosters && !strings.Contains(got, "unsubscribed") {
					t.Errorf("juliet, who asks, got %q, want a denial", got)
				}
				p.leave(guest)
				p.wantNothing(guest)
			})
		}
	}
}

// However many guests come and ask, a friend gets in.
func TestGuestsFillNoRoster(t *testing.T) {
	p := newParty(t, host.Messenger())
	for range 2500 {
		guest := p.guest("anon.test", "")
		p.send(guest, "<presence type='subscribe' to='juliet@a.test'><status>"+strings.Repeat("x", 3000)+"</status></presence>")
		p.leave(guest)
	}
	friend := p.come(jid(t, "friend@a.test"), "<presence/>")
	p.send(friend, "<presence type='subscribe' to='juliet@a.test'/>")
	items, err := p.stores.Roster.List(t.Context(), jid(t, "juliet@a.test"), stanza.JID{}, 10)
	if err != nil || len(items) != 1 || items[0].Contact != friend.Bare() {
		t.Errorf("juliet's roster has %v, %v; want the request of friend", items, err)
	}
}

// A message that no session of a guest takes is returned, and one that waits for
// him waits in the queue of his session.
func TestGuestsHaveNoOfflineMessages(t *testing.T) {
	for _, tt := range []struct {
		name, presence string
		detached       bool
		taken          bool
	}{
		{"there", "<presence/>", false, true},
		{"negative priority", prio(-1), false, false},
		{"no presence", "", false, false},
		{"without connection", "<presence/>", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newParty(t, host.Messenger())
			juliet := p.come(jid(t, "juliet@a.test"), "<presence/>")
			guest := p.guest("anon.test", tt.presence)
			info := stanza.SessionInfo{JID: guest, Sink: p.sinks[guest]}
			if tt.detached {
				p.Local.Detached(t.Context(), info)
			}
			p.send(juliet, "<message type='chat' to='"+guest.Bare().String()+"'><body>x</body></message>")
			wantGuest, wantJuliet := "message chat", ""
			if !tt.taken {
				wantGuest, wantJuliet = "", "message error service-unavailable"
			}
			if g, j := p.got(guest), p.got(juliet); g != wantGuest || j != wantJuliet {
				t.Errorf("guest got %q, juliet %q; want %q and %q", g, j, wantGuest, wantJuliet)
			}
			if list := p.sinks[guest].Stanzas(); tt.detached {
				m := list[len(list)-1]
				q := []stanza.Queued{{Stanza: m}}
				if kept := p.Local.Keep(t.Context(), info, q); !slices.Equal(kept, []*stanza.Stanza{m}) {
					t.Errorf("Keep: got %v, want what it was", kept)
				}
			}
			p.wantNothing(guest)
			p.leave(guest)
			p.wantNothing(guest)
		})
	}
}

// Until a removal is finished the account is as good as none for others.
func TestRemovedAccountIsNone(t *testing.T) {
	p := newParty(t, host.Messenger())
	juliet, friend := p.come(jid(t, "juliet@a.test"), "<presence/>"), jid(t, "friend@a.test")
	p.send(p.come(friend, ""), "<iq type='set' id='1'><vCard xmlns='vcard-temp'><FN>x</FN></vCard></iq>")
	full := p.removed()
	for other := range p.sinks {
		if other.Bare() == friend {
			p.leave(other)
		}
	}
	if full.Bare() != friend {
		t.Fatalf("got %s", full)
	}
	for stanza, want := range map[string]string{
		"<iq type='get' id='1' to='friend@a.test'><vCard xmlns='vcard-temp'/></iq>": "iq error service-unavailable",
		"<message type='chat' to='friend@a.test'><body>x</body></message>":          "message error service-unavailable",
		"<presence type='subscribe' to='friend@a.test'/>":                           "iq set", // juliet's own roster
	} {
		p.send(juliet, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
		p.got(juliet)
		p.send(juliet, stanza)
		if got := p.got(juliet); got != want {
			t.Errorf("%s: got %q, want %q", stanza, got, want)
		}
	}
}

// A removal that has broken off is finished, in the rosters of the contacts, too.
func TestRecoverEndsSubscriptions(t *testing.T) {
	p := newParty(t, host.Messenger())
	friend, juliet := jid(t, "friend@a.test"), jid(t, "juliet@a.test")
	for user, contact := range map[stanza.JID]stanza.JID{friend: juliet, juliet: friend} {
		if _, err := p.stores.Roster.Set(t.Context(), user, roster.Item{Contact: contact, Listed: true, Subscription: roster.Both}, 0); err != nil {
			t.Fatal(err)
		}
	}
	p.removed()
	if err := p.Accounts.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.wantNothing(friend)
	if i, err := p.stores.Roster.Get(t.Context(), juliet, friend); err != nil || i.Subscription != roster.None {
		t.Errorf("in juliet's roster: %+v, %v, want no subscription", i, err)
	}
	if _, err := p.stores.Accounts.Get(t.Context(), friend); !errors.Is(err, stanza.ErrNoAccount) {
		t.Errorf("the account: %v, want ErrNoAccount", err)
	}
}
