package acl

import "strings"

// Rules is an access rule. Its entries are tried in order and the first that
// matches decides; when none does, the answer is no.
type Rules []Entry

// Entry is one step of an access rule. It matches a subject for whom all its
// conditions hold: two values of one key, such as two users, exclude each
// other. An entry without conditions matches everybody.
type Entry struct {
	Deny bool
	If   []Condition
}

// Allow is the entry that lets those pass for whom all conditions hold.
func Allow(conds ...Condition) Entry { return Entry{If: conds} }

// Deny is the entry that stops those for whom all conditions hold.
func Deny(conds ...Condition) Entry { return Entry{Deny: true, If: conds} }

// String returns the entry in the notation of a configuration file.
func (e Entry) String() string {
	if e.Deny {
		return "deny: " + formatConditions(e.If)
	}
	return "allow: " + formatConditions(e.If)
}

// String returns the rule in the notation of a configuration file.
func (r Rules) String() string {
	entries := make([]string, len(r))
	for i, e := range r {
		entries[i] = e.String()
	}
	return "[" + strings.Join(entries, ", ") + "]"
}

func formatConditions(conds []Condition) string {
	if len(conds) == 0 {
		return "all"
	}
	texts := make([]string, len(conds))
	for i, c := range conds {
		texts[i] = c.String()
	}
	return "{" + strings.Join(texts, ", ") + "}"
}
