package command

import (
	"errors"
	"fmt"
)

// Kind says what kind of mistake an Error is about.
type Kind uint8

const (
	// Internal is a mistake that is none of the caller's.
	Internal Kind = iota
	// BadArgument is an argument that cannot be: of another type, or a virtual host
	// that is not served.
	BadArgument
	// MissingArgument is an argument that is not there, UnknownArgument one that
	// should not be.
	MissingArgument
	UnknownArgument
	// NotFound is something that does not exist.
	NotFound
	// Conflict is something that exists already, or is in the way.
	Conflict
	// NotAllowed is something that the caller, or whom it is about, may not do.
	NotAllowed
)

func (k Kind) String() string {
	switch k {
	case Internal:
		return "internal error"
	case BadArgument:
		return "bad argument"
	case MissingArgument:
		return "missing argument"
	case UnknownArgument:
		return "unknown argument"
	case NotFound:
		return "not found"
	case Conflict:
		return "conflict"
	case NotAllowed:
		return "not allowed"
	}
	return fmt.Sprintf("error of the kind %d", uint8(k))
}

// Error is why a command was not done.
type Error struct {
	Kind Kind
	Text string // for the caller; "": what the kind says
	Arg  string // the argument that it is about, "" for none
	Code int    // a number that programs know, 0 for none
	Err  error  // for our log, nil when there is no more to say
}

// Errorf returns an Error with a text for the caller.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...)}
}

// Fault returns what the caller is told of an error: the *Error that it is or
// wraps. Any other is internal, and its text is not for the caller. nil for nil.
func Fault(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: Internal, Err: err}
	}
	if e.Text == "" {
		told := *e
		told.Text = e.Kind.String()
		e = &told
	}
	return e
}

// Error returns the text and the wrapped error; it is for logs.
func (e *Error) Error() string {
	s := e.Text
	if s == "" {
		s = e.Kind.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
