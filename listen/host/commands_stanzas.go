package host

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// stanzaCommands send in the name of anybody: of addresses here, which need be neither
// accounts nor connected, and of others, as with ejabberd. Who may call them has to be
// trusted with that. What they send is routed as what a session has sent; they succeed
// when it is on its way, and whoever it comes from is told if it cannot be delivered.
func (h *Host) stanzaCommands() []command.Command {
	tags := []string{"stanza"}
	from, to := textField("from", "an address, which may be any"), textField("to", "an address")
	xml := textField("stanza", "a message, presence or iq as a client would send it, at most 262144 bytes; its own from is passed over")
	return []command.Command{{
		Name:        "send_message",
		Description: "Send a message in the name of an address.",
		Tags:        tags,
		Args: []command.Field{textField("type", "normal, chat, headline or groupchat"), from, to,
			textField("subject", "may be empty"), textField("body", "may be empty")},
		Result: codeResult(),
		Run:    h.sendMessage,
	}, {
		Name:        "send_stanza",
		Description: "Send a stanza in the name of an address.",
		Tags:        tags,
		Args:        []command.Field{from, to, xml},
		Result:      codeResult(),
		Run:         h.sendStanza,
	}, {
		Name:        "send_stanza_c2s",
		Description: "Send a stanza as if the client of a session had sent it; without to it is for the own account.",
		Tags:        tags,
		Args:        userFields(textField("resource", ""), xml),
		Result:      codeResult(),
		Run:         h.sendStanzaC2S,
	}}
}

// oneElement reads an argument that is one element of XML, within the limits of
// streams; space is its namespace if it names none.
func oneElement(xml, space, arg string) (*xmlstream.Element, error) {
	e, err := xmlstream.ParseElement([]byte(strings.TrimSpace(xml)), space, xmlstream.Limits{})
	if err != nil {
		return nil, badArgument(arg, "argument %s is not one element of XML, or exceeds the limits of streams", arg)
	}
	return e, nil
}

// parseStanza reads an argument that is a stanza as a client may send it.
func parseStanza(xml, arg string) (*stanza.Stanza, error) {
	e, err := oneElement(xml, stanza.NSClient, arg)
	if err != nil {
		return nil, err
	}
	s, err := stanza.FromElement(e, nil)
	var refused *stanza.Error
	switch {
	case errors.As(err, &refused):
		return nil, badArgument(arg, "argument %s is no stanza: %s", arg, saying(refused))
	case err != nil:
		return nil, badArgument(arg, "argument %s is no stanza of a client", arg)
	}
	return s, nil
}

// address returns an address that an argument has.
func address(a command.Args, arg string) (stanza.JID, error) {
	j, err := stanza.ParseJID(a.Text(arg))
	if err != nil {
		return stanza.JID{}, badArgument(arg, "argument %s is no address", arg)
	}
	return j, nil
}

// send routes a stanza from one address to another.
func (h *Host) send(ctx context.Context, a command.Args, s *stanza.Stanza) (any, error) {
	from, err := address(a, "from")
	if err != nil {
		return nil, err
	}
	to, err := address(a, "to")
	if err != nil {
		return nil, err
	}
	return true, h.Local.Route(ctx, s.WithFrom(from).WithTo(to))
}

// sendMessage runs send_message.
func (h *Host) sendMessage(ctx context.Context, a command.Args) (any, error) {
	typ := a.Text("type")
	if !slices.Contains([]string{stanza.TypeNormal, stanza.TypeChat, stanza.TypeHeadline, stanza.TypeGroupchat}, typ) {
		return nil, badArgument("type", "argument type is none of normal, chat, headline and groupchat")
	}
	m, err := newMessage(typ, a.Text("subject"), a.Text("body"))
	if err != nil {
		return nil, err
	}
	return h.send(ctx, a, m)
}

// newMessage returns a message without addresses.
func newMessage(typ, subject, body string) (*stanza.Stanza, error) {
	b := []byte("<message type='" + typ + "' id='" + rand.Text() + "'>")
	b = appendText(b, "subject", subject)
	b = appendText(b, "body", body)
	return parseStanza(string(append(b, "</message>"...)), "body")
}

// sendStanza runs send_stanza.
func (h *Host) sendStanza(ctx context.Context, a command.Args) (any, error) {
	s, err := parseStanza(a.Text("stanza"), "stanza")
	if err != nil {
		return nil, err
	}
	return h.send(ctx, a, s)
}

// sendStanzaC2S runs send_stanza_c2s.
func (h *Host) sendStanzaC2S(ctx context.Context, a command.Args) (any, error) {
	full, err := h.resource(a)
	if err != nil {
		return nil, err
	}
	s, err := parseStanza(a.Text("stanza"), "stanza")
	switch {
	case err != nil:
		return nil, err
	case h.Local.sessions.find(full) == nil:
		return nil, noSession(full)
	}
	return true, h.Local.Route(ctx, s.WithFrom(full))
}
