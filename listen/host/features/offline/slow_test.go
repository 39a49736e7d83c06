package offline

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// slow is a store that commits in groups, as one on a disk does: everything
// takes its time, what is committed can be read before done is called, and all
// that is not done is as if it had never been when the process is killed.
type slow struct {
	*Memory
	r *rand.Rand

	mu     sync.Mutex
	queue  []func() (done func())
	wake   chan struct{}
	killed bool
}

func newSlow(m *Memory, seed uint64) *slow {
	return &slow{Memory: m, r: rand.New(rand.NewPCG(seed, 1)), wake: make(chan struct{}, 1)}
}

// pause waits up to a few milliseconds of the test's clock.
func (s *slow) pause() {
	s.mu.Lock()
	d := time.Duration(s.r.IntN(5)) * time.Millisecond
	s.mu.Unlock()
	time.Sleep(d)
}

func (s *slow) submit(op func() (done func())) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, op)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run commits until ctx ends.
func (s *slow) run(ctx context.Context) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		s.pause()
		s.mu.Lock()
		group := s.queue
		s.queue = nil
		var dones []func()
		for _, op := range group {
			if !s.killed {
				dones = append(dones, op())
			}
		}
		s.mu.Unlock()
		for _, done := range dones {
			s.pause()
			s.mu.Lock()
			killed := s.killed
			s.mu.Unlock()
			if !killed {
				done()
			}
		}
	}
}

// kill ends the process: nothing is committed any more and nobody is told.
func (s *slow) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killed = true
}

func (s *slow) Add(ctx context.Context, user stanza.JID, xml string, l Limits, done func(uint64, error)) {
	s.submit(func() func() {
		key, err := s.add(ctx, user, xml, l)
		return func() { done(key, err) }
	})
}

func (s *slow) List(ctx context.Context, user stanza.JID, after uint64, l Limits) ([]Message, bool, error) {
	s.pause()
	list, more, err := s.Memory.List(ctx, user, after, l)
	s.pause()
	return list, more, err
}

func (s *slow) Delete(ctx context.Context, user stanza.JID, keys []uint64, done func(error)) {
	s.submit(func() func() {
		s.Memory.Delete(ctx, user, keys, nil)
		return func() { done(nil) }
	})
}
