package conf

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/jidprep"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// readPolicies decodes acl, access_rules, shaper, shaper_rules and
// api_permissions, for the server and for its virtual hosts.
func (d *Document) readPolicies() {
	p := d.policies()
	rules := acl.Config{Hosts: d.Hosts, PerHost: make(map[string]acl.Tables)}
	rules.Global = acl.Tables{ACLs: p.acls(d.Top("acl")), Rules: p.accessRules(d.Top("access_rules"))}
	rules.Permissions = p.permissions(d.Top("api_permissions"))
	limits := shaper.Config{PerHost: make(map[string]map[string]shaper.Rules)}
	limits.Shapers = p.shapers(d.Top("shaper"))
	limits.Rules = p.shaperRules(d.Top("shaper_rules"))
	for _, h := range d.Hosts {
		p.host = h
		rules.PerHost[h] = acl.Tables{ACLs: p.acls(d.host(h, "acl")), Rules: p.accessRules(d.host(h, "access_rules"))}
		limits.PerHost[h] = p.shaperRules(d.host(h, "shaper_rules"))
	}
	d.noteTables(rules, limits)
	d.content.tables = d.tables
	var err error
	if d.content.acl, err = acl.New(rules); err != nil {
		d.Errorf(d.top, "%v", err).because(err)
	}
	if d.content.shapers, err = shaper.New(limits); err != nil {
		d.Errorf(d.top, "%v", err).because(err)
	}
}

// policies decodes the grammar of rules.
type policies struct {
	*Document
	parser acl.Parser
	host   string // whose tables are read; "": the global ones
}

func (d *Document) policies() *policies {
	return &policies{Document: d, parser: acl.Parser{Names: acl.Normaliser{
		User: jidprep.Local, Server: jidprep.Domain, Resource: jidprep.Resource,
	}}}
}

// definitions returns the pairs of a map of names.
func (p *policies) definitions(n *Node) []Pair {
	if n == nil || n.empty() {
		return nil
	}
	if n.Kind != Map {
		p.Errorf(n, "want a map of names, got %s", n.What())
		return nil
	}
	return n.Map
}

// acls reads acl. Without it the result is nil, as for the other tables.
func (p *policies) acls(n *Node) map[string][]acl.Condition {
	if n == nil {
		return nil
	}
	out := make(map[string][]acl.Condition)
	for _, pair := range p.definitions(n) {
		if acl.Reserved(pair.Key.Text) {
			p.Errorf(pair.Key, "%s is built in; choose another name", pair.Key.Text)
			continue
		}
		var conds []acl.Condition
		switch v := pair.Value; {
		case v.Kind == Map:
			conds = p.conditions(v, false)
		case v.Kind == List || v.empty():
			for _, item := range v.List {
				if item.Kind != Map {
					p.Errorf(item, "want a map of what to match, such as user: NAME, got %s", item.What())
					continue
				}
				conds = append(conds, p.conditions(item, false)...)
			}
		default:
			p.Errorf(v, "want a map of what to match, such as user: NAME, got %s", v.What())
		}
		out[pair.Key.Text] = conds
	}
	return out
}

// conditions reads a map of what to match. In rules it may name ACLs.
func (p *policies) conditions(n *Node, rules bool) []acl.Condition {
	var conds []acl.Condition
	for _, pair := range n.Map {
		conds = append(conds, p.condition(pair, rules)...)
	}
	return conds
}

func (p *policies) condition(pair Pair, rules bool) []acl.Condition {
	key := acl.Key(pair.Key.Text)
	switch {
	case !slices.Contains(acl.Keys(), key):
		p.Errorf(pair.Key, "unknown kind of condition").meant(pair.Key.Text, keyNames(rules))
		return nil
	case key == acl.ACL && !rules:
		p.Errorf(pair.Key, "an ACL cannot refer to another ACL; do it in an access rule")
		return nil
	}
	if rules && pair.Value.empty() { // it would hold of everybody
		p.Errorf(pair.Value, "want a value, got nothing")
		return nil
	}
	return p.values(key, pair.Value)
}

func keyNames(rules bool) []string {
	var names []string
	for _, k := range acl.Keys() {
		if k != acl.ACL || rules {
			names = append(names, string(k))
		}
	}
	return names
}

// values reads what a condition is about: a word, a map of two words, or a
// list of both.
func (p *policies) values(key acl.Key, n *Node) (conds []acl.Condition) {
	if n.Kind == Map {
		for _, pair := range n.Map {
			right, ok := p.String(pair.Value)
			if !ok {
				continue
			}
			c, err := p.parser.Pair(key, pair.Key.Text, right)
			if err != nil {
				p.Errorf(pair.Key, "%v", err).because(err)
				continue
			}
			conds = append(conds, c)
		}
		return conds
	}
	if n.Kind == Null {
		p.Errorf(n, "want a value, got nothing")
	}
	for _, item := range p.Items(n) {
		if item.Kind == Map {
			if item.empty() {
				p.Errorf(item, "want a value, got nothing")
			}
			conds = append(conds, p.values(key, item)...)
			continue
		}
		text, ok := p.String(item)
		if !ok {
			continue
		}
		c, err := p.parser.Condition(key, text)
		if err != nil {
			p.Errorf(item, "%v", err).because(err)
			continue
		}
		if key == acl.ACL {
			p.refer(item, p.host, aclName, text)
		}
		conds = append(conds, c)
	}
	return conds
}

// spec reads what an entry of a rule matches: the name of an ACL, a map of
// conditions, or a list of both. All of them must hold.
func (p *policies) spec(n *Node) (conds []acl.Condition) {
	switch {
	case n.empty(): // it would hold of everybody
		p.Errorf(n, "want the name of an ACL or a map of conditions, got nothing")
	case n.Kind == Map:
		conds = p.conditions(n, true)
	case n.Kind == List:
		for _, item := range n.List {
			if item.Kind == List {
				p.Errorf(item, "want the name of an ACL or a map of conditions, got a list")
				continue
			}
			conds = append(conds, p.spec(item)...)
		}
	default:
		conds = p.values(acl.ACL, n)
	}
	return conds
}

// entrySpec is spec for one entry. Conditions that exclude each other are most
// often meant as alternatives.
func (p *policies) entrySpec(n *Node) []acl.Condition {
	conds := p.spec(n)
	count := make(map[acl.Key]int)
	for _, c := range conds {
		switch c.Key() {
		case acl.User, acl.Server, acl.Resource:
			if count[c.Key()]++; count[c.Key()] == 2 {
				p.Warnf(n, "all conditions of an entry must hold, and nobody has two values of %s; write an entry for each", c.Key())
			}
		default:
		}
	}
	return conds
}

func (p *policies) accessRules(n *Node) map[string]acl.Rules {
	if n == nil {
		return nil
	}
	out := make(map[string]acl.Rules)
	for _, pair := range p.definitions(n) {
		if acl.Reserved(pair.Key.Text) {
			p.Errorf(pair.Key, "%s is built in; choose another name", pair.Key.Text)
			continue
		}
		out[pair.Key.Text] = p.accessRule(pair.Value)
	}
	return out
}

// accessRule reads a list of allow and deny entries, or a map of them.
func (p *policies) accessRule(n *Node) (rules acl.Rules) {
	switch {
	case n.Kind == List && len(n.List) > 0:
		for _, item := range n.List {
			switch item.Kind {
			case String:
				if e, ok := p.verb(item); ok {
					rules = append(rules, e)
				}
			case Map:
				rules = append(rules, p.accessEntries(item)...)
			default:
				p.Errorf(item, "want allow or deny, got %s", item.What())
			}
		}
	case n.Kind == Map && len(n.Map) > 0:
		return p.accessEntries(n)
	case n.Kind == String:
		p.Errorf(n, "want a list of allow and deny entries, got %q; write - allow: %s", n.Text, n.Text)
	default:
		p.Errorf(n, "want a list of allow and deny entries, got %s", p.orEmpty(n))
	}
	return rules
}

func (p *policies) orEmpty(n *Node) string {
	if n.empty() {
		return "none"
	}
	return n.What()
}

func (p *policies) accessEntries(n *Node) (rules acl.Rules) {
	if !p.ordered(n) {
		return nil
	}
	for _, pair := range n.Map {
		e, ok := p.verb(pair.Key)
		if !ok {
			continue
		}
		e.If = p.entrySpec(pair.Value)
		rules = append(rules, e)
	}
	return rules
}

func (p *policies) verb(n *Node) (acl.Entry, bool) {
	switch n.Text {
	case "allow":
		return acl.Allow(), true
	case "deny":
		return acl.Deny(), true
	}
	p.Errorf(n, "want allow or deny, got %s", n.What()).meant(n.Text, []string{"allow", "deny"})
	return acl.Entry{}, false
}

// ordered sees that the entries of a rule have an order. Those of a Go map do
// not.
func (p *policies) ordered(n *Node) bool {
	if n.unordered && len(n.Map) > 1 {
		p.Errorf(n, "the order of entries counts; write a list of maps with one entry each")
		return false
	}
	return true
}

// access decodes an option that takes the name of an access rule or a rule.
func (d *Document) access(n *Node) (a acl.Access, spec string, ok bool) {
	if n.Kind == String {
		d.refer(n, "", ruleName, n.Text)
		return d.tables.ACL.Rule(n.Text), n.Text, true
	}
	before := len(d.errors)
	rules := d.policies().accessRule(n)
	return d.tables.ACL.Inline(rules), rules.String(), len(d.errors) == before
}
