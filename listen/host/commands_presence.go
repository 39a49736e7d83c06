package host

import (
	"context"
	"strconv"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// presenceCommands tell and set presence.
func (h *Host) presenceCommands() []command.Command {
	tags := []string{"session"}
	const set = "Set the presence of a session, as if its client had sent it."
	fields := func(priority command.Field) []command.Field {
		return userFields(textField("resource", ""), textField("type", "available or unavailable"),
			textField("show", "chat, away, xa, dnd, or empty"), textField("status", "a text"), priority)
	}
	return []command.Command{{
		Name: "get_presence",
		Description: "The presence of the resource of a user with the highest priority, of several the one that came last. " +
			"Of a user who is not there it is unavailable.",
		Tags: tags,
		Args: ownFields(),
		Result: command.Field{Name: "presence", Type: command.Tuple{
			textField("jid", "with the resource, if there is one"),
			textField("show", "available, chat, away, xa, dnd or unavailable"),
			textField("status", "a text"),
		}},
		Run: h.getPresence,
	}, {
		Name:        "set_presence",
		Description: set,
		Tags:        tags,
		Args:        fields(textField("priority", "a number from -128 to 127")),
		Result:      codeResult(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			n, err := strconv.Atoi(a.Text("priority"))
			if err != nil {
				return nil, badArgument("priority", "argument priority is no number")
			}
			return h.setPresence(ctx, a, n)
		},
	}, {
		Name:        "set_presence",
		Description: set,
		Tags:        tags,
		Since:       1,
		Args:        fields(numberField("priority", "from -128 to 127")),
		Result:      codeResult(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return h.setPresence(ctx, a, a.Int("priority"))
		},
	}}
}

// getPresence runs get_presence.
func (h *Host) getPresence(_ context.Context, a command.Args) (any, error) {
	user, err := h.user(a)
	if err != nil {
		return nil, err
	}
	best := sight{show: stanza.TypeUnavailable}
	for _, s := range h.Local.sessions.of(user) { // oldest first
		v := see(s)
		there, better := v.show != stanza.TypeUnavailable, best.show != stanza.TypeUnavailable
		if best.session == nil || there && !better || there == better && v.priority >= best.priority {
			best = v
		}
	}
	if best.session != nil {
		user = best.session.jid
	}
	return command.Args{"jid": user.String(), "show": best.show, "status": best.status}, nil
}

// setPresence runs set_presence.
func (h *Host) setPresence(ctx context.Context, a command.Args, priority int) (any, error) {
	full, err := h.resource(a)
	if err != nil {
		return nil, err
	}
	typ, show := a.Text("type"), a.Text("show")
	switch {
	case typ != "" && typ != "available" && typ != stanza.TypeUnavailable:
		return nil, badArgument("type", "argument type is neither available nor unavailable")
	case show != "" && show != "available" && !isShow(show):
		return nil, badArgument("show", "argument show is none of chat, away, xa and dnd")
	case priority < minPriority || priority > maxPriority:
		return nil, badArgument("priority", "argument priority is not from %d to %d", minPriority, maxPriority)
	}
	b := []byte("<presence")
	if typ == stanza.TypeUnavailable {
		b = append(b, " type='unavailable'"...)
	}
	b = append(b, '>')
	if isShow(show) {
		b = appendText(b, "show", show)
	}
	b = appendText(b, "status", a.Text("status"))
	b = appendText(b, "priority", strconv.Itoa(priority))
	p, err := parseStanza(string(append(b, "</presence>"...)), "status")
	switch {
	case err != nil:
		return nil, err
	case p.Size() > MaxPresence:
		return nil, badArgument("status", "presence has at most %d bytes", MaxPresence)
	case h.Local.sessions.find(full) == nil:
		return nil, noSession(full)
	}
	return true, h.Local.Route(ctx, p.WithFrom(full))
}

func noSession(full stanza.JID) *command.Error {
	return command.Errorf(command.NotFound, "there is no session %s", full)
}

// appendText appends an element with a text, nothing for none.
func appendText(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	dst = append(append(append(dst, '<'), name...), '>')
	dst = stanza.AppendEscaped(dst, text)
	return append(append(append(dst, "</"...), name...), '>')
}
