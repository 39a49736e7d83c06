package acl

import (
	"net/netip"
	"strconv"
)

// Key says what a condition is about. The values are the keys of ejabberd's
// acl option.
type Key string

// The keys of conditions.
const (
	User           Key = "user"
	Server         Key = "server"
	Resource       Key = "resource"
	UserRegexp     Key = "user_regexp"
	ServerRegexp   Key = "server_regexp"
	ResourceRegexp Key = "resource_regexp"
	NodeRegexp     Key = "node_regexp"
	UserGlob       Key = "user_glob"
	ServerGlob     Key = "server_glob"
	ResourceGlob   Key = "resource_glob"
	NodeGlob       Key = "node_glob"
	IP             Key = "ip"
	SharedGroup    Key = "shared_group"
	// ACL refers to an ACL by name. It may stand in access rules, shaper rules
	// and api_permissions, and not in an ACL itself.
	ACL Key = "acl"
)

// Keys returns all keys.
func Keys() []Key {
	return []Key{
		User, Server, Resource,
		UserRegexp, ServerRegexp, ResourceRegexp, NodeRegexp,
		UserGlob, ServerGlob, ResourceGlob, NodeGlob,
		IP, SharedGroup, ACL,
	}
}

// Condition is one thing that must hold of a subject. It never changes. A
// Parser makes conditions; the zero Condition never holds.
type Condition struct {
	key    Key
	user   pattern // of User, UserRegexp, UserGlob, NodeRegexp, NodeGlob
	server pattern // of these and of Server, ServerRegexp, ServerGlob; of SharedGroup the virtual host
	name   pattern // of Resource, ResourceRegexp, ResourceGlob; of SharedGroup the group, of ACL the name
	prefix netip.Prefix
}

// Named is the condition that an ACL matches. The name all always matches,
// none never does, as any name that is not defined.
func Named(name string) Condition {
	return Condition{key: ACL, name: exactPattern(name)}
}

// Key returns what the condition is about.
func (c Condition) Key() Key { return c.key }

// String returns the condition in the notation of a configuration file.
func (c Condition) String() string {
	switch c.key {
	case User:
		if c.server.op == matchLocal {
			return "user: " + quote(c.user.text)
		}
		return "user: " + quote(c.user.text+"@"+c.server.text)
	case UserRegexp, UserGlob:
		if c.server.op == matchLocal {
			return string(c.key) + ": " + quote(c.user.text)
		}
		return string(c.key) + ": {" + quote(c.user.text) + ": " + quote(c.server.text) + "}"
	case NodeRegexp, NodeGlob:
		return string(c.key) + ": {" + quote(c.user.text) + ": " + quote(c.server.text) + "}"
	case Server, ServerRegexp, ServerGlob:
		return string(c.key) + ": " + quote(c.server.text)
	case Resource, ResourceRegexp, ResourceGlob, ACL:
		return string(c.key) + ": " + quote(c.name.text)
	case IP:
		return "ip: " + quote(c.prefix.String())
	case SharedGroup:
		if c.server.op == matchNothing {
			return "shared_group: " + quote(c.name.text)
		}
		return "shared_group: {" + quote(c.name.text) + ": " + quote(c.server.text) + "}"
	}
	return "acl: none"
}

// quote leaves plain words as they are.
func quote(s string) string {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == '@', c == '/', c == ':', c > 0x7f:
		default:
			return strconv.Quote(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}
