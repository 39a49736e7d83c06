// Package calls is what those share that let programs run commands (XML-RPC, the HTTP
// API, the command line): who calls, whether he may, and the call.
package calls

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Passwords and Tokens are those of package httpd.
type (
	Passwords interface {
		VerifyPassword(ctx context.Context, user stanza.JID, password string) error
	}
	Tokens interface {
		Token(ctx context.Context, token string) (user stanza.JID, scopes string, err error)
	}
)

// Gate lets callers run commands. Its methods are safe for concurrent use.
type Gate struct {
	commands    *command.Registry
	permissions acl.Permissions
	passwords   Passwords // nil: nobody logs in by one
	tokens      Tokens    // nil: nobody logs in by one
	log         *slog.Logger
	denials     *netserve.Sampler
	checking    chan struct{} // a place for each password that is being checked
}

var (
	// ErrCredentials says that a password or token is wrong.
	ErrCredentials = errors.New("wrong credentials")
	// ErrDenied says that the caller may not run the command.
	ErrDenied = errors.New("access to the command is denied")
	// ErrUnknown says that there is no such command.
	ErrUnknown = errors.New("there is no such command")
)

// New returns a Gate. Each of its parts may be nil: then there are no commands, nobody
// may run any, nobody logs in by a password or by a token, and nothing is logged.
func New(commands *command.Registry, permissions acl.Permissions, passwords Passwords, tokens Tokens, log *slog.Logger) *Gate {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if commands == nil {
		commands = new(command.Registry)
	}
	if permissions == nil {
		permissions = new(acl.Ref)
	}
	return &Gate{
		commands: commands, permissions: permissions, passwords: passwords, tokens: tokens, log: log,
		denials: netserve.NewSampler(log, "further commands denied"),
		// A check is a computation of milliseconds: more at once would not end sooner.
		checking: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// Password returns the caller with an account, which user and password prove.
// ErrCredentials: they do not; any other error is temporary.
func (g *Gate) Password(ctx context.Context, caller acl.Subject, user stanza.JID, password string) (acl.Subject, error) {
	if g.passwords == nil || user.Local() == "" {
		return caller, ErrCredentials
	}
	select {
	case g.checking <- struct{}{}:
		defer func() { <-g.checking }()
	case <-ctx.Done():
		return caller, context.Cause(ctx)
	}
	if err := g.passwords.VerifyPassword(ctx, user.Bare(), password); err != nil {
		return caller, credentials(err)
	}
	caller.User, caller.Server = user.Local(), user.Domain()
	return caller, nil
}

// Token returns the caller with the account whose token it is. ErrCredentials: it is
// nobody's; any other error is temporary.
func (g *Gate) Token(ctx context.Context, caller acl.Subject, token string) (acl.Subject, error) {
	if g.tokens == nil {
		return caller, ErrCredentials
	}
	user, scopes, err := g.tokens.Token(ctx, token)
	if err != nil {
		return caller, credentials(err)
	}
	caller.User, caller.Server = user.Local(), user.Domain()
	caller.Token, caller.Scopes = true, scopes
	return caller, nil
}

func credentials(err error) error {
	switch {
	case errors.Is(err, stanza.ErrNoAccount), errors.Is(err, stanza.ErrNotAuthorized), errors.Is(err, stanza.ErrAccountDisabled):
		return ErrCredentials
	}
	return err
}

// Find returns a command as it is in a version of the API, for a caller who may run
// it with these values: the virtual host among them counts. Errors: ErrUnknown,
// ErrDenied.
func (g *Gate) Find(caller acl.Subject, name string, version int, values map[string]any) (command.Command, error) {
	return g.find(caller, false, name, version, values)
}

// FindForeign is Find for a request that may be that of a page of another site (Foreign)
// and has no credentials: what the caller may do only because of the address, or of the
// listener that the address can reach (its tag), he may not.
func (g *Gate) FindForeign(caller acl.Subject, name string, version int, values map[string]any) (command.Command, error) {
	return g.find(caller, true, name, version, values)
}

func (g *Gate) find(caller acl.Subject, foreign bool, name string, version int, values map[string]any) (command.Command, error) {
	c, ok := g.commands.At(name, version)
	if !ok {
		return c, ErrUnknown
	}
	if !g.permits(caller, foreign, &c, hostOf(&c, values)) {
		list := args(caller, &c)
		if foreign { // or nobody would know why it works from elsewhere
			list = append(list, "page", "another site's")
		}
		g.denials.Log(context.Background(), slog.LevelInfo, "command denied", list...)
		return c, ErrDenied
	}
	return c, nil
}

// internalTag marks commands that are not for programs elsewhere.
const internalTag = "internal"

// permits reports whether a caller may run a command that concerns a virtual host.
// Rules may forbid by address, too: for those who are foreign they must hold with the
// address and without it; tags only permit.
func (g *Gate) permits(caller acl.Subject, foreign bool, c *command.Command, host string) bool {
	if slices.Contains(c.Tags, internalTag) && (caller.From == "mod_http_api" || caller.From == "ejabberd_xmlrpc") {
		return false
	}
	wanted := acl.Command{Name: c.Name, Tags: c.Tags, Host: host}
	if !g.permissions.Permits(caller, wanted) {
		return false
	}
	caller.IP, caller.Tag = netip.Addr{}, ""
	return !foreign || g.permissions.Permits(caller, wanted)
}

// List returns the commands that a caller may run, as they are in a version of the API,
// sorted by name. What depends on the argument host is decided without one. foreign is
// as in FindForeign.
func (g *Gate) List(caller acl.Subject, foreign bool, version int) []command.Command {
	var list []command.Command
	for _, newest := range g.commands.List() {
		if c, ok := g.commands.At(newest.Name, version); ok && g.permits(caller, foreign, &c, "") {
			list = append(list, c)
		}
	}
	return list
}

// Run runs a command that Find has returned. Errors are those of the command
// (command.Fault); the log has more of those that are none of the caller's.
func (g *Gate) Run(ctx context.Context, caller acl.Subject, c *command.Command, values map[string]any) (any, error) {
	a, err := c.Arguments(values)
	if err != nil {
		return nil, err
	}
	result, err := c.Do(ctx, a)
	if f := command.Fault(err); f != nil && f.Kind == command.Internal {
		g.log.Error("command failed", append(args(caller, c), netserve.KeyErr, err)...)
	} else if g.log.Enabled(ctx, slog.LevelInfo) {
		g.log.Info("command called", args(caller, c)...)
	}
	return result, err
}

// Peer is what the log says of the address of a caller: nothing of one without, who has
// come by a unix socket.
func Peer(ip netip.Addr) slog.Attr {
	if !ip.IsValid() {
		return slog.Attr{} // which is left out
	}
	return slog.String(netserve.KeyPeer, ip.String())
}

// args are what the log says of a call: nothing of its values.
func args(caller acl.Subject, c *command.Command) []any {
	list := []any{"command", c.Name, "from", caller.From, Peer(caller.IP)}
	if caller.User != "" {
		list = append(list, netserve.KeyUser, caller.User+"@"+caller.Server)
	}
	return list
}

// noHost stands for a value of the argument host that is no name at all. No virtual host
// has it, so that a caller with an account needs the rule configure.
const noHost = "."

// hostOf returns the virtual host that a call concerns, in its canonical form: the argument
// localhost, else host. "" if the command has neither, or it is missing or of another type:
// such a call is not run.
func hostOf(c *command.Command, values map[string]any) string {
	for _, name := range [...]string{"localhost", "host"} {
		i := slices.IndexFunc(c.Args, func(f command.Field) bool { return f.Name == name })
		if i < 0 {
			continue
		}
		f := c.Args[i]
		v, ok := values[f.Name]
		if !ok && f.Old != "" {
			v = values[f.Old]
		}
		v, err := f.Type.Value(v)
		text, isText := v.(string)
		if err != nil || !isText {
			return ""
		}
		jid, err := stanza.NewJID("", text, "")
		if err != nil {
			return noHost
		}
		return jid.Domain()
	}
	return ""
}
