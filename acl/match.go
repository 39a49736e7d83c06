package acl

import "net/netip"

// check is one question to the tables. It lives on the stack.
type check struct {
	ref   *Ref
	set   *Set
	vhost *table // nil: the global tables alone
	sub   Subject
	ip    netip.Addr // of sub, in the form that prefixes have
}

// check prepares a question; ok is false when there are no tables.
func (r *Ref) check(s Subject) (c check, ok bool) {
	set := r.set.Load()
	if set == nil {
		return check{}, false
	}
	c = check{ref: r, set: set, sub: s, ip: s.IP.Unmap().WithZone("")}
	if s.Host != "" {
		c.vhost = set.vhosts[s.Host]
	}
	return c, true
}

// rule asks an access rule by name.
func (c *check) rule(name string) bool {
	if f, ok := builtin(name); ok {
		return bool(f)
	}
	r, _ := c.set.rule(c.vhost, name)
	return c.rules(r)
}

// rules asks an access rule.
func (c *check) rules(r Rules) bool {
	for i := range r {
		if c.all(r[i].If) {
			return !r[i].Deny
		}
	}
	return false
}

// all reports whether every condition holds.
func (c *check) all(conds []Condition) bool {
	for i := range conds {
		if !c.holds(&conds[i]) {
			return false
		}
	}
	return true
}

// any reports whether one condition holds.
func (c *check) any(conds []Condition) bool {
	for i := range conds {
		if c.holds(&conds[i]) {
			return true
		}
	}
	return false
}

func (c *check) holds(cond *Condition) bool {
	switch cond.key {
	case User, UserRegexp, UserGlob, NodeRegexp, NodeGlob:
		return cond.user.match(c.sub.User, c.set) && cond.server.match(c.sub.Server, c.set)
	case Server, ServerRegexp, ServerGlob:
		return cond.server.match(c.sub.Server, c.set)
	case Resource, ResourceRegexp, ResourceGlob:
		return cond.name.match(c.sub.Resource, c.set)
	case IP:
		return cond.prefix.Contains(c.ip)
	case SharedGroup:
		return c.inGroup(cond)
	case ACL:
		if f, ok := builtin(cond.name.text); ok {
			return bool(f)
		}
		l, _ := c.set.acl(c.vhost, cond.name.text)
		return c.any(l.conds)
	}
	return false
}

// inGroup asks for a shared group: of the virtual host that the condition
// names, else of the one whose tables apply.
func (c *check) inGroup(cond *Condition) bool {
	members := c.ref.members.Load()
	host := cond.server.text
	if cond.server.op == matchNothing {
		host = c.sub.Host
	}
	if members == nil || *members == nil || host == "" || c.sub.User == "" || c.sub.Server == "" {
		return false
	}
	return (*members)(cond.name.text, host, c.sub.User, c.sub.Server)
}
