package component

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// The states of a stream, in the order in which a component goes through them:
//
//	open ─ XEP-0114 header ─ handshake ─ serve
//	  └ XEP-0225 header and features
//	      └ negotiate ─ <auth/> ─ authenticate ─ <success/> ─ open ─ bind ─ serve
//	                                └ <failure/> ─ negotiate
//
// A state returns the next one. An error ends the stream; io.EOF is the
// component's own end of it.
type state func(ctx context.Context) (state, error)

// Bounds of what a component may send before its login.
const (
	preAuthBytes    = 8192
	preAuthElements = 32
)

// A refusal is told after a pause, so that guessing is slow: refusePause, and up to
// as much again, so that the time says nothing about the reason.
const refusePause = 500 * time.Millisecond

// negotiation is what a stream knows until it has a domain.
type negotiation struct {
	deadline time.Time // zero: none
	id       string    // of the stream; XEP-0114
	sasl     sasl.Config
	exchange sasl.Exchange // the one under way
	failures int           // of logins, then of hostnames
	tried    string        // domain of the login under way
	missing  string        // why that domain has no secret, "" if it has
}

// context bounds a call of the host by the time that is left.
func (n *negotiation) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if n == nil || n.deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, n.deadline)
}

// open waits for the component's stream header, whose namespace tells the two
// protocols apart, and answers it.
func (s *stream) open(ctx context.Context) (state, error) {
	h, err := s.t.Open()
	if err != nil {
		return nil, err
	}
	switch {
	case h.Namespace == stanza.NSClient && (h.Version != "" || s.modern):
		s.modern = true
		return s.openModern(h)
	case h.Namespace == stanza.NSComponent && !s.modern:
		return s.openComponent(h)
	}
	return s.reject(stanza.Header{}, &stanza.StreamError{
		Condition: stanza.StreamInvalidNamespace, Text: "the namespace is " + stanza.NSComponent,
	})
}

// reject answers a header with an error.
func (s *stream) reject(answer stanza.Header, err error) (state, error) {
	answer.ID, answer.Namespace = xmppstream.NewStreamID(), stanza.NSComponent
	if s.modern {
		answer.Version, answer.Lang, answer.Namespace = "1.0", "en", stanza.NSClient
	}
	_ = s.t.Header(answer, stanza.Batch{})
	return nil, err
}

// parseDomain returns the canonical form of an address that is a domain. The error
// is a *stanza.StreamError.
func parseDomain(text, name string) (stanza.JID, error) {
	if text == "" {
		return stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamImproperAddressing, Text: name + " is missing"}
	}
	j, err := stanza.ParseJID(text)
	if err != nil {
		return stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamImproperAddressing, Text: name + " is no address", Err: err}
	}
	if j.Local() != "" || j.IsFull() {
		return stanza.JID{}, &stanza.StreamError{Condition: stanza.StreamHostUnknown, Text: name + " is no domain"}
	}
	return j, nil
}

// errRefused is why a stream ends about which there is a line in the log already.
var errRefused = errors.New("component was refused")

// refuse notes in the log why a component is refused, and pauses.
func (s *stream) refuse(ctx context.Context, domain, reason string) error {
	s.note(ctx, domain, reason)
	pause := refusePause + rand.N(refusePause)
	if d := s.neg.deadline; !d.IsZero() {
		pause = min(pause, time.Until(d)/2)
	}
	wait := time.NewTimer(pause)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	return &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Err: errRefused}
}

// note writes the line about a component that is refused.
func (s *stream) note(ctx context.Context, domain, reason string) {
	s.l.trouble.Log(ctx, slog.LevelWarn, "component was refused",
		"domain", xmppstream.Clip(domain), netserve.KeyPeer, s.t.Peer().Addr.String(), "reason", reason)
}

// attach ends the negotiation: first is written, and then what waits. The router
// knows the component already.
func (s *stream) attach(ctx context.Context, first string) error {
	// The outbox does not write yet, so it has set no deadline either.
	if err := errors.Join(s.t.SetReadDeadline(time.Time{}), s.t.SetWriteDeadline(time.Time{})); err != nil {
		return err
	}
	s.t.SetLimits(stanza.Limits{Bytes: s.l.o.MaxStanzaSize, Elements: s.l.o.MaxStanzaElements})
	s.shape()
	if err := s.out.Attach(s.t, &s.l.out, first); err != nil {
		return err
	}
	s.neg = nil
	s.l.srv.roll.add(s)
	peer := s.t.Peer()
	s.l.log.InfoContext(ctx, "component has connected", "domain", s.domain, netserve.KeyPeer, peer.Addr.String(),
		"encrypted", peer.TLS != nil, "mechanism", s.login.mechanism, "took", time.Since(s.since))
	for _, d := range s.domains() {
		s.tell(Events.Connected, d)
	}
	return nil
}

// write sends one element. It is for the time before attach: from then on all goes
// through the outbox.
func (s *stream) write(xml []byte) error {
	return s.t.Write(stanza.Batch{Bytes: xml, Ends: []int{len(xml)}})
}
