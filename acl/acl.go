package acl

import "net/netip"

// Subject is who asks: what is known of a connection or of the caller of a
// command. Fields that are unknown stay zero, and a rule about an unknown field
// does not match. Names are in their canonical form.
type Subject struct {
	User, Server, Resource string
	// Host is the virtual host whose tables apply; "" means the global ones.
	Host string
	IP   netip.Addr
	// From names the module that asks on the subject's behalf and Tag the tag
	// of its listener, for the from part of api_permissions.
	From, Tag string
	// Token reports that the caller showed an OAuth token of these Scopes,
	// separated by spaces.
	Token  bool
	Scopes string
}

// Access decides who may. Implementations do not block and are safe for
// concurrent use. Where an Options field of this type is nil, nobody may.
type Access interface {
	Allow(Subject) bool
}

type fixed bool

func (f fixed) Allow(Subject) bool { return bool(f) }

func (f fixed) String() string {
	if f {
		return "all"
	}
	return "none"
}

// All and None are the built-in rules.
const (
	All  = fixed(true)
	None = fixed(false)
)

// builtin returns the rule of a reserved name.
func builtin(name string) (f fixed, ok bool) {
	switch name {
	case "all":
		return All, true
	case "none":
		return None, true
	}
	return None, false
}

// Reserved reports whether name is built in, so that neither an ACL nor an
// access rule may be defined with it: all and none.
func Reserved(name string) bool {
	_, ok := builtin(name)
	return ok
}
