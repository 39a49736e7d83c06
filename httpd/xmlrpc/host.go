package xmlrpc

import (
	"log/slog"
	"sync"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

// Host is what the handler needs of the program around it.
type Host struct {
	Commands    *command.Registry // what can be called; nil: nothing
	Permissions acl.Permissions   // who may; nil: nobody

	Passwords httpd.Passwords // nil: nobody logs in by one
	Tokens    httpd.Tokens    // nil: nobody logs in by one

	Log *slog.Logger // nil discards
}

// Handler answers calls. It is safe for concurrent use.
type Handler struct {
	gate      *calls.Gate
	failures  *netserve.Sampler // attempts to log in
	exchanges sync.Pool         // of *exchange
}

// New returns a Handler.
func New(h Host) *Handler {
	return &Handler{
		gate:      calls.New(h.Commands, h.Permissions, h.Passwords, h.Tokens, h.Log),
		failures:  netserve.NewSampler(h.Log, "further authentications failed"),
		exchanges: sync.Pool{New: func() any { return new(exchange) }},
	}
}
