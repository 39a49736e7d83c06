package conf

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Error is one problem of a configuration.
type Error struct {
	File         string
	Line, Column int    // from 1; 0: unknown, as in trees that are not YAML
	Path         string // of the option: listen[0].max_stanza_size; "": the file as a whole
	Msg          string
	Hint         string // the name that was meant, perhaps
	Err          error  // the cause; may be nil

	node *Node  // what it is about, until Path is known
	key  string // of node, if the problem is that this key is missing
}

// Error returns file:line:column: path: message (did you mean hint?).
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Position())
	if e.Path != "" {
		b.WriteString(": ")
		b.WriteString(e.Path)
	}
	b.WriteString(": ")
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (did you mean ")
		b.WriteString(e.Hint)
		b.WriteString("?)")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Position returns file:line:column, without what is unknown.
func (e *Error) Position() string {
	s := e.File
	if e.Line > 0 {
		s += ":" + strconv.Itoa(e.Line)
		if e.Column > 0 {
			s += ":" + strconv.Itoa(e.Column)
		}
	}
	return s
}

// ParseError is the error for a configuration with mistakes.
type ParseError struct {
	Errors   []*Error // all of them, in the order of their positions
	Warnings []*Error // what would not have kept it from running
}

// Error returns a line for each error.
func (e *ParseError) Error() string {
	lines := make([]string, len(e.Errors))
	for i, problem := range e.Errors {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the errors.
func (e *ParseError) Unwrap() []error {
	list := make([]error, len(e.Errors))
	for i, problem := range e.Errors {
		list[i] = problem
	}
	return list
}

// compareErrors orders by position and then by path and text.
func compareErrors(a, b *Error) int {
	return cmp.Or(
		cmp.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Column, b.Column),
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Msg, b.Msg),
	)
}

// finish fills in the paths of problems, orders them and drops repetitions, as
// there are when several listeners read one top-level key.
func finish(list []*Error) []*Error {
	for _, e := range list {
		switch {
		case e.node == nil:
		case e.key != "":
			e.Path = e.node.join(e.key)
		default:
			e.Path = e.node.Path()
		}
		e.node = nil
	}
	slices.SortStableFunc(list, compareErrors)
	return slices.CompactFunc(list, func(a, b *Error) bool { return compareErrors(a, b) == 0 })
}
