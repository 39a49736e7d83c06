package host

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxProcessed is the most contacts that one process_rosteritems lists or deletes.
const MaxProcessed = 100_000

// rosterItemsCommands look through the rosters of all.
func (h *Host) rosterItemsCommands() []command.Command {
	return []command.Command{{
		Name: "process_rosteritems",
		Description: "List or delete the contacts of all rosters that match, at most 100000 in one call. Each argument but the " +
			"first is any, or what may be, separated by colons. Addresses are patterns of a name and a domain, or of a domain " +
			"alone, with *, ? and [...]; one with ! before it matches what it otherwise does not. What is deleted is as if " +
			"the users had done it.",
		Tags: []string{"roster"},
		Args: []command.Field{
			textField("action", "list or delete"),
			textField("subs", "subscriptions: none, from, to, both"),
			textField("asks", "who has asked for presence: none, out (the user), in (the contact)"),
			textField("users", "addresses of users, such as *@example.org"),
			textField("contacts", "addresses of contacts, such as *@*icq*:*.example.org"),
		},
		Result: tuplesField("response", "pairs", command.Tuple{textField("user", ""), textField("contact", "")}),
		Run:    h.processContacts,
	}}
}

// contactFilter says which contacts are meant; what has no value is any.
type contactFilter struct {
	subs, asks      []string
	users, contacts []pattern
}

// pattern is one of addresses.
type pattern struct{ local, domain glob }

// glob is a pattern of path.Match.
type glob struct {
	text string
	not  bool
}

func newContactFilter(a command.Args) (f contactFilter, err error) {
	if f.subs, err = choices(a, "subs", "none", "from", "to", "both"); err != nil {
		return f, err
	}
	if f.asks, err = choices(a, "asks", "none", "out", "in"); err != nil {
		return f, err
	}
	if f.users, err = patterns(a, "users"); err != nil {
		return f, err
	}
	f.contacts, err = patterns(a, "contacts")
	return f, err
}

// values returns those of an argument, nil for any.
func values(a command.Args, arg string) ([]string, error) {
	list := strings.FieldsFunc(a.Text(arg), func(c rune) bool { return c == ':' })
	switch {
	case len(list) == 0:
		return nil, badArgument(arg, "argument %s is empty: any stands for all", arg)
	case slices.Contains(list, "any"):
		return nil, nil
	}
	return list, nil
}

// choices returns values that are some of what may be.
func choices(a command.Args, arg string, may ...string) ([]string, error) {
	list, err := values(a, arg)
	for _, v := range list {
		if !slices.Contains(may, v) {
			return nil, badArgument(arg, "argument %s has something that is none of any, %s", arg, strings.Join(may, ", "))
		}
	}
	return list, err
}

// patterns returns values that are patterns.
func patterns(a command.Args, arg string) (list []pattern, err error) {
	texts, err := values(a, arg)
	for _, s := range texts {
		local, domain, hasLocal := strings.Cut(strings.ToLower(s), "@")
		if !hasLocal {
			local, domain = "", local
		}
		p := pattern{newGlob(local), newGlob(domain)}
		for _, g := range []glob{p.local, p.domain} {
			if _, err := path.Match(g.text, ""); err != nil {
				return nil, badArgument(arg, "argument %s has a pattern whose brackets do not close", arg)
			}
		}
		list = append(list, p)
	}
	return list, err
}

func newGlob(s string) glob {
	text, not := strings.CutPrefix(s, "!")
	return glob{strings.ReplaceAll(text, "[!", "[^"), not}
}

func (g glob) matches(s string) bool {
	ok, _ := path.Match(g.text, s) // the pattern was checked
	return ok != g.not
}

func (p pattern) matches(j stanza.JID) bool {
	if p.local.text == "" && !p.local.not {
		return j.Local() == "" && p.domain.matches(j.Domain())
	}
	return p.local.matches(j.Local()) && p.domain.matches(j.Domain())
}

func matchesAny(list []pattern, j stanza.JID) bool {
	return list == nil || slices.ContainsFunc(list, func(p pattern) bool { return p.matches(j) })
}

// matches reports whether an item of a roster is meant.
func (f *contactFilter) matches(i roster.Item) bool {
	return (f.subs == nil || slices.Contains(f.subs, i.Subscription.String())) && f.asked(i) && matchesAny(f.contacts, i.Contact)
}

// asked looks at who has asked: it may be both.
func (f *contactFilter) asked(i roster.Item) bool {
	return f.asks == nil || i.Ask && slices.Contains(f.asks, "out") || i.Request != "" && slices.Contains(f.asks, "in") ||
		!i.Ask && i.Request == "" && slices.Contains(f.asks, "none")
}

var errManyContacts = errors.New("more contacts match than one call may process")

// processContacts runs process_rosteritems.
func (h *Host) processContacts(ctx context.Context, a command.Args) (any, error) {
	action := a.Text("action")
	if action != "list" && action != "delete" {
		return nil, badArgument("action", "argument action is neither list nor delete")
	}
	f, err := newContactFilter(a)
	if err != nil {
		return nil, err
	}
	hosts := slices.DeleteFunc(h.Local.Hosts(), func(domain string) bool { return !h.Roster.Offered(domain) })
	pairs := []command.Args{}
	err = h.eachAccount(ctx, hosts, func(user stanza.JID) error {
		if !matchesAny(f.users, user) {
			return nil
		}
		return h.Roster.Each(ctx, user, func(i roster.Item) error {
			switch {
			case !f.matches(i):
				return nil
			case len(pairs) == MaxProcessed:
				return errManyContacts
			}
			pairs = append(pairs, command.Args{"user": user.String(), "contact": i.Contact.String()})
			if action == "list" {
				return nil
			}
			_, err := h.Roster.Delete(ctx, user, i.Contact)
			return err
		})
	})
	if errors.Is(err, errManyContacts) {
		return nil, command.Errorf(command.Conflict, "more than %d contacts match: name fewer; with delete, so many are deleted now: call it again", MaxProcessed)
	}
	return pairs, err
}
