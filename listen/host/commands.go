package host

import (
	"context"
	"errors"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// commands are what the host can be asked to do from outside. Their names, their
// arguments and their results are those of ejabberd.
//
// A command that wants something to be so that is so already succeeds. One about an
// account that does not exist fails (command.NotFound) unless it is about sessions,
// which guests have, too. A virtual host that is not served is a bad argument.
func (h *Host) commands() []command.Command {
	return slices.Concat(
		h.accountCommands(), h.banCommands(), h.purgeCommands(),
		h.sessionCommands(), h.resourceCommands(), h.kickCommands(), h.statusCommands(), h.presenceCommands(),
		h.rosterCommands(), h.rosterItemCommands(), h.rosterItemsCommands(),
		h.lastCommands(), h.offlineCommands(), h.privateCommands(), h.vcardCommands(),
		h.stanzaCommands(), h.serverCommands(), h.turnCommands(), h.oauthCommands(),
	)
}

// Fields of the arguments and results.

func textField(name, description string) command.Field {
	return command.Field{Name: name, Type: command.String, Description: description}
}

func numberField(name, description string) command.Field {
	return command.Field{Name: name, Type: command.Integer, Description: description}
}

// textsField is a list of strings.
func textsField(name, of, description string) command.Field {
	return command.Field{Name: name, Type: command.List{Of: textField(of, "")}, Description: description}
}

// tuplesField is a list of tuples.
func tuplesField(name, of string, t command.Tuple) command.Field {
	return command.Field{Name: name, Type: command.List{Of: command.Field{Name: of, Type: t}}}
}

func hostField() command.Field { return textField("host", "the virtual host") }

// userFields are the arguments that name an account, and more.
func userFields(more ...command.Field) []command.Field {
	return append([]command.Field{textField("user", "the name of the account, without its domain"), hostField()}, more...)
}

// ownFields are userFields of a command whose argument host was once called server.
func ownFields() []command.Field {
	list := userFields()
	list[1].Old = "server"
	return list
}

// codeResult is that of a command that is successful or not, textResult of one that
// says something about its success.
func codeResult() command.Field { return command.Field{Name: "res", Type: command.ResCode} }
func textResult() command.Field { return command.Field{Name: "res", Type: command.ResTuple} }

// badArgument says what is wrong about an argument.
func badArgument(arg, format string, args ...any) *command.Error {
	e := command.Errorf(command.BadArgument, format, args...)
	e.Arg = arg
	return e
}

// vhost returns the virtual host that an argument names, in its canonical form.
func (h *Host) vhost(a command.Args, arg string) (string, error) {
	domain, err := canonicalDomain(a.Text(arg))
	if err != nil || !h.Local.IsLocal(domain) {
		return "", badArgument(arg, "unknown virtual host")
	}
	return domain, nil
}

// user returns the address that the arguments user and host name.
func (h *Host) user(a command.Args) (stanza.JID, error) { return h.userOf(a, "user", "host") }

// userOf does so for arguments of other names.
func (h *Host) userOf(a command.Args, user, host string) (stanza.JID, error) {
	domain, err := h.vhost(a, host)
	if err != nil {
		return stanza.JID{}, err
	}
	j, err := stanza.NewJID(a.Text(user), domain, "")
	if err != nil || j.Local() == "" {
		return stanza.JID{}, badArgument(user, "argument %s is no name of an account", user)
	}
	return j, nil
}

// existing returns the account that the arguments user and host name.
func (h *Host) existing(ctx context.Context, a command.Args) (Account, error) {
	return h.existingOf(ctx, a, "user", "host")
}

// existingOf does so for arguments of other names.
func (h *Host) existingOf(ctx context.Context, a command.Args, user, host string) (Account, error) {
	j, err := h.userOf(a, user, host)
	if err != nil {
		return Account{}, err
	}
	acc, err := h.Accounts.lookup(ctx, j)
	if errors.Is(err, stanza.ErrNoAccount) {
		return Account{}, noSuchAccount(j)
	}
	return acc, err
}

func noSuchAccount(user stanza.JID) *command.Error {
	return command.Errorf(command.NotFound, "there is no account %s", user)
}

// owner returns the account that the arguments user and host name, of a virtual host
// that has a module.
func (h *Host) owner(ctx context.Context, a command.Args, module string, offered func(domain string) bool) (stanza.JID, error) {
	acc, err := h.existing(ctx, a)
	if err != nil {
		return stanza.JID{}, err
	}
	return acc.JID, wantModule(acc.JID.Domain(), module, offered)
}

func wantModule(domain, module string, offered func(domain string) bool) error {
	if !offered(domain) {
		return command.Errorf(command.NotFound, "%s has no %s", domain, module)
	}
	return nil
}

// fault makes what a service says to a client an error of a command. Others stay as
// they are.
func fault(err error) error {
	var e *stanza.Error
	if !errors.As(err, &e) {
		return err
	}
	kind := command.Internal
	switch e.Condition {
	case stanza.BadRequest, stanza.JIDMalformed, stanza.NotAcceptable, stanza.PolicyViolation:
		kind = command.BadArgument
	case stanza.Conflict, stanza.ResourceConstraint: // what is full or busy is in the way
		kind = command.Conflict
	case stanza.ItemNotFound:
		kind = command.NotFound
	case stanza.Forbidden, stanza.NotAllowed:
		kind = command.NotAllowed
	}
	return &command.Error{Kind: kind, Text: saying(e), Err: err}
}

// saying returns what an error says to people.
func saying(e *stanza.Error) string {
	if e.Text == "" {
		return string(e.Condition)
	}
	return e.Text
}
