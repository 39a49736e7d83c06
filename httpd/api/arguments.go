package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// query returns the parameters of a GET.
func query(raw string) (map[string]any, error) {
	values := make(map[string]any)
	if raw == "" {
		return values, nil
	}
	list, err := url.ParseQuery(raw)
	if err != nil {
		return nil, badRequest("400 Bad Request")
	}
	for name, v := range list {
		switch {
		case len(v) > 1:
			return nil, twice(name)
		case !utf8.ValidString(name) || !utf8.ValidString(v[0]):
			return nil, badRequest("400 Bad Request")
		}
		values[name] = command.Text(v[0])
	}
	return values, nil
}

// twice is the error about a name that stands twice.
func twice(name string) *problem {
	return badRequest(fmt.Sprintf("duplicate argument %.64q", name))
}

// shape gives values the forms that the types of a command want, where callers have a
// choice: a list may be missing, a scalar stand for a list of one, and an object for a
// list of pairs.
func shape(c *command.Command, values map[string]any) {
	for i := range c.Args {
		f := &c.Args[i]
		list, ok := f.Type.(command.List)
		if !ok {
			continue
		}
		name := f.Name
		v, ok := values[name]
		if !ok && f.Old != "" {
			if v, ok = values[f.Old]; ok {
				name = f.Old
			}
		}
		if !ok {
			v = []any{}
		}
		values[name] = asList(list, v)
	}
}

func asList(l command.List, v any) any {
	switch v := v.(type) {
	case string, json.Number:
		return []any{v}
	case map[string]any:
		if first, second, ok := pair(l); ok {
			list := make([]any, 0, len(v))
			for _, name := range slices.Sorted(maps.Keys(v)) {
				list = append(list, map[string]any{first.Name: name, second.Name: v[name]})
			}
			return list
		}
	}
	return v
}

// pair returns the parts of what a list is of, if that is a text and something else.
func pair(l command.List) (first, second *command.Field, ok bool) {
	t, isTuple := l.Of.Type.(command.Tuple)
	if !isTuple || len(t) != 2 || t[0].Type != command.String {
		return nil, nil, false
	}
	return &t[0], &t[1], true
}

// property returns the parts of what a list is of, if as a result it is an object: a name
// and a value.
func property(l command.List) (name, value *command.Field, ok bool) {
	first, second, ok := pair(l)
	if !ok || first.Name != "name" || second.Name != "value" {
		return nil, nil, false
	}
	return first, second, true
}
