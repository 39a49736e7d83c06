package conf

// reference is the use of a name that another part of the file defines.
type reference struct {
	node *Node
	host string // whose tables are looked at first; "": those of any host
	kind nameKind
	name string
}

type nameKind uint8

const (
	aclName nameKind = iota
	ruleName
	shaperName
	shaperRuleName
)

func (d *Document) refer(n *Node, host string, kind nameKind, name string) {
	d.refs = append(d.refs, reference{n, host, kind, name})
}

// checkReferences warns of names that are not defined. As in ejabberd they are
// no errors.
func (d *Document) checkReferences() {
	rules, shapers := d.content.acl, d.content.shapers
	if rules == nil || shapers == nil {
		return
	}
	for _, r := range d.refs {
		var has func(host, name string) bool
		var table, msg string
		switch r.kind {
		case aclName:
			table, has, msg = "acl", rules.HasACL, "the ACL %s is not defined and matches nobody"
		case ruleName:
			table, has, msg = "access_rules", rules.HasRule, "the access rule %s is not defined and denies everybody"
		case shaperRuleName:
			table, has, msg = "shaper_rules", shapers.HasRule, "the shaper rule %s is not defined and sets no limit"
		case shaperName:
			has = func(_, name string) bool { return shapers.HasShaper(name) }
			msg = "the shaper %s is not defined and this entry is skipped"
		}
		if !d.defined(r, has) {
			d.Warnf(r.node, msg, r.name)
		} else if r.host == "" && table != "" {
			d.checkReplaced(table, r.name, has)
		}
	}
}

// checkReplaced warns of a name in general use that the table of a virtual host
// lacks: the global table, which has it, does not apply there.
func (d *Document) checkReplaced(table, name string, has func(host, name string) bool) {
	for _, h := range d.Hosts {
		if n := d.host(h, table); n != nil && has("", name) && !has(h, name) {
			d.Warnf(n, "replaces the global %s for this virtual host and lacks %s; append_host_config would add to them", table, name)
		}
	}
}

// defined reports whether a table in which the name may be looked up has it.
func (d *Document) defined(r reference, has func(host, name string) bool) bool {
	if has(r.host, r.name) {
		return true
	}
	if r.host == "" {
		for _, h := range d.Hosts {
			if has(h, r.name) {
				return true
			}
		}
	}
	return false
}
