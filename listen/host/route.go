package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var errNoSender = errors.New("stanza has no sender")

// Route delivers a stanza whose From has been verified. A zero To means the
// sender's own account. It does not wait for recipients; a request to the
// server or to an account runs its handler within the call, and what is kept in
// a store may wait for its turn there.
// See RFC 6120, section 10, and RFC 6121, section 8.
func (l *Local) Route(ctx context.Context, s *stanza.Stanza) error {
	if s.From.IsZero() {
		return errNoSender
	}
	if s.To.IsZero() {
		if s.Kind == stanza.Presence {
			return l.announce(ctx, s)
		}
		s = s.WithTo(s.From.Bare())
	}
	if l.sessions.blocking.Load() > 0 && l.sendsToBlocked(s) {
		return nil
	}
	switch s.Kind {
	case stanza.Message:
		if l.sessions.carbons.Load() > 0 {
			l.copySent(s)
		}
	case stanza.Presence:
		return l.direct(ctx, s)
	}
	return l.forward(ctx, s)
}

// forward delivers a stanza with which the sender's server has done what it has
// to do.
func (l *Local) forward(ctx context.Context, s *stanza.Stanza) error {
	sink, ok := l.domains.Load().sinks[s.To.Domain()]
	switch {
	case !ok && l.Next != nil:
		return l.Next.Route(ctx, s)
	case !ok:
		return l.returnAway(ctx, s, &stanza.Error{Condition: stanza.RemoteServerNotFound})
	case sink != nil:
		if err := sink.Deliver(s); err != nil {
			return l.returnAway(ctx, s, refusal(err))
		}
		if s.Kind == stanza.Message && s.Type != stanza.TypeError {
			stanza.ReceiptOf(ctx).Via(sink)
		}
		return nil
	}
	switch s.Kind {
	case stanza.Message:
		return l.message(ctx, s)
	case stanza.Presence:
		return l.presence(ctx, s)
	case stanza.IQ:
		return l.iq(ctx, s)
	}
	return fmt.Errorf("stanza of unknown kind %d", s.Kind)
}

// DeliverTo delivers a stanza to one session here, by its full JID. Its errors
// are stanza.ErrClosed when there is none, and stanza.ErrQueueFull; nobody is
// told.
func (l *Local) DeliverTo(full stanza.JID, s *stanza.Stanza) error {
	to := l.sessions.find(full)
	if to == nil {
		return stanza.ErrClosed
	}
	return to.put(s)
}

// DeliverToDomain gives a stanza to the sink of a registered domain. Its errors
// are those of the sink, and stanza.ErrClosed when the domain is not registered;
// nobody is told.
func (l *Local) DeliverToDomain(domain string, s *stanza.Stanza) error {
	sink := l.domains.Load().sinks[domain]
	if sink == nil {
		return stanza.ErrClosed
	}
	return sink.Deliver(s)
}

// iq delivers to this server and its users.
func (l *Local) iq(ctx context.Context, s *stanza.Stanza) error {
	if s.To.Local() != "" {
		if list := l.sessions.of(s.To.Bare()); l.blocks(list, s.From) {
			return l.giveBack(ctx, s, stanza.ServiceUnavailable) // XEP-0191, section 3.2
		} else if s.To.IsFull() {
			return l.iqToFull(ctx, s, byResource(list, s.To))
		}
	}
	if !s.IsRequest() {
		if l.Answers != nil {
			l.Answers(ctx, s)
		}
		return nil
	}
	if l.IQ == nil || s.To.IsFull() {
		return l.giveBack(ctx, s, stanza.ServiceUnavailable)
	}
	if s.To.Local() != "" && s.To != s.From.Bare() {
		switch ok, err := l.exists(ctx, s.To); {
		case err != nil:
			return l.giveBackFor(ctx, s, l.replyError(s, err))
		case !ok:
			return l.iqToNobody(ctx, s)
		}
		switch refuses, err := l.refuses(ctx, s.To, s.From); {
		case err != nil:
			return l.giveBackFor(ctx, s, l.replyError(s, err))
		case refuses:
			return l.giveBack(ctx, s, stanza.ServiceUnavailable)
		}
	}
	return l.consult(ctx, l.IQ, s)
}

// consult has a handler answer a request.
func (l *Local) consult(ctx context.Context, h IQHandler, s *stanza.Stanza) error {
	answer, err := h.HandleIQ(ctx, s, stanza.Peer{})
	if err != nil {
		return l.giveBackFor(ctx, s, l.replyError(s, err))
	}
	if answer == nil {
		return nil
	}
	return l.forward(ctx, answer)
}

// iqToNobody refuses a request for which there is no account.
// See RFC 6121, section 8.5.1.
func (l *Local) iqToNobody(ctx context.Context, s *stanza.Stanza) error {
	if l.Nobody == nil {
		return l.giveBack(ctx, s, stanza.ServiceUnavailable)
	}
	return l.consult(ctx, l.Nobody, s)
}

// iqToFull delivers to a resource, nil if it is not there. What Permit says
// comes first, so that nobody can tell by it who is there.
func (l *Local) iqToFull(ctx context.Context, s *stanza.Stanza, to *session) error {
	if l.Permit != nil && s.IsRequest() {
		if err := l.Permit(ctx, s); err != nil {
			return l.giveBackFor(ctx, s, l.replyError(s, err))
		}
	}
	if to == nil {
		return l.giveBack(ctx, s, stanza.ServiceUnavailable)
	}
	if err := to.put(s); err != nil {
		return l.giveBackRefused(ctx, s, err)
	}
	return nil
}

// giveBack answers an undeliverable stanza with an error, if it may be
// answered.
func (l *Local) giveBack(ctx context.Context, s *stanza.Stanza, c stanza.Condition) error {
	return l.giveBackFor(ctx, s, &stanza.Error{Condition: c})
}

// giveBackRefused answers a stanza that a sink did not take; nil is no error.
func (l *Local) giveBackRefused(ctx context.Context, s *stanza.Stanza, err error) error {
	if err == nil {
		return nil
	}
	return l.giveBackFor(ctx, s, refusal(err))
}

func (l *Local) giveBackFor(ctx context.Context, s *stanza.Stanza, e *stanza.Error) error {
	if !s.MayBounce() {
		return nil
	}
	return l.forward(ctx, s.ErrorReply(e))
}

// returnAway answers what another domain did not take. There presence counts
// too: whoever joins a room wants to know that its server is not there.
func (l *Local) returnAway(ctx context.Context, s *stanza.Stanza, e *stanza.Error) error {
	if s.Kind == stanza.Presence && (s.Type == "" || s.Type == stanza.TypeSubscribe) {
		return l.forward(ctx, s.ErrorReply(e))
	}
	return l.giveBackFor(ctx, s, e)
}

// refusal says for the sender why a sink did not take a stanza.
func refusal(err error) *stanza.Error {
	var e *stanza.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, stanza.ErrQueueFull) {
		return &stanza.Error{Condition: stanza.ResourceConstraint, Text: "the recipient's queue is full"}
	}
	return &stanza.Error{Condition: stanza.ServiceUnavailable}
}

// replyError makes the error of a handler or a store fit for the sender; what
// it hides goes to the log.
func (l *Local) replyError(s *stanza.Stanza, err error) *stanza.Error {
	var e *stanza.Error
	if errors.As(err, &e) {
		return e
	}
	l.trouble.Log(context.Background(), slog.LevelError, "request failed",
		"from", s.From, "to", s.To, "name", s.Child.Local, "ns", s.Child.Space, "err", err)
	return &stanza.Error{Condition: stanza.InternalServerError}
}
