package conf

import "fmt"

// problems collects what is wrong with a configuration.
type problems struct{ errors, warnings []*Error }

// errorf adds an error about n.
func (p *problems) errorf(n *Node, format string, args ...any) *Error {
	e := at(n, fmt.Sprintf(format, args...))
	p.errors = append(p.errors, e)
	return e
}

// warnf adds a warning about n.
func (p *problems) warnf(n *Node, format string, args ...any) *Error {
	e := at(n, fmt.Sprintf(format, args...))
	p.warnings = append(p.warnings, e)
	return e
}

// at makes a problem. Its path is found at the end, when n has its place in
// the tree.
func at(n *Node, msg string) *Error {
	return &Error{File: n.File, Line: n.Line, Column: n.Column, Msg: msg, node: n}
}

// because sets the cause of a problem.
func (e *Error) because(err error) *Error { e.Err = err; return e }

// meant adds a hint: the name that is nearest to word.
func (e *Error) meant(word string, names []string) *Error {
	e.Hint = Nearest(word, names)
	return e
}

// in makes a problem of a key one of the map that it stands in, and leaves its
// position.
func (e *Error) in(n *Node) { e.node = n }

// about makes a problem of a list or map one of a key that it lacks.
func (e *Error) about(key string) *Error { e.key = key; return e }
