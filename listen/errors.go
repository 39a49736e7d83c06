package listen

import (
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/conf"
)

// Error is one problem of a configuration, with its position.
type Error = conf.Error

// ParseError is the error of Parse, Load and FromTree for a configuration with
// mistakes.
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
