package c2s

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// The states of a stream, in the order in which a client goes through them:
//
//	open ─ header and features
//	  └ negotiate ─ <starttls/> ─ upgrade ─ open
//	      └ <auth/> ─ authenticate ─ <success/> ─ open
//	                    └ <failure/> ─ negotiate
//	                                              └ bind ─ serve
//	                                                  └ <resume/> ─ serve

// Bounds of what a client may try before it has its resource.
const (
	// maxFailures is how many failed logins end a stream: RFC 6120, section
	// 6.4.5, wants between two and five retries.
	maxFailures = 4
	// maxRefusals is how many refused resources do: RFC 6120, section 7.7.3,
	// wants between five and ten retries.
	maxRefusals = 7
	// maxRequests is how many requests a client may make before login.
	maxRequests = 20
)

// negotiation is what a session knows until its resource is bound.
type negotiation struct {
	deadline time.Time // zero: none
	sasl     sasl.Config
	exchange sasl.Exchange // the one under way
	failures int           // of logins, then of resources
	requests int           // before login
	failed   error         // the last of the failures
	since    time.Time     // when the login began
}

// context bounds a call of the host by the time that is left.
func (n *negotiation) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if n.deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, n.deadline)
}

// open waits for the client's stream header, answers it and says what the
// stream offers. It begins each of the streams that follow one another: plain,
// encrypted, authenticated.
func (s *stream) open(context.Context) (state, error) {
	h, err := s.t.Open()
	if err != nil {
		return nil, err
	}
	answer := stanza.Header{
		ID: xmppstream.NewStreamID(), Lang: "en", Version: "1.0", Namespace: stanza.NSClient,
	}
	if h.Version == "" {
		answer.Version = "" // RFC 6120, section 4.7.5
	}
	if err := s.accept(h, &answer); err != nil {
		_ = s.t.Header(answer, stanza.Batch{})
		return nil, err
	}
	s.shape()
	features, next := s.features()
	b := features.AppendXML(nil, s.t.Standalone())
	return next, s.t.Header(answer, stanza.Batch{Bytes: b, Ends: []int{len(b)}})
}

// features says what the stream offers now, and which state takes it.
func (s *stream) features() (xmppstream.Features, state) {
	f := xmppstream.Features{}
	if s.l.h.Features != nil {
		f.More = s.l.h.Features.StreamFeatures(s.domain, s.authenticated())
	}
	if s.authenticated() {
		f.Bind, f.Session = true, true
		f.SM = s.l.srv.managementFor(s.domain) != nil
		return f, s.bind
	}
	f.StartTLS = s.canEncrypt()
	if s.mustEncrypt() {
		return xmppstream.Features{StartTLS: f.StartTLS, RequireTLS: true}, s.negotiate
	}
	s.prepareSASL()
	f.Mechanisms = sasl.Offer(&s.neg.sasl)
	if slices.ContainsFunc(f.Mechanisms, func(m string) bool { return strings.HasSuffix(m, "-PLUS") }) {
		for _, b := range s.neg.sasl.Bindings {
			f.Bindings = append(f.Bindings, b.Type)
		}
	}
	return f, s.negotiate
}

func (s *stream) authenticated() bool { return !s.jid.IsZero() }

// encrypter is a transport that can begin TLS within its stream.
type encrypter interface {
	// StartTLS makes the server's side of a handshake, and throws away what was
	// read before.
	StartTLS(ctx context.Context, server *netserve.TLS, domain string) error
}

// canEncrypt reports whether STARTTLS is offered.
func (s *stream) canEncrypt() bool {
	o := &s.l.o
	_, ok := s.t.(encrypter)
	return ok && !s.t.Peer().Secure && s.l.tls != nil && (o.StartTLS || o.StartTLSRequired || o.TLSVerify)
}

// mustEncrypt reports whether nothing but STARTTLS is allowed.
func (s *stream) mustEncrypt() bool {
	_, ok := s.t.(encrypter)
	return ok && s.l.o.StartTLSRequired && !s.t.Peer().Secure
}

// negotiate takes what a client sends before it begins to log in.
func (s *stream) negotiate(ctx context.Context) (state, error) {
	in, err := s.t.Read()
	switch {
	case err != nil && !xmppstream.IsWrongStanza(in, err):
		return nil, err
	case in.Nonza != nil && in.Nonza.Name == stanza.Name{Space: xmppstream.NSTLS, Local: "starttls"}:
		return s.upgrade, nil
	case in.Nonza != nil && in.Nonza.Name == stanza.Name{Space: xmppstream.NSSASL, Local: "auth"}:
		return s.begin(ctx, in.Nonza)
	case s.mustEncrypt():
		return nil, &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "use STARTTLS first"}
	case in.Nonza != nil:
		return s.tooEarly(in.Nonza, s.negotiate)
	}
	return s.request(ctx, in.Stanza, err)
}

var errBeforeLogin = errors.New("stanza before login")

func notAuthorized(err error) error {
	return &stanza.StreamError{Condition: stanza.StreamNotAuthorized, Err: err}
}

// request answers a request before login, such as one to register. wrong is
// what makes the stanza one that must be refused, nil if nothing.
func (s *stream) request(ctx context.Context, st *stanza.Stanza, wrong error) (state, error) {
	h := s.l.h.PreAuthIQ
	if h == nil || st.Kind != stanza.IQ || isAnswer(st) || !st.To.IsZero() && !s.isHost(st.To) {
		return nil, notAuthorized(cmp.Or(wrong, errBeforeLogin))
	}
	if s.neg.requests++; s.neg.requests > maxRequests {
		return nil, &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too many requests before login"}
	}
	if wrong != nil {
		return s.negotiate, s.writeStanza(st.ErrorReply(s.stanzaError(ctx, wrong)))
	}
	st.From, st.To = stanza.JID{}, s.host()
	ctx, cancel := s.neg.context(ctx)
	defer cancel()
	answer, err := h.HandleIQ(ctx, st, s.t.Peer())
	switch {
	case errors.Is(err, stanza.ErrNotSupported):
		return nil, notAuthorized(err)
	case err != nil:
		answer = st.ErrorReply(s.stanzaError(ctx, err))
	case answer == nil:
		return s.negotiate, nil
	}
	return s.negotiate, s.writeStanza(answer)
}

// isAnswer reports whether st is one that is never answered itself.
// See RFC 6120, section 8.3.1.
func isAnswer(st *stanza.Stanza) bool {
	return st.Type == stanza.TypeError || st.Type == stanza.TypeResult
}

// isHost reports whether j is the stream's virtual host.
func (s *stream) isHost(j stanza.JID) bool {
	return j.Local() == "" && j.IsBare() && j.Domain() == s.domain
}

// host returns the address of the stream's virtual host.
func (s *stream) host() stanza.JID {
	j, _ := stanza.NewJID("", s.domain, "") // accept has made it canonical
	return j
}

// upgrade begins TLS, or refuses to.
// See RFC 6120, section 5.4.2.
func (s *stream) upgrade(ctx context.Context) (state, error) {
	if !s.canEncrypt() {
		if err := s.write([]byte("<failure xmlns='" + xmppstream.NSTLS + "'/>")); err != nil {
			return nil, err
		}
		return nil, errNoTLS
	}
	if err := s.write([]byte("<proceed xmlns='" + xmppstream.NSTLS + "'/>")); err != nil {
		return nil, err
	}
	ctx, cancel := s.neg.context(ctx)
	defer cancel()
	return s.open, s.t.(encrypter).StartTLS(ctx, s.l.tls, s.domain)
}

var errNoTLS = errors.New("client wants STARTTLS, which is not offered")

// write sends one element. It is for the time before the resource is bound:
// from then on all goes through the outbox.
func (s *stream) write(xml []byte) error {
	return s.t.Write(stanza.Batch{Bytes: xml, Ends: []int{len(xml)}})
}

func (s *stream) writeStanza(st *stanza.Stanza) error { return s.write(s.encode(st)) }

// encode returns a stanza as the transport wants it.
func (s *stream) encode(st *stanza.Stanza) []byte {
	if s.t.Standalone() {
		return st.AppendTo(nil, stanza.NSClient)
	}
	return st.AppendTo(nil, "")
}
