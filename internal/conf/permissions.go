package conf

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/acl"
)

// permissions reads api_permissions. Without it the default applies, for which
// the result is nil.
func (p *policies) permissions(n *Node) []acl.Group {
	if n == nil {
		return nil
	}
	groups := []acl.Group{}
	for _, pair := range p.definitions(n) {
		g := acl.Group{Name: pair.Key.Text}
		for _, option := range p.options(pair.Value) {
			switch option.Key.Text {
			case "from":
				p.from(option.Value, &g)
			case "who":
				p.who(option.Value, &g)
			case "what":
				p.commands(option.Value, &g)
			default:
				p.Errorf(option.Key, "unknown option of a group of permissions").
					meant(option.Key.Text, []string{"from", "who", "what"})
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// options returns the pairs of a map, or of a list of maps.
func (p *policies) options(n *Node) (pairs []Pair) {
	if n.Kind == Map {
		return n.Map
	}
	for _, item := range p.Items(n) {
		if item.Kind != Map {
			p.Errorf(item, "want a map, got %s", item.What())
			continue
		}
		pairs = append(pairs, item.Map...)
	}
	return pairs
}

// frontends are the modules that api_permissions can name.
func frontends() []string {
	return []string{"ejabberd_ctl", "ejabberd_web_admin", "ejabberd_xmlrpc", "mod_adhoc_api", "mod_cron", "mod_http_api"}
}

func (p *policies) from(n *Node, g *acl.Group) {
	for _, item := range p.itemsOrMap(n) {
		if item.Kind != Map {
			if s, ok := p.String(item); ok && p.oneOf(item, s, frontends()) {
				g.From = append(g.From, s)
			}
			continue
		}
		for _, pair := range item.Map {
			if pair.Key.Text != "tag" {
				p.Errorf(pair.Key, "want tag, got %s", pair.Key.What()).meant(pair.Key.Text, []string{"tag"})
			} else if s, ok := p.String(pair.Value); ok {
				g.FromTags = append(g.FromTags, s)
			}
		}
	}
}

// itemsOrMap is Items for options whose single value may be a map.
func (p *policies) itemsOrMap(n *Node) []*Node {
	if n.Kind == Map && len(n.Map) > 0 {
		return []*Node{n}
	}
	return p.Items(n)
}

// who reads those whom a group is for: a name or a map of alternatives, or a
// list, of which each kind must match.
func (p *policies) who(n *Node, g *acl.Group) {
	g.Who.EachKind = n.Kind == List
	for _, item := range p.itemsOrMap(n) {
		if item.Kind != Map {
			g.Who.Conditions = append(g.Who.Conditions, p.spec(item)...)
			continue
		}
		for _, pair := range item.Map {
			if pair.Key.Text == "oauth" {
				g.OAuth = append(g.OAuth, p.oauth(pair.Value))
				continue
			}
			p.caller(pair, &g.Who)
		}
	}
}

// caller reads access: or a condition.
func (p *policies) caller(pair Pair, c *acl.Callers) {
	switch {
	case pair.Key.Text != "access":
		if !slices.Contains(acl.Keys(), acl.Key(pair.Key.Text)) {
			p.Errorf(pair.Key, "unknown kind of condition").meant(pair.Key.Text, append(keyNames(true), "access", "oauth"))
			return
		}
		c.Conditions = append(c.Conditions, p.condition(pair, true)...)
	case pair.Value.Kind == String:
		p.refer(pair.Value, p.host, ruleName, pair.Value.Text)
		c.Access = append(c.Access, acl.RuleRef{Name: pair.Value.Text})
	default:
		c.Access = append(c.Access, acl.RuleRef{Inline: p.accessRule(pair.Value)})
	}
}

func (p *policies) oauth(n *Node) (o acl.OAuth) {
	for _, pair := range p.options(n) {
		if pair.Key.Text != "scope" {
			p.caller(pair, &o.Callers)
			continue
		}
		scopes, _ := p.Strings(pair.Value)
		o.Scopes = append(o.Scopes, scopes...)
	}
	if len(o.Scopes) == 0 {
		p.Missing(n, "scope")
		o.Scopes = []string{""}
	}
	return o
}

func (p *policies) commands(n *Node, g *acl.Group) {
	for _, item := range p.Items(n) {
		text, ok := p.String(item)
		if !ok {
			continue
		}
		c, err := acl.ParseCommandPattern(text)
		if err != nil {
			p.Errorf(item, "%v", err).because(err)
			continue
		}
		g.What = append(g.What, c)
	}
}
