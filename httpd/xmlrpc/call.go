package xmlrpc

import (
	"context"
	"errors"
	"log/slog"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// caller is who calls.
type caller struct {
	acl.Subject

	// foreign says that nothing is proven but the address, which may be that of somebody
	// who looks at a page of another site.
	foreign bool
}

// answer appends the response to a call.
func (h *Handler) answer(ctx context.Context, b []byte, by caller, c call) []byte {
	by, params, f := h.login(ctx, by, c.params)
	if f != nil {
		return appendFault(b, f)
	}
	if answer, f, ok := h.builtIn(by, c.method, params); f != nil {
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
	result, v, f := h.run(ctx, by, c.method, arguments)
	if f != nil {
		return appendFault(b, f)
	}
	return appendResult(b, result, v)
}

// login finds out who calls, and returns the parameters without those that say it.
// Wrong credentials are a fault: nobody becomes a caller without an account by them.
func (h *Handler) login(ctx context.Context, by caller, params []any) (caller, []any, *fault) {
	if len(params) == 0 {
		return by, params, nil
	}
	s, ok := params[0].(structure)
	if !ok || !isLogin(s) {
		return by, params, nil
	}
	wrong := &fault{faultFailed, "Invalid authentication data"}
	_, byToken := s.get("token")
	if byToken {
		wrong.text = "Invalid oauth token"
	}
	user, err := stanza.NewJID(s.text("user"), s.text("server"), "")
	if err != nil {
		h.logFailure(ctx, by, "", err)
		return by, nil, wrong
	}
	var proven acl.Subject
	if byToken {
		proven, err = h.gate.Token(ctx, by.Subject, s.text("token"))
		if err == nil && (proven.User != user.Local() || proven.Server != user.Domain()) {
			err = calls.ErrCredentials // somebody else's
		}
	} else {
		proven, err = h.gate.Password(ctx, by.Subject, user, s.text("password"))
	}
	if err == nil {
		return caller{Subject: proven}, params[1:], nil
	}
	h.logFailure(ctx, by, user.String(), err)
	if !errors.Is(err, calls.ErrCredentials) {
		wrong = &fault{faultFailed, "authentication is not possible now; try again later"}
	}
	return by, nil, wrong
}

// isLogin reports whether a first structure says who calls.
func isLogin(s structure) bool {
	has := func(name string) bool {
		_, ok := s.get(name)
		return ok
	}
	return has("user") && has("server") && (has("token") || has("password"))
}

func (h *Handler) logFailure(ctx context.Context, by caller, user string, err error) {
	level := slog.LevelInfo
	if !errors.Is(err, calls.ErrCredentials) && user != "" {
		level = slog.LevelError
	}
	h.failures.Log(ctx, level, "authentication failed", calls.Peer(by.IP), netserve.KeyUser, user, netserve.KeyErr, err)
}

// run runs a command and returns its result, and what type that has.
func (h *Handler) run(ctx context.Context, by caller, name string, arguments structure) (command.Field, any, *fault) {
	values, again := arguments.byName()
	c, err := h.find(by, name, values)
	switch {
	case errors.Is(err, calls.ErrUnknown):
		return command.Field{}, nil, unknownCall()
	case err != nil:
		return command.Field{}, nil, denied()
	case again != nil:
		return command.Field{}, nil, twice(*again)
	}
	if f := shapeArguments(&c, values); f != nil {
		return command.Field{}, nil, f
	}
	v, err := h.gate.Run(ctx, by.Subject, &c, values)
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

// find returns a command that the caller may run with some values.
func (h *Handler) find(by caller, name string, values map[string]any) (command.Command, error) {
	if by.foreign {
		return h.gate.FindForeign(by.Subject, name, command.Newest, values)
	}
	return h.gate.Find(by.Subject, name, command.Newest, values)
}
