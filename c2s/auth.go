package c2s

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// prepareSASL notes what this stream needs for its login.
func (s *stream) prepareSASL() {
	h, o, peer := s.l.h, &s.l.o, s.t.Peer()
	c := sasl.Config{
		Domain:     s.domain,
		Secure:     peer.Secure,
		AllowPlain: o.AllowPlainWithoutTLS,
		Disabled:   o.DisabledMechanisms.For(s.domain),
		Secret:     h.Secret,
		SCRAM:      h.SCRAM,
		Password:   h.Password,
		Token:      h.Token,
		Anonymous:  h.Anonymous,
	}
	var err error
	if c.Bindings, err = sasl.Bindings(peer.TLS, peer.Certificate); err != nil {
		s.l.log.Warn("channel binding is not offered", netserve.KeyErr, err)
	}
	if o.TLSVerify && h.Certificate != nil {
		if leaf, own, err := s.l.verifyClient(peer.TLS, s.domain); err == nil {
			c.External = s.external(leaf, own)
		}
	}
	s.neg.sasl = c
}

// external returns what decides about EXTERNAL for a client whose certificate
// is leaf. own says that the CA is one that was named for clients.
func (s *stream) external(leaf *x509.Certificate, own bool) func(context.Context, stanza.JID) (stanza.JID, error) {
	return func(ctx context.Context, authzid stanza.JID) (stanza.JID, error) {
		user, err := certifiedUser(leaf, authzid, s.domain, own)
		if err != nil {
			c := sasl.InvalidAuthzid
			if authzid.IsZero() {
				c = sasl.NotAuthorized
			}
			return stanza.JID{}, &sasl.Failure{Condition: c, Err: err}
		}
		return user, s.l.h.Certificate.VerifyCertificate(ctx, user, leaf)
	}
}

// begin takes <auth/>.
func (s *stream) begin(ctx context.Context, e *stanza.Element) (state, error) {
	if s.mustEncrypt() {
		return s.fail(&sasl.Failure{Condition: sasl.EncryptionRequired})
	}
	mechanism, initial, err := xmppstream.ParseAuth(e)
	if err != nil {
		return s.fail(err)
	}
	s.neg.exchange, err = sasl.New(&s.neg.sasl, mechanism)
	if err != nil {
		return s.fail(err)
	}
	s.mechanism, s.neg.since = mechanism, time.Now()
	return s.step(ctx, initial)
}

// authenticate takes what a client sends in the middle of a login.
func (s *stream) authenticate(ctx context.Context) (state, error) {
	in, err := s.t.Read()
	if err != nil && !xmppstream.IsWrongStanza(in, err) {
		return nil, err
	}
	if in.Nonza == nil {
		return nil, notAuthorized(err)
	}
	switch in.Nonza.Name {
	case stanza.Name{Space: xmppstream.NSSASL, Local: "response"}:
		msg, err := xmppstream.ParseResponse(in.Nonza)
		if err != nil {
			return s.fail(err)
		}
		return s.step(ctx, msg)
	case stanza.Name{Space: xmppstream.NSSASL, Local: "abort"}:
		return s.fail(&sasl.Failure{Condition: sasl.Aborted})
	case stanza.Name{Space: xmppstream.NSSASL, Local: "auth"}:
		return s.fail(&sasl.Failure{Condition: sasl.MalformedRequest, Err: errors.New("another login is under way")})
	}
	return nil, xmppstream.Unsupported(in.Nonza, "client")
}

// step gives the client's message to the mechanism and sends the answer.
func (s *stream) step(ctx context.Context, msg []byte) (state, error) {
	ctx, cancel := s.neg.context(ctx)
	defer cancel()
	data, done, err := s.neg.exchange.Step(ctx, msg)
	if err != nil {
		return s.fail(err)
	}
	if !done {
		return s.authenticate, s.write(xmppstream.AppendChallenge(nil, data))
	}
	user := s.neg.exchange.User().Bare()
	if user.Local() == "" || user.Domain() != s.domain {
		return s.fail(&sasl.Failure{Condition: sasl.TemporaryAuthFailure, Err: fmt.Errorf("%q is no user of %q", user, s.domain)})
	}
	if err := s.write(xmppstream.AppendSuccess(nil, data)); err != nil {
		return nil, err
	}
	s.jid = user
	s.neg.exchange, s.neg.failures, s.neg.failed = nil, 0, nil
	s.t.SetLimits(stanza.Limits{Bytes: s.l.o.MaxStanzaSize, Elements: s.l.o.MaxStanzaElements})
	return s.open, nil
}

// fail tells the client that its login failed. It may try again, a few times.
// See RFC 6120, section 6.4.5.
func (s *stream) fail(failure error) (state, error) {
	s.neg.exchange, s.neg.failed = nil, failure
	if err := s.write(xmppstream.AppendFailure(nil, failure)); err != nil {
		return nil, err
	}
	return s.retry(s.negotiate, maxFailures, "too many failed logins")
}

// retry lets the client try again in next, or ends the stream at the failure
// that is one too many.
func (s *stream) retry(next state, most int, text string) (state, error) {
	if s.neg.failures++; s.neg.failures < most {
		return next, nil
	}
	return nil, &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: text}
}
