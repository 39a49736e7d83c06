package host

import (
	"context"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// vcardCommands are about the vCards of users (mod_vcard).
func (h *Host) vcardCommands() []command.Command {
	tags := []string{"vcard"}
	name := textField("name", "of a field of XEP-0054, such as FN, NICKNAME or BDAY")
	return []command.Command{{
		Name:        "get_vcard",
		Description: "What a field of the vCard of a user says.",
		Tags:        tags,
		Args:        userFields(name),
		Result:      textField("content", ""),
		Run:         h.getVCard,
	}, {
		Name:        "set_vcard",
		Description: "Set a field of the vCard of a user, in place of all of this name. The limits of mod_vcard apply.",
		Tags:        tags,
		Args:        userFields(name, textField("content", "a text")),
		Result:      codeResult(),
		Run:         h.setVCard,
	}}
}

// vcardOf returns the vCard of the account that the arguments name, an empty one for
// none, and the name of the field that they name.
func (h *Host) vcardOf(ctx context.Context, a command.Args) (user stanza.JID, card *stanza.Element, field stanza.Name, err error) {
	if user, err = h.owner(ctx, a, "mod_vcard", h.VCard.Offered); err != nil {
		return user, nil, field, err
	}
	field = stanza.Name{Space: vcard.NS, Local: a.Text("name")}
	if !isFieldName(field.Local) {
		return user, nil, field, badArgument("name", "argument name is no name of a field of a vCard")
	}
	card, err = h.card(ctx, user)
	return user, card, field, err
}

// card returns the vCard of an account, an empty one for none.
func (h *Host) card(ctx context.Context, user stanza.JID) (*stanza.Element, error) {
	name := stanza.Name{Space: vcard.NS, Local: "vCard"}
	answer, err := h.VCard.HandleIQ(ctx, ownRequest(user, stanza.TypeGet, name, "<vCard xmlns='"+vcard.NS+"'/>"), stanza.Peer{})
	switch {
	case isMissing(err):
		return &stanza.Element{Name: name}, nil
	case err != nil:
		return nil, fault(err)
	}
	return stanza.ParseElement(answer.Inner)
}

// isFieldName reports whether a field of a vCard may have a name: of letters, digits
// and hyphens.
func isFieldName(s string) bool {
	if s == "" || !isLetter(rune(s[0])) {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool { return !isLetter(c) && (c < '0' || c > '9') && c != '-' })
}

func isLetter(c rune) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

// getVCard runs get_vcard.
func (h *Host) getVCard(ctx context.Context, a command.Args) (any, error) {
	user, card, name, err := h.vcardOf(ctx, a)
	if err != nil {
		return nil, err
	}
	field := card.Child(name.Space, name.Local)
	if field == nil {
		return nil, command.Errorf(command.NotFound, "the vCard of %s has no %s", user, name.Local)
	}
	return field.Text, nil
}

// setVCard runs set_vcard.
func (h *Host) setVCard(ctx context.Context, a command.Args) (any, error) {
	j, err := h.user(a)
	if err != nil {
		return nil, err
	}
	leave, err := h.editing.enter(ctx, j) // two that change it at once would lose a field
	if err != nil {
		return nil, err
	}
	defer leave()
	user, card, name, err := h.vcardOf(ctx, a)
	if err != nil {
		return nil, err
	}
	card.Children = slices.DeleteFunc(card.Children, func(c *stanza.Element) bool { return c.Name == name })
	card.Children = append(card.Children, &stanza.Element{Name: name, Text: a.Text("content")})
	_, err = h.VCard.HandleIQ(ctx, ownRequest(user, stanza.TypeSet, card.Name, string(card.AppendXML(nil))), stanza.Peer{})
	return true, fault(err)
}
