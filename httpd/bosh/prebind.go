package bosh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// prebinding is how far a session is that begins logged in (Options.Prebind). What its
// client would say until then stands in the first request (prelude), what it would hear
// goes no further (overhear), and the answer to that request waits for the end of it.
type prebinding int

const (
	unbound  prebinding = iota // the client logs in itself, or has made use of its session
	binding                    // c2s has not answered all
	prebound                   // and the client has asked for nothing yet
)

// wishID is the id of the request for a resource.
const wishID = "prebind"

// prelude adds to the request for a session what its client would say before the rest: a
// login as an anonymous user, and the wish for a resource.
func (s *session) prelude(p *request) {
	first := p.items[0].header
	first.From = "" // who the client is, it will hear
	login := &stanza.Element{
		Name:  stanza.Name{Space: xmppstream.NSSASL, Local: "auth"},
		Attrs: []stanza.Attr{{Name: stanza.Name{Local: "mechanism"}, Value: "ANONYMOUS"}},
		Text:  "=", // an empty response: no challenge comes (RFC 6120, section 6.4.2)
	}
	wish := &stanza.Stanza{
		Kind: stanza.IQ, Type: stanza.TypeSet, ID: wishID, Inner: "<bind xmlns='" + xmppstream.NSBind + "'/>",
		Child: stanza.Name{Space: xmppstream.NSBind, Local: "bind"},
	}
	again := *first
	p.add(item{in: stanza.Incoming{Nonza: login}})
	p.add(item{header: &again})
	p.add(item{in: stanza.Incoming{Stanza: wish}})
	s.prebind = binding
}

// overhear takes from the outbox what a client would hear before it has its resource. The
// caller holds mu.
func (s *session) overhear() error {
	for s.prebind == binding && s.outbox.has() {
		e, err := stanza.ParseElement(string(s.outbox.cut(1)))
		if err == nil {
			err = s.hear(e)
		}
		if err != nil {
			s.end(&unboundError{err}, terminal(internalServerError, s.legacy))
			return s.err
		}
	}
	return nil
}

// hear takes one element. The caller holds mu.
func (s *session) hear(e *stanza.Element) error {
	switch {
	case e.Name == stanza.Name{Space: xmppstream.NSSASL, Local: "failure"}:
		return errLogin(e)
	case e.Name != stanza.Name{Space: stanza.NSClient, Local: "iq"} || e.Attr("id") != wishID:
		return nil // features, and that the login has succeeded
	case e.Attr("type") != "result":
		return errors.New("there is no resource for it")
	}
	if b := e.Child(xmppstream.NSBind, "bind"); b != nil {
		if j := b.Child(xmppstream.NSBind, "jid"); j != nil {
			s.jid = j.Text
		}
	}
	if s.jid == "" {
		return errors.New("the answer names no address")
	}
	s.prebind = prebound
	s.release = s.processed // the creation is answered now
	return nil
}

// errLogin says why a login has failed.
func errLogin(failure *stanza.Element) error {
	condition := "no reason is given"
	if len(failure.Children) > 0 {
		condition = failure.Children[0].Name.Local
	}
	if condition == "invalid-mechanism" {
		return errors.New("the virtual host has no anonymous users: set auth_method: anonymous, or prebind: false")
	}
	return fmt.Errorf("the login has failed: %s", condition)
}

// unboundError ends a session that should have begun logged in.
type unboundError struct{ error }

// used notes that the client of a session that began logged in makes use of it: until
// then it counts as one that has not logged in. The caller holds mu.
func (s *session) used() {
	if s.prebind == prebound {
		s.prebind = unbound
		s.h.grown(s)
	}
}

// complain logs why a session could not begin logged in, which its client is not told.
func (s *session) complain(ctx context.Context) {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if e, ok := errors.AsType[*unboundError](err); ok {
		s.h.failures.Log(context.WithoutCancel(ctx), slog.LevelWarn, "session cannot begin logged in",
			netserve.KeyPeer, s.peer.Addr.Addr().String(), "host", s.to, netserve.KeyErr, e.error)
	}
}
