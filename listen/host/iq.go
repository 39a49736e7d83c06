package host

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Targets says to whom a request is addressed, as a set of bits.
type Targets uint8

const (
	// ToServer is a served domain.
	ToServer Targets = 1 << iota
	// ToOwn is the account of the sender, addressed or not.
	ToOwn
	// ToOther is the account of somebody else.
	ToOther
)

// Handling says which requests a handler answers.
type Handling struct {
	Name    stanza.Name // of the payload
	To      Targets
	Handler IQHandler // nil: there are no requests, only Features
	// Features are what service discovery lists for the targets.
	Features []string
	// Offered reports whether a domain has this at all; nil: every domain.
	Offered func(domain string) bool
}

// Dispatcher hands the requests to the server and to accounts to the handlers
// of their payloads. Its zero value refuses everything and logs nothing.
type Dispatcher struct {
	// Log hears of handlers that fail; nil discards. It must not change once
	// requests come in.
	Log *slog.Logger

	// Delegate takes a request before a handler does if somebody else has to
	// answer it, and reports whether it has taken it; the answer follows through
	// the Router (XEP-0355). nil: none is taken. It must not change either.
	Delegate func(ctx context.Context, iq *stanza.Stanza) (taken bool, err error)

	once    sync.Once
	trouble *netserve.Sampler // before Log; made by once

	mu    sync.Mutex // serialises Register
	table atomic.Pointer[map[stanza.Name][]Handling]
}

// Register adds a handler. It returns an error if a target of it has one for
// that name already.
func (d *Dispatcher) Register(h Handling) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := maps.Clone(d.handlings())
	if t == nil {
		t = make(map[stanza.Name][]Handling)
	}
	for _, o := range t[h.Name] {
		if o.To&h.To != 0 && h.Handler != nil {
			return fmt.Errorf("a handler of {%s}%s is registered already", h.Name.Space, h.Name.Local)
		}
	}
	t[h.Name] = append(slices.Clip(t[h.Name]), h)
	d.table.Store(&t)
	return nil
}

func (d *Dispatcher) handlings() map[stanza.Name][]Handling {
	if t := d.table.Load(); t != nil {
		return *t
	}
	return nil
}

// HandleIQ implements IQHandler. A payload that nobody knows is refused with
// service-unavailable, an unknown element of a known namespace with
// feature-not-implemented (RFC 6120, sections 8.3.3.19 and 8.3.3.3). About the
// account of somebody else it is service-unavailable in all cases: that is what
// an account gives that does not exist (RFC 6121, section 8.5.1), and nobody
// shall be able to tell. Answers are ignored. A handler that panics gives
// internal-server-error.
func (d *Dispatcher) HandleIQ(ctx context.Context, iq *stanza.Stanza, p stanza.Peer) (*stanza.Stanza, error) {
	if !iq.IsRequest() {
		return nil, nil
	}
	if d.Delegate != nil {
		if taken, err := d.Delegate(ctx, iq); taken {
			return nil, err
		}
	}
	target, domain := targetOf(iq)
	if h := d.find(iq.Child, target, domain); h != nil {
		return d.call(ctx, h, iq, p)
	}
	switch {
	case target == ToOther:
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	case iq.Child == stanza.Name{}:
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "a request has exactly one payload"}
	case d.knows(iq.Child.Space, target, domain):
		return nil, &stanza.Error{Condition: stanza.FeatureNotImplemented}
	}
	return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
}

func targetOf(iq *stanza.Stanza) (t Targets, domain string) {
	switch {
	case iq.To.IsZero():
		return ToOwn, iq.From.Domain()
	case iq.To.Local() == "":
		return ToServer, iq.To.Domain()
	case iq.To == iq.From.Bare():
		return ToOwn, iq.To.Domain()
	}
	return ToOther, iq.To.Domain()
}

func (h *Handling) serves(t Targets, domain string) bool {
	return h.To&t != 0 && (h.Offered == nil || h.Offered(domain))
}

func (d *Dispatcher) find(name stanza.Name, t Targets, domain string) IQHandler {
	for _, h := range d.handlings()[name] {
		if h.serves(t, domain) {
			return h.Handler
		}
	}
	return nil
}

func (d *Dispatcher) knows(space string, t Targets, domain string) bool {
	for name, list := range d.handlings() {
		if name.Space != space {
			continue
		}
		for _, h := range list {
			if h.serves(t, domain) {
				return true
			}
		}
	}
	return false
}

func (d *Dispatcher) call(ctx context.Context, h IQHandler, iq *stanza.Stanza, p stanza.Peer) (answer *stanza.Stanza, err error) {
	defer func() {
		if r := recover(); r != nil {
			d.once.Do(func() { d.trouble = netserve.NewSampler(d.Log, "further request handlers panicked") })
			d.trouble.Log(ctx, slog.LevelError, "request handler panicked",
				"name", iq.Child.Local, "ns", iq.Child.Space, "err", r, "stack", string(debug.Stack()))
			answer, err = nil, &stanza.Error{Condition: stanza.InternalServerError}
		}
	}()
	return h.HandleIQ(ctx, iq, p)
}

// Features returns what service discovery lists for a target at a domain,
// sorted.
func (d *Dispatcher) Features(t Targets, domain string) []string {
	var all []string
	for _, list := range d.handlings() {
		for _, h := range list {
			if h.serves(t, domain) {
				all = append(all, h.Features...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
