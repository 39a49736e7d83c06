package acl

import (
	"maps"
	"slices"
)

// Reference is the use of a name.
type Reference struct {
	Host   string // virtual host whose table uses it; "" for the global one
	Option Option // OptionAccessRules or OptionAPIPermissions
	Name   string // of the access rule or group that uses it
	Entry  int    // of the access rule, from 0; -1 in a group
	Target Option // OptionACL or OptionAccessRules
	To     string // the name that is used
}

// Undefined lists the uses of ACLs and access rules that no table defines in
// which they would be looked up, in the order of their names. Such an ACL never
// matches and such a rule denies. What the global tables use may be defined by
// a virtual host alone. Inline rules and shaper rules are not part of a Set:
// HasACL answers for them.
func (s *Set) Undefined() []Reference {
	var refs []Reference
	rules := func(host string, t *table) {
		for _, name := range slices.Sorted(maps.Keys(t.rules)) {
			from := Reference{Host: host, Option: OptionAccessRules, Name: name}
			refs = s.undefinedInRules(refs, from, t.rules[name])
		}
	}
	rules("", &s.global)
	for _, host := range slices.Sorted(maps.Keys(s.vhosts)) {
		rules(host, s.vhosts[host])
	}
	for i := range s.groups {
		if g := &s.groups[i]; !g.builtin {
			refs = s.undefinedInGroup(refs, g)
		}
	}
	return refs
}

func (s *Set) undefinedInRules(refs []Reference, from Reference, r Rules) []Reference {
	for i, e := range r {
		if from.Option == OptionAccessRules {
			from.Entry = i
		}
		refs = s.undefinedACLs(refs, from, e.If)
	}
	return refs
}

func (s *Set) undefinedInGroup(refs []Reference, g *Group) []Reference {
	from := Reference{Option: OptionAPIPermissions, Name: g.Name, Entry: -1}
	callers := []Callers{g.Who}
	for _, o := range g.OAuth {
		callers = append(callers, o.Callers)
	}
	for _, c := range callers {
		refs = s.undefinedACLs(refs, from, c.Conditions)
		for _, r := range c.Access {
			if r.Name != "" && !s.anywhere("", func(host string) bool { return s.HasRule(host, r.Name) }) {
				from.Target, from.To = OptionAccessRules, r.Name
				refs = append(refs, from)
			}
			refs = s.undefinedInRules(refs, from, r.Inline)
		}
	}
	return refs
}

func (s *Set) undefinedACLs(refs []Reference, from Reference, conds []Condition) []Reference {
	for i := range conds {
		name := conds[i].name.text
		if conds[i].key != ACL || s.anywhere(from.Host, func(host string) bool { return s.HasACL(host, name) }) {
			continue
		}
		from.Target, from.To = OptionACL, name
		refs = append(refs, from)
	}
	return refs
}

// anywhere reports whether has holds for the tables of host or, for the global
// ones, for those of any virtual host.
func (s *Set) anywhere(host string, has func(host string) bool) bool {
	if has(host) {
		return true
	}
	if host != "" {
		return false
	}
	for h := range s.vhosts {
		if has(h) {
			return true
		}
	}
	return false
}
