package host

import (
	"context"
	"errors"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What stands for the status of a user who is there, and of one of whom nothing is
// known.
const (
	statusOnline   = "ONLINE"
	statusNotFound = "NOT FOUND"
)

// maxTimestamp is the last second of the year 9999.
const maxTimestamp = 253402300799

// lastCommands are about when users were last there (mod_last).
func (h *Host) lastCommands() []command.Command {
	return []command.Command{{
		Name: "get_last",
		Description: "When a user was last there, in UTC as of XEP-0082, and the status text of that moment. Of a user who is there " +
			"it is now and ONLINE, of one who was never there now and NOT FOUND.",
		Tags: []string{"last"},
		Args: userFields(),
		Result: command.Field{Name: "last_activity", Type: command.Tuple{
			textField("timestamp", "such as 2030-01-01T00:00:00Z"), textField("status", ""),
		}},
		Run: h.getLast,
	}, {
		Name:        "set_last",
		Description: "Say when a user was last there.",
		Tags:        []string{"last"},
		Args:        userFields(numberField("timestamp", "seconds since 1970-01-01 00:00:00 UTC"), textField("status", "of which 1024 bytes are kept")),
		Result:      codeResult(),
		Run:         h.setLast,
	}}
}

// getLast runs get_last.
func (h *Host) getLast(ctx context.Context, a command.Args) (any, error) {
	user, err := h.owner(ctx, a, "mod_last", h.Last.Offered)
	if err != nil {
		return nil, err
	}
	was, err := h.lastSeen(ctx, user)
	if err != nil {
		return nil, err
	}
	if was.At.IsZero() {
		was = last.Activity{At: time.Now(), Status: statusNotFound}
	}
	return command.Args{"timestamp": extdisco.FormatTime(was.At), "status": was.Status}, nil
}

// setLast runs set_last.
func (h *Host) setLast(ctx context.Context, a command.Args) (any, error) {
	user, err := h.owner(ctx, a, "mod_last", h.Last.Offered)
	if err != nil {
		return nil, err
	}
	at := int64(a.Int("timestamp"))
	if at < 0 || at > maxTimestamp {
		return nil, badArgument("timestamp", "argument timestamp is not in the years from 1970 to 9999")
	}
	return true, h.Last.Note(ctx, user, last.Activity{At: time.Unix(at, 0), Status: a.Text("status")})
}

// offlineCommands are about messages that wait (mod_offline).
func (h *Host) offlineCommands() []command.Command {
	return []command.Command{{
		Name:        "get_offline_count",
		Description: "How many messages wait for a user.",
		Tags:        []string{"offline"},
		Args:        ownFields(),
		Result:      numberField("value", ""),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			user, err := h.owner(ctx, a, "mod_offline", h.Offline.Offered)
			if err != nil {
				return nil, err
			}
			return h.Offline.Count(ctx, user)
		},
	}}
}

// privateCommands are about what clients store on the server (mod_private).
func (h *Host) privateCommands() []command.Command {
	tags := []string{"private"}
	return []command.Command{{
		Name:        "private_get",
		Description: "What a user keeps in private storage under a name, as the query of XEP-0049: with an empty element if there is nothing.",
		Tags:        tags,
		Args:        userFields(textField("element", "the name of the element"), textField("ns", "its namespace")),
		Result:      textField("res", "XML"),
		Run:         h.privateGet,
	}, {
		Name:        "private_set",
		Description: "Keep an element in the private storage of a user; one without attributes and content removes what is there. The limits of mod_private apply.",
		Tags:        tags,
		Args:        userFields(textField("element", "an element of XML with a namespace")),
		Result:      codeResult(),
		Run:         h.privateSet,
	}}
}

// privateGet runs private_get.
func (h *Host) privateGet(ctx context.Context, a command.Args) (any, error) {
	user, err := h.owner(ctx, a, "mod_private", h.Private.Offered)
	if err != nil {
		return nil, err
	}
	want := stanza.Element{Name: stanza.Name{Space: a.Text("ns"), Local: a.Text("element")}}
	xml := string(want.AppendXML(nil))
	// What is no name would become something else.
	if e, err := parseElement(xml, "element"); err != nil || e.Name != want.Name || e.Attrs != nil || e.Children != nil || e.Text != "" {
		return nil, badArgument("element", "element and ns are no name of an element")
	}
	answer, err := h.Private.HandleIQ(ctx, privateQuery(user, stanza.TypeGet, xml), stanza.Peer{})
	if err != nil {
		return nil, fault(err)
	}
	return answer.Inner, nil
}

// privateSet runs private_set.
func (h *Host) privateSet(ctx context.Context, a command.Args) (any, error) {
	user, err := h.owner(ctx, a, "mod_private", h.Private.Offered)
	if err != nil {
		return nil, err
	}
	if _, err := parseElement(a.Text("element"), "element"); err != nil {
		return nil, err
	}
	_, err = h.Private.HandleIQ(ctx, privateQuery(user, stanza.TypeSet, a.Text("element")), stanza.Peer{})
	return true, fault(err)
}

// privateQuery returns a request of a user.
func privateQuery(user stanza.JID, typ, element string) *stanza.Stanza {
	return ownRequest(user, typ, stanza.Name{Space: private.NS, Local: "query"}, "<query xmlns='"+private.NS+"'>"+element+"</query>")
}

// ownRequest returns a request of a user to the own account.
func ownRequest(user stanza.JID, typ string, name stanza.Name, xml string) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.IQ, Type: typ, ID: "command", From: user, To: user, Child: name, Inner: xml}
}

// parseElement reads an argument that is one element of XML.
func parseElement(xml, arg string) (*stanza.Element, error) {
	e, err := oneElement(xml, "", arg)
	if err != nil {
		return nil, err
	}
	return stanza.ElementFrom(e)
}

// isMissing reports whether a service says that there is nothing.
func isMissing(err error) bool { return errors.Is(err, &stanza.Error{Condition: stanza.ItemNotFound}) }
