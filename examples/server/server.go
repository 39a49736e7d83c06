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
	"os"
	"path/filepath"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
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
	log    *slog.Logger
	host   *host.Host
	reg    *listen.Registry
	listen *listen.Server
	config *listen.Config // the one that runs

	admin    stanza.JID // made by this start, zero if none was
	password string     // of admin
}

// assemble puts the parts together without opening anything.
func assemble(f flags, log *slog.Logger) (*server, error) {
	h, err := host.New(host.Config{Log: log})
	if err != nil {
		return nil, err
	}
	s := &server{flags: f, log: log, host: h, reg: all.Registry(h, log)}
	s.reg.StateDir = f.data
	return s, nil
}

// load reads the configuration. Without a file it is the built-in one, whose
// paths are relative to the data directory.
func (s *server) load() (*listen.Config, error) {
	if s.flags.config != "" {
		return listen.Load(s.flags.config, s.reg)
	}
	if _, err := selfSigned(s.data, []string{"localhost", "127.0.0.1", "::1"}); err != nil {
		return nil, err
	}
	return listen.Parse(filepath.Join(s.data, "built-in.yml"), builtInConfig(hasIPv6()), s.reg)
}

// start runs the listeners and creates the accounts that are missing.
func start(ctx context.Context, f flags, log *slog.Logger) (*server, error) {
	inherited, err := listen.Inherit()
	if err != nil {
		return nil, fmt.Errorf("inherited sockets: %w", err)
	}
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; name another with -data", err)
	}
	s, err := assemble(f, log)
	if err != nil {
		return nil, err
	}
	if s.config, err = s.load(); err != nil {
		return nil, err
	}
	s.warn(s.config)
	s.listen = listen.New(s.reg, listen.ServerOptions{Log: log, Grace: drain, Inherit: inherited})
	if _, err := s.listen.Apply(ctx, s.config); err != nil {
		return nil, errors.Join(err, s.listen.Shutdown(ctx))
	}
	if err := s.createAccounts(ctx); err != nil {
		return nil, errors.Join(err, s.listen.Shutdown(ctx))
	}
	s.notify(listen.Ready, "")
	return s, nil
}

// createAccounts creates those of the command line and, for the built-in
// configuration, an administrator if there is no account at all.
func (s *server) createAccounts(ctx context.Context) error {
	for _, a := range s.accounts {
		if err := s.host.Accounts.Create(ctx, a.user, a.password); err != nil && !errors.Is(err, host.ErrExists) {
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

// reload applies the configuration anew. One with errors changes nothing.
func (s *server) reload(ctx context.Context) {
	s.notify(listen.Reloading, "")
	defer s.notify(listen.Ready, "")
	var steps []listen.Step
	c, err := s.load()
	if err == nil {
		s.warn(c)
		steps, err = s.listen.Apply(ctx, c)
		for _, step := range steps {
			s.log.Info("reload", "listener", step.Entry.Address, "module", step.Entry.Module, "change", step.Change)
		}
	}
	switch {
	case err != nil && steps == nil:
		s.log.Error("reload failed, the configuration is as before")
		fmt.Fprintln(os.Stderr, err)
		return
	case err != nil:
		s.log.Error("reload failed in part, the rest is in effect")
		fmt.Fprintln(os.Stderr, err)
	}
	s.config = c
}

// stop drains the listeners until ctx ends.
func (s *server) stop(ctx context.Context) {
	s.notify(listen.Stopping, "")
	if err := s.listen.Shutdown(ctx); err != nil {
		s.log.Info("sessions that went on were ended", "after", drain)
	}
}

func (s *server) notify(n listen.Notification, status string) {
	if err := listen.Notify(n, status); err != nil {
		s.log.Warn("cannot tell the service manager", "err", err)
	}
}

// warn prints what a configuration's reader should know.
func (s *server) warn(c *listen.Config) {
	for _, w := range c.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
}
