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
		if _, err := b.Inbound(context.Background(), presence(t, stanza.TypeSubscribe, romeo, juliet)); err != nil {
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
