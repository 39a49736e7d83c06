package roster

import (
	"slices"
	"strings"
	"unicode"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of what a client may say of one contact.
const (
	maxName   = 1023 // bytes of a name, and of a group
	maxGroups = 64
	maxText   = 4096 // bytes of the name and the groups together
)

// entry is what a client wants of one contact.
type entry struct {
	contact stanza.JID
	remove  bool
	name    string
	groups  []string
}

// parseEntry reads the one item of a roster set of user. Attributes other than
// jid and name, and subscriptions other than remove, are the server's: they are
// passed over.
// See RFC 6121, sections 2.1.5, 2.3.3 and 2.5.3.
func parseEntry(query *stanza.Element, user stanza.JID) (entry, error) {
	var item *stanza.Element
	for _, c := range query.Children {
		switch {
		case c.Name != stanza.Name{Space: NS, Local: "item"}:
		case item != nil:
			return entry{}, badRequest("more than one item")
		default:
			item = c
		}
	}
	if item == nil || item.Attr("jid") == "" {
		return entry{}, badRequest("no contact")
	}
	contact, err := stanza.ParseJID(item.Attr("jid"))
	if err != nil {
		return entry{}, &stanza.Error{Condition: stanza.JIDMalformed}
	}
	if contact.Bare() == user {
		return entry{}, &stanza.Error{Condition: stanza.NotAllowed, Text: "nobody is their own contact"}
	}
	e := entry{contact: contact, remove: item.Attr("subscription") == "remove"}
	if e.remove {
		return e, nil
	}
	return e, e.parseText(item)
}

// parseText reads the name and the groups.
func (e *entry) parseText(item *stanza.Element) error {
	e.name = item.Attr("name")
	if err := checkText(e.name); err != nil {
		return err
	}
	size := len(e.name)
	for _, c := range item.Children {
		if (c.Name != stanza.Name{Space: NS, Local: "group"}) {
			continue
		}
		size += len(c.Text)
		switch err := checkText(c.Text); {
		case err != nil:
			return err
		case c.Text == "":
			return notAcceptable("a group without a name")
		case slices.Contains(e.groups, c.Text):
			return badRequest("the same group twice")
		case len(e.groups) == maxGroups:
			return notAcceptable("too many groups")
		}
		e.groups = append(e.groups, c.Text)
	}
	if size > maxText {
		return notAcceptable("the name and the groups are too long")
	}
	return nil
}

// checkText checks a name or a group.
func checkText(s string) error {
	switch {
	case len(s) > maxName:
		return notAcceptable("a name or group is too long")
	case strings.ContainsFunc(s, isForbidden):
		return notAcceptable("a name or group has control characters")
	}
	return nil
}

// isForbidden reports whether a name may not have a character: those of class
// Cc, the two that separate lines and paragraphs (U+2028, U+2029), and those
// that embed, override and isolate text of another direction.
func isForbidden(r rune) bool {
	return unicode.IsControl(r) || r >= '\u2028' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069'
}

func badRequest(text string) error {
	return &stanza.Error{Condition: stanza.BadRequest, Text: text}
}

func notAcceptable(text string) error {
	return &stanza.Error{Condition: stanza.NotAcceptable, Text: text}
}

// appendXML appends an item as clients see it.
// See RFC 6121, section 2.1.2.
func (i *Item) appendXML(dst []byte) []byte {
	dst = append(dst, "<item jid='"...)
	dst = stanza.AppendEscaped(dst, i.Contact.String())
	if i.Name != "" {
		dst = append(dst, "' name='"...)
		dst = stanza.AppendEscaped(dst, i.Name)
	}
	dst = append(dst, "' subscription='"...)
	dst = append(dst, i.Subscription.String()...)
	if i.Ask {
		dst = append(dst, "' ask='subscribe"...)
	}
	if i.Approved {
		dst = append(dst, "' approved='true"...)
	}
	if len(i.Groups) == 0 {
		return append(dst, "'/>"...)
	}
	dst = append(dst, "'>"...)
	for _, g := range i.Groups {
		dst = append(dst, "<group>"...)
		dst = stanza.AppendEscaped(dst, g)
		dst = append(dst, "</group>"...)
	}
	return append(dst, "</item>"...)
}

// appendRemoved appends what tells clients that a contact was removed.
// See RFC 6121, section 2.5.2.
func appendRemoved(dst []byte, contact stanza.JID) []byte {
	dst = append(dst, "<item jid='"...)
	dst = stanza.AppendEscaped(dst, contact.String())
	return append(dst, "' subscription='remove'/>"...)
}
