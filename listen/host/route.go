package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var errNoSender = errors.New("stanza has no sender")

// Route delivers a stanza whose From has been verified. A zero To means the
// sender's own account. It does not wait for recipients; a request to the
// server or to an account runs its handler within the call.
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
	if s.Kind == stanza.Presence {
		var err error
		if s, err = l.direct(ctx, s); s == nil || err != nil {
			return err
		}
	}
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

// message delivers to this server and its users.
func (l *Local) message(ctx context.Context, s *stanza.Stanza) error {
	switch {
	case s.To.Local() == "":
		// RFC 6120, section 10.5.3: no feature reads messages to the server.
		if s.Type == stanza.TypeHeadline {
			return nil
		}
		return l.giveBack(ctx, s, stanza.ServiceUnavailable)
	case s.To.IsFull():
		return l.messageToFull(ctx, s)
	}
	return l.messageToBare(ctx, s)
}

// messageToFull is RFC 6121, section 8.5.3.
func (l *Local) messageToFull(ctx context.Context, s *stanza.Stanza) error {
	if to := l.sessions.find(s.To); to != nil {
		err := to.sink.Deliver(s)
		if err == nil {
			return nil
		}
		if !errors.Is(err, stanza.ErrClosed) {
			return l.giveBackFor(ctx, s, refusal(err))
		}
	}
	switch s.Type {
	case stanza.TypeChat:
		return l.messageToBare(ctx, s)
	case stanza.TypeError:
		return nil
	}
	// Normal, groupchat and headline: the RFC allows silence and an error.
	return l.giveBack(ctx, s, stanza.ServiceUnavailable)
}

// messageToBare is RFC 6121, section 8.5.2.
func (l *Local) messageToBare(ctx context.Context, s *stanza.Stanza) error {
	list := l.sessions.of(s.To.Bare())
	switch s.Type {
	case stanza.TypeGroupchat:
		return l.giveBack(ctx, s, stanza.ServiceUnavailable)
	case stanza.TypeError:
		return nil
	case stanza.TypeHeadline:
		for _, to := range list {
			if _, ok := to.priority(); ok {
				_ = to.sink.Deliver(s) // ephemeral: a full queue loses it
			}
		}
		return nil
	}
	taken, err := deliverToTop(list, s)
	switch {
	case taken:
		return nil
	case err != nil:
		return l.giveBackFor(ctx, s, refusal(err))
	}
	return l.keep(ctx, s)
}

// deliverToTop delivers to all resources that share the highest priority of at
// least 0 and reports whether one of them took it; err is why another one did
// not. Sessions that have closed count as gone.
func deliverToTop(list []*session, s *stanza.Stanza) (taken bool, err error) {
	for below := 128; ; {
		top := -1
		for _, to := range list {
			if p, ok := to.priority(); ok && p < below {
				top = max(top, p)
			}
		}
		if top < 0 {
			return false, nil
		}
		for _, to := range list {
			if p, ok := to.priority(); !ok || p != top {
				continue
			}
			if e := to.sink.Deliver(s); e == nil {
				taken = true
			} else if !errors.Is(e, stanza.ErrClosed) {
				err = e
			}
		}
		if taken || err != nil {
			return taken, err
		}
		below = top
	}
}

// keep stores a message for an account without available resources, or
// returns it: RFC 6121, sections 8.5.1 and 8.5.2.2. The sender cannot tell
// whether the account exists.
func (l *Local) keep(ctx context.Context, s *stanza.Stanza) error {
	if l.Offline == nil {
		return l.giveBack(ctx, s, stanza.ServiceUnavailable)
	}
	ok, err := l.exists(ctx, s.To.Bare())
	if err == nil && ok {
		err = l.Offline.Keep(ctx, s)
	} else if err == nil {
		err = &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	if err == nil {
		return nil
	}
	return l.giveBackFor(ctx, s, l.replyError(s, err))
}

// iq delivers to this server and its users.
func (l *Local) iq(ctx context.Context, s *stanza.Stanza) error {
	if s.To.Local() != "" && s.To.IsFull() {
		to := l.sessions.find(s.To)
		if to == nil {
			return l.giveBack(ctx, s, stanza.ServiceUnavailable)
		}
		if err := to.sink.Deliver(s); err != nil {
			return l.giveBackFor(ctx, s, refusal(err))
		}
		return nil
	}
	if !s.IsRequest() {
		return nil // answers to requests that the server did not make
	}
	if l.IQ == nil || s.To.IsFull() {
		return l.giveBack(ctx, s, stanza.ServiceUnavailable)
	}
	if s.To.Local() != "" && s.To != s.From.Bare() {
		ok, err := l.exists(ctx, s.To)
		if err != nil {
			return l.giveBackFor(ctx, s, l.replyError(s, err))
		}
		if !ok {
			return l.giveBack(ctx, s, stanza.ServiceUnavailable)
		}
	}
	answer, err := l.IQ.HandleIQ(ctx, s, stanza.Peer{})
	if err != nil {
		return l.giveBackFor(ctx, s, l.replyError(s, err))
	}
	if answer == nil {
		return nil
	}
	return l.Route(ctx, answer)
}

// Bound hears of a session that Bind has registered already.
func (l *Local) Bound(context.Context, stanza.SessionInfo) {}

// Ended takes what was queued for a session that has ended (and was released)
// and never sent: messages and requests are routed anew, so that another
// resource, the offline store or the sender gets them; presence and answers are
// dropped.
func (l *Local) Ended(ctx context.Context, _ stanza.SessionInfo, undelivered []*stanza.Stanza, _ error) {
	for _, s := range undelivered {
		if s.Kind == stanza.Message || s.IsRequest() {
			if err := l.Route(ctx, s); err != nil {
				l.log.Warn("stanza of an ended session was lost", "from", s.From, "to", s.To, "err", err)
			}
		}
	}
}

// giveBack answers an undeliverable stanza with an error, if it may be
// answered.
func (l *Local) giveBack(ctx context.Context, s *stanza.Stanza, c stanza.Condition) error {
	if !s.MayBounce() {
		return nil
	}
	return l.Route(ctx, s.ErrorReply(&stanza.Error{Condition: c}))
}

func (l *Local) giveBackFor(ctx context.Context, s *stanza.Stanza, e *stanza.Error) error {
	if !s.MayBounce() {
		return nil
	}
	return l.Route(ctx, s.ErrorReply(e))
}

// returnAway answers what another domain did not take. There presence counts
// too: whoever joins a room wants to know that its server is not there.
func (l *Local) returnAway(ctx context.Context, s *stanza.Stanza, e *stanza.Error) error {
	if s.Kind == stanza.Presence && (s.Type == "" || s.Type == stanza.TypeSubscribe) {
		return l.Route(ctx, s.ErrorReply(e))
	}
	return l.giveBackFor(ctx, s, e)
}

// refusal says for the sender why a sink did not take a stanza.
func refusal(err error) *stanza.Error {
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
	l.log.Error("request failed", "from", s.From, "to", s.To, "name", s.Child.Local, "ns", s.Child.Space, "err", err)
	return &stanza.Error{Condition: stanza.InternalServerError}
}
