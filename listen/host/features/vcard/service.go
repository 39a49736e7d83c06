package vcard

import (
	"context"
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

// Service answers requests to accounts and to the server.
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

// Configure takes new options; nil means off. A vCard that is larger than is
// allowed now stays.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

// Offered reports whether a domain and its accounts have vCards.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// Remove forgets the vCard of an account.
func (s *Service) Remove(ctx context.Context, user stanza.JID) error {
	return s.store.Forget(ctx, user.Bare())
}

// HandleIQ answers requests to the server, to the sender's own account and to
// others. Who has no vCard hears item-not-found about the own account and about
// the server. About another account it is service-unavailable, which is what
// requests to an account that does not exist must give too. An empty vCard is
// none.
// See XEP-0054, section 3.
func (s *Service) HandleIQ(ctx context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	own := iq.From.Bare()
	to := iq.To
	if to.IsZero() {
		to = own
	}
	o := s.options.For(to.Domain())
	switch {
	case o == nil:
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	case iq.Type == stanza.TypeSet && to == own && own.Local() != "":
		return s.set(ctx, iq, o.MaxBytes)
	case iq.Type == stanza.TypeSet:
		return nil, &stanza.Error{Condition: stanza.Forbidden, Text: "this vCard belongs to somebody else"}
	case to.Local() == "":
		if o.VCard == (Card{}) {
			return nil, &stanza.Error{Condition: stanza.ItemNotFound}
		}
		return iq.Result(o.VCard.xml()), nil
	}
	xml, err := s.store.Get(ctx, to.Bare())
	switch {
	case err != nil:
		return nil, err
	case xml == "" && to == own:
		return nil, &stanza.Error{Condition: stanza.ItemNotFound}
	case xml == "":
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	return iq.Result(xml), nil
}

// set replaces the vCard of the sender: XEP-0054, section 3.2.
func (s *Service) set(ctx context.Context, iq *stanza.Stanza, limit int) (*stanza.Stanza, error) {
	found, err := rawxml.Find(iq, 1, func(t *xmlstream.Start) bool { return t.Name.Is(NS, "vCard") })
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, &stanza.Error{Condition: stanza.BadRequest}
	}
	xml := ""
	if !found[0].Empty {
		xml = found[0].XML()
	}
	if len(xml) > limit {
		s.log.Debug("vCard is too large", "user", iq.From, "bytes", len(xml))
		return nil, &stanza.Error{Condition: stanza.PolicyViolation, Text: fmt.Sprintf("a vCard is limited to %d bytes", limit)}
	}
	if err := s.store.Set(ctx, iq.From.Bare(), xml); err != nil {
		return nil, err
	}
	return iq.Result(""), nil
}

// xml returns the card as the element vCard.
func (c *Card) xml() string {
	b := []byte("<vCard xmlns='" + NS + "'>")
	for _, f := range [...]struct{ name, text string }{
		{"FN", c.FN}, {"NICKNAME", c.Nickname}, {"BDAY", c.BDay}, {"JABBERID", c.JabberID}, {"TZ", c.TZ},
		{"TITLE", c.Title}, {"ROLE", c.Role}, {"NOTE", c.Note}, {"URL", c.URL}, {"DESC", c.Desc},
	} {
		if f.text == "" {
			continue
		}
		b = append(append(append(b, '<'), f.name...), '>')
		b = stanza.AppendEscaped(b, f.text)
		b = append(append(append(b, "</"...), f.name...), '>')
	}
	return string(append(b, "</vCard>"...))
}
