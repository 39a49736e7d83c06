// Command component-echo is a bot with a domain of its own: it connects to a server as
// an external component (XEP-0114) and says back whatever anybody says to an address
// there.
//
//	ECHO_SECRET=… go run ./examples/component-echo -addr localhost:5347 -domain echo.localhost
//
// The server wants a listener of module ejabberd_service that knows the domain and the
// secret.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"mellium.im/xmpp"
	"mellium.im/xmpp/component"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stream"
)

func main() {
	log.SetFlags(0)
	addr := flag.String("addr", "localhost:5347", "`host:port` of the server's listener for components")
	domain := flag.String("domain", "echo.localhost", "the `domain` to be")
	file := flag.String("secret-file", "", "`file` with the secret; else it is taken from ECHO_SECRET")
	arg := flag.String("secret", "", "the `secret`, which other users of this machine then can see")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *domain, *file, *arg); err != nil {
		log.Fatal("component-echo: ", err)
	}
}

// run is the bot until ctx is cancelled, or there is no use in going on.
func run(ctx context.Context, addr, domain, file, arg string) error {
	me, err := jid.Parse(domain)
	if err != nil {
		return fmt.Errorf("-domain %q: %w", domain, err)
	}
	secret, err := readSecret(file, arg)
	if err != nil {
		return err
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
	return stay(ctx, dial, me, secret)
}

// readSecret looks where the secret is, safest place first.
func readSecret(file, arg string) ([]byte, error) {
	secret := arg
	if env := os.Getenv("ECHO_SECRET"); env != "" {
		secret = env
	}
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		secret = strings.TrimSpace(string(b))
	}
	if secret == "" {
		return nil, errors.New("no secret: set ECHO_SECRET, or name a file by -secret-file")
	}
	return []byte(secret), nil
}

// Pauses between attempts to connect; each is twice as long as the one before.
const (
	firstPause = time.Second
	longest    = time.Minute
)

// stay connects, and again whenever the connection is lost. It ends with ctx, or
// when the server does not want the bot.
func stay(ctx context.Context, dial func(context.Context) (net.Conn, error), me jid.JID, secret []byte) error {
	pause := firstPause
	for {
		err := connect(ctx, dial, me, secret, func() {
			log.Printf("%s is up: write to hello@%s", me, me)
			pause = firstPause
		})
		if ctx.Err() != nil {
			return nil
		}
		if hopeless(err) {
			return fmt.Errorf("%s is refused: %w", me, err)
		}
		log.Printf("connection lost: %v; next attempt in %v", err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, longest)
	}
}

// hopeless reports whether a server says what it will say next time, too: that the
// secret is wrong, or the domain somebody else's.
func hopeless(err error) bool {
	return errors.Is(err, stream.NotAuthorized) || errors.Is(err, stream.Conflict) ||
		errors.Is(err, stream.HostUnknown) || errors.Is(err, stream.InvalidNamespace)
}

// negotiation is how long the server may take for the handshake.
const negotiation = 30 * time.Second

// connect is the bot for as long as one connection lasts. It calls up when that has
// begun.
func connect(ctx context.Context, dial func(context.Context) (net.Conn, error), me jid.JID, secret []byte, up func()) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Neither a read nor a write looks at ctx.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()

	if err := conn.SetDeadline(time.Now().Add(negotiation)); err != nil {
		return err
	}
	session, err := component.NewSession(ctx, me, secret, conn)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil || ctx.Err() != nil {
		return err
	}
	up()
	if err := session.Serve(xmpp.HandlerFunc(handle)); err != nil {
		return err
	}
	return errors.New("the server has closed the stream")
}
