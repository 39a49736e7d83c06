package shaper

import (
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/acl"
)

// Ref points to the Set that applies now. The zero Ref points to none and has
// no ACLs: its rules set no limit. Its methods are safe for concurrent use. A
// Ref must not be copied.
type Ref struct {
	acls *acl.Ref
	set  atomic.Pointer[Set]
}

// NewRef returns a Ref whose rules refer to the ACLs of acls. It points to no
// Set yet.
func NewRef(acls *acl.Ref) *Ref { return &Ref{acls: acls} }

// Store makes s the Set that applies; with nil there is no limit.
func (r *Ref) Store(s *Set) { r.set.Store(s) }

// Load returns the Set that applies, nil if there is none yet.
func (r *Ref) Load() *Set { return r.set.Load() }

// Rule returns the rule with this name. It follows the Ref, and the tables are
// those of Subject.Host. A rule that is not defined sets no limit. Rules of the
// same Ref and name are equal.
func (r *Ref) Rule(name string) Rule {
	if Reserved(name) {
		return fixed{}
	}
	return namedRule{r, name}
}

// Inline returns a rule of its own that refers to the shapers and ACLs of the
// Ref. It keeps rules.
func (r *Ref) Inline(rules Rules) Rule { return &inlineRule{r, rules} }

// pick returns the value of the first entry that matches, and the rate of the
// shaper that it names.
func (r *Ref) pick(set *Set, rules Rules, s acl.Subject) (Value, Rate) {
	for i := range rules {
		e := &rules[i]
		var rate Rate
		if e.Value.shaper != "" {
			var defined bool
			if set != nil {
				rate, defined = set.shapers[e.Value.shaper]
			}
			if !defined {
				continue
			}
		}
		if len(e.If) == 0 || r.acls != nil && r.acls.Match(e.If, s) {
			return e.Value, rate
		}
	}
	return Value{}, Rate{}
}

func (r *Ref) rate(set *Set, rules Rules, s acl.Subject) Rate {
	v, rate := r.pick(set, rules, s)
	if v.number > 0 {
		return Rate{BytesPerSecond: v.number, Burst: v.number}
	}
	return rate
}

type namedRule struct {
	ref  *Ref
	name string
}

// rules returns the rule as it stands in the Set that applies.
func (n namedRule) rules(s acl.Subject) (*Set, Rules) {
	set := n.ref.set.Load()
	if set == nil {
		return nil, nil
	}
	rules, _ := set.rule(s.Host, n.name)
	return set, rules
}

func (n namedRule) Rate(s acl.Subject) Rate {
	set, rules := n.rules(s)
	return n.ref.rate(set, rules, s)
}

func (n namedRule) Limit(s acl.Subject) (limit int, ok bool) {
	set, rules := n.rules(s)
	v, _ := n.ref.pick(set, rules, s)
	return v.limit()
}

func (n namedRule) String() string { return n.name }

type inlineRule struct {
	ref   *Ref
	rules Rules
}

func (i *inlineRule) Rate(s acl.Subject) Rate {
	return i.ref.rate(i.ref.set.Load(), i.rules, s)
}

func (i *inlineRule) Limit(s acl.Subject) (n int, ok bool) {
	v, _ := i.ref.pick(i.ref.set.Load(), i.rules, s)
	return v.limit()
}

func (i *inlineRule) String() string { return i.rules.String() }
