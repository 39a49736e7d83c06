package host

import (
	"context"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// rosterCommands tell what rosters have.
func (h *Host) rosterCommands() []command.Command {
	tags := []string{"roster"}
	return []command.Command{{
		Name:        "get_roster",
		Description: "The contacts of a user, sorted by their addresses.",
		Tags:        tags,
		Args:        ownFields(),
		Result: tuplesField("contacts", "contact", command.Tuple{
			textField("jid", ""),
			textField("nick", "the name that the user has given it"),
			textField("subscription", "none, from, to or both"),
			textField("pending", "out: the user has asked the contact for its presence; in: the contact the user; none"),
			textsField("groups", "group", ""),
		}),
		Run: h.getRoster,
	}, {
		Name:        "get_roster_count",
		Description: "How many contacts a user has.",
		Tags:        tags,
		Args:        ownFields(),
		Result:      numberField("value", ""),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			n := 0
			err := h.eachContact(ctx, a, func(roster.Item) { n++ })
			return n, err
		},
	}}
}

// contactFields are the arguments that name a user and a contact, and more.
func contactFields(more ...command.Field) []command.Field {
	return append([]command.Field{
		textField("localuser", "the name of the account, without its domain"),
		{Name: "localhost", Old: "localserver", Type: command.String, Description: "its virtual host"},
		textField("user", "the name of the contact, empty for a domain"),
		{Name: "host", Old: "server", Type: command.String, Description: "the domain of the contact"},
	}, more...)
}

// rosterItemCommands change single contacts.
func (h *Host) rosterItemCommands() []command.Command {
	tags := []string{"roster"}
	const add = "List a contact in the roster of a user, or change it. The clients of the user are told, and the contact " +
		"sees the presence of the user from now on or no more; the roster of the contact stays as it is."
	nick, subs := textField("nick", "the name of the contact"), textField("subs", "none, from, to or both")
	return []command.Command{{
		Name:        "add_rosteritem",
		Description: add,
		Tags:        tags,
		Args:        contactFields(nick, textField("group", "or several, separated by semicolons"), subs),
		Result:      codeResult(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			groups := strings.FieldsFunc(a.Text("group"), func(c rune) bool { return c == ';' })
			return h.addContact(ctx, a, groups)
		},
	}, {
		Name:        "add_rosteritem",
		Description: add,
		Tags:        tags,
		Since:       1,
		Args:        contactFields(nick, textsField("groups", "group", ""), subs),
		Result:      codeResult(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return h.addContact(ctx, a, a.Texts("groups"))
		},
	}, {
		Name: "delete_rosteritem",
		Description: "Remove a contact from the roster of a user, and the subscriptions between the two, as if the user had done it. " +
			"It succeeds if there is no such contact, too.",
		Tags:   tags,
		Args:   contactFields(),
		Result: codeResult(),
		Run:    h.deleteContact,
	}}
}

// eachContact calls f for the contacts that the clients of a user see.
func (h *Host) eachContact(ctx context.Context, a command.Args, f func(roster.Item)) error {
	user, err := h.owner(ctx, a, "mod_roster", h.Roster.Offered)
	if err != nil {
		return err
	}
	return h.Roster.Each(ctx, user, func(i roster.Item) error {
		if i.Listed {
			f(i)
		}
		return nil
	})
}

// getRoster runs get_roster.
func (h *Host) getRoster(ctx context.Context, a command.Args) (any, error) {
	contacts := []command.Args{}
	err := h.eachContact(ctx, a, func(i roster.Item) {
		pending := "none"
		switch {
		case i.Ask:
			pending = "out"
		case i.Request != "":
			pending = "in"
		}
		contacts = append(contacts, command.Args{
			"jid": i.Contact.String(), "nick": i.Name, "subscription": i.Subscription.String(), "pending": pending, "groups": i.Groups,
		})
	})
	return contacts, err
}

// contact returns the account and the contact that the arguments name.
func (h *Host) contact(ctx context.Context, a command.Args) (user, contact stanza.JID, err error) {
	acc, err := h.existingOf(ctx, a, "localuser", "localhost")
	if err != nil {
		return user, contact, err
	}
	if err := wantModule(acc.JID.Domain(), "mod_roster", h.Roster.Offered); err != nil {
		return user, contact, err
	}
	contact, err = stanza.NewJID(a.Text("user"), a.Text("host"), "")
	if err != nil {
		return user, contact, badArgument("user", "user and host are no address")
	}
	return acc.JID, contact, nil
}

// parseSubscription reads the value of a subscription attribute.
func parseSubscription(s string) (roster.Subscription, bool) {
	for _, v := range [...]roster.Subscription{roster.None, roster.To, roster.From, roster.Both} {
		if v.String() == s {
			return v, true
		}
	}
	return roster.None, false
}

// addContact runs add_rosteritem.
func (h *Host) addContact(ctx context.Context, a command.Args, groups []string) (any, error) {
	user, contact, err := h.contact(ctx, a)
	if err != nil {
		return nil, err
	}
	now, ok := parseSubscription(a.Text("subs"))
	if !ok {
		return nil, badArgument("subs", "argument subs is none of none, from, to and both")
	}
	before, err := h.Roster.Put(ctx, user, contact, a.Text("nick"), groups, now)
	if err != nil {
		return nil, fault(err)
	}
	switch saw, sees := before&roster.From != 0, now&roster.From != 0; {
	case sees && !saw:
		err = h.Local.showTo(ctx, user, contact)
	case saw && !sees:
		err = h.Local.hide(ctx, user, contact)
	}
	return true, err
}

// deleteContact runs delete_rosteritem.
func (h *Host) deleteContact(ctx context.Context, a command.Args) (any, error) {
	user, contact, err := h.contact(ctx, a)
	if err != nil {
		return nil, err
	}
	_, err = h.Roster.Delete(ctx, user, contact)
	return true, fault(err)
}
