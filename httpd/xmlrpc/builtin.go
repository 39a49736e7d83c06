package xmlrpc

import (
	"math"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// builtIn answers the calls that are for no command. It returns whether it is such a
// call, and a fault if the parameters are not what the method takes.
func (h *Handler) builtIn(by caller, method string, params []any) (answer any, f *fault, ok bool) {
	var taken bool
	switch method {
	case "echothis":
		if taken = len(params) == 1; taken {
			answer = params[0]
		}
	case "echothisnew":
		var sentence any
		sentence, taken = only(params, "sentence")
		answer = structure{{"repeated", sentence}}
	case "multhis":
		answer, taken = product(params)
	case "multhisnew":
		var n int
		n, taken = product(params)
		answer = structure{{"mu", n}}
	case "system.listMethods":
		answer, taken = h.methods(by), len(params) == 0
	case "system.methodHelp", "system.methodSignature":
		var c command.Command
		c, taken = h.described(by, params)
		if answer = help(&c); method == "system.methodSignature" {
			answer = signatures(&c)
		}
	default:
		return nil, nil, false
	}
	if !taken {
		return nil, unknownCall(), true
	}
	return answer, nil, true
}

// only returns what the only member of the only parameter is, a structure.
func only(params []any, name string) (v any, ok bool) {
	if len(params) != 1 {
		return nil, false
	}
	if s, isStructure := params[0].(structure); isStructure && len(s) == 1 {
		return s.get(name)
	}
	return nil, false
}

// product multiplies the members a and b of the only parameter.
func product(params []any) (n int, ok bool) {
	if len(params) != 1 {
		return 0, false
	}
	s, _ := params[0].(structure)
	first, _ := s.get("a")
	second, _ := s.get("b")
	a, isInt := first.(int)
	b, isIntToo := second.(int)
	if len(s) != 2 || !isInt || !isIntToo {
		return 0, false
	}
	n = a * b
	overflown := a != 0 && n/a != b || a == -1 && b == math.MinInt
	return n, !overflown
}

// methods returns the names of the commands that a caller may run. Of a command whose
// permission depends on the virtual host that it concerns there is no saying: it counts
// as one that concerns none.
func (h *Handler) methods(by caller) []any {
	list := []any{}
	for _, c := range h.gate.List(by.Subject, by.foreign, command.Newest) {
		list = append(list, c.Name)
	}
	return list
}

// described returns the command that is the only parameter, if the caller may run it.
func (h *Handler) described(by caller, params []any) (c command.Command, ok bool) {
	if len(params) != 1 {
		return c, false
	}
	name, _ := params[0].(string)
	c, err := h.find(by, name, nil)
	return c, err == nil
}

// help says what a command does, and what its arguments are.
func help(c *command.Command) string {
	var b strings.Builder
	b.WriteString(c.Description)
	for _, f := range c.Args {
		b.WriteString("\n" + f.Name + " (" + f.Type.String() + ")")
		if f.Description != "" {
			b.WriteString(": " + f.Description)
		}
	}
	return b.String()
}

// signatures returns lists of types, the result first: a command takes a structure of
// its arguments, if it has any, and before that one that says who calls.
func signatures(c *command.Command) []any {
	const result, login, arguments = "struct", "struct", "struct"
	if len(c.Args) == 0 {
		return []any{[]any{result}, []any{result, login}}
	}
	return []any{[]any{result, arguments}, []any{result, login, arguments}}
}
