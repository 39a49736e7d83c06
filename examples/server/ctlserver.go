package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd/ctl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/sock"
	"github.com/tidewaiter/tidewaiter/listen"
)

// ctlSocket is where a running server takes commands, in the data directory. Who can
// open it may do anything that api_permissions lets ejabberd_ctl do.
const ctlSocket = "ctl.sock"

// permissionOptions are what api_permissions says.
type permissionOptions struct {
	Permissions acl.Permissions `conf:"api_permissions"`
}

// permissionSection tells the server of the permissions, which follow the configuration.
func (s *server) permissionSection() listen.Section {
	return listen.TopSection(
		func() permissionOptions { return permissionOptions{} },
		func(o permissionOptions) { s.permissions = o.Permissions },
	)
}

// ctlServer takes commands.
type ctlServer struct {
	http   http.Server
	cancel context.CancelFunc // ends the commands that run
	open   sync.WaitGroup     // connections
	done   chan struct{}
}

// beginCtl takes commands from now on. A server that cannot do that, such as one on a
// file system without sockets, serves its users all the same.
func (s *server) beginCtl(ctx context.Context) {
	path := filepath.Join(s.data, ctlSocket)
	ln, err := sock.Listen(ctx, "unix", path, sock.Options{Mode: 0o600, Owner: -1, Group: -1})
	if err != nil {
		s.log.Warn("ctl cannot be used", netserve.KeyErr, err)
		return
	}
	s.ctl = serveCtl(ln, ctl.New(ctl.Host{Commands: s.host.Commands, Permissions: s.permissions, Log: s.log}), s.log)
}

// serveCtl has h answer on ln.
func serveCtl(ln net.Listener, h http.Handler, log *slog.Logger) *ctlServer {
	ctx, cancel := context.WithCancel(context.Background())
	c := &ctlServer{cancel: cancel, done: make(chan struct{})}
	c.http = http.Server{
		Handler: h,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				c.open.Add(1)
			case http.StateClosed:
				c.open.Done()
			}
		},
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(c.done)
		if err := c.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("ctl cannot be used any more", netserve.KeyErr, err)
		}
	}()
	return c
}

// stop takes no more commands. Those that run have a second to end.
func (c *ctlServer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.http.Shutdown(ctx) != nil {
		c.cancel()
		_ = c.http.Close()
	}
	c.cancel()
	<-c.done
	c.open.Wait()
}
