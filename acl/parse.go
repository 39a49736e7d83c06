package acl

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Normaliser prepares the parts of names as RFC 7622 wants it, so that they
// compare equal to those of a Subject. A nil function leaves names as they are.
type Normaliser struct {
	User, Server, Resource func(string) (string, error)
}

// Parser makes conditions from the words of a configuration. Its errors say
// what is wrong with a value and do not repeat the key. The zero Parser takes
// names as they are written.
type Parser struct {
	Names Normaliser
}

// Condition reads a value that is a single word, such as user: ana@one.test.
//
//   - User: name for that user on any local virtual host, name@server for
//     exactly that address
//   - UserRegexp, UserGlob: likewise with a pattern for the name; the server is
//     never a pattern
//   - Server, Resource and their patterns
//   - IP: an address or a prefix; bits behind the prefix do not count. An IPv4
//     address and its IPv4-mapped IPv6 form are the same.
//   - SharedGroup: a group of the virtual host whose tables apply
//   - ACL: the name of an ACL
//
// Regular expressions are those of package regexp and match anywhere in a name;
// globs match whole names.
func (p Parser) Condition(key Key, value string) (Condition, error) {
	switch key {
	case User, UserRegexp, UserGlob:
		return p.userAtServer(key, value)
	case Server, ServerRegexp, ServerGlob:
		server, err := p.part(key, value, p.Names.Server)
		return Condition{key: key, server: server}, err
	case Resource, ResourceRegexp, ResourceGlob:
		name, err := p.part(key, value, p.Names.Resource)
		return Condition{key: key, name: name}, err
	case IP:
		prefix, err := parsePrefix(value)
		return Condition{key: IP, prefix: prefix}, err
	case SharedGroup:
		if value == "" {
			return Condition{}, errors.New("empty group name")
		}
		return Condition{key: SharedGroup, name: exactPattern(value)}, nil
	case ACL:
		if value == "" {
			return Condition{}, errors.New("empty ACL name")
		}
		return Named(value), nil
	case NodeRegexp, NodeGlob:
		return Condition{}, fmt.Errorf("%q has no pattern for the server; write {user: server}", value)
	}
	return Condition{}, fmt.Errorf("unknown kind of condition %q", key)
}

// Pair reads a value that is a map of one pair: {name: server} of User,
// UserRegexp and UserGlob, {pattern: pattern} of NodeRegexp and NodeGlob,
// {group: vhost} of SharedGroup.
func (p Parser) Pair(key Key, left, right string) (Condition, error) {
	switch key {
	case User, UserRegexp, UserGlob, NodeRegexp, NodeGlob:
		user, err := p.part(key, left, p.Names.User)
		if err != nil {
			return Condition{}, err
		}
		server, err := p.serverOf(key, right)
		return Condition{key: key, user: user, server: server}, err
	case SharedGroup:
		c, err := p.Condition(SharedGroup, left)
		if err != nil {
			return Condition{}, err
		}
		c.server, err = p.serverOf(SharedGroup, right)
		return c, err
	case Server, ServerRegexp, ServerGlob, Resource, ResourceRegexp, ResourceGlob, IP, ACL:
		return Condition{}, fmt.Errorf("%s takes no map; write a value or a list of values", key)
	}
	return Condition{}, fmt.Errorf("unknown kind of condition %q", key)
}

// userAtServer reads user or user@server.
func (p Parser) userAtServer(key Key, value string) (Condition, error) {
	left, right, qualified := strings.Cut(value, "@")
	if qualified {
		if strings.Contains(right, "@") {
			return Condition{}, fmt.Errorf("%q has more than one @; write {user: server}", value)
		}
		return p.Pair(key, left, right)
	}
	user, err := p.part(key, value, p.Names.User)
	return Condition{key: key, user: user, server: pattern{op: matchLocal}}, err
}

// serverOf reads the server that stands with a user or a group: a pattern for
// the node keys, else a domain.
func (p Parser) serverOf(key Key, value string) (pattern, error) {
	if key != NodeRegexp && key != NodeGlob {
		key = Server
	}
	return p.part(key, value, p.Names.Server)
}

// part reads a name or pattern, as key has it.
func (p Parser) part(key Key, value string, prepare func(string) (string, error)) (pattern, error) {
	switch key {
	case UserRegexp, ServerRegexp, ResourceRegexp, NodeRegexp:
		return regexpPattern(value)
	case UserGlob, ServerGlob, ResourceGlob, NodeGlob:
		return globPattern(value)
	case User, Server, Resource, IP, SharedGroup, ACL:
	}
	if value == "" {
		return pattern{}, fmt.Errorf("empty name of a %s", key)
	}
	if prepare == nil {
		return exactPattern(value), nil
	}
	name, err := prepare(value)
	if err != nil {
		return pattern{}, fmt.Errorf("bad name of a %s: %q: %w", key, value, err)
	}
	return exactPattern(name), nil
}

// parsePrefix reads ADDR or ADDR/LEN.
func parsePrefix(s string) (netip.Prefix, error) {
	var prefix netip.Prefix
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%q is no IP prefix; write ADDRESS or ADDRESS/LENGTH", s)
		}
		prefix = p
	} else {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is no IP address; write ADDRESS or ADDRESS/LENGTH", s)
		}
		prefix = netip.PrefixFrom(a, a.BitLen())
	}
	if prefix.Addr().Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q reaches beyond the IPv4-mapped addresses; write the IPv4 prefix", s)
		}
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}
