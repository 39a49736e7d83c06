// Command websocket is a chat in a browser, over WebSocket (RFC 7395), all of it in memory.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/examples/websocket/page"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/websocket"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// serve prints how to log in, and serves the page at / and the WebSocket at /ws.
func serve(ctx context.Context, ln net.Listener, out io.Writer) error {
	h, err := host.New(host.Config{Features: host.Messenger()})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "open http://%s in two windows and log in as\n", ln.Addr())
	for _, name := range []string{"ana", "bo"} {
		user, err := stanza.NewJID(name, "localhost", "")
		password := rand.Text()[:12]
		if err := errors.Join(err, h.Accounts.Create(ctx, user, password)); err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s with the password %s\n", user, password)
	}
	im := c2s.New(c2s.Host{Domains: h.Local, Router: h.Local, SCRAM: h.Accounts, IQ: h.IQ, Features: h, Session: h.Local})
	chat := func(ctx context.Context, t stanza.Transport) error { return im.ServeTransport(ctx, t, c2s.Defaults()) }
	handlers := map[string]http.Handler{"page": page.Handler(), "websocket": websocket.New(websocket.Host{Serve: chat})}
	o := httpd.Defaults()
	o.RequestHandlers = map[string]string{"/": "page", "/ws": "websocket"}
	return httpd.New(httpd.Host{Handlers: handlers}).Listen(ctx, ln, o)
}

func main() {
	address := flag.String("http", "127.0.0.1:5280", "`host:port` to listen at")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ln, err := net.Listen("tcp", *address)
	if err == nil {
		err = serve(ctx, ln, os.Stdout)
	}
	if ctx.Err() == nil {
		log.Fatal(err)
	}
}
