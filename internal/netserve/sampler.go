package netserve

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Sampler thins out log lines that a peer can cause: a burst, then one a
// second. The next line that it lets through says how many it left out.
type Sampler struct {
	out *slog.Logger

	mu      sync.Mutex
	tokens  float64
	filled  time.Time
	dropped int
}

const (
	sampleBurst   = 10
	samplesPerSec = 1
)

// NewSampler returns a sampler in front of a logger; nil discards.
func NewSampler(out *slog.Logger) *Sampler {
	if out == nil {
		out = slog.New(slog.DiscardHandler)
	}
	return &Sampler{out: out, tokens: sampleBurst, filled: time.Now()}
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
		return 0, false
	}
	s.tokens--
	dropped, s.dropped = s.dropped, 0
	return dropped, true
}

// Flush accounts for the lines that were left out last; it is called when no
// more will come.
func (s *Sampler) Flush() {
	s.mu.Lock()
	dropped := s.dropped
	s.dropped = 0
	s.mu.Unlock()
	if dropped > 0 {
		s.out.Info("further connections failed", "suppressed", dropped)
	}
}
