package s2s

import (
	"context"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// The states of a stream, in the order in which a server goes through them:
//
//	open ─ header and features
//	  └ negotiate ─ <starttls/> ─ upgrade ─ open
//	      ├ <auth/> ─ authenticate ─ <success/> ─ open ─ serve
//	      │             └ <failure/> ─ negotiate
//	      └ <db:result/> ─ serve
//
// In serve a stream may still have proved nothing: then it takes no stanzas.

// Bounds of what a server may try before it has proved a domain.
const (
	// maxFailures is how many failed logins end a stream: RFC 6120, section
	// 6.4.5, wants between two and five retries.
	maxFailures = 4
	// maxRequests is how many requests of dialback it may make.
	maxRequests = 1000
)

// negotiation is what a stream knows until its outbox is there.
type negotiation struct {
	deadline time.Time     // zero: none
	proof    error         // why the certificate does not prove the domain of the header; nil: it does
	exchange sasl.Exchange // the one under way
	failures int           // of logins
	failed   error         // the last of them
}

// context bounds a call by the time that is left.
func (n *negotiation) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if n.deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, n.deadline)
}

// open waits for the server's stream header, answers it and says what the stream
// offers. It begins each of the streams that follow one another: plain,
// encrypted, authenticated.
func (s *stream) open(ctx context.Context) (state, error) {
	h, err := s.t.Open()
	if err != nil {
		return nil, err
	}
	answer := stanza.Header{ID: xmppstream.NewStreamID(), Lang: "en", Version: "1.0", Namespace: stanza.NSServer}
	err = s.accept(h, &answer)
	if err == nil && !s.authenticated {
		s.shape(s.local, "")
		err = s.trust()
	}
	if err != nil {
		_ = s.t.Header(answer, stanza.Batch{})
		return nil, err
	}
	var batch stanza.Batch
	if !s.old {
		f := s.features()
		b := f.AppendXML(nil, false)
		batch = stanza.Batch{Bytes: b, Ends: []int{len(b)}}
	}
	if err := s.t.Header(answer, batch); err != nil {
		return nil, err
	}
	if s.authenticated {
		return s.authorized(ctx)
	}
	return s.negotiate, nil
}

// features says what the stream offers now.
func (s *stream) features() xmppstream.Features {
	c := s.l.srv.settings.Load()
	f := xmppstream.Features{Dialback: s.acceptsDialback()}
	switch {
	case s.authenticated:
		f.SM = c.AckTimeout > 0
		return f
	case s.mustEncrypt(s.local):
		return xmppstream.Features{StartTLS: s.canEncrypt(), RequireTLS: true}
	}
	f.StartTLS = s.canEncrypt()
	f.Bidi = c.Bidi.For(s.local)
	if s.neg.proof == nil {
		f.Mechanisms = []string{sasl.External}
	}
	return f
}

// canEncrypt reports whether STARTTLS is offered.
func (s *stream) canEncrypt() bool {
	return s.l.tls != nil && !s.t.Peer().Secure && s.l.srv.settings.Load().UseStartTLS.For(s.local) != TLSOff
}

// mustEncrypt reports whether nothing but STARTTLS is allowed for a domain.
func (s *stream) mustEncrypt(local string) bool {
	return !s.t.Peer().Secure && s.l.srv.settings.Load().mustEncrypt(local)
}

// negotiate takes what a server sends before it begins to authenticate.
func (s *stream) negotiate(ctx context.Context) (state, error) {
	in, err := s.t.Read()
	switch {
	case err != nil && !xmppstream.IsWrongStanza(in, err):
		return nil, err
	case in.Nonza == nil:
		return nil, &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: "authenticate first", Err: err}
	}
	switch in.Nonza.Name {
	case stanza.Name{Space: xmppstream.NSTLS, Local: "starttls"}:
		return s.upgrade, nil
	case stanza.Name{Space: xmppstream.NSSASL, Local: "auth"}:
		return s.begin(ctx, in.Nonza)
	case dbResult, dbVerify:
		err = s.dialback(ctx, in.Nonza)
	case stanza.Name{Space: xmppstream.NSBidi, Local: "bidi"}:
		err = s.enableBidi()
	case smEnable:
		err = s.enable(in.Nonza)
	default:
		err = xmppstream.Unsupported(in.Nonza, "server")
	}
	if s.neg == nil {
		return s.serve, err
	}
	return s.negotiate, err
}

// upgrade begins TLS, or refuses to. What was agreed on before does not count
// after it.
// See RFC 6120, section 5.4.2.
func (s *stream) upgrade(ctx context.Context) (state, error) {
	if !s.canEncrypt() {
		if err := s.say("<failure xmlns='" + xmppstream.NSTLS + "'/>"); err != nil {
			return nil, err
		}
		return nil, errNoTLS
	}
	if err := s.say("<proceed xmlns='" + xmppstream.NSTLS + "'/>"); err != nil {
		return nil, err
	}
	s.bidi = false
	ctx, cancel := s.neg.context(ctx)
	defer cancel()
	return s.open, s.t.StartTLS(ctx, s.l.tls, s.local)
}

var errNoTLS = errors.New("server wants STARTTLS, which is not offered")

// enableBidi takes <bidi/>. It has no effect on pairs that are proved.
// See XEP-0288, section 2.2.
func (s *stream) enableBidi() error {
	if s.mustEncrypt(s.local) {
		return errTLSFirst
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bidi = s.bidi || s.first == pair{}
	return nil
}

var errTLSFirst = &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "use STARTTLS first"}

// say sends an element that is no stanza. A server that does not read what it is
// told loses its stream.
func (s *stream) say(xml string) error {
	s.mu.Lock()
	out := s.out
	s.mu.Unlock()
	if out == nil {
		return s.t.Write(stanza.Batch{Bytes: []byte(xml), Ends: []int{len(xml)}})
	}
	return refused(out.Send(xml))
}

// refused says what an error of the outbox means for the stream.
func refused(err error) error {
	switch {
	case errors.Is(err, stanza.ErrClosed):
		return nil // Read will say why
	case err != nil:
		return &stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "server does not read", Err: err}
	}
	return nil
}
