package command_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

func nothing(context.Context, command.Args) (any, error) { return true, nil }

// plain is a command without arguments.
func plain(name string) command.Command {
	return command.Command{Name: name, Result: command.Field{Name: "res", Type: command.ResCode}, Run: nothing}
}

// renamed are two arguments with old names.
func renamed(name, old, name2, old2 string) []command.Field {
	return []command.Field{{Name: name, Old: old, Type: command.String}, {Name: name2, Old: old2, Type: command.String}}
}

func TestAdd(t *testing.T) {
	field := func(name string, typ command.Type) []command.Field { return []command.Field{{Name: name, Type: typ}} }
	list := func(typ command.Type) command.Type { return command.List{Of: command.Field{Name: "x", Type: typ}} }
	tests := []struct {
		name    string
		change  func(*command.Command)
		problem string // "": none
	}{
		{"as it is", func(*command.Command) {}, ""},
		{"all types", func(c *command.Command) { c.Args = field("a", contacts); c.Result.Type = contact }, ""},
		{"restuple", func(c *command.Command) { c.Result.Type = command.ResTuple }, ""},
		{"no name", func(c *command.Command) { c.Name = "" }, `command ""`},
		{"other name", func(c *command.Command) { c.Name = "Set Loglevel" }, `command "Set Loglevel"`},
		{"name that is taken", func(c *command.Command) { c.Name = "taken" }, "there is a command taken already"},
		{"name that is taken in another version", func(c *command.Command) { c.Name, c.Since = "taken", 2 }, ""},
		{"nothing to run", func(c *command.Command) { c.Run = nil }, "has no function"},
		{"argument without a name", func(c *command.Command) { c.Args = field("", command.String) }, `argument ""`},
		{"argument without a type", func(c *command.Command) { c.Args = field("a", nil) }, "argument a has no type"},
		{"argument twice", func(c *command.Command) { c.Args = append(field("a", command.String), field("a", command.Integer)...) }, "argument a is there twice"},
		{"old name", func(c *command.Command) { c.Args = renamed("a", "x", "b", "") }, ""},
		{"old name of another argument", func(c *command.Command) { c.Args = renamed("a", "b", "b", "") }, "a: there is another argument b"},
		{"old name of an argument before it", func(c *command.Command) { c.Args = renamed("a", "", "b", "a") }, "b: there is another argument a"},
		{"old name that is the new one", func(c *command.Command) { c.Args = renamed("a", "a", "b", "") }, "a: there is another argument a"},
		{"old name of two", func(c *command.Command) { c.Args = renamed("a", "x", "b", "x") }, "b: there is another argument x"},
		{"old name that is none", func(c *command.Command) { c.Args = renamed("a", "X y", "b", "") }, `a: old name "X y"`},
		{"rescode as argument", func(c *command.Command) { c.Args = field("a", command.ResCode) }, "argument a: rescode is for results alone"},
		{"rescode in a result", func(c *command.Command) { c.Result.Type = list(command.ResCode) }, "rescode is for results alone"},
		{"result without a name", func(c *command.Command) { c.Result.Name = "" }, `result ""`},
		{"result without a type", func(c *command.Command) { c.Result.Type = nil }, "result res has no type"},
		{"list without a type", func(c *command.Command) { c.Result.Type = list(nil) }, "x has no type"},
		{"empty tuple", func(c *command.Command) { c.Result.Type = command.Tuple{} }, "at least one part"},
		{"tuple of the same", func(c *command.Command) {
			c.Result.Type = command.Tuple{{Name: "a", Type: command.String}, {Name: "a", Type: command.String}}
		}, "a is there twice"},
		{"type that is none", func(c *command.Command) { c.Result.Type = command.Scalar(9) }, "unknown type 9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r command.Registry
			if err := r.Add(plain("taken")); err != nil {
				t.Fatal(err)
			}
			c := plain("test")
			tt.change(&c)
			err := r.Add(plain("before"), c)
			if (err == nil) != (tt.problem == "") || !strings.Contains(text(err), tt.problem) {
				t.Errorf("got %v, want %q", err, tt.problem)
			}
			// All or nothing.
			if _, ok := r.Get("before"); ok != (err == nil) {
				t.Errorf("the command before it is there: %t, want %t", ok, err == nil)
			}
		})
	}
}

func TestList(t *testing.T) {
	var r command.Registry
	if got := r.List(); len(got) != 0 {
		t.Errorf("got %d commands of an empty registry, want 0", len(got))
	}
	if _, ok := r.Get("a"); ok {
		t.Error("an empty registry has a command")
	}
	if err := r.Add(plain("b"), plain("c"), plain("a")); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range r.List() {
		names = append(names, c.Name)
	}
	if got, want := strings.Join(names, " "), "a b c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := r.Add(plain("d"), plain("d")); err == nil {
		t.Error("a name twice in one call is no error")
	}
}

// A command is what its newest definition says that is not younger than the version.
func TestVersions(t *testing.T) {
	since := func(name string, version int) command.Command {
		c := plain(name)
		c.Since, c.Description = version, fmt.Sprint(version)
		return c
	}
	var r command.Registry
	if err := r.Add(since("changed", 3), since("changed", 0), since("young", 2)); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(since("changed", 1), plain("a")); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(since("changed", 1)); err == nil || !strings.Contains(err.Error(), "there is a command changed already") {
		t.Errorf("the same version once more: got %v, want an error", err)
	}
	for _, tt := range []struct {
		name    string
		version int
		want    string // "": there is none
	}{
		{"changed", -1, ""}, {"changed", 0, "0"}, {"changed", 1, "1"}, {"changed", 2, "1"}, {"changed", 3, "3"},
		{"changed", 4, "3"}, {"changed", command.Newest, "3"},
		{"young", 0, ""}, {"young", 1, ""}, {"young", 2, "2"}, {"young", command.Newest, "2"},
		{"nothing", command.Newest, ""},
	} {
		if c, ok := r.At(tt.name, tt.version); c.Description != tt.want || ok != (tt.want != "") {
			t.Errorf("%s in version %d: got %q and %t, want %q", tt.name, tt.version, c.Description, ok, tt.want)
		}
	}
	if c, ok := r.Get("changed"); !ok || c.Since != 3 {
		t.Errorf("today: got version %d and %t, want 3", c.Since, ok)
	}
	var list []string
	for _, c := range r.List() {
		list = append(list, fmt.Sprintf("%s%d", c.Name, c.Since))
	}
	if got, want := strings.Join(list, " "), "a0 changed3 young2"; got != want {
		t.Errorf("got the list %s, want %s", got, want)
	}
}

func TestConcurrent(t *testing.T) {
	var r command.Registry
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				if err := r.Add(plain(fmt.Sprintf("c-%d-%d", i, j))); err != nil {
					t.Error(err)
				}
				r.Get("c-0-0")
				r.List()
			}
		})
	}
	wg.Wait()
	if got := len(r.List()); got != 160 {
		t.Errorf("got %d commands, want 160", got)
	}
}
