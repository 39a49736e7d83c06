package acl

import "sync/atomic"

// Members reports whether the user of a server belongs to a shared group of a
// virtual host. It reads a snapshot and must not block.
type Members func(group, host, user, server string) bool

// Ref points to the Set that applies now. The zero Ref points to none and
// denies everything but what is built in. Its methods are safe for concurrent
// use. A Ref must not be copied.
type Ref struct {
	set     atomic.Pointer[Set]
	members atomic.Pointer[Members]
}

// Store makes s the Set that applies; nil denies everything.
func (r *Ref) Store(s *Set) { r.set.Store(s) }

// Load returns the Set that applies, nil if there is none yet.
func (r *Ref) Load() *Set { return r.set.Load() }

// SetMembers says who answers for shared groups, whichever Set applies. Until
// then, and for nil, shared groups have no members.
func (r *Ref) SetMembers(m Members) { r.members.Store(&m) }

// Rule returns the access rule with this name. It follows the Ref, and the
// tables are those of Subject.Host. A rule that is not defined denies. Rules of
// the same Ref and name are equal.
func (r *Ref) Rule(name string) Access {
	if f, ok := builtin(name); ok {
		return f
	}
	return namedRule{r, name}
}

// Inline returns a rule of its own whose conditions refer to the ACLs of the
// Ref. It keeps rules.
func (r *Ref) Inline(rules Rules) Access { return &inlineRule{r, rules} }

// Match reports whether all conditions hold of a subject: what an entry of a
// rule asks. No conditions hold of everybody.
func (r *Ref) Match(conds []Condition, s Subject) bool {
	c, ok := r.check(s)
	return ok && c.all(conds)
}

type namedRule struct {
	ref  *Ref
	name string
}

func (n namedRule) Allow(s Subject) bool {
	c, ok := n.ref.check(s)
	return ok && c.rule(n.name)
}

func (n namedRule) String() string { return n.name }

type inlineRule struct {
	ref   *Ref
	rules Rules
}

func (i *inlineRule) Allow(s Subject) bool {
	c, ok := i.ref.check(s)
	return ok && c.rules(i.rules)
}

func (i *inlineRule) String() string { return i.rules.String() }
