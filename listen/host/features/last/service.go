package last

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/host/features/internal/perhost"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NS is the namespace of the request, whose element is query, and the feature
// that service discovery lists.
const NS = "jabber:iq:last"

// MaxStatus is how many bytes of a status text are kept.
const MaxStatus = 1024

// Contacts knows who may see whose presence.
type Contacts interface {
	// Sees reports whether watcher is subscribed to the presence of user; both
	// are bare.
	Sees(ctx context.Context, watcher, user stanza.JID) (bool, error)
}

// Sessions knows who is there.
type Sessions interface {
	// Available reports whether an account has an available resource.
	Available(user stanza.JID) bool
}

// Accounts knows which accounts exist.
type Accounts interface {
	Exists(ctx context.Context, user stanza.JID) (bool, error)
}

// Config says what a Service works with.
type Config struct {
	Store    Store
	Sessions Sessions
	Contacts Contacts     // nil: nobody sees anybody
	Accounts Accounts     // nil: whoever goes has an account
	Log      *slog.Logger // nil discards
}

// Service notes when accounts go and tells it those who may know.
type Service struct {
	store    Store
	sessions Sessions
	contacts Contacts
	accounts Accounts
	log      *slog.Logger
	options  perhost.Switch[*Options]
	began    time.Time
}

// New returns a Service that is off everywhere until Configure. The time for
// which the server runs begins here.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store:    c.Store,
		sessions: c.Sessions,
		contacts: c.Contacts,
		accounts: c.Accounts,
		log:      c.Log,
		began:    time.Now(),
	}
}

// Configure takes new options; nil ones switch the service off for a domain.
func (s *Service) Configure(o stanza.PerHost[*Options]) { s.options.Configure(o) }

// Offered reports whether a domain and its accounts have this.
func (s *Service) Offered(domain string) bool { return s.options.For(domain) != nil }

// HandleIQ answers requests to a server, to the own account (To may be zero)
// and to other accounts.
//
// Whoever may not see an account's presence gets forbidden, also when there is
// nothing to tell or no such account. An account that is available was last
// there 0 seconds ago, and so was one's own of which nothing is known; of
// another account of which nothing is known the answer is service-unavailable.
//
// See XEP-0012, sections 3 and 5.
func (s *Service) HandleIQ(ctx context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	user := iq.To.Bare()
	if iq.To.IsZero() {
		user = iq.From.Bare()
	}
	if !s.Offered(user.Domain()) {
		return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
	}
	if user.Local() != "" {
		if err := s.Authorize(ctx, iq.From, user); err != nil {
			return nil, err
		}
	}
	switch {
	case iq.Type != stanza.TypeGet:
		return nil, &stanza.Error{Condition: stanza.NotAllowed}
	case user.Local() == "":
		return answer(iq, time.Since(s.began), ""), nil
	case s.sessions.Available(user):
		return answer(iq, 0, ""), nil
	}
	a, ok, err := s.store.Get(ctx, user)
	switch {
	case err != nil:
		return nil, err
	case ok:
		return answer(iq, time.Since(a.At), a.Status), nil
	case user == iq.From.Bare():
		return answer(iq, 0, ""), nil
	}
	return nil, &stanza.Error{Condition: stanza.ServiceUnavailable}
}

// Authorize returns nil if asker may see the presence of user, and forbidden
// otherwise. A router asks before it looks whether a resource is there.
// See XEP-0012, sections 3, 4 and 8.
func (s *Service) Authorize(ctx context.Context, asker, user stanza.JID) error {
	asker, user = asker.Bare(), user.Bare()
	if asker == user {
		return nil
	}
	sees := false
	if s.contacts != nil {
		var err error
		if sees, err = s.contacts.Sees(ctx, asker, user); err != nil {
			return err
		}
	}
	if !sees {
		return &stanza.Error{Condition: stanza.Forbidden}
	}
	return nil
}

// answer returns the result. A clock that was set back gives 0 seconds.
func answer(iq *stanza.Stanza, ago time.Duration, status string) *stanza.Stanza {
	b := []byte("<query xmlns='" + NS + "' seconds='")
	b = strconv.AppendInt(b, int64(max(ago, 0)/time.Second), 10)
	if status == "" {
		return iq.Result(string(append(b, "'/>"...)))
	}
	b = append(b, "'>"...)
	b = stanza.AppendEscaped(b, status)
	return iq.Result(string(append(b, "</query>"...)))
}

// Left notes that an account has gone, with the unavailable presence of its last
// resource, and waits for the store. Of users without an account, anonymous ones
// and those whose account has just been removed, nothing is noted.
func (s *Service) Left(ctx context.Context, gone *stanza.Stanza) {
	user := gone.From.Bare()
	if !s.Offered(user.Domain()) {
		return
	}
	exists, err := true, error(nil)
	if s.accounts != nil {
		exists, err = s.accounts.Exists(ctx, user)
	}
	if err == nil && exists {
		err = s.store.Set(ctx, user, Activity{At: time.Now().UTC().Truncate(time.Second), Status: statusOf(gone)})
	}
	if err != nil {
		s.log.Error("last activity was not stored", "user", user, "err", err)
	}
}

// statusOf returns at most MaxStatus bytes of the status text of presence: of
// several (RFC 6121, section 4.7.2.2) that in the language of the stanza.
func statusOf(presence *stanza.Stanza) string {
	if !strings.Contains(presence.Inner, "status") {
		return ""
	}
	e, err := stanza.ParseElement(string(presence.AppendTo(nil, stanza.NSClient)))
	if err != nil {
		return ""
	}
	status := ""
	for _, c := range e.Children {
		switch {
		case c.Name != stanza.Name{Space: stanza.NSClient, Local: "status"}:
		case !hasLang(c):
			return clip(c.Text)
		case status == "":
			status = c.Text
		}
	}
	return clip(status)
}

// hasLang reports whether an element has a language of its own.
func hasLang(e *stanza.Element) bool {
	for _, a := range e.Attrs {
		if a.Name.Local == "lang" && a.Name.Space != "" {
			return true
		}
	}
	return false
}

// clip returns at most MaxStatus bytes of s, in whole characters.
func clip(s string) string {
	if len(s) <= MaxStatus {
		return s
	}
	n := MaxStatus
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

// Remove deletes what is known of an account and waits for the store.
func (s *Service) Remove(ctx context.Context, user stanza.JID) error {
	return s.store.Forget(ctx, user)
}
