package conf

import (
	"math"
	"strconv"

	"github.com/tidewaiter/tidewaiter/shaper"
)

func (p *policies) shapers(n *Node) map[string]shaper.Rate {
	out := make(map[string]shaper.Rate)
	for _, pair := range p.definitions(n) {
		if shaper.Reserved(pair.Key.Text) {
			p.Errorf(pair.Key, "%s means no limit; choose another name", pair.Key.Text)
			continue
		}
		out[pair.Key.Text] = p.rate(pair.Value)
	}
	return out
}

// rate reads bytes per second, or a map of rate and burst_size.
func (p *policies) rate(n *Node) (r shaper.Rate) {
	if n.Kind != Map {
		r.BytesPerSecond = p.perSecond(n)
		return r
	}
	if n.Get("rate") == nil {
		p.Missing(n, "rate")
	}
	for _, pair := range n.Map {
		switch pair.Key.Text {
		case "rate":
			r.BytesPerSecond = p.perSecond(pair.Value)
		case "burst_size":
			r.Burst, _ = p.Int(pair.Value, 1, math.MaxInt64)
		default:
			p.Errorf(pair.Key, "unknown option of a shaper").meant(pair.Key.Text, []string{"rate", "burst_size"})
		}
	}
	return r
}

func (p *policies) perSecond(n *Node) int64 {
	if isInfinity(n) {
		return 0
	}
	v, _ := p.Int(n, 1, math.MaxInt64)
	return v
}

func (p *policies) shaperRules(n *Node) map[string]shaper.Rules {
	if n == nil {
		return nil
	}
	out := make(map[string]shaper.Rules)
	for _, pair := range p.definitions(n) {
		if shaper.Reserved(pair.Key.Text) {
			p.Errorf(pair.Key, "%s means no limit; choose another name", pair.Key.Text)
			continue
		}
		out[pair.Key.Text] = p.shaperRule(pair.Value)
	}
	return out
}

// shaperRule reads a number or word, or a list or map of such values with
// those whom they are for.
func (p *policies) shaperRule(n *Node) (rules shaper.Rules) {
	switch {
	case n.Kind == List && len(n.List) > 0:
		for _, item := range n.List {
			if item.Kind == Map {
				rules = append(rules, p.shaperEntries(item)...)
			} else if v, ok := p.shaperValue(item); ok {
				rules = append(rules, shaper.Entry{Value: v})
			}
		}
	case n.Kind == Map && len(n.Map) > 0:
		return p.shaperEntries(n)
	case n.scalar() && n.Kind != Null:
		if v, ok := p.shaperValue(n); ok {
			return shaper.Rules{{Value: v}}
		}
	default:
		p.Errorf(n, "want a number, the name of a shaper or a list of both, got nothing")
	}
	return rules
}

func (p *policies) shaperEntries(n *Node) (rules shaper.Rules) {
	if !p.ordered(n) {
		return nil
	}
	for _, pair := range n.Map {
		v, ok := p.shaperValue(pair.Key)
		conds := p.entrySpec(pair.Value)
		if ok {
			rules = append(rules, shaper.Entry{Value: v, If: conds})
		}
	}
	return rules
}

// shaperValue reads the name of a shaper, a number or a word for no limit.
func (p *policies) shaperValue(n *Node) (v shaper.Value, ok bool) {
	switch n.Kind {
	case Int:
		i, ok := p.Int(n, 1, math.MaxInt64)
		return shaper.Number(i), ok
	case String:
		p.refer(n, "", shaperName, n.Text)
		return shaper.Named(n.Text), true
	default:
		p.Errorf(n, "want a number or the name of a shaper, got %s", n.What())
		return shaper.Value{}, false
	}
}

// shaper decodes an option that takes the name of a shaper rule, a number, none
// or a rule.
func (d *Document) shaper(n *Node) (r shaper.Rule, spec string, ok bool) {
	before := len(d.errors)
	switch n.Kind {
	case Int:
		v, ok := d.Int(n, 1, math.MaxInt64)
		return shaper.Fixed(shaper.Rate{BytesPerSecond: v}), strconv.FormatInt(v, 10), ok
	case String:
		d.refer(n, "", shaperRuleName, n.Text)
		return d.tables.Shapers.Rule(n.Text), n.Text, true
	}
	rules := d.policies().shaperRule(n)
	return d.tables.Shapers.Inline(rules), rules.String(), len(d.errors) == before
}
