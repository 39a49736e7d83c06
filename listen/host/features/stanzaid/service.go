package stanzaid

import (
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Config says what a Service works with.
type Config struct {
	Log *slog.Logger // nil discards
}

// Service stamps messages.
type Service struct {
	log     *slog.Logger
	options perhost.Switch[*Options]
}

// New returns a Service that is off everywhere until it is configured.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{log: c.Log}
}

// Configure takes new options; nil means off.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

// Offered reports whether messages to the accounts of a domain are stamped.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// Stamp returns a copy of a message to an account of this server, which the
// caller knows it to be, with the id that the account assigns to it as its last
// child, and without the ids in the name of accounts of its domain that it came
// with: whoever sent them forged them. Each call assigns another id. It returns m
// itself where nothing is stamped, and if it is a copy that a store keeps: that
// was stamped before it was stored. Messages of a room have the id of the room,
// and nobody refers to an error: they only lose forged ids.
// See XEP-0359, section 3.
func (s *Service) Stamp(m *stanza.Stanza) *stanza.Stanza {
	if m.Kind != stanza.Message || m.Kept != 0 || m.To.Local() == "" || !s.Offered(m.To.Domain()) {
		return m
	}
	c := *m
	if strings.Contains(m.Inner, "stanza-id") { // a name has no other spelling
		if err := removeForged(&c); err != nil {
			s.log.Error("message cannot be read", "from", m.From, "to", m.To, "err", err)
			return m
		}
	}
	if m.Type != stanza.TypeGroupchat && m.Type != stanza.TypeError {
		c.Inner = stamped(c.Inner, m.To.Bare())
		if c.Child == (stanza.Name{}) {
			c.Child = stanza.Name{Space: NS, Local: "stanza-id"}
		}
	}
	return &c
}

// stamped returns inner with a stanza-id behind it. The id is random: it comes
// only once and tells nothing (XEP-0359, section 6).
func stamped(inner string, by stanza.JID) string {
	var id [16]byte
	rand.Read(id[:]) // never fails

	var buf [256]byte
	b := append(buf[:0], "<stanza-id xmlns='"+NS+"' by='"...)
	b = stanza.AppendEscaped(b, by.String())
	b = append(b, "' id='"...)
	b = base64.RawURLEncoding.AppendEncode(b, id[:])
	b = append(b, "'/>"...)

	var out strings.Builder
	out.Grow(len(inner) + len(b))
	out.WriteString(inner)
	out.Write(b)
	return out.String()
}
