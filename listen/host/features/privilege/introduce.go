package privilege

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/attached"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of what a component is told in one go of who is there.
const (
	// maxWindow is the most stanzas that it has not got yet.
	maxWindow = 32
	// retryAfter is how long is waited for room.
	retryAfter = time.Second
)

// introduction tells a stream who is there. Whoever has s.mu has the first.
type introduction struct {
	about map[string]*subject // by virtual host: what it has heard of, or hears
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

// subject is whose presence a stream hears of at one virtual host.
type subject struct {
	of   presence
	stop context.CancelFunc // ends telling who is there
}

// end waits until nothing is told any more.
func (i *introduction) end() {
	i.stop()
	i.wg.Wait()
}

// introduce tells a stream who is there where it may know since now. s.mu is held.
// See section 8, rule 1.
func (s *Service) introduce(stream *attached.Stream, r *rights) {
	i := s.introduced[stream]
	for host, list := range r.watchers {
		for _, w := range list {
			if w.component != stream.Domain {
				continue
			}
			if i == nil {
				i = &introduction{about: make(map[string]*subject)}
				i.ctx, i.stop = context.WithCancel(context.Background())
				s.introduced[stream] = i
			}
			kind := r.of[pair{w.component, host}].presence
			before := i.about[host]
			switch {
			case before != nil && before.of >= kind:
				before.of = kind
				continue
			case before != nil:
				before.stop()
			}
			ctx, stop := context.WithCancel(i.ctx)
			i.about[host] = &subject{kind, stop}
			w.told.forget()
			i.wg.Go(func() { s.show(ctx, stream, host, w.contacts) })
		}
	}
	if i == nil {
		return
	}
	for host := range i.about {
		if r.watch(pair{stream.Domain, host}) == nil {
			i.about[host].stop()
			delete(i.about, host)
		}
	}
}

// show tells a stream who is there.
func (s *Service) show(ctx context.Context, stream *attached.Stream, host string, contacts bool) {
	p := pace{sink: stream.Sink}
	err := netserve.Guard(func() error {
		return s.config.Router.Presences(ctx, host, contacts, func(st *stanza.Stanza) error {
			return p.deliver(ctx, st.WithTo(stream.Domain), func() error {
				if w := s.rights.Load().watch(pair{stream.Domain, host}); w == nil || contacts && !w.contacts {
					return context.Canceled // what it might know is another thing now
				}
				return ctx.Err()
			})
		})
	})
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, stanza.ErrClosed) {
		s.log.Warn("component does not hear of all who are there", "component", stream.Domain, "host", host, "err", err)
	}
}

// pace gives a sink many stanzas, not faster than it takes them: it is left as
// much room as it has been given.
type pace struct {
	sink     stanza.Sink
	n, bytes int // that are not confirmed
}

// deliver waits for room and asks then whether the stanza may be delivered still. A
// sink that does not tell gets it at once.
func (p *pace) deliver(ctx context.Context, s *stanza.Stanza, may func() error) error {
	for {
		full := !p.fits(s)
		if p.n > 0 && (full || p.n >= maxWindow) {
			if err := p.confirm(ctx); err != nil {
				return err
			}
			continue
		}
		if !full {
			if err := may(); err != nil {
				return err
			}
			p.n++
			p.bytes += s.Size()
			return p.sink.Deliver(s)
		}
		retry := time.NewTimer(retryAfter)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return context.Cause(ctx)
		}
	}
}

// fits reports whether there is room for a stanza.
func (p *pace) fits(s *stanza.Stanza) bool {
	r, ok := p.sink.(interface{ Room() (stanzas, bytes int) })
	if !ok {
		return true
	}
	stanzas, bytes := r.Room()
	return stanzas > p.n && bytes >= p.bytes+s.Size()
}

// confirm waits until the sink has got rid of what it was given.
func (p *pace) confirm(ctx context.Context) error {
	if c, ok := p.sink.(stanza.Confirmer); ok {
		done := make(chan struct{})
		c.Confirm(func() { close(done) })
		select {
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	p.n, p.bytes = 0, 0
	return nil
}
