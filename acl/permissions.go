package acl

import (
	"fmt"
	"strings"
)

// Group is one entry of api_permissions. A command may be run when one group
// permits it; no group forbids anything.
type Group struct {
	Name string
	// From are the modules, and FromTags the tags of listeners, through which
	// the caller may come. Without either the way does not matter; with both,
	// one of each must match.
	From, FromTags []string
	// Who are the callers without an OAuth token, OAuth those with one. Without
	// either the group permits nothing.
	Who   Callers
	OAuth []OAuth
	// What are the commands: those that a pattern matches and that none with !
	// excludes.
	What []CommandPattern

	builtin bool // not from a configuration
}

// Callers are the callers whom one of Access allows or for whom Conditions hold.
type Callers struct {
	// Conditions are alternatives.
	Conditions []Condition
	// EachKind makes alternatives only of conditions of the same kind, address
	// or identity, and each kind that occurs must match: the meaning of who
	// written as a list. A condition that names an ACL is an address if that ACL
	// has conditions on IP and no others; all others but IP are identities.
	EachKind bool
	// Access are alternatives of their own.
	Access []RuleRef
}

// RuleRef is an access rule: of this Name or, if that is empty, Inline.
type RuleRef struct {
	Name   string
	Inline Rules
}

// OAuth are the callers whose token has one of Scopes and who are among
// Callers; no Callers are nobody.
type OAuth struct {
	Scopes []string
	Callers
}

// CommandPattern selects commands.
type CommandPattern struct {
	not  bool
	any  bool
	tag  bool
	name string
}

// ParseCommandPattern reads an element of what: the name of a command, "*" for
// all, "[tag:NAME]" for those with a tag, each with "!" before it to exclude
// them.
func ParseCommandPattern(s string) (CommandPattern, error) {
	var p CommandPattern
	rest, not := strings.CutPrefix(s, "!")
	p.not = not
	if strings.HasPrefix(rest, "!") {
		return CommandPattern{}, fmt.Errorf("double negation %q; write one ! or none", s)
	}
	if rest == "*" {
		p.any = true
		return p, nil
	}
	kind := "command"
	if tag, ok := strings.CutPrefix(rest, "["); ok {
		kind = "tag"
		tag, prefixed := strings.CutPrefix(tag, "tag:")
		tag, closed := strings.CutSuffix(tag, "]")
		if !prefixed || !closed {
			return CommandPattern{}, fmt.Errorf("invalid tag %q; write [tag:NAME]", s)
		}
		p.tag, rest = true, tag
	}
	if !isCommandName(rest) {
		return CommandPattern{}, fmt.Errorf("invalid %s %q; names are made of a-z, 0-9, _ and -", kind, s)
	}
	p.name = rest
	return p, nil
}

func isCommandName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

// String returns the pattern as it is written in a configuration file.
func (p CommandPattern) String() string {
	s := p.name
	switch {
	case p.any:
		s = "*"
	case p.tag:
		s = "[tag:" + p.name + "]"
	}
	if p.not {
		return "!" + s
	}
	return s
}

// consoleCommands is the group that every Set has.
const consoleCommands = "console commands"

// withConsole returns the groups of a Set.
func withConsole(groups []Group) []Group {
	if groups == nil {
		groups = DefaultPermissions()
		for i := range groups {
			groups[i].builtin = true
		}
	}
	for i := range groups {
		if groups[i].Name == consoleCommands {
			return groups
		}
	}
	console := Group{
		Name:    consoleCommands,
		From:    []string{"ejabberd_ctl"},
		Who:     Callers{Conditions: []Condition{Named("all")}},
		What:    []CommandPattern{{any: true}},
		builtin: true,
	}
	return append(groups[:len(groups):len(groups)], console)
}

// DefaultPermissions is what applies without api_permissions: the ACL admin may
// run all commands but stop and start, and so may tokens of its members with
// the scope ejabberd:admin.
func DefaultPermissions() []Group {
	admin := Callers{Conditions: []Condition{Named("admin")}}
	return []Group{{
		Name:  "admin access",
		Who:   admin,
		OAuth: []OAuth{{Scopes: []string{"ejabberd:admin"}, Callers: admin}},
		What:  []CommandPattern{{any: true}, {not: true, name: "stop"}, {not: true, name: "start"}},
	}}
}
