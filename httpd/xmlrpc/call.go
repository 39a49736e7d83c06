package xmlrpc

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// answer appends the response to a call.
func (h *Handler) answer(ctx context.Context, b []byte, caller acl.Subject, c call) []byte {
	caller, params, f := h.login(ctx, caller, c.params)
	if f != nil {
		return appendFault(b, f)
	}
	if answer, f, ok := h.builtIn(caller, c.method, params); f != nil {
		return appendFault(b, f)
	} else if ok {
		return appendResponse(b, answer)
	}
	var arguments structure
	if len(params) > 0 {
		s, ok := params[0].(structure)
		if !ok || len(params) > 1 {
			return appendFault(b, unknownCall())
		}
		arguments = s
	}
	result, v, f := h.run(ctx, caller, c.method, arguments)
	if f != nil {
		return appendFault(b, f)
	}
	return appendResult(b, result, v)
}

// login finds out who calls, and returns the parameters without those that say it.
// Wrong credentials are a fault: nobody becomes a caller without an account by them.
func (h *Handler) login(ctx context.Context, caller acl.Subject, params []any) (acl.Subject, []any, *fault) {
	if len(params) == 0 {
		return caller, params, nil
	}
	s, ok := params[0].(structure)
	if !ok || !isLogin(s) {
		return caller, params, nil
	}
	wrong := &fault{faultFailed, "Invalid authentication data"}
	_, byToken := s.get("token")
	if byToken {
		wrong.text = "Invalid oauth token"
	}
	user, err := stanza.NewJID(s.text("user"), s.text("server"), "")
	if err != nil {
		h.logFailure(ctx, caller, "", err)
		return caller, nil, wrong
	}
	proven := caller
	if byToken {
		proven, err = h.gate.Token(ctx, caller, s.text("token"))
		if err == nil && (proven.User != user.Local() || proven.Server != user.Domain()) {
			err = calls.ErrCredentials // somebody else's
		}
	} else {
		proven, err = h.gate.Password(ctx, caller, user, s.text("password"))
	}
	if err == nil {
		return proven, params[1:], nil
	}
	h.logFailure(ctx, caller, user.String(), err)
	if !errors.Is(err, calls.ErrCredentials) {
		wrong = &fault{faultFailed, "authentication is not possible now; try again later"}
	}
	return caller, nil, wrong
}

// isLogin reports whether a first structure says who calls.
func isLogin(s structure) bool {
	has := func(name string) bool {
		_, ok := s.get(name)
		return ok
	}
	return has("user") && has("server") && (has("token") || has("password"))
}

func (h *Handler) logFailure(ctx context.Context, caller acl.Subject, user string, err error) {
	level := slog.LevelInfo
	if !errors.Is(err, calls.ErrCredentials) && user != "" {
		level = slog.LevelError
	}
	h.failures.Log(ctx, level, "authentication failed", calls.Peer(caller.IP), netserve.KeyUser, user, netserve.KeyErr, err)
}

// run runs a command and returns its result, and what type that has.
func (h *Handler) run(ctx context.Context, caller acl.Subject, name string, arguments structure) (command.Field, any, *fault) {
	values, again := arguments.byName()
	c, err := h.gate.Find(caller, name, command.Newest, values)
	switch {
	case errors.Is(err, calls.ErrUnknown):
		return command.Field{}, nil, unknownCall()
	case err != nil, isInternal(&c):
		return command.Field{}, nil, denied()
	case again != nil:
		return command.Field{}, nil, twice(*again)
	}
	if f := shapeArguments(&c, values); f != nil {
		return command.Field{}, nil, f
	}
	v, err := h.gate.Run(ctx, caller, &c, values)
	if err == nil {
		return c.Result, v, nil
	}
	// The command itself may find fault with an argument, which then is an error of the
	// command.
	if _, bad := c.Arguments(values); bad != nil {
		return command.Field{}, nil, argumentFault(bad)
	}
	return command.Field{}, nil, &fault{faultFailed, command.Fault(err).Text}
}

// isInternal reports whether a command is for the inside of a server: nobody calls it by
// XML-RPC.
func isInternal(c *command.Command) bool { return slices.Contains(c.Tags, "internal") }
