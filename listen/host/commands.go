package host

import (
	"context"
	"errors"
	"net/netip"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// commands are what the host can be asked to do from outside.
func (h *Host) commands() []command.Command {
	user := []command.Field{
		{Name: "user", Type: command.String, Description: "the name of the account, without its domain"},
		{Name: "host", Type: command.String, Description: "the virtual host"},
	}
	return []command.Command{{
		Name: "get_turn_credentials",
		Description: "The STUN and TURN servers of a virtual host, with credentials by which a user can have relays " +
			"for a while: what a web application needs to configure WebRTC. They are those of mod_stun_disco.",
		Tags: []string{"stun", "accounts"},
		Args: user,
		Result: command.Field{Name: "services", Type: command.List{Of: command.Field{Name: "service", Type: command.Tuple{
			{Name: "type", Type: command.String, Description: "stun, turn, stuns or turns"},
			{Name: "host", Type: command.String, Description: "the name or address of the server"},
			{Name: "port", Type: command.Integer},
			{Name: "transport", Type: command.String, Description: "udp or tcp"},
			{Name: "username", Type: command.String, Description: "empty where no credentials are needed"},
			{Name: "password", Type: command.String},
			{Name: "expires", Type: command.String, Description: "when the credentials expire, such as 2030-01-01T00:00:00Z"},
		}}}},
		Run: h.turnCredentials,
	}}
}

// turnCredentials runs get_turn_credentials.
func (h *Host) turnCredentials(ctx context.Context, a command.Args) (any, error) {
	user, err := h.account(ctx, a)
	if err != nil {
		return nil, err
	}
	offers, err := h.ExtDisco.Offers(user.Domain(), user, netip.Addr{})
	var refused *stanza.Error
	switch {
	case errors.As(err, &refused) && refused.Condition == stanza.Forbidden:
		return nil, command.Errorf(command.NotAllowed, "%s may not use these services", user)
	case errors.As(err, &refused):
		return nil, command.Errorf(command.NotFound, "%s has no mod_stun_disco", user.Domain())
	case err != nil:
		return nil, err
	}
	services := make([]command.Args, len(offers))
	for i, o := range offers {
		expires := ""
		if o.Restricted {
			expires = extdisco.FormatTime(o.Expires)
		}
		services[i] = command.Args{
			"type": o.Type, "host": o.Host, "port": o.Port, "transport": o.Transport,
			"username": o.Username, "password": o.Password, "expires": expires,
		}
	}
	return services, nil
}

// account returns the account that the arguments user and host name, which may log
// in.
func (h *Host) account(ctx context.Context, a command.Args) (stanza.JID, error) {
	user, err := stanza.NewJID(a.Text("user"), a.Text("host"), "")
	if err != nil {
		return stanza.JID{}, &command.Error{Kind: command.BadArgument, Arg: "user", Text: "user and host are no address", Err: err}
	}
	acc, err := h.Accounts.lookup(ctx, user)
	switch {
	case errors.Is(err, stanza.ErrNoAccount):
		return stanza.JID{}, command.Errorf(command.NotFound, "there is no account %s", user)
	case err != nil:
		return stanza.JID{}, err
	case acc.Disabled:
		return stanza.JID{}, command.Errorf(command.NotAllowed, "the account %s is disabled", user)
	}
	return user, nil
}
