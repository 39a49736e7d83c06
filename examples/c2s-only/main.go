// Command c2s-only is a chat server of one listener package, with accounts and a router of its own.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"log"
	"net"
	"sync"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

type backend struct {
	passwords map[string]string
	sessions  sync.Map // by full JID
}

func (b *backend) IsLocal(domain string) bool { return domain == "localhost" }

func (b *backend) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if want, ok := b.passwords[user.Local()]; !ok || !hmac.Equal([]byte(want), []byte(password)) {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (b *backend) Bind(_ context.Context, want stanza.Binding) (stanza.JID, error) {
	full, err := want.JID.WithResource(rand.Text()) // whatever the client asks for
	b.sessions.Store(full, want.Sink)
	return full, err
}

func (b *backend) Admit(stanza.Binding) error { return nil } // no login is ever revoked

func (b *backend) Release(_ context.Context, full stanza.JID, _ stanza.Sink) { b.sessions.Delete(full) }

func (b *backend) Route(ctx context.Context, st *stanza.Stanza) error {
	if to, online := b.sessions.Load(st.To); online {
		return to.(stanza.Sink).Deliver(st)
	} else if !st.MayBounce() {
		return nil
	}
	return b.Route(ctx, st.ErrorReply(&stanza.Error{Condition: stanza.ServiceUnavailable}))
}

func serve(ctx context.Context, ln net.Listener) error {
	b, o := &backend{passwords: map[string]string{"ana": "anchor", "bo": "bollard"}}, c2s.Defaults()
	o.AllowPlainWithoutTLS = true // on loopback
	return c2s.New(c2s.Host{Domains: b, Router: b, Password: b}).Listen(ctx, ln, o)
}

func main() {
	ln, err := net.Listen("tcp", "127.0.0.1:5222")
	if err == nil {
		log.Print("log in as ana@localhost (anchor) or bo@localhost (bollard) on 127.0.0.1:5222, without TLS")
		err = serve(context.Background(), ln)
	}
	log.Fatal(err)
}
