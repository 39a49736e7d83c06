package shaper

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Config is what a Set is made of. Names of hosts are in their canonical form.
type Config struct {
	// Shapers are the values of the shaper option.
	Shapers map[string]Rate
	// Rules are the values of the shaper_rules option for all virtual hosts.
	Rules map[string]Rules
	// PerHost are the rules of single virtual hosts. A map there that is not nil
	// replaces Rules as a whole.
	PerHost map[string]map[string]Rules
}

// Set holds the tables of one configuration. It never changes.
type Set struct {
	shapers map[string]Rate
	rules   map[string]Rules
	vhosts  map[string]map[string]Rules
}

// DefinitionError is what is wrong with one shaper of a Config.
type DefinitionError struct {
	Name string
	Err  error
}

func (e *DefinitionError) Error() string { return fmt.Sprintf("shaper: %s: %v", e.Name, e.Err) }

func (e *DefinitionError) Unwrap() error { return e.Err }

var (
	errReserved = errors.New("the name means no limit; choose another one")
	errNegative = errors.New("rate and burst_size cannot be negative")
)

// New makes a Set. It keeps the slices of c and copies its maps. Its error
// joins a *DefinitionError for each shaper that is not valid. That a rule uses
// a shaper which is not defined is no error: see Set.Undefined.
func New(c Config) (*Set, error) {
	s := &Set{
		shapers: make(map[string]Rate, len(c.Shapers)),
		rules:   maps.Clone(c.Rules),
		vhosts:  make(map[string]map[string]Rules, len(c.PerHost)),
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Shapers)) {
		rate := c.Shapers[name]
		if Reserved(name) {
			errs = append(errs, &DefinitionError{name, errReserved})
		}
		if rate.BytesPerSecond < 0 || rate.Burst < 0 {
			errs = append(errs, &DefinitionError{name, errNegative})
		}
		s.shapers[name] = rate.effective()
	}
	for host, rules := range c.PerHost {
		s.vhosts[host] = maps.Clone(rules)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// HasShaper reports whether a shaper is defined.
func (s *Set) HasShaper(name string) bool {
	_, ok := s.shapers[name]
	return ok || Reserved(name)
}

// HasRule reports whether a rule is defined in the table that applies to a
// virtual host.
func (s *Set) HasRule(host, name string) bool {
	_, ok := s.rule(host, name)
	return ok || Reserved(name)
}

// rule finds a rule in the table of a virtual host or, if it has none, in the
// global one.
func (s *Set) rule(host, name string) (Rules, bool) {
	rules := s.rules
	if own := s.vhosts[host]; own != nil {
		rules = own
	}
	r, ok := rules[name]
	return r, ok
}

// Reference is the use of a shaper.
type Reference struct {
	Host   string // virtual host whose table uses it; "" for the global one
	Rule   string // that uses it
	Entry  int    // of the rule, from 0
	Shaper string // the name that is used
}

// Undefined lists the uses of shapers that are not defined, in the order of
// their names. These entries never match. Inline rules are not part of a Set:
// HasShaper answers for them.
func (s *Set) Undefined() []Reference {
	var refs []Reference
	table := func(host string, rules map[string]Rules) {
		for _, name := range slices.Sorted(maps.Keys(rules)) {
			for i, e := range rules[name] {
				if e.Value.shaper != "" && !s.HasShaper(e.Value.shaper) {
					refs = append(refs, Reference{Host: host, Rule: name, Entry: i, Shaper: e.Value.shaper})
				}
			}
		}
	}
	table("", s.rules)
	for _, host := range slices.Sorted(maps.Keys(s.vhosts)) {
		table(host, s.vhosts[host])
	}
	return refs
}
