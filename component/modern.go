package component

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxFailures is how many failed logins end a stream: RFC 6120, section 6.4.5, wants
// between two and five retries.
const maxFailures = 4

// login is how a component has proved who it is.
type login struct {
	mechanism string
	leaf      *x509.Certificate // by EXTERNAL; nil: by a secret
}

// openModern answers the header of a stream by XEP-0225 and says what the stream
// offers.
func (s *stream) openModern(h stanza.Header) (state, error) {
	answer := stanza.Header{ID: xmppstream.NewStreamID(), Lang: "en", Version: "1.0", Namespace: stanza.NSClient}
	if err := s.accept(h, &answer); err != nil {
		return s.reject(answer, err)
	}
	s.shape()
	features, next := xmppstream.Features{}, s.bind
	if s.login.mechanism != "" {
		features.More = "<bind xmlns='" + nsBind + "'><required/></bind>"
	} else {
		s.prepareSASL()
		features.Mechanisms, next = sasl.Offer(&s.neg.sasl), s.negotiate
		if slices.ContainsFunc(features.Mechanisms, func(m string) bool { return strings.HasSuffix(m, "-PLUS") }) {
			for _, b := range s.neg.sasl.Bindings {
				features.Bindings = append(features.Bindings, b.Type)
			}
		}
	}
	b := features.AppendXML(nil, false)
	return next, s.t.Header(answer, stanza.Batch{Bytes: b, Ends: []int{len(b)}})
}

// accept checks a stream header, takes over what it says and completes our own.
func (s *stream) accept(h stanza.Header, answer *stanza.Header) error {
	host, err := parseDomain(h.To, "to")
	if err != nil {
		return err
	}
	answer.From = host.Domain()
	switch {
	case h.Namespace != stanza.NSClient:
		return &stanza.StreamError{Condition: stanza.StreamInvalidNamespace, Text: "the namespace is " + stanza.NSClient}
	case !s.host.IsZero() && host != s.host:
		return &stanza.StreamError{Condition: stanza.StreamHostUnknown, Text: "to is another host than before"}
	}
	if err := xmppstream.CheckVersion(h.Version); err != nil {
		return err
	}
	if err := xmppstream.CheckLang(h.Lang); err != nil {
		return err
	}
	s.host, s.lang = host, h.Lang
	if h.From == "" {
		return nil
	}
	from, err := parseDomain(h.From, "from")
	if err != nil {
		return err
	}
	if s.login.mechanism != "" && from.Domain() != s.domain {
		return &stanza.StreamError{Condition: stanza.StreamInvalidFrom, Text: "from is not who has logged in"}
	}
	s.domain, answer.To = from.Domain(), from.Domain()
	return nil
}

// prepareSASL notes what this stream needs for its login.
func (s *stream) prepareSASL() {
	peer := s.t.Peer()
	c := sasl.Config{
		Domain:    s.host.Domain(),
		Hostnames: true,
		Secure:    peer.Secure,
		Secret:    s.l.keys.salt,
		SCRAM:     credentials{s},
		Password:  credentials{s},
		External:  s.external(peer.TLS),
	}
	var err error
	if c.Bindings, err = sasl.Bindings(peer.TLS, peer.Certificate); err != nil {
		s.l.trouble.Log(s.ctx, slog.LevelWarn, "channel binding is not offered", netserve.KeyErr, err)
	}
	s.neg.sasl = c
}

// credentials has what there is to know of the secret that a component names.
type credentials struct{ s *stream }

// SCRAMKeys implements sasl.SCRAMVerifier. A domain without a secret has keys that
// look like those of all others.
func (c credentials) SCRAMKeys(_ context.Context, hash string, user stanza.JID) (stanza.SCRAMKeys, error) {
	return c.s.l.keys.derive(hash, c.secret(user))
}

// VerifyPassword implements sasl.PasswordVerifier.
func (c credentials) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	right, given := sha256.Sum256([]byte(c.secret(user))), sha256.Sum256([]byte(password))
	if subtle.ConstantTimeCompare(right[:], given[:]) != 1 || c.s.neg.missing != "" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (c credentials) secret(user stanza.JID) string {
	n := c.s.neg
	var secret string
	secret, n.missing = c.s.l.secret(user.Domain())
	n.tried = user.Domain()
	return secret
}

// external returns what decides about EXTERNAL; nil: it is not offered. That the
// CAs are named in Options.TLS is a must: those of the system certify everybody.
func (s *stream) external(state *tls.ConnectionState) func(context.Context, stanza.JID) (stanza.JID, error) {
	if state == nil || s.l.o.TLS == nil || s.l.hosts == nil && s.l.o.Password == "" {
		return nil
	}
	roots, err := certs.ClientCAs(s.l.o.TLS, s.host.Domain())
	if err != nil || roots == nil {
		return nil
	}
	chains, err := certs.VerifyPeer(&tls.Config{ClientCAs: roots}, s.host.Domain(), *state)
	if err != nil {
		return nil
	}
	leaf := chains[0][0]
	return func(_ context.Context, authzid stanza.JID) (stanza.JID, error) {
		if authzid.IsZero() {
			authzid, _ = stanza.NewJID("", s.domain, "") // what the header says, if anything
		}
		s.neg.tried = authzid.Domain()
		if authzid.IsZero() || authzid.Local() != "" || !s.l.certified(leaf, authzid.Domain()) {
			return stanza.JID{}, &sasl.Failure{Condition: sasl.InvalidAuthzid, Err: fmt.Errorf("certificate is not for %q", authzid)}
		}
		s.login.leaf = leaf
		return authzid, nil
	}
}

// certified reports whether a component with this certificate may serve a domain.
func (l *listener) certified(leaf *x509.Certificate, domain string) bool {
	_, known := l.hosts[domain]
	return (known || l.hosts == nil) && certs.ServesDomain(leaf, domain)
}

// negotiate takes what a component sends before it begins to log in.
func (s *stream) negotiate(ctx context.Context) (state, error) {
	e, err := s.nonza(ctx, "before the login")
	if err != nil {
		return nil, err
	}
	if e.Name != (stanza.Name{Space: xmppstream.NSSASL, Local: "auth"}) {
		return nil, xmppstream.Unsupported(e, "component")
	}
	mechanism, initial, err := xmppstream.ParseAuth(e)
	if err != nil {
		return s.fail(ctx, err)
	}
	s.neg.tried, s.neg.missing = s.domain, ""
	s.neg.exchange, err = sasl.New(&s.neg.sasl, mechanism)
	if err != nil {
		return s.fail(ctx, err)
	}
	return s.step(ctx, mechanism, initial)
}

// nonza reads an element that is no stanza.
func (s *stream) nonza(ctx context.Context, when string) (*stanza.Element, error) {
	in, err := s.t.Read()
	switch {
	case err != nil && !xmppstream.IsWrongStanza(in, err):
		return nil, err
	case in.Nonza == nil:
		return nil, s.refuse(ctx, s.domain, "stanza "+when)
	}
	return in.Nonza, nil
}

// step gives the component's message to the mechanism and sends the answer.
func (s *stream) step(ctx context.Context, mechanism string, msg []byte) (state, error) {
	ctx, cancel := s.neg.context(ctx)
	defer cancel()
	data, done, err := s.neg.exchange.Step(ctx, msg)
	if err != nil {
		return s.fail(ctx, err)
	}
	if done && s.neg.missing != "" {
		return s.fail(ctx, &sasl.Failure{Condition: sasl.NotAuthorized})
	}
	if !done {
		return func(ctx context.Context) (state, error) { return s.authenticate(ctx, mechanism) },
			s.write(xmppstream.AppendChallenge(nil, data))
	}
	s.domain, s.login.mechanism = s.neg.exchange.User().Domain(), mechanism
	s.neg.exchange, s.neg.failures = nil, 0
	return s.open, s.write(xmppstream.AppendSuccess(nil, data))
}

// authenticate takes what a component sends in the middle of a login.
func (s *stream) authenticate(ctx context.Context, mechanism string) (state, error) {
	e, err := s.nonza(ctx, "in the middle of the login")
	if err != nil {
		return nil, err
	}
	switch e.Name {
	case stanza.Name{Space: xmppstream.NSSASL, Local: "response"}:
		msg, err := xmppstream.ParseResponse(e)
		if err != nil {
			return s.fail(ctx, err)
		}
		return s.step(ctx, mechanism, msg)
	case stanza.Name{Space: xmppstream.NSSASL, Local: "abort"}:
		return s.fail(ctx, &sasl.Failure{Condition: sasl.Aborted})
	case stanza.Name{Space: xmppstream.NSSASL, Local: "auth"}:
		return s.fail(ctx, &sasl.Failure{Condition: sasl.MalformedRequest, Err: errors.New("another login is under way")})
	}
	return nil, xmppstream.Unsupported(e, "component")
}

// fail tells the component that its login failed. It may try again, a few times.
// See RFC 6120, section 6.4.5.
func (s *stream) fail(ctx context.Context, failure error) (state, error) {
	reason := failure.Error()
	if s.neg.missing != "" {
		reason = s.neg.missing
	}
	refused := s.refuse(ctx, s.neg.tried, reason)
	s.neg.exchange, s.login.leaf = nil, nil
	if err := s.write(xmppstream.AppendFailure(nil, failure)); err != nil {
		return nil, err
	}
	if s.neg.failures++; s.neg.failures < maxFailures {
		return s.negotiate, nil
	}
	return nil, refused
}
