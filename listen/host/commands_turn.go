package host

import (
	"context"
	"errors"
	"net/netip"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// turnCommands are about relays. ejabberd has none of them.
func (h *Host) turnCommands() []command.Command {
	return []command.Command{{
		Name: "get_turn_credentials",
		Description: "The STUN and TURN servers of a virtual host, with credentials by which a user can have relays " +
			"for a while: what a web application needs to configure WebRTC. They are those of mod_stun_disco.",
		Tags: []string{"stun", "accounts"},
		Args: userFields(),
		Result: tuplesField("services", "service", command.Tuple{
			textField("type", "stun, turn, stuns or turns"),
			textField("host", "the name or address of the server"),
			numberField("port", ""),
			textField("transport", "udp or tcp"),
			textField("username", "empty where no credentials are needed"),
			textField("password", ""),
			textField("expires", "when the credentials expire, such as 2030-01-01T00:00:00Z"),
		}),
		Run: h.turnCredentials,
	}}
}

// turnCredentials runs get_turn_credentials.
func (h *Host) turnCredentials(ctx context.Context, a command.Args) (any, error) {
	acc, err := h.existing(ctx, a)
	if err != nil {
		return nil, err
	}
	user := acc.JID
	if acc.Disabled {
		return nil, command.Errorf(command.NotAllowed, "the account %s is disabled", user)
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
