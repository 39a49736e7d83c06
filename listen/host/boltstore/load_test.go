package boltstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// A script is what one user does to all tables, step by step, the same at each
// time: after a crash, what is stored must be what some number of steps leads
// to.
type script struct {
	user  stanza.JID
	rand  *rand.Rand
	steps int // done so far

	account  host.Account // no JID: there is none
	items    map[string]roster.Item
	messages []string
	activity last.Activity // At is zero: there is none
	private  map[string]string
	vcard    string
	blocked  []stanza.JID
	grants   [3]string // their scopes; "": there is none
}

// newScript returns the script of a user of a round.
func newScript(round, worker int) *script {
	user, err := stanza.NewJID(fmt.Sprintf("r%dw%d", round, worker), "a.test", "")
	if err != nil {
		panic(err)
	}
	return &script{
		user:    user,
		rand:    rand.New(rand.NewPCG(uint64(round), uint64(worker))),
		items:   make(map[string]roster.Item),
		private: make(map[string]string),
	}
}

// step is what a store has to do; err hears the outcome, perhaps later.
type step func(d *driver, err func(error))

// next takes the next step, without a store.
func (s *script) next() step {
	s.steps++
	n, kind := s.steps, s.rand.IntN(100)
	switch {
	case kind < 50:
		return s.add(fmt.Sprintf("<message>%d %s</message>", n, strings.Repeat("m", s.rand.IntN(1500))))
	case kind < 58 && len(s.messages) > 0: // to delete nothing is acknowledged at once
		return s.remove(1 + s.rand.IntN(10))
	case kind < 60:
		s.messages = nil
		return func(d *driver, err func(error)) {
			d.keys.Wait()
			d.forget()
			err(d.store.Offline().Forget(d.ctx, s.user))
		}
	case kind < 72:
		return s.contact(fmt.Sprintf("c%d@b.test", s.rand.IntN(8)), n)
	case kind < 73:
		clear(s.items)
		return sync1(func(d *driver) error { return d.store.Roster().Forget(d.ctx, s.user) })
	case kind < 80:
		return s.setAccount(n)
	case kind < 85:
		a := last.Activity{At: time.Unix(int64(n), 0).UTC(), Status: fmt.Sprint("status ", n)}
		s.activity = a
		return sync1(func(d *driver) error { return d.store.Last().Set(d.ctx, s.user, a) })
	case kind < 92:
		return s.setPrivate(fmt.Sprint("x", s.rand.IntN(4)), n)
	case kind < 96:
		s.vcard = fmt.Sprintf("<vCard>%d%s</vCard>", n, strings.Repeat("v", s.rand.IntN(6000)))
		xml := s.vcard
		return sync1(func(d *driver) error { return d.store.VCard().Set(d.ctx, s.user, xml) })
	case kind < 98:
		return s.block(n)
	default:
		return s.grant(n)
	}
}

// sync1 is a step that waits for the store.
func sync1(f func(d *driver) error) step { return func(d *driver, err func(error)) { err(f(d)) } }

func (s *script) add(xml string) step {
	s.messages = append(s.messages[:len(s.messages):len(s.messages)], xml)
	return func(d *driver, err func(error)) {
		d.keys.Add(1)
		d.store.Offline().Add(d.ctx, s.user, xml, offline.Limits{}, func(key uint64, failed error) {
			d.mu.Lock()
			d.known = append(d.known, key)
			d.mu.Unlock()
			err(failed)
			d.keys.Done()
		})
	}
}

func (s *script) remove(n int) step {
	n = min(n, len(s.messages))
	s.messages = s.messages[n:]
	return func(d *driver, err func(error)) {
		d.keys.Wait()
		d.mu.Lock()
		keys := d.known[:n]
		d.known = d.known[n:]
		d.mu.Unlock()
		d.store.Offline().Delete(d.ctx, s.user, keys, err)
	}
}

func (s *script) contact(contact string, n int) step {
	_, exists := s.items[contact]
	j, err := stanza.ParseJID(contact)
	if err != nil {
		panic(err)
	}
	if exists && n%3 == 0 {
		delete(s.items, contact)
		return sync1(func(d *driver) error {
			old, err := d.store.Roster().Get(d.ctx, s.user, j)
			if err == nil {
				_, err = d.store.Roster().Delete(d.ctx, s.user, j, old.Version)
			}
			return err
		})
	}
	i := roster.Item{Contact: j, Name: fmt.Sprint("name ", n), Groups: []string{"a", fmt.Sprint(n)}, Subscription: roster.Subscription(n % 4), Listed: n%5 > 0}
	s.items[contact] = i
	return sync1(func(d *driver) error {
		old, err := d.store.Roster().Get(d.ctx, s.user, j)
		if err != nil && !errors.Is(err, roster.ErrNoItem) {
			return err
		}
		i.Version = old.Version
		_, err = d.store.Roster().Set(d.ctx, s.user, i, 0)
		return err
	})
}

func (s *script) setAccount(n int) step {
	old := s.account
	switch {
	case old.JID.IsZero():
		a := host.Account{JID: s.user, HA1MD5: []byte(fmt.Sprint(n))}
		s.account = a
		return sync1(func(d *driver) error { return d.store.Accounts().Create(d.ctx, a) })
	case n%4 == 0:
		s.account = host.Account{}
		return sync1(func(d *driver) error { return d.store.Accounts().Delete(d.ctx, s.user) })
	}
	s.account.HA1MD5 = []byte(fmt.Sprint(n))
	a := s.account
	return sync1(func(d *driver) error {
		stored, err := d.store.Accounts().Get(d.ctx, s.user)
		if err != nil {
			return err
		}
		a.Revision = stored.Revision
		return d.store.Accounts().CompareAndSet(d.ctx, a)
	})
}

func (s *script) setPrivate(name string, n int) step {
	xml := ""
	if n%4 > 0 {
		xml = fmt.Sprintf("<%s>%d</%s>", name, n, name)
	}
	s.private[name] = xml
	return sync1(func(d *driver) error {
		return d.store.Private().Set(d.ctx, s.user, stanza.Name{Space: "urn:x", Local: name}, xml, private.Limits{})
	})
}

func (s *script) block(n int) step {
	j, err := stanza.ParseJID(fmt.Sprintf("b%d@b.test", n))
	if err != nil {
		panic(err)
	}
	s.blocked = append(s.blocked[:len(s.blocked):len(s.blocked)], j)
	blocked := s.blocked
	return sync1(func(d *driver) error {
		l, err := d.store.Blocking().Get(d.ctx, s.user)
		if err == nil {
			_, err = d.store.Blocking().CompareAndSet(d.ctx, s.user, blocking.List{Blocked: blocked, Revision: l.Revision})
		}
		return err
	})
}

// grantID is the ID of one of the user's grants.
func (s *script) grantID(i int) (id host.GrantID) {
	sum := sha256.Sum256(fmt.Append(nil, s.user, i))
	return host.GrantID(sum[:16])
}

func (s *script) grant(n int) step {
	i := n % len(s.grants)
	before := s.grants[i]
	scopes := fmt.Sprint("scope", n)
	g := host.Grant{ID: s.grantID(i), User: s.user, Scopes: scopes, Issued: time.Unix(int64(n), 0), Expires: time.Unix(int64(n)+1, 0)}
	switch {
	case n%7 == 0:
		s.grants = [3]string{}
		return sync1(func(d *driver) error { return d.store.Tokens().Forget(d.ctx, s.user) })
	case before == "":
		s.grants[i] = scopes
		return sync1(func(d *driver) error { return d.store.Tokens().Add(d.ctx, g, len(s.grants), time.Unix(0, 0)) })
	case n%2 == 0:
		s.grants[i] = ""
		return sync1(func(d *driver) error { return d.store.Tokens().Delete(d.ctx, g.ID) })
	}
	s.grants[i] = scopes
	return sync1(func(d *driver) error {
		stored, err := d.store.Tokens().Get(d.ctx, g.ID)
		if err != nil {
			return err
		}
		g.Revision = stored.Revision
		return d.store.Tokens().CompareAndSet(d.ctx, g)
	})
}

// compare returns how what is stored of the user differs from the script.
func (s *script) compare(store *Store) error {
	ctx := context.Background()
	var errs []error
	differ := func(what string, got, want any, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		} else if fmt.Sprint(got) != fmt.Sprint(want) {
			errs = append(errs, fmt.Errorf("%s: got %.300q, want %.300q", what, fmt.Sprint(got), fmt.Sprint(want)))
		}
	}
	a, err := store.Accounts().Get(ctx, s.user)
	if errors.Is(err, stanza.ErrNoAccount) {
		err = nil
	}
	a.Revision = 0
	differ("account", a, s.account, err)

	items, err := store.Roster().List(ctx, s.user, stanza.JID{}, 1000)
	for n := range items {
		items[n].Version = 0
	}
	var wantItems []roster.Item
	for _, c := range slices.Sorted(maps.Keys(s.items)) {
		wantItems = append(wantItems, s.items[c])
	}
	differ("roster", items, wantItems, err)

	list, _, err := store.Offline().List(ctx, s.user, 0, offline.Limits{})
	var messages []string
	for _, m := range list {
		messages = append(messages, m.XML)
	}
	differ("offline", messages, s.messages, err)
	n, err := store.Offline().Count(ctx, s.user)
	differ("offline count", n, len(s.messages), err)

	at, _, err := store.Last().Get(ctx, s.user)
	differ("last", at, s.activity, err)
	for _, name := range slices.Sorted(maps.Keys(s.private)) {
		xml, err := store.Private().Get(ctx, s.user, stanza.Name{Space: "urn:x", Local: name})
		differ("private "+name, xml, s.private[name], err)
	}
	xml, err := store.VCard().Get(ctx, s.user)
	differ("vcard", xml, s.vcard, err)
	l, err := store.Blocking().Get(ctx, s.user)
	differ("blocking", l.Blocked, s.blocked, err)
	for i, scopes := range s.grants {
		g, err := store.Tokens().Get(ctx, s.grantID(i))
		if errors.Is(err, host.ErrNoGrant) {
			err = nil
		}
		differ(fmt.Sprint("grant ", i), g.Scopes, scopes, err)
	}
	return errors.Join(errs...)
}

// inFlight is how many steps a driver has under way at most.
const inFlight = 8

// reaches reports by nil that the store holds what the script leads to after
// acknowledged steps, or a few more.
func reaches(store *Store, round, worker, acknowledged int) error {
	s := newScript(round, worker)
	for s.steps < acknowledged {
		s.next()
	}
	first := s.compare(store)
	for err := first; err != nil; err = s.compare(store) {
		if s.steps == acknowledged+inFlight+1 {
			return fmt.Errorf("%s after %d steps: %w", s.user, acknowledged, first)
		}
		s.next()
	}
	return nil
}

// driver takes the steps of a script with a store.
type driver struct {
	ctx   context.Context
	store *Store
	keys  sync.WaitGroup // calls of Add that have not ended

	mu    sync.Mutex
	known []uint64 // keys of the messages that are there
}

func (d *driver) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = nil
}

// run takes steps (0: without end) until one fails, and says which have been
// acknowledged.
func (d *driver) run(s *script, steps int, acknowledge func(step int, err error)) {
	window := make(chan struct{}, inFlight)
	var failed sync.Once
	stop := make(chan struct{})
	for steps == 0 || s.steps < steps {
		select {
		case <-stop:
			return
		case window <- struct{}{}:
		}
		do := s.next()
		n := s.steps
		do(d, func(err error) {
			acknowledge(n, err)
			if err != nil {
				failed.Do(func() { close(stop) })
			}
			<-window
		})
	}
	for range inFlight {
		window <- struct{}{}
	}
}

// loadJob runs scripts on a store and writes a line for each acknowledged step.
// Arguments: path, round, workers, steps (0: without end).
func loadJob(args []string) error {
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[i+1]); err != nil {
			return err
		}
	}
	store, err := Open(args[0], Defaults())
	if err != nil {
		return err
	}
	runScripts(store, n[0], n[1], n[2], os.Stdout)
	return store.Close()
}

func runScripts(store *Store, round, workers, steps int, out io.Writer) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			d := &driver{ctx: context.Background(), store: store}
			d.run(newScript(round, w), steps, func(step int, err error) {
				if err != nil {
					fmt.Fprintf(out, "failed %d %d %v\n", w, step, err)
					return
				}
				fmt.Fprintf(out, "ack %d %d\n", w, step)
			})
		})
	}
	wg.Wait()
}

// acks are the steps that each worker had acknowledged.
type acks []int

// note takes a line of loadJob.
func (a acks) note(line string) {
	var w, step int
	if n, err := fmt.Sscanf(line, "ack %d %d", &w, &step); n == 2 && err == nil {
		a[w] = max(a[w], step)
	}
}
