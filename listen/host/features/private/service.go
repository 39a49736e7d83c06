package private

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/rawxml"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Config says what a Service works with.
type Config struct {
	Store Store
	Log   *slog.Logger // nil discards
}

// Service answers the requests of clients.
type Service struct {
	store   Store
	log     *slog.Logger
	options perhost.Switch[*Options]
}

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: c.Store, log: c.Log}
}

// Configure takes new options; nil means off. What is kept stays, even if it is
// more than is allowed now.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

// Offered reports whether the accounts of a domain have private storage.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// Remove forgets what an account keeps.
func (s *Service) Remove(ctx context.Context, user stanza.JID) error {
	return s.store.Forget(ctx, user.Bare())
}

// HandleIQ answers requests to the sender's own account. Those to others are
// refused with service-unavailable, which is what an account that does not exist
// gives (RFC 6121, section 8.5.1).
//
// One request may name several elements, of one namespace and with different
// names. They are stored one after the other: after an error some may have been.
// What stands in an element is kept as it is; one without attributes and content
// is what is answered when there is none, so it is not kept.
// See XEP-0049, sections 2.3 and 3.
func (s *Service) HandleIQ(ctx context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	user := iq.From.Bare()
	o := s.options.For(user.Domain())
	if o == nil || !iq.To.IsZero() && iq.To != user {
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	elements, err := elementsOf(iq, o.MaxElements)
	if err != nil {
		return nil, err
	}
	if iq.Type == stanza.TypeGet {
		return s.get(ctx, iq, elements)
	}
	err = s.set(ctx, user, elements, Limits{Elements: o.MaxElements, Bytes: o.MaxBytes})
	switch {
	case errors.Is(err, ErrFull):
		s.log.Debug("private storage is full", "user", user)
		text := fmt.Sprintf("private storage is limited to %d elements of together %d bytes", o.MaxElements, o.MaxBytes)
		return nil, &stanza.Error{Condition: stanza.ResourceConstraint, Text: text}
	case err != nil:
		return nil, err
	}
	return iq.Result(""), nil
}

func (s *Service) set(ctx context.Context, user stanza.JID, elements []rawxml.Element, l Limits) error {
	for i := range elements {
		e, xml := &elements[i], ""
		if !e.Empty {
			xml = e.XML()
		}
		if err := s.store.Set(ctx, user, e.Name, xml, l); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) get(ctx context.Context, iq *stanza.Stanza, elements []rawxml.Element) (*stanza.Stanza, error) {
	b := []byte("<query xmlns='" + NS + "'>")
	for _, e := range elements {
		xml, err := s.store.Get(ctx, iq.From.Bare(), e.Name)
		if err != nil {
			return nil, err
		}
		if xml != "" {
			b = append(b, xml...)
			continue
		}
		b = append(append(b, '<'), e.Name.Local...)
		b = append(b, " xmlns='"...)
		b = stanza.AppendEscaped(b, e.Name.Space)
		b = append(b, "'/>"...)
	}
	return iq.Result(string(append(b, "</query>"...))), nil
}

// elementsOf returns the elements that a request names.
func elementsOf(iq *stanza.Stanza, limit int) ([]rawxml.Element, error) {
	count := 0
	elements, err := rawxml.Find(iq, 2, func(*xmlstream.Start) bool {
		count++
		return count <= limit
	})
	switch {
	case err != nil:
		return nil, err
	case count == 0 && iq.Type == stanza.TypeGet:
		return nil, &stanza.Error{Condition: stanza.BadRequest, Text: "the request names no element"}
	case count == 0:
		return nil, &stanza.Error{Condition: stanza.NotAcceptable, Text: "there is no element to store"}
	case count > limit:
		return nil, &stanza.Error{Condition: stanza.ResourceConstraint, Text: fmt.Sprintf("a request is limited to %d elements", limit)}
	}
	seen := make(map[stanza.Name]bool, len(elements))
	for _, e := range elements {
		switch {
		case e.Name.Space == "", e.Name.Space == NS, e.Name.Space == stanza.NSClient:
			return nil, &stanza.Error{Condition: stanza.NotAcceptable, Text: "an element needs a namespace of its own"}
		case e.Name.Space != elements[0].Name.Space:
			return nil, &stanza.Error{Condition: stanza.NotAcceptable, Text: "the elements of a request need one namespace"}
		case seen[e.Name]:
			return nil, &stanza.Error{Condition: stanza.NotAcceptable, Text: "the elements of a request need different names"}
		}
		seen[e.Name] = true
	}
	return elements, nil
}
