package component

import (
	"context"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Host is what the module needs of the program around it. Router is required.
type Host struct {
	Router Router
	Events Events       // nil: nobody hears of components
	Log    *slog.Logger // nil discards
}

// Router takes what components send and knows their domains.
type Router interface {
	// RegisterDomain sends everything for a domain, in its canonical form, to a
	// sink until release is called. Its error says that the domain is taken, by a
	// virtual host or by somebody else than this module.
	RegisterDomain(domain string, s stanza.Sink) (release func(), err error)

	// Route delivers a stanza that a component has sent. From and To are set; From
	// is one that the component may use. The router answers for what it cannot
	// deliver. An error that Route returns is logged and tells nobody. The stream's
	// next stanza waits until it returns.
	Route(ctx context.Context, s *stanza.Stanza) error
}

// Events hears of components. The calls for one stream come one after the other
// and hold it up; those for several streams of one domain may come at once.
type Events interface {
	// Connected comes when a component gets what is sent to domain: once for each
	// of its domains. s is its stream.
	Connected(ctx context.Context, domain string, s stanza.Sink)
	// Disconnected comes when it does so no more.
	Disconnected(ctx context.Context, domain string, s stanza.Sink)
}
