package acl

import (
	"slices"
	"strings"
)

// Command is what a caller wants to run.
type Command struct {
	Name string
	Tags []string
	// Host is the argument host in its canonical form, "" for a command that
	// has none.
	Host string
}

// Permissions say who may run which command. A *Ref is one.
type Permissions interface {
	// Permits reports whether a caller may run a command. It does not block.
	Permits(caller Subject, cmd Command) bool
}

// configure is the access rule for commands about another virtual host.
const configure = "configure"

// Permits reports whether a caller may run a command. A caller who has
// authenticated has User and Server set; Subject.Host does not matter.
//
// With a Host argument the ACLs are looked up in the tables of the caller's
// virtual host, else in the global ones. A user of another virtual host than
// Host must also be allowed by the access rule configure of Host.
func (r *Ref) Permits(caller Subject, cmd Command) bool {
	caller.Host = ""
	if cmd.Host != "" {
		caller.Host = caller.Server
	}
	c, ok := r.check(caller)
	if !ok || !c.anyGroup(&cmd) {
		return false
	}
	if caller.User == "" || cmd.Host == "" || cmd.Host == caller.Server {
		return true
	}
	caller.Host = cmd.Host
	c, ok = r.check(caller)
	return ok && c.rule(configure)
}

func (c *check) anyGroup(cmd *Command) bool {
	for i := range c.set.groups {
		g := &c.set.groups[i]
		if c.from(g) && c.who(g) && g.hasCommand(cmd) {
			return true
		}
	}
	return false
}

// from reports whether the caller comes by a way that the group takes.
func (c *check) from(g *Group) bool {
	return (len(g.From) == 0 || slices.Contains(g.From, c.sub.From)) &&
		(len(g.FromTags) == 0 || slices.Contains(g.FromTags, c.sub.Tag))
}

// who reports whether the group takes the caller: by OAuth if there is a token,
// which then counts alone.
func (c *check) who(g *Group) bool {
	if !c.sub.Token {
		return c.among(&g.Who)
	}
	for i := range g.OAuth {
		o := &g.OAuth[i]
		if hasScope(c.sub.Scopes, o.Scopes) && c.among(&o.Callers) {
			return true
		}
	}
	return false
}

// hasScope reports whether a list separated by spaces has one of wanted.
func hasScope(scopes string, wanted []string) bool {
	for scopes != "" {
		var scope string
		scope, scopes, _ = strings.Cut(scopes, " ")
		if scope != "" && slices.Contains(wanted, scope) {
			return true
		}
	}
	return false
}

func (c *check) among(w *Callers) bool {
	for i := range w.Access {
		if c.ruleRef(&w.Access[i]) {
			return true
		}
	}
	if !w.EachKind {
		return c.any(w.Conditions)
	}
	var named, held struct{ address, identity bool }
	for i := range w.Conditions {
		cond := &w.Conditions[i]
		holds := c.holds(cond)
		if c.isAddress(cond) {
			named.address = true
			held.address = held.address || holds
		} else {
			named.identity = true
			held.identity = held.identity || holds
		}
	}
	return (named.address || named.identity) && named == held
}

func (c *check) ruleRef(r *RuleRef) bool {
	if r.Name != "" {
		return c.rule(r.Name)
	}
	return c.rules(r.Inline)
}

// isAddress reports whether a condition is about where the caller is, and not
// about who it is.
func (c *check) isAddress(cond *Condition) bool {
	if cond.key != ACL {
		return cond.key == IP
	}
	l, _ := c.set.acl(c.vhost, cond.name.text)
	return l.address
}

// hasCommand reports whether the patterns of the group select a command.
func (g *Group) hasCommand(cmd *Command) bool {
	selected := false
	for i := range g.What {
		p := &g.What[i]
		if !p.matches(cmd) {
			continue
		}
		if p.not {
			return false
		}
		selected = true
	}
	return selected
}

func (p *CommandPattern) matches(cmd *Command) bool {
	switch {
	case p.any:
		return true
	case p.tag:
		return slices.Contains(cmd.Tags, p.name)
	}
	return cmd.Name != "" && p.name == cmd.Name
}
