package roster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Sessions that change the same contact, in two processes with one store,
// overwrite nothing of each other.
func TestNoUpdateIsLost(t *testing.T) {
	a, _ := newService(nil)
	b := New(Config{Store: a.store, Router: newFake()})
	o := Defaults()
	b.Configure(stanza.PerHost[*Options]{Value: &o})
	const rounds = 200
	var wg sync.WaitGroup
	for _, s := range []*Service{a, b} {
		wg.Go(func() {
			for n := range rounds {
				set(t, s, fmt.Sprintf("<item jid='romeo@b.test' name='%d'/>", n))
			}
		})
	}
	// The subscription has one way to its end, whatever comes in between.
	wg.Go(func() {
		for _, typ := range []string{stanza.TypeSubscribe, stanza.TypeSubscribed} {
			if _, err := a.Outbound(context.Background(), presence(t, typ, juliet, romeo)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		if _, err := inbound(t, b, presence(t, stanza.TypeSubscribe, romeo, juliet)); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	got := item(t, a, romeo)
	if got.Subscription != From || !got.Ask || got.Request != "" || got.Name != strconv.Itoa(rounds-1) {
		t.Errorf("got %+v, want From + Pending Out and the last name", got)
	}
}

// Each session hears of the changes in their order, and its answers are in their
// place between them.
func TestOrderOfPushes(t *testing.T) {
	s, f := newService(versioned)
	f.login(t, balcony, false)
	f.login(t, chamber, true)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 50 {
				set(t, s, fmt.Sprintf("<item jid='%d@b.test' name='%d'/>", g*7+n%7, n))
				if n%10 == g {
					set(t, s, fmt.Sprintf("<item jid='%d@b.test' subscription='remove'/>", g*7+n%7))
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			handle(t, s, request(t, stanza.TypeGet, "<query xmlns='jabber:iq:roster' ver=''/>"))
		}
	})
	wg.Wait()
	for _, full := range []string{balcony, chamber} {
		c := &cache{items: map[string]string{}}
		last := uint64(0)
		for _, st := range f.take(t, full) {
			if st.Type == stanza.TypeResult {
				clear(c.items)
			}
			v, err := strconv.ParseUint(strings.TrimPrefix(verOf(t, st.Inner), s.epoch), 10, 64)
			if err != nil || v < last {
				t.Errorf("%s: got version %d after %d, %v", full, v, last, err)
			}
			last = v
			c.apply(t, st.Inner)
		}
		c.compare(t, s)
	}
	if len(s.busy.busy) > 0 {
		t.Errorf("got %d accounts locked at the end, want none", len(s.busy.busy))
	}
}

// RFC 6121, sections 3.1.6, 3.2.3 and 3.3.3: the presence comes before the push
// that it causes, and of many at once each push is in the order of its version.
func TestPassComesBeforePush(t *testing.T) {
	for _, typ := range []string{stanza.TypeSubscribed, stanza.TypeUnsubscribed, stanza.TypeUnsubscribe} {
		t.Run(typ, func(t *testing.T) {
			s, f := newService(versioned)
			f.login(t, balcony, true)
			const contacts = 50
			var wg sync.WaitGroup
			for n := range contacts {
				contact := jid(t, fmt.Sprintf("%d@b.test", n))
				i := Item{Contact: contact, Listed: true, Subscription: Both}
				if typ == stanza.TypeSubscribed {
					i.Subscription, i.Ask = None, true
				}
				if _, err := s.store.Set(t.Context(), jid(t, juliet), i, 0); err != nil {
					t.Fatal(err)
				}
				st := presence(t, typ, contact.String(), juliet)
				wg.Go(func() {
					_, err := s.Inbound(context.Background(), st, func() {
						now, err := s.store.Get(context.Background(), st.To, st.From)
						if err != nil || now.Subscription == i.Subscription {
							t.Errorf("passed before the change was stored: %+v, %v", now, err)
						}
						if err := f.DeliverTo(jid(t, balcony), st); err != nil {
							t.Error(err)
						}
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			got := f.take(t, balcony)
			last := uint64(0)
			for n := 0; n+1 < len(got); n += 2 {
				st, push := got[n], got[n+1]
				if st.Kind != stanza.Presence || push.Kind != stanza.IQ || !strings.Contains(push.Inner, st.From.String()) {
					t.Fatalf("got %s and %s, want presence and the push for it", st, push)
				}
				v, err := strconv.ParseUint(strings.TrimPrefix(verOf(t, push.Inner), s.epoch), 10, 64)
				if err != nil || v <= last {
					t.Errorf("got version %d after %d, %v", v, last, err)
				}
				last = v
			}
			if len(got) != 2*contacts {
				t.Errorf("got %d stanzas, want %d", len(got), 2*contacts)
			}
		})
	}
}
