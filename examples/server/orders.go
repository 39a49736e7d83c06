package main

import (
	"context"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/logs"
	"github.com/tidewaiter/tidewaiter/listen/host"
)

// order is what a command asks of the loop that also takes the signals, so that there
// is one reload or end at a time.
type order struct {
	what orderKind
	done chan<- error // of a reload
}

type orderKind int

const (
	reloadOrder orderKind = iota
	stopOrder
	restartOrder
	haltOrder
)

var (
	errHalted  = errors.New("halted by a command")
	errRestart = errors.New("restarted by a command")
)

// process is what commands can do with this program. A socket that a service manager
// has opened for it would not be there after a restart: the manager does that better.
func (s *server) process(inherited bool) host.Process {
	p := host.Process{
		Stop:        func(after time.Duration) { s.orderLater(stopOrder, after) },
		Halt:        func() { s.orderLater(haltOrder, 0) },
		Reload:      s.orderReload,
		LogLevel:    func() string { return string(s.logs.Level()) },
		SetLogLevel: func(level string) error { s.logs.SetLevel(logs.Level(level)); return nil },
		S2SNumbers:  func() (in, out int) { return s.modules.S2S.Incoming(), s.modules.S2S.Outgoing() },
		StopS2S:     func(context.Context) error { s.modules.S2S.CloseStreams(); return nil },
	}
	if canRestart && !inherited {
		p.Restart = func(after time.Duration) { s.orderLater(restartOrder, after) }
	}
	return p
}

// answerTime is what the answer to the command that ends the server may take.
const answerTime = 100 * time.Millisecond

// orderLater gives an order after a time, if the server still runs.
func (s *server) orderLater(what orderKind, after time.Duration) {
	s.background.begin(func(ctx context.Context) {
		select {
		case <-time.After(after + answerTime):
		case <-ctx.Done():
			return
		}
		select {
		case s.orders <- order{what: what}:
		case <-ctx.Done():
		}
	})
}

// orderReload has the configuration read again, and waits for what comes of it.
func (s *server) orderReload(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case s.orders <- order{reloadOrder, done}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
