package conf

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/jidprep"
)

// readHosts decodes hosts, host_config and append_host_config.
func (d *Document) readHosts() {
	n := d.Top("hosts")
	switch {
	case n == nil:
		d.Warnf(d.top, "no virtual hosts: localhost is served").about("hosts")
		d.Hosts = []string{"localhost"}
	case n.Kind != List || len(n.List) == 0:
		d.Errorf(n, "want a list of domains, got %s", n.What())
		d.Hosts = []string{"localhost"}
	default:
		for _, item := range n.List {
			if host, ok := d.Domain(item); ok && d.unique(item, host) {
				d.Hosts = append(d.Hosts, host)
			}
		}
	}
	d.readHostConfig(d.Top("host_config"), false)
	d.readHostConfig(d.Top("append_host_config"), true)
}

// Domain reads a domain and returns its canonical form.
func (d *Document) Domain(n *Node) (string, bool) {
	s, ok := d.String(n)
	if !ok {
		return "", false
	}
	host, err := jidprep.Domain(s)
	if err != nil || host == "" {
		d.Errorf(n, "%q is no domain", s).because(err)
		return "", false
	}
	return host, true
}

// ownHost reads the name of a virtual host.
func (d *Document) ownHost(n *Node) (string, bool) {
	host, ok := d.Domain(n)
	if ok && !slices.Contains(d.Hosts, host) {
		d.Errorf(n, "%s is none of hosts", host).meant(host, d.Hosts)
		return "", false
	}
	return host, ok
}

func (d *Document) unique(n *Node, host string) bool {
	if slices.Contains(d.Hosts, host) {
		d.Errorf(n, "%s is listed already", host)
		return false
	}
	return true
}

// readHostConfig puts the options of virtual hosts into d.vhosts. With join
// they are added to what the host has otherwise: lists and maps are joined,
// other values replaced.
func (d *Document) readHostConfig(n *Node, join bool) {
	if n == nil || n.empty() {
		return
	}
	if n.Kind != Map {
		d.Errorf(n, "want a map of virtual hosts, got %s", n.What())
		return
	}
	seen := make(map[string]bool)
	for _, pair := range n.Map {
		host, err := jidprep.Domain(pair.Key.Text)
		if err != nil || !slices.Contains(d.Hosts, host) {
			d.Errorf(pair.Key, "%q is none of the virtual hosts", pair.Key.Text).meant(pair.Key.Text, d.Hosts)
			continue
		}
		if seen[host] {
			d.Errorf(pair.Key, "%s is listed already", host)
			continue
		}
		seen[host] = true
		if pair.Value.Kind != Map {
			if !pair.Value.empty() {
				d.Errorf(pair.Value, "want a map of options, got %s", pair.Value.What())
			}
			continue
		}
		own := d.vhosts[host]
		if own == nil {
			own = &Node{Kind: Map}
			d.vhosts[host] = own
		}
		for _, option := range pair.Value.Map {
			d.setForHost(own, option, join)
		}
	}
}

// setForHost adds an option of host_config or append_host_config. The nodes
// keep their place in the tree, so that messages name it.
func (d *Document) setForHost(own *Node, option Pair, join bool) {
	for i, p := range own.Map {
		if p.Key.Text != option.Key.Text {
			continue
		}
		if join {
			option.Value = joined(p.Value, option.Value)
		}
		own.Map[i].Value = option.Value
		return
	}
	if base := d.top.Get(option.Key.Text); join && base != nil {
		option.Value = joined(base, option.Value)
	}
	own.Map = append(own.Map, option)
}

// joined returns what append_host_config makes of a value. A single value and
// a list are joined to a list.
func joined(a, b *Node) *Node {
	switch {
	case a.Kind == Map && b.Kind == Map:
		return joinedMaps(a, b)
	case a.Kind == List && b.Kind != Map, b.Kind == List && a.Kind != Map:
		c := *b
		c.Kind, c.Text = List, ""
		c.List = slices.Concat(a.items(), b.items())
		return &c
	}
	return b
}

func joinedMaps(a, b *Node) *Node {
	c := *b
	c.Map = slices.Clone(a.Map)
	for _, p := range b.Map {
		i := slices.IndexFunc(c.Map, func(old Pair) bool { return old.Key.Text == p.Key.Text })
		if i >= 0 {
			c.Map[i] = Pair{p.Key, joined(c.Map[i].Value, p.Value)}
		} else {
			c.Map = append(c.Map, p)
		}
	}
	return &c
}
