package conf

import "strings"

// expander replaces names by values: macros (define_macro) or keywords
// (define_keyword). Both are written @NAME@; a macro may also be a whole value,
// written NAME.
type expander struct {
	what     string // "macro" or "keyword"
	bare     bool
	values   map[string]*Node
	order    []string
	state    map[string]progress
	problems *problems
	budget   *budget
	full     bool // the budget was exceeded and reported
}

type progress uint8

const (
	fresh progress = iota
	running
	done
)

// expandMacros replaces the macros of a configuration in place. Values of
// macros may contain macros.
func expandMacros(top *Node, p *problems, b *budget) {
	x := newExpander("macro", top.Get("define_macro"), p, b)
	x.bare = true
	for _, name := range x.order {
		x.resolve(name, x.values[name])
	}
	for _, pair := range top.Map {
		if pair.Key.Text != "define_macro" {
			x.expand(pair.Value)
		}
	}
}

// expandKeywords replaces the keywords of a configuration in place, after the
// macros. ejabberd has none in hosts, loglevel and version. Those of a virtual
// host apply to its part of host_config and append_host_config.
func expandKeywords(top *Node, p *problems, b *budget) {
	x := newExpander("keyword", top.Get("define_keyword"), p, b)
	for _, pair := range top.Map {
		switch pair.Key.Text {
		case "define_macro", "define_keyword", "hosts", "loglevel", "version":
		case "host_config", "append_host_config":
			for _, host := range pair.Value.Map {
				own := newExpander("keyword", host.Value.Get("define_keyword"), p, b)
				for name, v := range x.values {
					if own.values[name] == nil {
						own.values[name] = v
					}
				}
				own.expand(host.Value)
			}
		default:
			x.expand(pair.Value)
		}
	}
}

func newExpander(what string, defs *Node, p *problems, b *budget) *expander {
	x := &expander{what: what, values: make(map[string]*Node), state: make(map[string]progress), problems: p, budget: b}
	if defs == nil || defs.empty() {
		return x
	}
	if defs.Kind != Map {
		p.errorf(defs, "want a map of names and values, got %s", defs.What())
		return x
	}
	for _, pair := range defs.Map {
		if !isName(pair.Key.Text) {
			p.errorf(pair.Key, "the name of a %s has letters, digits and _ only", what)
			continue
		}
		x.values[pair.Key.Text] = pair.Value
		x.order = append(x.order, pair.Key.Text)
		if what == "keyword" {
			x.state[pair.Key.Text] = done
			if !pair.Value.scalar() {
				p.errorf(pair.Value, "the value of a keyword is a word or a number, not %s", pair.Value.What())
			}
		}
	}
	return x
}

// isName reports whether s can be the name of a macro or a keyword.
func isName(s string) bool {
	return plainKey(s) && !strings.Contains(s, "-")
}

// resolve expands the value of a name. It reports false for a name that stands
// for itself in the end.
func (x *expander) resolve(name string, v *Node) bool {
	switch x.state[name] {
	case done:
		return true
	case running:
		x.problems.errorf(v, "the macro %s contains itself", name)
		return false
	}
	x.state[name] = running
	x.expand(v)
	x.state[name] = done
	return true
}

func (x *expander) expand(n *Node) {
	switch n.Kind {
	case String:
		x.text(n)
	case List:
		for _, v := range n.List {
			x.expand(v)
		}
	case Map:
		for _, pair := range n.Map {
			if strings.Contains(pair.Key.Text, "@") {
				x.rename(n, pair)
			}
			x.expand(pair.Value)
		}
	}
}

// rename expands the names in a key.
func (x *expander) rename(n *Node, pair Pair) {
	name := x.replace(pair.Key)
	if name == pair.Key.Text {
		return
	}
	if first := n.Get(name); first != nil {
		x.problems.errorf(pair.Key, "%s is already set on line %d", name, first.Line)
		return
	}
	pair.Key.Text, pair.Key.key, pair.Value.key = name, name, name
}

// text expands a string: as a whole, or the names in it.
func (x *expander) text(n *Node) {
	name := n.Text
	if len(name) > 2 && name[0] == '@' && name[len(name)-1] == '@' {
		name = name[1 : len(name)-1]
	} else if !x.bare {
		name = ""
	}
	v, ok := x.values[name]
	if !ok {
		n.Text = x.replace(n)
		return
	}
	if !x.resolve(name, v) {
		return
	}
	c := v.copy(x.budget)
	if x.exceeded(n) {
		return
	}
	n.Kind, n.Text, n.List, n.Map = c.Kind, c.Text, nil, nil
	for _, item := range c.List {
		n.add(item)
	}
	for _, pair := range c.Map {
		n.set(pair.Key, pair.Value)
	}
}

// replace returns the text of n with every @NAME@ of a defined name replaced.
func (x *expander) replace(n *Node) string {
	in := n.Text
	if !strings.Contains(in, "@") || len(x.values) == 0 {
		return in
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(in, "@")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, found := strings.Cut(rest, "@")
		v, ok := x.values[name]
		if !found || !ok {
			out.WriteByte('@')
			in = rest
			continue
		}
		if !x.resolve(name, v) {
			return n.Text
		}
		if !v.scalar() {
			x.problems.errorf(n, "the %s %s is %s and cannot be part of a text", x.what, name, v.What())
			return n.Text
		}
		x.budget.spend(0, len(v.Text))
		if x.exceeded(n) {
			return n.Text
		}
		out.WriteString(v.Text)
		in = after
	}
}

// exceeded reports, once, that macros make the configuration too large.
func (x *expander) exceeded(n *Node) bool {
	if !x.budget.spent() {
		return false
	}
	if !x.full {
		x.problems.errorf(n, "%ss make the configuration too large", x.what)
	}
	x.full = true
	return true
}
