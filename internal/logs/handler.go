package logs

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
)

// Config says what is logged.
type Config struct {
	// Level is for all packages that Packages does not name. Zero: info.
	Level Level
	// Packages are levels of single packages, by the value of their attribute
	// netserve.KeyPkg. Zero values do not count.
	Packages map[string]Level
	// HideSensitive keeps addresses of peers out of the log.
	HideSensitive bool
}

// Handler is a slog.Handler in front of another one. All handlers that are
// derived from one New share its Config. The package of a line is the last
// netserve.KeyPkg that its logger was given by With outside of groups.
type Handler struct {
	out      slog.Handler
	config   *atomic.Pointer[config]
	pkg      string
	held     []slog.Attr // sensitive ones of With, which may have to be hidden later
	inGroups bool
}

// config is a Config that is fast to look at. It never changes.
type config struct {
	named    Level
	level    slog.Level
	packages map[string]slog.Level
	hide     bool
}

// New returns a handler that passes on what is at least info.
func New(out slog.Handler) *Handler {
	h := &Handler{out: out, config: new(atomic.Pointer[config])}
	h.Configure(Config{})
	return h
}

// Configure changes what h and all handlers derived from the same New let
// through, from the next line on. It does not block.
func (h *Handler) Configure(c Config) {
	n := &config{named: cmp.Or(c.Level, Info), level: c.Level.slog(), hide: c.HideSensitive, packages: make(map[string]slog.Level)}
	for name, l := range c.Packages {
		if l != "" {
			n.packages[name] = l.slog()
		}
	}
	h.config.Store(n)
}

// Level returns the level for all packages that have none of their own.
func (h *Handler) Level() Level { return h.config.Load().named }

// SetLevel changes it, until Configure is called.
func (h *Handler) SetLevel(l Level) {
	for {
		old := h.config.Load()
		n := *old
		n.named, n.level = l, l.slog()
		if h.config.CompareAndSwap(old, &n) {
			return
		}
	}
}

// Logger returns a logger for a package.
func (h *Handler) Logger(pkg string) *slog.Logger {
	return slog.New(h).With(netserve.KeyPkg, pkg)
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, l slog.Level) bool {
	c := h.config.Load()
	least := c.level
	if own, ok := c.packages[h.pkg]; ok {
		least = own
	}
	return l >= least && h.out.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	hide := h.config.Load().hide
	if !hide && len(h.held) == 0 {
		return h.out.Handle(ctx, r)
	}
	attrs := slices.Clone(h.held)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	if hide {
		for i := range attrs {
			attrs[i] = masked(attrs[i])
		}
	}
	n := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	n.AddAttrs(attrs...)
	return h.out.Handle(ctx, n)
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.held = slices.Clip(n.held)
	var rest []slog.Attr
	for _, a := range attrs {
		if a.Key == netserve.KeyPkg && !h.inGroups {
			n.pkg = a.Value.String()
		}
		if sensitive(a) {
			n.held = append(n.held, a)
		} else {
			rest = append(rest, a)
		}
	}
	n.out = h.out.WithAttrs(rest)
	return &n
}

// WithGroup implements slog.Handler. Sensitive attributes that With has added
// before show up inside the group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	n := *h
	n.out, n.inGroups = h.out.WithGroup(name), true
	return &n
}
