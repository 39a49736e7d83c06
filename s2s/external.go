package s2s

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What proves a domain, as the log has it.
const (
	byExternal    = sasl.External
	byDialback    = "dialback"
	byCertificate = "dialback with certificate" // XEP-0344
)

// begin takes <auth/>.
func (s *stream) begin(ctx context.Context, e *stanza.Element) (state, error) {
	if s.mustEncrypt(s.local) {
		return s.fail(&sasl.Failure{Condition: sasl.EncryptionRequired})
	}
	mechanism, initial, err := xmppstream.ParseAuth(e)
	if err != nil {
		return s.fail(err)
	}
	c := &sasl.Config{Domain: s.local}
	if s.neg.proof == nil && !s.old {
		c.External = s.external
	}
	if s.neg.exchange, err = sasl.New(c, mechanism); err != nil {
		return s.fail(err)
	}
	return s.step(ctx, initial)
}

// authenticate takes what a server sends in the middle of a login.
func (s *stream) authenticate(ctx context.Context) (state, error) {
	in, err := s.t.Read()
	switch {
	case err != nil && !xmppstream.IsWrongStanza(in, err):
		return nil, err
	case in.Nonza == nil:
		return nil, &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Err: err}
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
	return nil, xmppstream.Unsupported(in.Nonza, "server")
}

// step gives the server's message to the mechanism and sends the answer.
func (s *stream) step(ctx context.Context, msg []byte) (state, error) {
	data, done, err := s.neg.exchange.Step(ctx, msg)
	if err != nil {
		return s.fail(err)
	}
	if !done {
		return s.authenticate, s.say(string(xmppstream.AppendChallenge(nil, data)))
	}
	p := pair{s.local, s.neg.exchange.User().Domain()}
	if !s.l.srv.settings.Load().allows(p) {
		return nil, &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: denied(p)}
	}
	s.remote, s.authenticated = p.remote, true
	s.neg.exchange, s.neg.failed = nil, nil
	s.t.SetLimits(stanza.Limits{Bytes: s.l.o.MaxStanzaSize, Elements: s.l.o.MaxStanzaElements})
	return s.open, s.say(string(xmppstream.AppendSuccess(nil, data)))
}

// denied says that the rules (s2s_access) do not let a pair of domains talk.
func denied(p pair) string { return p.String() + " may not talk to one another" }

// external decides who a server is that asks for authzid, or for nobody by the
// zero JID: then the domain of its header counts.
// See RFC 6120, section 13.7.1.2, and XEP-0178, section 3.
func (s *stream) external(_ context.Context, authzid stanza.JID) (stanza.JID, error) {
	if authzid.IsZero() {
		return s.headerIdentity()
	}
	p := pair{s.local, authzid.Domain()}
	var err error
	switch {
	case authzid.Local() != "":
		err = fmt.Errorf("authorization identity %q is no domain", authzid)
	case s.serves(p.remote):
		err = fmt.Errorf("%q is a domain of this server", p.remote)
	case p.remote != s.remote: // that one is proved
		err = s.proves(p)
	}
	if err != nil {
		return stanza.JID{}, &sasl.Failure{Condition: sasl.InvalidAuthzid, Err: err}
	}
	return authzid, nil
}

func (s *stream) headerIdentity() (stanza.JID, error) {
	if s.remote == "" {
		return stanza.JID{}, &sasl.Failure{Condition: sasl.InvalidAuthzid, Err: errors.New("neither header nor login names a domain")}
	}
	return stanza.NewJID("", s.remote, "")
}

// fail tells the server that its login failed. It may try again, a few times.
// See RFC 6120, section 6.4.5.
func (s *stream) fail(failure error) (state, error) {
	s.neg.exchange, s.neg.failed = nil, failure
	if err := s.say(string(xmppstream.AppendFailure(nil, failure))); err != nil {
		return nil, err
	}
	if s.neg.failures++; s.neg.failures < maxFailures {
		return s.negotiate, nil
	}
	return nil, &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too many failed logins"}
}

// authorized begins to take stanzas after SASL.
func (s *stream) authorized(ctx context.Context) (state, error) {
	if err := s.attach(); err != nil {
		return nil, err
	}
	p := pair{s.local, s.remote}
	s.prove(ctx, p, byExternal)
	if s.bidi && s.l.srv.settings.Load().AckTimeout > 0 {
		s.later = true // what it gets before <enable/> nobody would acknowledge
	} else {
		s.adopt(ctx, p)
	}
	return s.serve, nil
}
