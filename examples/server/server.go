package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/component"
	"github.com/tidewaiter/tidewaiter/examples/websocket/page"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/logs"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/boltstore"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/s2s"
	"github.com/tidewaiter/tidewaiter/stun"
)

//go:embed default.yml
var defaultConfig []byte

// builtInConfig returns the built-in configuration, without its listeners on
// IPv6 if the system has none: a socket that cannot be bound fails the start.
func builtInConfig(ipv6 bool) []byte {
	if ipv6 {
		return defaultConfig
	}
	text, _, _ := bytes.Cut(defaultConfig, []byte("  # From here on IPv6"))
	return text
}

func hasIPv6() bool {
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// server is the running program.
type server struct {
	flags
	logs    *logs.Handler
	log     *slog.Logger
	store   *boltstore.Store // nil with -check
	host    *host.Host
	modules *all.Modules
	reg     *listen.Registry
	listen  *listen.Server
	config  *listen.Config // the one that runs
	loaded  loaded         // what metrics tell of it
	metrics *metricsServer // nil without -metrics
	ctl     *ctlServer     // nil if it has no socket

	permissions acl.Permissions // there with the first configuration

	orders     chan order // of commands
	background background
	backingUp  atomic.Bool

	admin    stanza.JID // made by this start, zero if none was
	password string     // of admin
	secret   string     // of components, made by this start; "" if none was
}

// newServer returns a server without its parts. The log goes to out.
func newServer(f flags, out slog.Handler) *server {
	h := logs.New(out)
	return &server{flags: f, logs: h, log: h.Logger("server"), orders: make(chan order), background: newBackground()}
}

// assemble puts the parts together without opening anything.
func (s *server) assemble(stores host.Stores, secret []byte) error {
	var err error
	if s.host, err = host.New(host.Config{Stores: stores, Log: s.logs.Logger("host")}); err != nil {
		return err
	}
	s.modules = all.New(s.host, all.Options{
		Secret: secret, Log: slog.New(s.logs),
		Handlers: map[string]http.Handler{"chat_page": page.Handler()},
	})
	s.reg = s.modules.Registry()
	s.reg.Add(logSection(s.logs), s.permissionSection())
	s.reg.StateDir = s.data
	return nil
}

// load reads the configuration. Without a file it is the built-in one, whose
// paths are relative to the data directory.
func (s *server) load() (*listen.Config, error) {
	c, err := s.read()
	if err != nil {
		return nil, err
	}
	for i := range c.Entries {
		switch o := c.Entries[i].Options.(type) {
		case c2s.Options:
			o.Grace = s.drain
			c.Entries[i].Options = o
		case s2s.Options:
			o.Grace = s.drain
			c.Entries[i].Options = o
		case component.Options:
			o.Grace = s.drain
			c.Entries[i].Options = o
		case stun.Options:
			o.Grace = s.drain
			c.Entries[i].Options = o
		case httpd.Options:
			o.Grace = s.drain
			c.Entries[i].Options = o
		}
	}
	return c, nil
}

func (s *server) read() (*listen.Config, error) {
	if s.flags.config != "" {
		return listen.Load(s.flags.config, s.reg)
	}
	if _, err := selfSigned(s.data, []string{"localhost", "127.0.0.1", "::1"}); err != nil {
		return nil, err
	}
	made, err := componentSecret(s.data)
	if err != nil {
		return nil, err
	}
	if made != "" {
		s.secret = made
	}
	return listen.Parse(filepath.Join(s.data, "built-in.yml"), builtInConfig(hasIPv6()), s.reg)
}

// start runs the listeners and creates the accounts that are missing.
func start(ctx context.Context, f flags, out slog.Handler) (*server, error) {
	inherited, err := listen.Inherit()
	if err != nil {
		return nil, fmt.Errorf("inherited sockets: %w", err)
	}
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; name another with -data", err)
	}
	s := newServer(f, out)
	if err := s.prepare(ctx, inherited); err != nil {
		s.closeStore()
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		s.stop()
		return nil, err
	}
	s.notify(listen.Ready, s.status())
	return s, nil
}

// prepare opens the store, puts the parts together and reads the configuration.
func (s *server) prepare(ctx context.Context, inherited []listen.Inherited) error {
	stores, secret, err := s.openStore(ctx)
	if err != nil {
		return err
	}
	if err := s.assemble(stores, secret); err != nil {
		return err
	}
	if err := s.host.SetProcess(s.process(len(inherited) > 0)); err != nil {
		return err
	}
	if s.config, err = s.load(); err != nil {
		return err
	}
	s.complain(ctx, slog.LevelWarn, s.config.Warnings)
	s.listen = listen.New(s.reg, listen.ServerOptions{Log: s.logs.Logger("listen"), Grace: s.drain, Inherit: inherited})
	return nil
}

// begin starts what has to be stopped.
func (s *server) begin(ctx context.Context) error {
	if s.flags.metrics != "" {
		var err error
		if s.metrics, err = serveMetrics(ctx, s.flags.metrics, s.exporter(), s.log); err != nil {
			return err
		}
	}
	if _, err := s.listen.Apply(ctx, s.config); err != nil {
		return err
	}
	s.loaded.note(s.config)
	s.warnOfDescriptors(s.config)
	s.background.begin(s.recoverRemovals)
	s.beginCtl(ctx)
	return s.createAccounts(ctx)
}

// recoverRemovals finishes the removals of accounts that the last stop broke off.
func (s *server) recoverRemovals(ctx context.Context) {
	if err := s.host.Accounts.Recover(ctx); err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "accounts that are being removed are still there in part: the next start goes on", netserve.KeyErr, err)
	}
}

// createAccounts creates those of the command line and, for the built-in
// configuration, an administrator if there is no account at all.
func (s *server) createAccounts(ctx context.Context) error {
	for _, a := range s.accounts {
		switch err := s.host.Accounts.Create(ctx, a.user, a.password); {
		case errors.Is(err, host.ErrExists):
			s.log.Info("account of -register exists already and keeps its password", netserve.KeyUser, a.user)
		case err != nil:
			return fmt.Errorf("-register %s: %w", a.user, err)
		}
	}
	if s.flags.config != "" {
		return nil
	}
	admin, err := stanza.NewJID("admin", "localhost", "")
	if err != nil {
		return err
	}
	if exists, err := s.host.Accounts.Exists(ctx, admin); err != nil || exists {
		return err
	}
	s.admin, s.password = admin, rand.Text()
	return s.host.Accounts.Create(ctx, s.admin, s.password)
}

// stop takes no more connections, tells the sessions to end, and cuts those
// that have not when the time of -drain is over. What they leave behind still
// goes to other servers.
func (s *server) stop() {
	s.notify(listen.Stopping, "sessions end")
	late, cancel := context.WithTimeout(context.Background(), s.drain+farewell)
	defer cancel()
	now, cut := context.WithCancel(context.Background())
	cut()
	_ = s.listen.Shutdown(now) // the error is that it did not wait
	if err := s.modules.Shutdown(late); err != nil {
		s.log.Warn("not everything was sent to other servers; it went back to its senders", netserve.KeyErr, err)
	}
	s.background.stop()
	if s.ctl != nil {
		s.ctl.stop()
	}
	if s.metrics != nil {
		s.metrics.stop()
	}
	s.closeStore()
	s.log.Info("stopped")
}

// farewell is what stanzas for other servers may take after the last session has
// had its time. It is part of overtime.
const farewell = 2 * time.Second

// background is what goes on beside the listeners until the server stops.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc
	group  *sync.WaitGroup
}

func newBackground() background {
	ctx, cancel := context.WithCancel(context.Background())
	return background{ctx, cancel, new(sync.WaitGroup)}
}

// begin runs f, which returns when its context is cancelled.
func (b background) begin(f func(context.Context)) { b.group.Go(func() { f(b.ctx) }) }

// stop ends what was begun and waits for it.
func (b background) stop() {
	b.cancel()
	b.group.Wait()
}

func (s *server) notify(n listen.Notification, status string) {
	if err := listen.Notify(n, status); err != nil {
		s.log.Warn("cannot tell the service manager", netserve.KeyErr, err)
	}
}

// status is the line that the service manager shows.
func (s *server) status() string {
	return fmt.Sprintf("%s, %s", strings.Join(s.config.Hosts, " "), count(len(s.config.Entries), "listener"))
}
