package privilege

import (
	"maps"
	"slices"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// requests are types of requests, as bits.
type requests uint8

const (
	get requests = 1 << iota
	set
)

func (r requests) String() string { return [...]string{"none", "get", "set", "both"}[r] }

// includes reports whether a request of a type is among them.
func (r requests) includes(typ string) bool {
	return typ == stanza.TypeGet && r&get != 0 || typ == stanza.TypeSet && r&set != 0
}

// presence says of whom.
type presence uint8

const (
	ofNobody presence = iota
	ofUsers
	ofContacts // and of users
)

func (p presence) String() string { return [...]string{"none", "managed_entity", "roster"}[p] }

// grant is what a component may do at a virtual host.
type grant struct {
	roster   requests
	message  bool
	presence presence
	iq       map[string]requests // by namespace; none of them 0
}

func (g *grant) isEmpty() bool {
	return g.roster == 0 && !g.message && g.presence == ofNobody && len(g.iq) == 0
}

// grant returns what a component may do at a virtual host.
func (o *Options) grant(component stanza.JID, host string) *grant {
	may := func(a acl.Access) bool {
		return a != nil && a.Allow(acl.Subject{Server: component.Domain(), Host: host})
	}
	which := func(r Requests) (allowed requests) {
		both := may(r.Both)
		if both || may(r.Get) {
			allowed |= get
		}
		if both || may(r.Set) {
			allowed |= set
		}
		return allowed
	}
	g := &grant{roster: which(o.Roster), message: may(o.Message.Outgoing), iq: make(map[string]requests)}
	for ns, r := range o.IQ {
		if allowed := which(r); allowed != 0 {
			g.iq[ns] = allowed
		}
	}
	contacts := may(o.Presence.Roster)
	switch {
	case contacts && g.roster&get != 0: // section 7.4
		g.presence = ofContacts
	case contacts || may(o.Presence.ManagedEntity):
		g.presence = ofUsers
	}
	return g
}

// xml returns what tells a component what it may do; before is what it was told,
// nil for nothing: what it has lost since is of type none.
// See sections 4.2, 5.2, 6.2 and 7.5.
func (g *grant) xml(before *grant) string {
	if before == nil {
		before = new(grant)
	}
	b := []byte("<privilege xmlns='" + NS + "'>")
	if g.roster|before.roster != 0 {
		b = append(b, "<perm access='roster' type='"+g.roster.String()...)
		if g.roster&get != 0 {
			b = append(b, "' push='true"...)
		}
		b = append(b, "'/>"...)
	}
	switch {
	case g.message:
		b = append(b, "<perm access='message' type='outgoing'/>"...)
	case before.message:
		b = append(b, "<perm access='message' type='none'/>"...)
	}
	if len(g.iq)+len(before.iq) > 0 {
		b = append(b, "<perm access='iq'>"...)
		all := maps.Clone(g.iq)
		for ns := range before.iq {
			if all == nil {
				all = make(map[string]requests)
			}
			all[ns] |= 0
		}
		for _, ns := range slices.Sorted(maps.Keys(all)) {
			b = stanza.AppendEscaped(append(b, "<namespace ns='"...), ns)
			b = append(b, "' type='"+all[ns].String()+"'/>"...)
		}
		b = append(b, "</perm>"...)
	}
	if g.presence|before.presence != ofNobody {
		b = append(b, "<perm access='presence' type='"+g.presence.String()+"'/>"...)
	}
	return string(append(b, "</privilege>"...))
}
