package s2s

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxKey is the longest key that is looked at, in bytes.
const maxKey = 512

// dialback takes a <db:result/> or <db:verify/>.
func (s *stream) dialback(ctx context.Context, e *stanza.Element) error {
	if s.pairs() == 0 {
		if s.requests++; s.requests > maxRequests {
			return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too many requests before authentication"}
		}
	}
	d, p, err := parseDialback(e)
	switch {
	case err != nil:
		return err
	case d.Type != "":
		return unsolicited(d)
	case d.Name == dbVerify.Local:
		if s.mustEncrypt(p.local) {
			return s.say(d.answer(stanza.TypeError, encryptFirst()).String())
		}
		return s.say(s.l.srv.verified(d, p).String())
	}
	return s.result(ctx, d, p)
}

// unsolicited ends a stream on which an answer came to what was never asked there.
// See XEP-0220, section 3.1.
func unsolicited(d dialback) error {
	return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "nobody asked for this <db:" + d.Name + "/>"}
}

func encryptFirst() *stanza.Error {
	return &stanza.Error{Condition: stanza.PolicyViolation, Text: "use STARTTLS first"}
}

// verified answers a request to verify a key: whether it is one that we made.
// Nothing is remembered of keys.
// See XEP-0220, section 2.2.2.
func (s *Server) verified(d dialback, p pair) dialback {
	switch {
	case !s.h.Domains.Serves(p.local):
		return d.answer(stanza.TypeError, &stanza.Error{Condition: stanza.ItemNotFound})
	case isDialbackKey(s.h.Secret, p.remote, p.local, d.ID, d.Key):
		return d.answer(dbValid, nil)
	}
	return d.answer(dbInvalid, nil)
}

// result takes a key, by which a server wants to prove that it speaks for
// p.remote.
// See XEP-0220, section 2.2.1.
func (s *stream) result(ctx context.Context, d dialback, p pair) error {
	if err := s.refuses(d, p); err != nil {
		return s.refuse(ctx, d, p, err)
	}
	if s.proved(p) {
		return s.say(d.answer(dbValid, nil).String())
	}
	within, cancel := s.l.checking(ctx)
	if !s.reserve(within, p, cancel) {
		cancel()
		return s.refuse(ctx, d, p, &stanza.Error{Condition: stanza.ResourceConstraint, Text: "too many domains at once"})
	}
	if s.neg != nil {
		if err := s.attach(); err != nil {
			s.unreserve(p)
			return err
		}
	}
	s.checks.Go(func() { s.check(ctx, within, d, p) })
	return nil
}

// refuses says why a pair of domains cannot be proved on this stream, nil if it
// can.
// See XEP-0220, section 2.5.
func (s *stream) refuses(d dialback, p pair) *stanza.Error {
	c := s.l.srv.settings.Load()
	switch {
	case !s.serves(p.local):
		return &stanza.Error{Condition: stanza.ItemNotFound, Text: p.local + " is no domain of this server"}
	case s.serves(p.remote):
		return &stanza.Error{Condition: stanza.NotAcceptable, Text: p.remote + " is a domain of this server"}
	case !c.allows(p):
		return &stanza.Error{Condition: stanza.PolicyViolation, Text: denied(p)}
	case s.mustEncrypt(p.local):
		return encryptFirst()
	case d.Key == "" || len(d.Key) > maxKey:
		return &stanza.Error{Condition: stanza.BadRequest, Text: "key is missing or too long"}
	}
	return nil
}

// refuse answers a key with an error, by which the stream goes on.
func (s *stream) refuse(ctx context.Context, d dialback, p pair, err *stanza.Error) error {
	s.log(ctx, p, err)
	return s.say(d.answer(stanza.TypeError, err).String())
}

// log notes that a pair was not proved.
func (s *stream) log(ctx context.Context, p pair, err error) {
	s.l.failed(ctx, "dialback failed", append(s.about(p.local, p.remote), netserve.KeyErr, err)...)
}
