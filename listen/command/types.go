package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Type is the type of a value: a Scalar, a List or a Tuple.
type Type interface {
	// Value returns v as a value of the type, or an error that says what is wrong
	// about it, and where, but not what it is. The types and the Go values that
	// they take:
	//
	//	Integer   int      any integer; a float64 and a json.Number that are one; Text
	//	String    string   a string; Text
	//	ResCode   bool     a bool: whether the command was successful
	//	ResTuple  string   a string: what there is to say of the success
	//	List      []any    a slice; Text is a list of one
	//	Tuple     Args     an Args or a map[string]any with exactly these names
	//
	// The Go type in the second column is what it returns.
	Value(v any) (any, error)

	// String returns the type as ejabberd's documentation writes it.
	String() string

	// check sees that the type may be where any type may be.
	check() error
}

// Text is an untyped value that has come as text, from a query string, a form or a
// command line, where a number cannot be told from a text.
type Text string

// Scalar is a type without parts.
type Scalar uint8

const (
	// Integer is a number of Go's int.
	Integer Scalar = iota
	// String is text.
	String
	// ResCode is the result of a command that is successful or not.
	ResCode
	// ResTuple is the result of a command that says something about its success.
	ResTuple
)

// List is any number of values of one type.
type List struct{ Of Field }

// Tuple is values with names.
type Tuple []Field

func (s Scalar) String() string {
	switch s {
	case Integer:
		return "integer"
	case String:
		return "string"
	case ResCode:
		return "rescode"
	case ResTuple:
		return "restuple"
	}
	return "unknown type " + strconv.Itoa(int(s))
}

func (s Scalar) check() error {
	switch s {
	case Integer, String:
		return nil
	case ResCode, ResTuple:
		return fmt.Errorf("%s is for results alone", s)
	}
	return errors.New(s.String())
}

// Value implements Type.
func (s Scalar) Value(v any) (any, error) {
	switch s {
	case Integer:
		return integer(v)
	case ResCode:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, fmt.Errorf("want a bool, got %s", what(v))
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case Text:
		return string(v), nil
	}
	return nil, fmt.Errorf("want a string, got %s", what(v))
}

// exact is how far each integer is a float64.
const exact = 1 << 53

func integer(v any) (any, error) {
	switch n := v.(type) {
	case int:
		return n, nil
	case json.Number:
		return parseInteger(string(n))
	case Text:
		return parseInteger(string(n))
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > exact || int64(int(n)) != int64(n) {
			return nil, errors.New("want an integer, got a number that is none, or too large")
		}
		return int(n), nil
	}
	r := reflect.ValueOf(v)
	switch {
	case r.IsValid() && r.CanInt() && int64(int(r.Int())) == r.Int():
		return int(r.Int()), nil
	case r.IsValid() && r.CanUint() && r.Uint() <= math.MaxInt:
		return int(r.Uint()), nil
	}
	return nil, fmt.Errorf("want an integer, got %s", what(v))
}

func parseInteger(s string) (any, error) {
	n, err := strconv.Atoi(s)
	if errors.Is(err, strconv.ErrRange) {
		return nil, errors.New("want an integer, got a number that is too large")
	}
	if err != nil {
		return nil, errors.New("want an integer, got something else")
	}
	return n, nil
}

// what says what kind of value v is.
func what(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case string, Text:
		return "a string"
	case json.Number:
		return "a number"
	case map[string]any, Args:
		return "a structure"
	case []byte:
		return "bytes"
	}
	switch r := reflect.ValueOf(v); {
	case r.CanInt(), r.CanUint(), r.CanFloat():
		return "a number"
	case r.Kind() == reflect.Slice:
		return "a list"
	}
	return fmt.Sprintf("a %T", v)
}

func (l List) String() string { return "[" + fieldText(l.Of) + "]" }

func (l List) check() error { return checkFields([]Field{l.Of}) }

// Value implements Type.
func (l List) Value(v any) (any, error) {
	if t, ok := v.(Text); ok {
		v = []any{t}
	}
	r := reflect.ValueOf(v)
	if _, bytes := v.([]byte); bytes || r.Kind() != reflect.Slice {
		return nil, fmt.Errorf("want a list, got %s", what(v))
	}
	list := make([]any, r.Len())
	for i := range list {
		item, err := l.Of.Type.Value(r.Index(i).Interface())
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		list[i] = item
	}
	return list, nil
}

func (t Tuple) String() string {
	var parts []string
	for _, f := range t {
		parts = append(parts, fieldText(f))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func fieldText(f Field) string { return f.Name + "::" + f.Type.String() }

func (t Tuple) check() error {
	if len(t) == 0 {
		return errors.New("a tuple has at least one part")
	}
	return checkFields(t)
}

// Value implements Type.
func (t Tuple) Value(v any) (any, error) {
	parts, ok := v.(map[string]any)
	if a, args := v.(Args); args {
		parts, ok = a, true
	}
	if !ok {
		return nil, fmt.Errorf("want a structure, got %s", what(v))
	}
	a := make(Args, len(t))
	for _, f := range t {
		part, ok := parts[f.Name]
		if !ok {
			return nil, fmt.Errorf("%s is missing", f.Name)
		}
		part, err := f.Type.Value(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		a[f.Name] = part
	}
	if len(parts) != len(t) {
		return nil, fmt.Errorf("want %d parts, got %d", len(t), len(parts))
	}
	return a, nil
}
