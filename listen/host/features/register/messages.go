package register

import (
	"context"
	"fmt"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// tell sends the welcome message and notifies the watchers. Who is not online
// gets it if the host keeps offline messages.
func (r *request) tell(ctx context.Context, account stanza.JID) {
	from := account.DomainOnly()
	if w := r.options.WelcomeMessage; w != (Welcome{}) {
		r.send(ctx, message(from, account, stanza.TypeNormal, w.Subject, w.Body))
	}
	for _, to := range r.options.RegistrationWatchers {
		body := fmt.Sprintf("[%s] %s was registered in-band from %s.",
			time.Now().UTC().Format(time.DateTime), account, r.peer.Addr.Addr())
		r.send(ctx, message(from, to, stanza.TypeChat, "", body))
	}
}

func (r *request) send(ctx context.Context, m *stanza.Stanza) {
	if err := r.router.Route(ctx, m); err != nil {
		r.log.Warn("message was lost", "to", m.To, "err", err)
	}
}

func message(from, to stanza.JID, typ, subject, body string) *stanza.Stanza {
	var b []byte
	m := &stanza.Stanza{Kind: stanza.Message, Type: typ, From: from, To: to}
	for _, e := range [...]struct{ name, text string }{{"subject", subject}, {"body", body}} {
		if e.text == "" {
			continue
		}
		if m.Child.Local == "" {
			m.Child = stanza.Name{Space: stanza.NSClient, Local: e.name}
		}
		b = append(append(append(b, '<'), e.name...), '>')
		b = stanza.AppendEscaped(b, e.text)
		b = append(append(append(b, '<', '/'), e.name...), '>')
	}
	m.Inner = string(b)
	return m
}
