package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/logs"
	"github.com/tidewaiter/tidewaiter/listen"
)

// logOptions are the top-level keys about the log.
type logOptions struct {
	// Level is the least level that is logged. Default: info.
	Level logs.Level `conf:"loglevel,top,number"`

	// Levels are those of single packages, by the attribute pkg of the lines. An
	// extension. Default: none.
	Levels map[string]logs.Level `conf:"log_levels,top,number,keys=server|listen|c2s|s2s|component|stun|host|store"`

	// HideSensitive keeps the addresses of peers out of the log. Passwords never
	// are in it. Default: false.
	HideSensitive bool `conf:"hide_sensitive_log_data,top"`
}

// logSection makes h follow the configuration.
func logSection(h *logs.Handler) listen.Section {
	return listen.TopSection(
		func() logOptions { return logOptions{Level: logs.Info} },
		func(o logOptions) {
			h.Configure(logs.Config{Level: o.Level, Packages: o.Levels, HideSensitive: o.HideSensitive})
		},
	)
}

// complain logs what is wrong with a configuration, a line for each problem.
func (s *server) complain(ctx context.Context, level slog.Level, list []*listen.Error) {
	for _, p := range list {
		s.log.Log(ctx, level, "configuration", "problem", p.Error())
	}
}

// complainOf logs an error of a configuration, each of its problems in a line.
func (s *server) complainOf(ctx context.Context, err error) {
	var bad *listen.ParseError
	if errors.As(err, &bad) {
		s.complain(ctx, slog.LevelWarn, bad.Warnings)
		s.complain(ctx, slog.LevelError, bad.Errors)
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		s.log.Error("configuration", "problem", line)
	}
}
