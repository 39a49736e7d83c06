package offline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Feature is what service discovery lists for the server and its accounts.
// See XEP-0160, section 4.
const Feature = "msgoffline"

// MaxKeeping is how many calls of Keep wait for the store at once; another one
// waits for its turn. How many bytes those may have is the store's to say.
const MaxKeeping = 1 << 13

// Config says what a Service works with.
type Config struct {
	Store Store
	Log   *slog.Logger // nil discards
}

// Service keeps messages and hands them out. It has no goroutines of its own.
// The calls of done that Keep makes must call neither Keep nor Deliver.
type Service struct {
	store   Store
	log     *slog.Logger
	options perhost.Switch[*Options]
	keeping chan struct{} // has one for each Keep under way

	mu       sync.Mutex // never held in calls of the store, of done and of send
	accounts map[stanza.JID]*account
}

// New returns a Service that is off everywhere until Configure.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store:    c.Store,
		log:      c.Log,
		keeping:  make(chan struct{}, MaxKeeping),
		accounts: make(map[stanza.JID]*account),
	}
}

// Configure takes new options; nil ones switch the service off for a domain.
// What is in the store stays there.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

// Offered reports whether the accounts of a domain have offline messages.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// Stats are numbers of the moment.
type Stats struct {
	Keeping  int // messages under way to the store
	Accounts int // that have messages under way: to the store, to a session, or out of the store
}

// Stats returns the numbers of the moment.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Keeping: len(s.keeping), Accounts: len(s.accounts)}
}

// Keep stores a message for its addressee's account and returns before that is
// done. It waits while MaxKeeping others are under way. done is called once,
// within the call or in a goroutine of the store: with the copy that is stored,
// whose Kept is set; with nil, nil for a message that is not kept, of which the
// sender need not hear; or with an error for the sender. The copy has a delay
// from now on, unless m is Delayed. When done is called with it, the sessions in
// to hold the message; Lost is for those that do not take it.
// See XEP-0160, section 2.
func (s *Service) Keep(ctx context.Context, m *stanza.Stanza, to []stanza.Sink, done func(kept *stanza.Stanza, err error)) {
	o := s.options.For(m.To.Domain())
	if o == nil {
		done(nil, &stanza.Error{Condition: stanza.ServiceUnavailable})
		return
	}
	limits := o.limits(m.To)
	kept, err := o.prepare(m, limits, len(to) > 0)
	if err != nil || kept == nil {
		done(nil, err)
		return
	}
	select {
	case s.keeping <- struct{}{}:
	case <-ctx.Done():
		done(nil, ctx.Err())
		return
	}
	a, f := s.takeOff(m.To.Bare())
	xml := string(kept.AppendTo(make([]byte, 0, kept.Size()+64), stanza.NSClient))
	s.store.Add(ctx, a.user, xml, limits, func(key uint64, err error) {
		if err == nil {
			kept.Kept = key
			s.claim(a, key, to...)
			done(kept, nil)
		} else {
			done(nil, o.refusal(m, err))
		}
		s.land(a, f)
		<-s.keeping
	})
}

// prepare returns the copy of a message that is to be stored, nil for one that
// is not, or an error for the sender. taken says that sessions get it anyway.
func (o *Options) prepare(m *stanza.Stanza, l Limits, taken bool) (*stanza.Stanza, error) {
	v, err := o.judge(m)
	switch {
	case err != nil:
		return nil, err
	case v == drop, v == refuse && taken:
		return nil, nil
	case v == refuse:
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	case l.Messages == 0:
		return nil, o.refusal(m, ErrFull)
	}
	return m.WithDelay(time.Now())
}

// refusal turns an error of the store into that for the sender, nil for none. An
// account that is full answers as one that does not exist.
func (o *Options) refusal(m *stanza.Stanza, err error) error {
	switch {
	case !errors.Is(err, ErrFull):
		return err
	case m.Type == stanza.TypeGroupchat && !o.BounceGroupchat:
		return nil
	}
	return &stanza.Error{Condition: stanza.ServiceUnavailable}
}

// Remove deletes the messages of an account and waits for the store.
func (s *Service) Remove(ctx context.Context, user stanza.JID) error {
	if err := s.store.Forget(ctx, user); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[user]; a != nil {
		clear(a.held)
		clear(a.arrived)
		a.failed = nil
		s.drop(a)
	}
	return nil
}
