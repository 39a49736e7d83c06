// Package disco answers service discovery (XEP-0030) for the server and for
// accounts.
package disco

import (
	"cmp"
	"context"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// The namespaces of the two requests, whose element is query, and the features
// that they list themselves.
const (
	NSInfo  = "http://jabber.org/protocol/disco#info"
	NSItems = "http://jabber.org/protocol/disco#items"
)

// Identity says what an entity is. The values are registered by the XMPP
// Registrar.
type Identity struct{ Category, Type, Name string }

// Compare orders identities.
func (i Identity) Compare(o Identity) int {
	return cmp.Or(cmp.Compare(i.Category, o.Category), cmp.Compare(i.Type, o.Type), cmp.Compare(i.Name, o.Name))
}

func (i Identity) appendXML(b []byte) []byte {
	b = appendAttr(append(b, "<identity"...), "category", i.Category)
	b = appendAttr(b, "type", i.Type)
	if i.Name != "" {
		b = appendAttr(b, "name", i.Name)
	}
	return append(b, "/>"...)
}

// More is what somebody else tells of an entity.
type More struct {
	Identities []Identity
	Features   []string
	Forms      string // XML of data forms (XEP-0128)
}

// Info answers disco#info requests to a domain and to an account.
type Info struct {
	// Identity returns what the addressee is.
	Identity func(to stanza.JID) Identity
	// Features returns the features of the addressee in the order in which they
	// are listed.
	Features func(to stanza.JID) []string
	// Forms returns what else there is to know (XEP-0128). nil: nothing.
	Forms func(to stanza.JID) []Form
	// More returns what is listed behind these. nil: nothing.
	More func(to stanza.JID) More
}

// HandleIQ implements the request. There are no nodes: any one is answered
// with item-not-found.
// See XEP-0030, section 3.
func (i Info) HandleIQ(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	if err := check(iq); err != nil {
		return nil, err
	}
	to := addressee(iq)
	var more More
	if i.More != nil {
		more = i.More(to)
	}
	id, features := i.Identity(to), i.Features(to)
	b := id.appendXML([]byte("<query xmlns='" + NSInfo + "'>"))
	for _, other := range more.Identities {
		if other != id {
			b = other.appendXML(b)
		}
	}
	for n, f := range slices.Concat(features, more.Features) {
		if n < len(features) || !slices.Contains(features, f) {
			b = append(appendAttr(append(b, "<feature"...), "var", f), "/>"...)
		}
	}
	if i.Forms != nil {
		for _, f := range i.Forms(to) {
			b = f.appendXML(b)
		}
	}
	b = append(b, more.Forms...)
	return iq.Result(string(append(b, "</query>"...))), nil
}

// Items answers disco#items requests.
type Items struct {
	// List returns the addresses that belong to a domain or an account, in the
	// order in which they are listed.
	List func(to stanza.JID) []string
}

// HandleIQ implements the request. There are no nodes: any one is answered
// with item-not-found.
// See XEP-0030, section 4.
func (i Items) HandleIQ(_ context.Context, iq *stanza.Stanza, _ stanza.Peer) (*stanza.Stanza, error) {
	if err := check(iq); err != nil {
		return nil, err
	}
	b := []byte("<query xmlns='" + NSItems + "'>")
	for _, j := range i.List(addressee(iq)) {
		b = append(appendAttr(append(b, "<item"...), "jid", j), "/>"...)
	}
	return iq.Result(string(append(b, "</query>"...))), nil
}

// check refuses what neither request can be.
func check(iq *stanza.Stanza) error {
	if iq.Type != stanza.TypeGet {
		return &stanza.Error{Condition: stanza.NotAllowed}
	}
	q, err := iq.Payload()
	if err != nil || q == nil {
		return &stanza.Error{Condition: stanza.BadRequest}
	}
	if q.Attr("node") != "" {
		return &stanza.Error{Condition: stanza.ItemNotFound}
	}
	return nil
}

// addressee is whom the request concerns: without to the sender's account.
func addressee(iq *stanza.Stanza) stanza.JID {
	if iq.To.IsZero() {
		return iq.From.Bare()
	}
	return iq.To
}

func appendAttr(b []byte, name, value string) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, '=', '\'')
	b = stanza.AppendEscaped(b, value)
	return append(b, '\'')
}
