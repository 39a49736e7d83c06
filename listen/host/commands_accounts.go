package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Numbers of errors that programs know.
const (
	codeExists         = 10090 // there is such an account already
	codeCannotRegister = 10001 // another reason why an account was not made
)

// accountCommands make, check and remove accounts. There is no check_password_hash:
// passwords are not stored.
func (h *Host) accountCommands() []command.Command {
	tags := []string{"accounts"}
	return []command.Command{{
		Name:        "register",
		Description: "Register an account. The rules for those who register in-band do not apply.",
		Tags:        tags,
		Args:        userFields(textField("password", "")),
		Result:      textResult(),
		Run:         h.registerAccount,
	}, {
		Name:        "unregister",
		Description: "Remove an account with everything that is kept of it, and end its sessions. It succeeds if there is no such account, too.",
		Tags:        tags,
		Args:        userFields(),
		Result:      textResult(),
		Run:         h.unregisterAccount,
	}, {
		Name:        "check_account",
		Description: "Whether there is an account.",
		Tags:        tags,
		Args:        userFields(),
		Result:      codeResult(),
		Run:         h.checkAccount,
	}, {
		Name:        "check_password",
		Description: "Whether a password is right, and the account may log in by it.",
		Tags:        tags,
		Args:        userFields(textField("password", "")),
		Result:      codeResult(),
		Run:         h.checkPassword,
	}, {
		Name:        "change_password",
		Description: "Change the password of an account, and end its sessions.",
		Tags:        tags,
		Args:        userFields(textField("newpass", "the new password")),
		Result:      codeResult(),
		Run:         h.changePassword,
	}, {
		Name:        "registered_users",
		Description: "The names of all accounts of a virtual host, sorted.",
		Tags:        tags,
		Args:        []command.Field{hostField()},
		Result:      textsField("users", "username", ""),
		Run:         h.registeredUsers,
	}, {
		Name:        "registered_vhosts",
		Description: "The virtual hosts that are served, the default one first.",
		Tags:        []string{"server"},
		Result:      textsField("vhosts", "vhost", ""),
		Run:         func(context.Context, command.Args) (any, error) { return h.Local.Hosts(), nil },
	}}
}

// registerAccount runs register.
func (h *Host) registerAccount(ctx context.Context, a command.Args) (any, error) {
	user, err := h.user(a)
	if err == nil {
		err = fault(h.Accounts.Create(ctx, user, a.Text("password")))
	}
	if err == nil {
		return fmt.Sprintf("User %s successfully registered", user), nil
	}
	var e *command.Error
	if !errors.As(err, &e) {
		return nil, &command.Error{Text: "the account was not made", Code: codeCannotRegister, Err: err}
	}
	told := *e
	told.Code = codeCannotRegister
	if errors.Is(err, ErrExists) {
		told.Text, told.Code = fmt.Sprintf("User %s already registered", user), codeExists
	}
	return nil, &told
}

// unregisterAccount runs unregister.
func (h *Host) unregisterAccount(ctx context.Context, a command.Args) (any, error) {
	user, err := h.user(a)
	if err != nil {
		return nil, err
	}
	if err := h.Accounts.Remove(ctx, user, stanza.JID{}); err != nil && !errors.Is(err, stanza.ErrNoAccount) {
		return nil, err
	}
	return "", nil
}

// checkAccount runs check_account.
func (h *Host) checkAccount(ctx context.Context, a command.Args) (any, error) {
	user, err := h.user(a)
	if err != nil {
		return nil, err
	}
	return h.Accounts.Exists(ctx, user)
}

// checkPassword runs check_password.
func (h *Host) checkPassword(ctx context.Context, a command.Args) (any, error) {
	user, err := h.user(a)
	if err != nil {
		return nil, err
	}
	err = h.Accounts.VerifyPassword(ctx, user, a.Text("password"))
	switch {
	case errors.Is(err, stanza.ErrNoAccount), errors.Is(err, stanza.ErrNotAuthorized), errors.Is(err, stanza.ErrAccountDisabled):
		return false, nil
	}
	return true, fault(err)
}

// changePassword runs change_password.
func (h *Host) changePassword(ctx context.Context, a command.Args) (any, error) {
	user, err := h.user(a)
	if err != nil {
		return nil, err
	}
	err = h.Accounts.SetPassword(ctx, user, a.Text("newpass"), stanza.JID{})
	if errors.Is(err, stanza.ErrNoAccount) {
		err = noSuchAccount(user)
	}
	return true, fault(err)
}

// registeredUsers runs registered_users.
func (h *Host) registeredUsers(ctx context.Context, a command.Args) (any, error) {
	domain, err := h.vhost(a, "host")
	if err != nil {
		return nil, err
	}
	var names []string
	err = h.Accounts.each(ctx, domain, func(user stanza.JID) error {
		names = append(names, user.Local())
		return nil
	})
	return names, err
}
