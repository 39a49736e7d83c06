package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// A host adds a command of its own.
func Example() {
	var reg command.Registry
	err := reg.Add(command.Command{
		Name:   "double",
		Args:   []command.Field{{Name: "n", Type: command.Integer}},
		Result: command.Field{Name: "twice", Type: command.Integer},
		Run:    func(_ context.Context, a command.Args) (any, error) { return 2 * a.Int("n"), nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// This is what a module does that takes calls.
	c, _ := reg.Get("double")
	args, err := c.Arguments(map[string]any{"n": 21.0})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Do(context.Background(), args))
	// Output: 42 <nil>
}

var (
	contact = command.Tuple{
		{Name: "jid", Type: command.String},
		{Name: "groups", Type: command.List{Of: command.Field{Name: "group", Type: command.String}}},
	}
	texts    = command.List{Of: command.Field{Name: "text", Type: command.String}}
	contacts = command.List{Of: command.Field{Name: "contact", Type: contact}}
)

func TestValue(t *testing.T) {
	type m = map[string]any
	tests := []struct {
		name    string
		typ     command.Type
		in      any
		want    any
		problem string
	}{
		{"int", command.Integer, 5, 5, ""},
		{"other integers", command.Integer, int32(-5), -5, ""},
		{"unsigned", command.Integer, uint64(5), 5, ""},
		{"unsigned, too large", command.Integer, uint64(math.MaxUint64), nil, "want an integer, got a number"},
		{"number of JSON", command.Integer, 5.0, 5, ""},
		{"with a fraction", command.Integer, 5.5, nil, "want an integer, got a number that is none, or too large"},
		{"not a number", command.Integer, math.NaN(), nil, "want an integer, got a number that is none, or too large"},
		{"infinity", command.Integer, math.Inf(1), nil, "want an integer, got a number that is none, or too large"},
		{"beyond what a float64 is exact about", command.Integer, 1e16, nil, "want an integer, got a number that is none, or too large"},
		{"json.Number", command.Integer, json.Number("2147483647"), math.MaxInt32, ""},
		{"json.Number with a fraction", command.Integer, json.Number("1e3"), nil, "want an integer, got something else"},
		{"json.Number, too large", command.Integer, json.Number("9223372036854775808"), nil, "want an integer, got a number that is too large"},
		{"digits", command.Integer, "5", nil, "want an integer, got a string"},
		{"digits of a query", command.Integer, command.Text("-5"), -5, ""},
		{"letters of a query", command.Integer, command.Text("five"), nil, "want an integer, got something else"},
		{"bool for a number", command.Integer, true, nil, "want an integer, got a boolean"},
		{"nothing for a number", command.Integer, nil, nil, "want an integer, got nothing"},
		{"list for a number", command.Integer, []any{5}, nil, "want an integer, got a list"},

		{"string", command.String, "x", "x", ""},
		{"empty string", command.String, "", "", ""},
		{"text of a query", command.String, command.Text("5"), "5", ""},
		{"number for a string", command.String, 5.0, nil, "want a string, got a number"},
		{"json.Number for a string", command.String, json.Number("5"), nil, "want a string, got a number"},
		{"bool for a string", command.String, false, nil, "want a string, got a boolean"},
		{"bytes for a string", command.String, []byte("x"), nil, "want a string, got bytes"},
		{"structure for a string", command.String, m{"a": 1}, nil, "want a string, got a structure"},
		{"nothing for a string", command.String, nil, nil, "want a string, got nothing"},
		{"something else", command.String, struct{}{}, nil, "want a string, got a struct {}"},

		{"code", command.ResCode, true, true, ""},
		{"number for a code", command.ResCode, 0, nil, "want a bool, got a number"},
		{"tuple of code and text", command.ResTuple, "done", "done", ""},
		{"code for such a tuple", command.ResTuple, true, nil, "want a string, got a boolean"},

		{"list", texts, []any{"a", "b"}, []any{"a", "b"}, ""},
		{"list of Go", texts, []string{"a"}, []any{"a"}, ""},
		{"empty list", texts, []any{}, []any{}, ""},
		{"no list of Go", texts, []string(nil), []any{}, ""},
		{"one of a query", texts, command.Text("a"), []any{"a"}, ""},
		{"scalar for a list", texts, "a", nil, "want a list, got a string"},
		{"bytes for a list", command.List{Of: command.Field{Name: "n", Type: command.Integer}}, []byte("a"), nil, "want a list, got bytes"},
		{"nothing for a list", texts, nil, nil, "want a list, got nothing"},
		{"other things in a list", texts, []any{"a", 5.0}, nil, "element 1: want a string, got a number"},

		{"tuple", contact, m{"jid": "a@b", "groups": []any{}}, command.Args{"jid": "a@b", "groups": []any{}}, ""},
		{"tuple of Go", contact, command.Args{"jid": "a@b", "groups": []string{"x"}}, command.Args{"jid": "a@b", "groups": []any{"x"}}, ""},
		{"a part is missing", contact, m{"jid": "a@b"}, nil, "groups is missing"},
		{"a part too many", contact, m{"jid": "a@b", "groups": []any{}, "x": 1}, nil, "want 2 parts, got 3"},
		{"list for a tuple", contact, []any{"a@b"}, nil, "want a structure, got a list"},
		{"deep", contacts, []any{m{"jid": "a@b", "groups": []any{"x", true}}}, nil, "element 0: groups: element 1: want a string, got a boolean"},
		{"list of tuples of Go", contacts, []command.Args{{"jid": "a", "groups": []string{}}}, []any{command.Args{"jid": "a", "groups": []any{}}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.typ.Value(tt.in)
			if text(err) != tt.problem || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %#v and %q, want %#v and %q", got, text(err), tt.want, tt.problem)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestArguments(t *testing.T) {
	c := command.Command{Name: "register", Args: []command.Field{
		{Name: "user", Type: command.String}, {Name: "host", Type: command.String}, {Name: "n", Type: command.Integer},
	}}
	none := command.Command{Name: "status"}
	old := command.Command{Name: "get_presence", Args: []command.Field{
		{Name: "user", Type: command.String}, {Name: "host", Old: "server", Type: command.String},
	}}
	type m = map[string]any
	tests := []struct {
		name    string
		command *command.Command
		in      m
		want    command.Args
		kind    command.Kind
		arg     string
		text    string
	}{
		{"all", &c, m{"n": 1, "host": "a.test", "user": "ana"}, command.Args{"user": "ana", "host": "a.test", "n": 1}, 0, "", ""},
		{"none of none", &none, nil, command.Args{}, 0, "", ""},
		{"one is missing", &c, m{"user": "ana", "n": 1}, nil, command.MissingArgument, "host", "argument host is missing"},
		{"all are missing", &c, nil, nil, command.MissingArgument, "user", "argument user is missing"},
		{"another type", &c, m{"user": "ana", "host": "a.test", "n": "secret"}, nil, command.BadArgument, "n", "argument n: want an integer, got a string"},
		{"one too many", &c, m{"user": "ana", "host": "a.test", "n": 1, "y": 1, "x": 1}, nil, command.UnknownArgument, "x", `unknown argument "x"; register has user, host, n`},
		{"by the old name", &old, m{"user": "ana", "server": "a.test"}, command.Args{"user": "ana", "host": "a.test"}, 0, "", ""},
		{"by the new name", &old, m{"user": "ana", "host": "a.test"}, command.Args{"user": "ana", "host": "a.test"}, 0, "", ""},
		{"by both names", &old, m{"user": "ana", "host": "a.test", "server": "a.test"}, nil, command.UnknownArgument, "server", `unknown argument "server"; get_presence has user, host`},
		{"by neither", &old, m{"user": "ana"}, nil, command.MissingArgument, "host", "argument host is missing"},
		{"another type by the old name", &old, m{"user": "ana", "server": 5}, nil, command.BadArgument, "host", "argument host: want a string, got a number"},
		{"no name where there is no old one", &c, m{"": "ana", "host": "a.test", "n": 1}, nil, command.MissingArgument, "user", "argument user is missing"},
		{"no name besides all", &c, m{"": 1, "user": "ana", "host": "a.test", "n": 1}, nil, command.UnknownArgument, "", `unknown argument ""; register has user, host, n`},
		{"one too many for none", &none, m{"x": 1}, nil, command.UnknownArgument, "x", `unknown argument "x"; status has none`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.command.Arguments(tt.in)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if tt.text == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			if e := command.Fault(err); e.Kind != tt.kind || e.Arg != tt.arg || e.Text != tt.text {
				t.Errorf("got %s of %q: %q, want %s of %q: %q", e.Kind, e.Arg, e.Text, tt.kind, tt.arg, tt.text)
			}
		})
	}
	_, err := none.Arguments(m{strings.Repeat("x", 10_000): 1})
	if n := len(text(err)); n > 200 {
		t.Errorf("the error about a long name has %d bytes, want few", n)
	}
}

func TestArgs(t *testing.T) {
	a := command.Args{"n": 5, "s": "x", "l": []any{"a", "b"}, "t": command.Args{"n": 6}}
	if a.Int("n") != 5 || a.Text("s") != "x" || len(a.List("l")) != 2 || a.Tuple("t").Int("n") != 6 {
		t.Errorf("got other values than those of %v", a)
	}
	if got, want := a.Texts("l"), []string{"a", "b"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDo(t *testing.T) {
	refused := command.Errorf(command.Conflict, "taken")
	tests := []struct {
		name string
		typ  command.Type
		run  func(context.Context, command.Args) (any, error)
		want any
		kind command.Kind
		told string // "": there is no error
		says string // the log
	}{
		{"result", texts, func(context.Context, command.Args) (any, error) { return []string{"a"}, nil }, []any{"a"}, 0, "", ""},
		{"error for the caller", command.ResCode, func(context.Context, command.Args) (any, error) { return true, refused }, nil, command.Conflict, "taken", "taken"},
		{"wrapped", command.ResCode, func(context.Context, command.Args) (any, error) { return nil, fmt.Errorf("x: %w", refused) }, nil, command.Conflict, "taken", "x: taken"},
		{"without a text", command.ResCode, func(context.Context, command.Args) (any, error) { return nil, &command.Error{Kind: command.NotAllowed} }, nil, command.NotAllowed, "not allowed", "not allowed"},
		{"any other error", command.ResCode, func(context.Context, command.Args) (any, error) { return nil, errors.New("disk is gone") }, nil, command.Internal, "internal error", "disk is gone"},
		{"panic", command.ResCode, func(_ context.Context, a command.Args) (any, error) { return a.Int("undeclared"), nil }, nil, command.Internal, "internal error", "panicked"},
		{"result of another type", command.Integer, func(context.Context, command.Args) (any, error) { return "five", nil }, nil, command.Internal, "internal error", "result of test: want an integer, got a string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := command.Command{Name: "test", Result: command.Field{Name: "res", Type: tt.typ}, Run: tt.run}
			got, err := c.Do(t.Context(), nil)
			if !reflect.DeepEqual(got, tt.want) || !strings.Contains(text(err), tt.says) || (err == nil) != (tt.told == "") {
				t.Errorf("got %v and %v, want %v and an error that says %q", got, err, tt.want, tt.says)
			}
			if e := command.Fault(err); e != nil && (e.Kind != tt.kind || e.Text != tt.told) {
				t.Errorf("the caller hears %s: %q, want %s: %q", e.Kind, e.Text, tt.kind, tt.told)
			}
		})
	}
}

// What is told must not change an error that others hold.
func TestFaultLeavesTheErrorAlone(t *testing.T) {
	e := &command.Error{Kind: command.NotFound, Err: errors.New("why")}
	if got := command.Fault(e); got.Text != "not found" || !errors.Is(got, e.Err) || e.Text != "" {
		t.Errorf("got %#v of %#v", got, e)
	}
	if got, want := e.Error(), "not found: why"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTypeStrings(t *testing.T) {
	for want, typ := range map[string]command.Type{
		"integer": command.Integer, "string": command.String, "rescode": command.ResCode, "restuple": command.ResTuple,
		"[contact::{jid::string, groups::[group::string]}]": contacts,
	} {
		if got := typ.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
