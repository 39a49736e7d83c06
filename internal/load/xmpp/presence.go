package xmpp

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Presence has users with rosters (RFC 6121) log in and change their presence,
// which the server sends to all their contacts. The users form a ring: each has
// the nearest on both sides as contacts, mutually.
type Presence struct {
	Users    int
	Contacts int           // of each user; an odd number is rounded up
	Window   int           // changes of a user that have not reached all contacts
	Warm     time.Duration // before measuring
	Duration time.Duration // of measuring
}

// storm is a run of Presence.
type storm struct {
	Presence
	t         *Target
	run       string
	users     []*user
	measuring atomic.Bool
	readers   sync.WaitGroup
}

// user is one of them.
type user struct {
	client   *Client
	contacts map[string]*contact // by bare JID
	need     int64               // deliveries of one change

	sent    atomic.Int64 // changes
	arrived atomic.Int64 // deliveries of these
	waiting atomic.Bool
	wake    chan struct{}

	present  atomic.Int64 // contacts who have been seen
	measured atomic.Int64
	latency  meter.Histogram // the reader's
	broken   atomic.Int64
}

// contact is what a user knows of one contact; its reader's.
type contact struct {
	user    *user
	seen    bool
	order   sequence
	corrupt int64
}

// Run makes the users friends where they are not yet, has them log in and
// change their presence, and checks what the contacts see.
func (w Presence) Run(ctx context.Context, t *Target) (meter.Result, error) {
	r := meter.Result{Workload: "presence"}
	w.Contacts += w.Contacts % 2
	if w.Users > t.Accounts || w.Contacts >= w.Users || w.Contacts <= 0 {
		return r, fmt.Errorf("%d users with %d contacts each need as many accounts, not %d, and fewer contacts than users", w.Users, w.Contacts, t.Accounts)
	}
	if err := t.room(w.Users); err != nil {
		return r, err
	}
	if err := t.befriend(ctx, w.Users, w.Contacts); err != nil {
		return r, err
	}
	r, err := t.start("presence")
	if err != nil {
		return r, err
	}
	r.Set("users", w.Users)
	r.Set("contacts", w.Contacts)
	r.Set("window", w.Window)
	s := &storm{Presence: w, t: t, run: newRun()}
	s.meet()
	defer s.close()
	if err := s.logIn(ctx, &r); err != nil {
		return r, err
	}
	spent, err := s.change(ctx)
	if err != nil {
		return r, err
	}
	if err := t.finish(&r, w.Users, s.users[0].client); err != nil {
		return r, err
	}
	s.interrupt()
	s.report(&r, spent)
	return r, nil
}

// ring returns the contacts of user i of n.
func ring(i, n, contacts int) []int {
	var list []int
	for d := 1; d <= contacts/2; d++ {
		list = append(list, (i+d)%n, (i-d+n)%n)
	}
	return list
}

// meet makes the users.
func (s *storm) meet() {
	for range s.Users {
		s.users = append(s.users, &user{wake: make(chan struct{}, 1), contacts: make(map[string]*contact), need: int64(s.Contacts)})
	}
	for i, u := range s.users {
		for _, j := range ring(i, s.Users, s.Contacts) {
			u.contacts[s.t.bare(j)] = &contact{user: s.users[j]}
		}
	}
}

// logIn logs all users in and waits until each has seen all contacts.
func (s *storm) logIn(ctx context.Context, r *meter.Result) error {
	before, err := meter.Read(s.t.PID)
	if err != nil {
		return err
	}
	err = crowd.Parallel(s.Users, s.t.logins(), func(i int) error {
		c, err := s.t.login(ctx, i, options{resource: "presence" + s.run, roster: true, absent: true, buffer: 4 * defaultBuffer})
		if err != nil {
			return err
		}
		u := s.users[i]
		u.client = c
		s.readers.Go(func() { s.read(u) })
		return c.sendStanza("<presence/>")
	})
	if err != nil {
		return err
	}
	total := int64(s.Users) * int64(s.Contacts)
	var seen int64
	err = s.t.wait(ctx, func() (int64, bool) {
		seen = s.sum(func(u *user) int64 { return u.present.Load() })
		return seen, seen >= total
	})
	if err != nil {
		return err
	}
	after, err := meter.Read(s.t.PID)
	if err != nil {
		return err
	}
	spent := after.Since(before)
	r.Set("login_s", spent.Wall.Seconds())
	r.Set("login_server_cpu_s", spent.Server.Seconds())
	r.Faults.Lost += total - seen
	return nil
}

func (s *storm) sum(f func(*user) int64) (n int64) {
	for _, u := range s.users {
		n += f(u)
	}
	return n
}

// read takes what a user sees until it is interrupted.
func (s *storm) read(u *user) {
	for {
		err := u.client.fill()
		now := time.Now()
		var el []byte
		for err == nil {
			if el, err = u.client.buffered(); el == nil {
				break
			}
			s.see(u, el, now)
		}
		if err != nil {
			if !isTimeout(err) {
				u.broken.Add(1)
				s.t.complain("%s: %v", u.client.JID, err)
			}
			return
		}
	}
}

// see takes one stanza.
func (s *storm) see(u *user, el []byte, now time.Time) {
	tag := startTag(el)
	if name(el) != "presence" || attribute(tag, " type=") != nil {
		return
	}
	from, _, _ := bytes.Cut(attribute(tag, " from="), []byte("/"))
	c := u.contacts[string(from)]
	if c == nil {
		return // of the user's own
	}
	if !c.seen {
		c.seen = true
		u.present.Add(1)
	}
	status := child(el, "<status", "</status>")
	if status == nil {
		return // the first one
	}
	n, at, ok := s.parse(status)
	if !ok || n >= c.user.sent.Load() {
		c.corrupt++
		return
	}
	c.order.place(n)
	if s.measuring.Load() {
		u.measured.Add(1)
		u.latency.Add(now.Sub(at))
	}
	c.user.arrived.Add(1)
	if c.user.waiting.Load() && s.free(c.user) > 0 && c.user.waiting.CompareAndSwap(true, false) {
		c.user.wake <- struct{}{}
	}
}

// parse reads a status: sequence number, time and run.
func (s *storm) parse(status []byte) (n int64, at time.Time, ok bool) {
	if len(status) != fillerAt-1 || string(status[runAt:]) != s.run {
		return 0, at, false
	}
	n = number(status[:sequenceDigits])
	ns := number(status[timeAt : timeAt+timeDigits])
	return n, time.Unix(0, ns), n >= 0 && ns >= 0
}

// free returns how many changes a user may make now.
func (s *storm) free(u *user) int64 {
	return int64(max(s.Window, 1)) - (u.sent.Load() - u.arrived.Load()/u.need)
}

// change has the users change their presence while it measures.
func (s *storm) change(ctx context.Context) (meter.Spent, error) {
	changing, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	for _, u := range s.users {
		writers.Go(func() { s.write(changing, u) })
	}
	defer writers.Wait()
	defer stop()
	if err := crowd.Sleep(ctx, s.Warm); err != nil {
		return meter.Spent{}, err
	}
	before, err := meter.Read(s.t.PID)
	if err != nil {
		return meter.Spent{}, err
	}
	s.measuring.Store(true)
	if err := crowd.Sleep(ctx, s.Duration); err != nil {
		return meter.Spent{}, err
	}
	s.measuring.Store(false)
	after, err := meter.Read(s.t.PID)
	if err != nil {
		return meter.Spent{}, err
	}
	stop()
	writers.Wait()
	err = s.t.wait(ctx, func() (int64, bool) {
		n := s.sum(func(u *user) int64 { return u.arrived.Load() })
		return n, n >= s.sum(func(u *user) int64 { return u.sent.Load() * u.need })
	})
	return after.Since(before), err
}

// write changes the presence of a user whenever the window allows.
func (s *storm) write(ctx context.Context, u *user) {
	c := u.client
	for ctx.Err() == nil {
		if s.free(u) <= 0 {
			u.waiting.Store(true)
			if s.free(u) > 0 && u.waiting.CompareAndSwap(true, false) {
				continue
			}
			select {
			case <-u.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		n := u.sent.Add(1) - 1
		c.begin()
		c.out = append(c.out, "<presence><status>"...)
		c.out = appendPadded(c.out, n, sequenceDigits)
		c.out = append(c.out, ' ')
		c.out = strconv.AppendInt(c.out, time.Now().UnixNano(), 10)
		c.out = append(c.out, ' ')
		c.out = append(c.out, s.run...)
		c.out = append(c.out, "</status></presence>"...)
		if err := c.flush(); err != nil {
			u.broken.Add(1)
			return
		}
	}
}

// interrupt ends the readers.
func (s *storm) interrupt() {
	for _, u := range s.users {
		if u.client != nil {
			u.client.interrupt()
		}
	}
	s.readers.Wait()
}

func (s *storm) close() {
	s.interrupt()
	var clients []*Client
	for _, u := range s.users {
		clients = append(clients, u.client)
	}
	s.t.closeMany(clients)
}

func (s *storm) report(r *meter.Result, spent meter.Spent) {
	latency := new(meter.Histogram)
	for _, u := range s.users {
		latency.Merge(&u.latency)
		r.Faults.Broken += u.broken.Load()
		for _, c := range u.contacts {
			f := c.order.add(meter.Faults{Corrupt: c.corrupt}, c.user.sent.Load())
			f.Lost = max(0, f.Lost-f.Corrupt)
			r.Faults = r.Faults.Add(f)
		}
	}
	r.Counted(s.sum(func(u *user) int64 { return u.measured.Load() }), "deliveries of presence", spent)
	r.Latencies(latency)
}
