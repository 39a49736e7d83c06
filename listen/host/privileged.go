package host

import (
	"context"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/listen/host/features/carbons"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Speak sends a message or a request for somebody who may speak in the name of
// its sender: an account here, by the bare address, or a served domain. An answer
// comes to Answers. The sender's server does for it what it does for what a
// session sends. Errors are a *stanza.Error: Forbidden for a sender who is not
// here, and for what nobody but the server itself says to an account;
// NotAcceptable for a recipient whom the account blocks. What happens to the
// stanza later the sender hears, as of any other.
// See XEP-0356, sections 5 and 6.
func (l *Local) Speak(ctx context.Context, s *stanza.Stanza) error {
	if !s.From.IsBare() || !l.IsLocal(s.From.Domain()) || s.Kind != stanza.Message && !s.IsRequest() {
		return &stanza.Error{Condition: stanza.Forbidden}
	}
	if s.To.IsZero() {
		s = s.WithTo(s.From)
	}
	if s.From.Local() == "" {
		l.send(ctx, s)
		return nil
	}
	if exists, err := l.exists(ctx, s.From); err != nil {
		return l.replyError(s, err)
	} else if !exists {
		return &stanza.Error{Condition: stanza.Forbidden, Text: "there is no such user"}
	}
	switch refuses, err := l.refuses(ctx, s.From, s.To); {
	case err != nil:
		return l.replyError(s, err)
	case refuses:
		return errBlocked()
	}
	switch {
	case s.Kind != stanza.Message:
	case s.To.Bare() == s.From:
		if carbons.PassesForCopy(s) {
			return &stanza.Error{Condition: stanza.Forbidden, Text: "only the server makes copies of messages"}
		}
	case l.sessions.carbons.Load() > 0:
		l.copyForSender(s)
	}
	l.send(ctx, s)
	return nil
}

// send is forward for who has to hear nothing but what comes back: what forward
// returns is for the log.
func (l *Local) send(ctx context.Context, s *stanza.Stanza) {
	if err := l.forward(ctx, s); err != nil {
		l.trouble.Log(ctx, slog.LevelWarn, "delivery failed", "from", s.From, "to", s.To, "err", err)
	}
}

// Presences calls tell with the presence of the available sessions of a domain
// and, with contacts, of those of other domains here whom one of its users sees;
// it ends with the first error. When presence changes meanwhile the last call for
// a session has the last one.
func (l *Local) Presences(ctx context.Context, domain string, contacts bool, tell func(*stanza.Stanza) error) error {
	for _, s := range l.sessions.all((*session).available) {
		if s.jid.Domain() != domain {
			if !contacts {
				continue
			}
			seen, err := l.isSeenAt(ctx, s, domain)
			if err != nil {
				return err
			}
			if !seen {
				continue
			}
		}
		for {
			told := s.state.Load()
			if err := tell(told.presence); err != nil {
				return err
			}
			if s.state.Load() == told {
				break
			}
		}
	}
	return ctx.Err()
}

// isSeenAt reports whether a user of a domain sees the presence of a session.
func (l *Local) isSeenAt(ctx context.Context, s *session, domain string) (bool, error) {
	a, err := l.audience(ctx, s.jid.Bare())
	if err != nil {
		return false, err
	}
	for _, j := range a.Subscribers {
		if j.Domain() != domain || l.blocksOf(s, j) {
			continue
		}
		if refuses, err := l.refuses(ctx, j, s.jid); err != nil || !refuses {
			return err == nil, err
		}
	}
	return false, nil
}

// watched reports whether somebody watches the users of a domain.
func (l *Local) watched(domain string) bool { return l.Watcher != nil && l.Watcher.Watches(domain) }

// watchOwn shows the Watcher the presence of a session, until it stands still: see
// tellCurrent.
func (l *Local) watchOwn(ctx context.Context, s *session) {
	for l.watched(s.jid.Domain()) {
		told := s.state.Load()
		l.Watcher.Presence(ctx, told.presence)
		if s.state.Load() == told {
			return
		}
	}
}

// watch shows the Watcher presence from somebody to an account of somebody else.
func (l *Local) watch(ctx context.Context, p *stanza.Stanza) {
	if p.From.Bare() == p.To.Bare() {
		return
	}
	if s := l.sessions.find(p.From); s != nil && s.available() && p.Type == stanza.TypeUnavailable {
		return // one contact does not see it any more, or is to think so
	}
	if refuses, err := l.refuses(ctx, p.To.Bare(), p.From); err == nil && !refuses {
		l.Watcher.Presence(ctx, p)
	}
}
