// Command c2s-only is a chat server of one listener package with accounts and
// a router of its own: it imports c2s and nothing else of the library's.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// backend is the program's own: passwords and the sessions of localhost.
type backend struct {
	passwords map[string]string
	sessions  sync.Map // stanza.JID (full) to stanza.Sink
}

func (b *backend) IsLocal(domain string) bool { return domain == "localhost" }

func (b *backend) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if subtle.ConstantTimeCompare([]byte(b.passwords[user.Local()]), []byte(password)) != 1 || password == "" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (b *backend) Bind(_ context.Context, want stanza.Binding) (stanza.JID, error) {
	full, err := want.JID.WithResource(cmp.Or(want.JID.Resource(), rand.Text()))
	if old, taken := b.sessions.Swap(full, want.Sink); err == nil && taken {
		old.(stanza.Sink).Kick(&stanza.StreamError{Condition: stanza.StreamConflict})
	}
	return full, err
}

func (b *backend) Release(_ context.Context, full stanza.JID, s stanza.Sink) {
	b.sessions.CompareAndDelete(full, s)
}

func (b *backend) Route(_ context.Context, st *stanza.Stanza) error {
	to, online := b.sessions.Load(st.To)
	if !online && st.MayBounce() {
		st = st.ErrorReply(&stanza.Error{Condition: stanza.ServiceUnavailable})
		to, online = b.sessions.Load(st.To)
	}
	if !online {
		return nil
	}
	return to.(stanza.Sink).Deliver(st)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ln, err := net.Listen("tcp", cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:5222"))
	if err != nil {
		log.Fatal(err)
	}
	b := &backend{passwords: map[string]string{"ana": "anchor", "bo": "bollard"}}
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true // on loopback
	log.Printf("log in on %v as ana@localhost (anchor) or bo@localhost (bollard), without TLS", ln.Addr())
	if err := c2s.New(c2s.Host{Domains: b, Router: b, Password: b}).Listen(ctx, ln, o); ctx.Err() == nil {
		log.Fatal(err)
	}
}
