package command

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
)

// Command is a function that programs outside can call.
type Command struct {
	Name        string   // of a-z, 0-9, _ and -
	Description string   // what it does, a sentence for people
	Tags        []string // groups that it belongs to: api_permissions can name them

	// Since is the version of the API from which on a call means this definition. A
	// command whose arguments or result have changed has one for each version that
	// changed them, with the same name. 0: from the beginning.
	Since int

	// Args are the arguments, all of which a call must have, in any order. One
	// called localhost, or else host, is the virtual host that the command concerns,
	// which counts for the permission.
	Args []Field

	// Result is what Run returns. Only the type of a Result may be ResCode or
	// ResTuple.
	Result Field

	// Run does the work. It gets the arguments as Arguments makes them and returns
	// a value of the type of Result: whatever Type.Value takes for it. Errors that
	// are no *Error are internal: the caller hears nothing of them. It may be called
	// by several goroutines at a time, and should end when ctx does.
	Run func(ctx context.Context, a Args) (any, error)
}

// Field is a value with a name: an argument, a result, a part of a Tuple, or what
// a List is of, whose name old clients of XML-RPC need.
type Field struct {
	Name        string // of a-z, 0-9 and _
	Old         string // of an argument: a name that it once had, which calls may use still; "": none
	Type        Type
	Description string // for people, "" when the name says it
}

// Arguments makes the arguments of a call of what came from outside: untyped
// values by name, as the decoders of JSON and XML-RPC make them. It is strict:
// each argument has to be there, no other may, and each must have the declared
// type. Errors are an *Error of the kinds MissingArgument, BadArgument and
// UnknownArgument; they name the argument and never tell its value.
func (c *Command) Arguments(values map[string]any) (Args, error) {
	a := make(Args, len(c.Args))
	used := 0
	for _, f := range c.Args {
		v, ok := values[f.Name]
		if !ok && f.Old != "" {
			v, ok = values[f.Old]
		}
		if !ok {
			return nil, &Error{Kind: MissingArgument, Arg: f.Name, Text: fmt.Sprintf("argument %s is missing", f.Name)}
		}
		v, err := f.Type.Value(v)
		if err != nil {
			return nil, &Error{Kind: BadArgument, Arg: f.Name, Text: fmt.Sprintf("argument %s: %v", f.Name, err)}
		}
		a[f.Name] = v
		used++
	}
	if used == len(values) {
		return a, nil
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !c.hasArgument(name, values) {
			return nil, &Error{Kind: UnknownArgument, Arg: name, Text: fmt.Sprintf("unknown argument %.64q; %s", name, c.usage())}
		}
	}
	return a, nil
}

// hasArgument says whether a value is that of an argument: by its name, or by its old
// one if it is not there by both.
func (c *Command) hasArgument(name string, values map[string]any) bool {
	return slices.ContainsFunc(c.Args, func(f Field) bool {
		_, both := values[f.Name]
		return f.Name == name || f.Old != "" && f.Old == name && !both
	})
}

// usage says which arguments there are.
func (c *Command) usage() string {
	var names []string
	for _, f := range c.Args {
		names = append(names, f.Name)
	}
	if names == nil {
		return c.Name + " has none"
	}
	return c.Name + " has " + strings.Join(names, ", ")
}

// Do runs the command and returns its result as Type.Value makes it, so that its
// Go type follows from that of Result. A panic of Run, and a result of another
// type than it has declared, are errors of the kind Internal.
func (c *Command) Do(ctx context.Context, a Args) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, &Error{Kind: Internal, Err: fmt.Errorf("%s panicked: %v\n%s", c.Name, r, debug.Stack())}
		}
	}()
	v, err := c.Run(ctx, a)
	if err != nil {
		return nil, err
	}
	if result, err = c.Result.Type.Value(v); err != nil {
		return nil, &Error{Kind: Internal, Err: fmt.Errorf("result of %s: %w", c.Name, err)}
	}
	return result, nil
}

// check sees that a command is one that can be called.
func (c *Command) check() error {
	switch {
	case !isName(c.Name, "-"):
		return fmt.Errorf("command %q: names are made of a-z, 0-9, _ and -", c.Name)
	case c.Run == nil:
		return fmt.Errorf("command %s has no function to run", c.Name)
	}
	if err := checkFields(c.Args); err != nil {
		return fmt.Errorf("command %s: argument %w", c.Name, err)
	}
	if err := checkOld(c.Args); err != nil {
		return fmt.Errorf("command %s: argument %w", c.Name, err)
	}
	result := c.Result
	if result.Type == ResCode || result.Type == ResTuple {
		result.Type = String // which is like them, where they may not be
	}
	if err := checkFields([]Field{result}); err != nil {
		return fmt.Errorf("command %s: result %w", c.Name, err)
	}
	return nil
}

// checkFields sees that the fields have different names, and types that may be
// there.
func checkFields(list []Field) error {
	for i, f := range list {
		same := func(o Field) bool { return o.Name == f.Name }
		switch {
		case !isName(f.Name, ""):
			return fmt.Errorf("%q: names are made of a-z, 0-9 and _", f.Name)
		case slices.ContainsFunc(list[:i], same):
			return fmt.Errorf("%s is there twice", f.Name)
		case f.Type == nil:
			return fmt.Errorf("%s has no type", f.Name)
		}
		if err := f.Type.check(); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

// checkOld sees that the old names of arguments are names, and nobody else's: a call
// could not say which argument it means.
func checkOld(list []Field) error {
	taken := make(map[string]bool)
	for _, f := range list {
		taken[f.Name] = true
	}
	for _, f := range list {
		switch {
		case f.Old == "":
			continue
		case !isName(f.Old, ""):
			return fmt.Errorf("%s: old name %q: names are made of a-z, 0-9 and _", f.Name, f.Old)
		case taken[f.Old]:
			return fmt.Errorf("%s: there is another argument %s, which is its old name", f.Name, f.Old)
		}
		taken[f.Old] = true
	}
	return nil
}

func isName(s, more string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && !strings.ContainsRune(more, c) {
			return false
		}
	}
	return s != ""
}
