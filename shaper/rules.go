package shaper

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/acl"
)

// Rules is a shaper rule. Its entries are tried in order and the first that
// matches decides; when none does, there is no limit. An entry whose shaper is
// not defined is skipped.
type Rules []Entry

// Entry is one step of a shaper rule. It matches a subject for whom all its
// conditions hold; without conditions it matches everybody.
type Entry struct {
	Value Value
	If    []acl.Condition
}

// Value is what an entry gives: the name of a shaper, a number or no limit. The
// zero Value is no limit.
type Value struct {
	shaper string
	number int64
}

// Named is the value of a word: infinity, infinite, unlimited and none are no
// limit, any other word is the name of a shaper.
func Named(word string) Value {
	if Reserved(word) {
		return Value{}
	}
	return Value{shaper: word}
}

// Number is a value that counts something. As a traffic shaper it is a rate in
// bytes per second, which is its burst, too. Numbers below 1 are no limit.
func Number(n int64) Value { return Value{number: max(n, 0)} }

// Reserved reports whether a word means no limit, so that no shaper may be
// defined with this name: none, infinity, infinite and unlimited.
func Reserved(word string) bool {
	switch word {
	case "none", "infinity", "infinite", "unlimited":
		return true
	}
	return false
}

// Shaper returns the name of the shaper that the value refers to; "" when it
// refers to none.
func (v Value) Shaper() string { return v.shaper }

// String returns the value in the notation of a configuration file.
func (v Value) String() string {
	switch {
	case v.shaper != "":
		return v.shaper
	case v.number > 0:
		return strconv.FormatInt(v.number, 10)
	}
	return "none"
}

// limit returns the value as a number.
func (v Value) limit() (n int, ok bool) {
	if v.number <= 0 {
		return 0, false
	}
	return int(min(v.number, math.MaxInt)), true
}

// String returns the entry in the notation of a configuration file.
func (e Entry) String() string {
	if len(e.If) == 0 {
		return e.Value.String()
	}
	conds := make([]string, len(e.If))
	for i, c := range e.If {
		conds[i] = c.String()
	}
	return e.Value.String() + ": {" + strings.Join(conds, ", ") + "}"
}

// String returns the rule in the notation of a configuration file.
func (r Rules) String() string {
	entries := make([]string, len(r))
	for i, e := range r {
		entries[i] = e.String()
	}
	return "[" + strings.Join(entries, ", ") + "]"
}
