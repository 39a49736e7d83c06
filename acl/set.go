package acl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Config is what a Set is made of. Names of hosts are in their canonical form.
type Config struct {
	// Hosts are the local virtual hosts.
	Hosts []string
	// Global are the tables for all virtual hosts.
	Global Tables
	// PerHost are the tables of single virtual hosts. A table there that is not
	// nil replaces the global one as a whole.
	PerHost map[string]Tables
	// Permissions say who may run which command; nil: DefaultPermissions. A
	// group of console commands is added unless one has that name.
	Permissions []Group
}

// Tables are named definitions.
type Tables struct {
	// ACLs are the values of the acl option. An ACL matches when one of its
	// conditions holds.
	ACLs map[string][]Condition
	// Rules are the values of the access_rules option.
	Rules map[string]Rules
}

// Set holds the tables of one configuration. It never changes.
type Set struct {
	hosts  map[string]struct{}
	global table
	vhosts map[string]*table
	groups []Group
}

// table is what a Tables was compiled to, with the same maps being nil.
type table struct {
	acls  map[string]list
	rules map[string]Rules
}

// list is a compiled ACL.
type list struct {
	conds   []Condition
	address bool // all conditions are about the IP address
}

// Option names the top-level option that a definition belongs to.
type Option string

// The options that this package implements.
const (
	OptionACL            Option = "acl"
	OptionAccessRules    Option = "access_rules"
	OptionAPIPermissions Option = "api_permissions"
)

// DefinitionError is what is wrong with one definition of a Config.
type DefinitionError struct {
	Host   string // virtual host whose table it stands in; "" for the global one
	Option Option
	Name   string // of the ACL, access rule or group
	Err    error
}

func (e *DefinitionError) Error() string {
	where := string(e.Option)
	if e.Host != "" {
		where = e.Host + ": " + where
	}
	return fmt.Sprintf("%s: %s: %v", where, e.Name, e.Err)
}

func (e *DefinitionError) Unwrap() error { return e.Err }

// New makes a Set. It keeps the slices of c and copies its maps. Its error
// joins a *DefinitionError for each definition that is not valid. That a name
// is used and not defined is no error: see Set.Undefined.
func New(c Config) (*Set, error) {
	s := &Set{
		hosts:  make(map[string]struct{}, len(c.Hosts)),
		vhosts: make(map[string]*table, len(c.PerHost)),
		groups: withConsole(c.Permissions),
	}
	for _, h := range c.Hosts {
		s.hosts[h] = struct{}{}
	}
	var errs []error
	s.global, errs = compile("", c.Global)
	for _, h := range slices.Sorted(maps.Keys(c.PerHost)) {
		t, tableErrs := compile(h, c.PerHost[h])
		s.vhosts[h] = &t
		errs = append(errs, tableErrs...)
	}
	errs = append(errs, checkGroups(c.Permissions)...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

var (
	errReserved  = errors.New("the name is built in; choose another one")
	errNestedACL = errors.New("an ACL cannot refer to another ACL; do it in an access rule")
	errNoScope   = errors.New("oauth has no scope; write those of which a token must have one")
)

func compile(host string, t Tables) (table, []error) {
	c := table{rules: maps.Clone(t.Rules)}
	if t.ACLs != nil {
		c.acls = make(map[string]list, len(t.ACLs))
	}
	var errs []error
	fail := func(o Option, name string, err error) {
		errs = append(errs, &DefinitionError{Host: host, Option: o, Name: name, Err: err})
	}
	for _, name := range slices.Sorted(maps.Keys(t.ACLs)) {
		conds := t.ACLs[name]
		l := list{conds: conds, address: len(conds) > 0}
		for i := range conds {
			if conds[i].key == ACL {
				fail(OptionACL, name, errNestedACL)
			}
			l.address = l.address && conds[i].key == IP
		}
		if Reserved(name) {
			fail(OptionACL, name, errReserved)
		}
		c.acls[name] = l
	}
	for _, name := range slices.Sorted(maps.Keys(t.Rules)) {
		if Reserved(name) {
			fail(OptionAccessRules, name, errReserved)
		}
	}
	return c, errs
}

func checkGroups(groups []Group) []error {
	var errs []error
	for i := range groups {
		for _, o := range groups[i].OAuth {
			if len(o.Scopes) == 0 {
				errs = append(errs, &DefinitionError{Option: OptionAPIPermissions, Name: groups[i].Name, Err: errNoScope})
			}
		}
	}
	return errs
}

// IsLocal reports whether a domain is one of the virtual hosts.
func (s *Set) IsLocal(domain string) bool {
	_, ok := s.hosts[domain]
	return ok
}

// HasACL reports whether an ACL is defined in the table that applies to a
// virtual host. The built-in names count as defined.
func (s *Set) HasACL(host, name string) bool {
	_, ok := s.acl(s.vhosts[host], name)
	return ok || Reserved(name)
}

// HasRule is HasACL for access rules.
func (s *Set) HasRule(host, name string) bool {
	_, ok := s.rule(s.vhosts[host], name)
	return ok || Reserved(name)
}

// acl finds an ACL in the table of a virtual host (nil: none) or, if it has
// none, in the global one.
func (s *Set) acl(vhost *table, name string) (list, bool) {
	acls := s.global.acls
	if vhost != nil && vhost.acls != nil {
		acls = vhost.acls
	}
	l, ok := acls[name]
	return l, ok
}

// rule finds an access rule in the same way.
func (s *Set) rule(vhost *table, name string) (Rules, bool) {
	rules := s.global.rules
	if vhost != nil && vhost.rules != nil {
		rules = vhost.rules
	}
	r, ok := rules[name]
	return r, ok
}
