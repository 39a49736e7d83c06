package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen"
)

// reload applies the configuration anew. One with errors changes nothing. What it
// returns is in the log, too.
func (s *server) reload(ctx context.Context) error {
	s.notify(listen.Reloading, "")
	defer func() { s.notify(listen.Ready, s.status()) }()
	c, err := s.load()
	if err != nil {
		s.complainOf(ctx, err)
		s.loaded.fail()
		s.log.Error("reload failed, the configuration is as before")
		return err
	}
	s.complain(ctx, slog.LevelWarn, c.Warnings)
	steps, err := s.listen.Apply(ctx, c)
	if err != nil {
		s.complainOf(ctx, err)
	}
	if steps == nil && err != nil {
		s.loaded.fail()
		s.log.Error("reload failed, the configuration is as before")
		return err
	}
	s.tell(c, steps)
	if err != nil {
		s.loaded.fail()
		s.log.Error("reload failed in part, the rest is in effect")
	} else {
		s.loaded.note(c)
		s.log.Info("reloaded")
	}
	s.config = c
	s.warnOfDescriptors(c)
	return err
}

// tell logs what a reload has changed.
func (s *server) tell(c *listen.Config, steps []listen.Step) {
	for _, step := range steps {
		args := []any{netserve.KeyListener, step.Bound, "module", step.Entry.Module, "change", step.Change}
		if len(step.Differences) > 0 {
			args = append(args, "options", join(step.Differences))
		}
		s.log.Info("reload", args...)
	}
	_, rest, _ := c.Compare(s.config) // Apply has accepted both
	files := 0
	for _, d := range rest {
		if isFile(d) {
			files++
		}
		s.log.Info("reload", "setting", d.String())
	}
	s.log.Info("certificates were read again", "certificates", len(c.Certificates()), "changed", files)
}

// isFile reports whether a difference is one of the content of a file with
// certificates, or of what it has for a name.
func isFile(d listen.Difference) bool {
	return slices.ContainsFunc([]string{"certificate.", "file."}, func(p string) bool { return strings.HasPrefix(d.Option, p) })
}

func join(list []listen.Difference) string {
	texts := make([]string, len(list))
	for i, d := range list {
		texts[i] = d.String()
	}
	return strings.Join(texts, ", ")
}
