package api

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// appendResult appends the result of a command, of which the values are those of
// Command.Do. Version 0 has the name of a scalar with it.
func appendResult(b []byte, f *command.Field, v any, version int) []byte {
	if version == 0 && (f.Type == command.Integer || f.Type == command.String) {
		b = appendString(append(b, '{'), f.Name)
		return append(appendValue(append(b, ':'), f.Type, v), '}')
	}
	order(f.Type, v)
	return appendValue(b, f.Type, v)
}

func appendValue(b []byte, t command.Type, v any) []byte {
	switch t := t.(type) {
	case command.List:
		if name, value, ok := property(t); ok {
			return appendProperties(b, name, value, v.([]any))
		}
		b = append(b, '[')
		for i, item := range v.([]any) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, t.Of.Type, item)
		}
		return append(b, ']')
	case command.Tuple:
		b = append(b, '{')
		for i := range t {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, t[i].Name), ':')
			b = appendValue(b, t[i].Type, v.(command.Args)[t[i].Name])
		}
		return append(b, '}')
	}
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case bool:
		if v {
			return append(b, '0')
		}
		return append(b, '1')
	}
	return appendString(b, v.(string))
}

// appendProperties appends an ordered list of names with values as an object. Of a name
// that is there twice the last value counts.
func appendProperties(b []byte, name, value *command.Field, list []any) []byte {
	b = append(b, '{')
	some := false
	for i, item := range list {
		p := item.(command.Args)
		if i+1 < len(list) && list[i+1].(command.Args)[name.Name] == p[name.Name] {
			continue
		}
		if some {
			b = append(b, ',')
		}
		some = true
		b = append(appendString(b, p.Text(name.Name)), ':')
		b = appendValue(b, value.Type, p[value.Name])
	}
	return append(b, '}')
}

// order sorts the lists of a result.
func order(t command.Type, v any) {
	switch t := t.(type) {
	case command.List:
		list := v.([]any)
		for _, item := range list {
			order(t.Of.Type, item)
		}
		if name, _, ok := property(t); ok {
			slices.SortStableFunc(list, func(a, b any) int {
				return strings.Compare(a.(command.Args).Text(name.Name), b.(command.Args).Text(name.Name))
			})
			return
		}
		slices.SortFunc(list, func(a, b any) int { return compare(t.Of.Type, a, b) })
	case command.Tuple:
		for i := range t {
			order(t[i].Type, v.(command.Args)[t[i].Name])
		}
	}
}

// compare compares two values of a type: tuples by their parts in the order of their
// declaration.
func compare(t command.Type, a, b any) int {
	switch t := t.(type) {
	case command.List:
		return slices.CompareFunc(a.([]any), b.([]any), func(a, b any) int { return compare(t.Of.Type, a, b) })
	case command.Tuple:
		for i := range t {
			if c := compare(t[i].Type, a.(command.Args)[t[i].Name], b.(command.Args)[t[i].Name]); c != 0 {
				return c
			}
		}
		return 0
	}
	if t == command.Integer {
		return cmp.Compare(a.(int), b.(int))
	}
	return strings.Compare(a.(string), b.(string))
}

// appendString appends a text of JSON. What is no UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.ValidString(s) {
		return appendEscaped(b, s)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	text, _ := json.Marshal(s) // texts have no errors
	return append(b, text...)
}
