package component

import (
	"context"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var handshakeName = stanza.Name{Space: stanza.NSComponent, Local: "handshake"}

// openComponent answers the header of XEP-0114, section 3.
func (s *stream) openComponent(h stanza.Header) (state, error) {
	to, err := parseDomain(h.To, "to")
	if err != nil {
		return s.reject(stanza.Header{}, err)
	}
	if err := xmppstream.CheckLang(h.Lang); err != nil {
		return s.reject(stanza.Header{From: to.Domain()}, err)
	}
	s.domain, s.lang, s.neg.id = to.Domain(), h.Lang, xmppstream.NewStreamID()
	s.shape()
	return s.handshake, s.t.Header(stanza.Header{ID: s.neg.id, From: s.domain, Namespace: stanza.NSComponent}, stanza.Batch{})
}

// handshake waits for the proof that the component knows the secret of its domain.
// Nothing else is allowed before.
func (s *stream) handshake(ctx context.Context) (state, error) {
	in, err := s.t.Read()
	switch {
	case err != nil && !xmppstream.IsWrongStanza(in, err):
		return nil, err
	case in.Stanza != nil:
		return nil, s.refuse(ctx, s.domain, "stanza before the handshake")
	case in.Nonza.Name != handshakeName:
		return nil, s.refuse(ctx, s.domain, "element "+xmppstream.Clip(in.Nonza.Name.Local)+" before the handshake")
	}
	if reason := s.check(in.Nonza); reason != "" {
		return nil, s.refuse(ctx, s.domain, reason)
	}
	s.login = login{mechanism: "handshake"}
	if err := s.join(ctx, s.l.routes(s.domain)); err != nil {
		return nil, s.taken(ctx, err)
	}
	return s.serve, s.attach(ctx, "<handshake/>")
}

// taken makes a stream error of what join returns, and notes it in the log.
func (s *stream) taken(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.note(ctx, s.domain, err.Error())
	return &stanza.StreamError{Condition: stanza.StreamConflict, Text: "domain is taken", Err: errRefused}
}

// check says what is wrong with a handshake, "" if nothing is. It takes as long for
// a domain that may not attach as for one that may.
func (s *stream) check(e *stanza.Element) string {
	secret, missing := s.l.secret(s.domain)
	sum := sha1.Sum([]byte(s.neg.id + secret))
	right := subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(e.Text)) == 1
	switch {
	case missing != "":
		return missing
	case !right || len(e.Children) > 0:
		return "wrong secret"
	}
	return ""
}
