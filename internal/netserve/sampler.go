package netserve

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Sampler thins out log lines that a peer can cause: a burst, then one a
// second. The next line that it lets through says how many it left out; if none
// comes for a while, a line of its own does.
type Sampler struct {
	out     *slog.Logger
	closing string

	mu      sync.Mutex
	tokens  float64
	filled  time.Time
	dropped int
	summary *time.Timer    // set when lines were left out
	writing sync.WaitGroup // has summary
}

const (
	sampleBurst   = 10
	samplesPerSec = 1
	summaryAfter  = 10 * time.Second
)

// NewSampler returns a sampler in front of a logger; nil discards. closing is what the
// line says that accounts for the last ones that were left out.
func NewSampler(out *slog.Logger, closing string) *Sampler {
	if out == nil {
		out = slog.New(slog.DiscardHandler)
	}
	return &Sampler{out: out, closing: closing, tokens: sampleBurst, filled: time.Now()}
}

// Log writes a line, or counts it as left out.
func (s *Sampler) Log(ctx context.Context, level slog.Level, msg string, args ...any) {
	dropped, ok := s.take()
	if !ok {
		return
	}
	if dropped > 0 {
		args = append(args, "suppressed", dropped)
	}
	s.out.Log(ctx, level, msg, args...)
}

// take asks for one line; dropped is what was left out since the last.
func (s *Sampler) take() (dropped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.tokens = min(sampleBurst, s.tokens+now.Sub(s.filled).Seconds()*samplesPerSec)
	s.filled = now
	if s.tokens < 1 {
		s.dropped++
		if s.summary == nil {
			s.writing.Add(1)
			s.summary = time.AfterFunc(summaryAfter, s.summarise)
		}
		return 0, false
	}
	s.tokens--
	dropped, s.dropped = s.dropped, 0
	return dropped, true
}

// summarise is run by the timer.
func (s *Sampler) summarise() {
	defer s.writing.Done()
	s.account()
}

// account accounts for the lines that were left out last.
func (s *Sampler) account() {
	s.mu.Lock()
	dropped := s.dropped
	s.dropped, s.summary = 0, nil
	s.mu.Unlock()
	if dropped > 0 {
		s.out.Info(s.closing, "suppressed", dropped)
	}
}

// Flush accounts for the lines that were left out last; it is called when no
// more will come.
func (s *Sampler) Flush() {
	s.mu.Lock()
	t := s.summary
	s.summary = nil
	s.mu.Unlock()
	if t != nil && t.Stop() {
		s.writing.Done()
	}
	s.writing.Wait()
	s.account()
}
