package conf

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Setting is an option or a definition that counts, with its value in a
// canonical notation. Options that have their defaults are left out.
type Setting struct {
	Name   string // such as starttls, acl.admin or modules.mod_register.access
	value  string
	secret bool
}

// Difference is an option or a definition that two configurations have
// otherwise. It can be printed: secrets are replaced by a word.
type Difference struct {
	Option   string // such as starttls, acl.admin or modules.mod_register.access
	Old, New string // unset: the default, or not there
}

const (
	unset  = "unset"
	hidden = "(hidden)"
)

// String returns option: old → new.
func (d Difference) String() string { return d.Option + ": " + d.Old + " → " + d.New }

// Differences compares two lists of settings. The result is in the order of the
// names.
func Differences(before, after []Setting) []Difference {
	o, n := byName(before), byName(after)
	names := slices.Collect(maps.Keys(o))
	for name := range n {
		if _, both := o[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var list []Difference
	for _, name := range names {
		a, hasOld := o[name]
		b, hasNew := n[name]
		if hasOld != hasNew || a.value != b.value {
			list = append(list, Difference{name, a.shown(hasOld), b.shown(hasNew)})
		}
	}
	return list
}

func byName(list []Setting) map[string]Setting {
	m := make(map[string]Setting, len(list))
	for _, s := range list {
		m[s.Name] = s
	}
	return m
}

func (s Setting) shown(there bool) string {
	switch {
	case !there:
		return unset
	case s.secret:
		return hidden
	}
	return cmp.Or(s.value, `""`)
}

// sensitive reports whether n, the value of an option or an item of it, is a
// secret or has one below it. Secrets are texts; auth_password_format and its
// like only speak of them. A URL may have a password before its host.
func (n *Node) sensitive(option string) bool {
	for _, item := range n.List {
		if item.sensitive(option) {
			return true
		}
	}
	for _, pair := range n.Map {
		if pair.Value.sensitive(pair.Key.Text) {
			return true
		}
	}
	about := strings.HasSuffix(option, "_format") || strings.Contains(option, "_types")
	secret := secretName(option) || strings.HasSuffix(option, "_key")
	url := strings.Contains(n.Text, "://") && strings.Contains(n.Text, "@")
	return n.Kind == String && (secret && !about || url)
}

// flow returns n in the notation of a file, in one line.
func (n *Node) flow() string {
	var parts []string
	switch n.Kind {
	case Null:
		return ""
	case String:
		return strconv.Quote(n.Text)
	case List:
		for _, item := range n.List {
			parts = append(parts, item.flow())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Map:
		for _, pair := range n.Map {
			parts = append(parts, pair.Key.Text+": "+pair.Value.flow())
		}
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return n.Text
	}
}

// Settings returns what the configuration has besides its listeners: the
// definitions of the tables, what the program reads of the top level and of
// modules, and the certificate of each name.
func (d *Document) Settings() []Setting { return d.settings }

func (d *Document) setting(value string, path ...string) {
	d.settings = append(d.settings, Setting{Name: strings.Join(path, "."), value: value})
}

// addSettings adds the settings of a section. Those of virtual hosts have names
// of the form option@host.
func (d *Document) addSettings(prefix, host string, list []Setting) {
	if host != "" {
		host = "@" + host
	}
	for _, s := range list {
		s.Name = prefix + s.Name + host
		d.settings = append(d.settings, s)
	}
}

// noteTables adds the definitions.
func (d *Document) noteTables(rules acl.Config, limits shaper.Config) {
	d.noteACLs("", rules.Global)
	for name, r := range limits.Shapers {
		d.setting(fmt.Sprintf("{rate: %d, burst_size: %d}", r.BytesPerSecond, r.Burst), "shaper", name)
	}
	noteTable(d, "shaper_rules", "", limits.Rules)
	for _, h := range d.Hosts {
		d.noteACLs("@"+h, rules.PerHost[h])
		noteTable(d, "shaper_rules", "@"+h, limits.PerHost[h])
	}
	if n := d.top.Get("api_permissions"); n != nil {
		for _, pair := range n.Map {
			d.setting(pair.Value.flow(), "api_permissions", pair.Key.Text)
		}
	}
}

func (d *Document) noteACLs(host string, t acl.Tables) {
	for name, conds := range t.ACLs {
		var texts []string
		for _, c := range conds {
			texts = append(texts, c.String())
		}
		slices.Sort(texts) // alternatives
		d.setting("["+strings.Join(texts, ", ")+"]", "acl", name+host)
	}
	noteTable(d, "access_rules", host, t.Rules)
	if host != "" && t.ACLs != nil {
		d.setting("own table", "acl"+host)
	}
}

// noteTable adds the rules of a table. That a virtual host has one, be it
// empty, says that the global one does not apply there.
func noteTable[R fmt.Stringer](d *Document, table, host string, rules map[string]R) {
	for name, r := range rules {
		d.setting(r.String(), table, name+host)
	}
	if host != "" && rules != nil {
		d.setting("own table", table+host)
	}
}

// noteCertificates adds what a client is shown that asks for a name.
func (d *Document) noteCertificates(set *certs.Set) {
	for _, name := range set.Domains() {
		c := set.Certificate(name)
		sum := sha256.New()
		for _, link := range c.Certificate {
			sum.Write(link)
		}
		d.setting(fmt.Sprintf("until %s, sha256 of the chain %.8x", c.Leaf.NotAfter.UTC().Format(time.RFC3339), sum.Sum(nil)), "certificate", name)
	}
}

// noteTLS adds what a TLS field is made of.
func (x *filler) noteTLS(name, spec string, settings []Setting) {
	x.spec = append(x.spec, name+"="+spec)
	x.settings = append(x.settings, settings...)
}

// noteFile adds a file of certificates that an option names.
func (d *Document) noteFile(path string) {
	if path == "" {
		return
	}
	if text, err := ReadFile(path); err == nil { // else it is reported where it is used
		d.setting(fmt.Sprintf("sha256 %.8x", sha256.Sum256(text)), "file", path)
	}
}
