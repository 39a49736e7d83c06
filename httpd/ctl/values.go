package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// arguments makes the values of a call of the words that were typed, one for each
// argument. Errors do not tell the words.
func arguments(c *command.Command, words []string) (map[string]any, error) {
	values := make(map[string]any, len(words))
	for i, f := range c.Args {
		v, err := value(f.Type, words[i])
		if err != nil {
			return nil, fmt.Errorf("argument %s: %w", f.Name, err)
		}
		values[f.Name] = v
	}
	return values, nil
}

// value makes a value of a word, as command.Type takes it.
func value(t command.Type, word string) (any, error) {
	list, isList := t.(command.List)
	switch {
	case !isList:
		return single(t, word)
	case strings.HasPrefix(word, "["):
		return fromJSON(word)
	}
	values := []any{}
	if word == "" {
		return values, nil
	}
	for part := range strings.SplitSeq(word, ",") {
		v, err := single(list.Of.Type, part)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// single makes a value of anything but a list of a word or a part of one.
func single(t command.Type, word string) (any, error) {
	switch t := t.(type) {
	case command.List:
		return nil, errNested
	case command.Tuple:
		if strings.HasPrefix(word, "{") {
			return fromJSON(word)
		}
		return tuple(t, word)
	}
	return command.Text(word), nil
}

var errNested = errors.New("a list within another value has to be written as JSON")

// tuple makes a tuple of its parts between colons.
func tuple(t command.Tuple, word string) (any, error) {
	parts := strings.SplitN(word, ":", len(t))
	if len(parts) < len(t) {
		return nil, fmt.Errorf("want %d parts with colons between them, or a JSON object", len(t))
	}
	values := make(map[string]any, len(t))
	for i, f := range t {
		if _, scalar := f.Type.(command.Scalar); !scalar {
			return nil, errNested
		}
		values[f.Name] = command.Text(parts[i])
	}
	return values, nil
}

// fromJSON makes a value of one that is written as JSON.
func fromJSON(word string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(word))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("it begins like JSON, and is none")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON")
	}
	return v, nil
}

// format returns what a result looks like: a line for each value of a list, tabs between
// the parts of a tuple.
func format(t command.Type, v any) string {
	switch t := t.(type) {
	case command.List:
		var b strings.Builder
		for _, element := range v.([]any) {
			b.WriteString(line(t.Of.Type, element, "\t") + "\n")
		}
		return b.String()
	case command.Tuple:
		return line(t, v, "\t") + "\n"
	}
	if s, isText := v.(string); isText {
		return ended(printable(s, false))
	}
	return line(t, v, "") + "\n"
}

// ended returns a text whose last line has an end, if there is any.
func ended(s string) string {
	if s == "" || strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}

// line returns a value on one line. The parts of a tuple are separated as between says.
func line(t command.Type, v any, between string) string {
	var parts []string
	switch t := t.(type) {
	case command.List:
		for _, element := range v.([]any) {
			parts = append(parts, line(t.Of.Type, element, ":"))
		}
		between = ","
	case command.Tuple:
		for _, f := range t {
			parts = append(parts, line(f.Type, v.(command.Args)[f.Name], ":"))
		}
	case command.Scalar:
		if n, isInt := v.(int); isInt {
			return strconv.Itoa(n)
		}
		return printable(v.(string), true)
	}
	return strings.Join(parts, between)
}

// printable returns a text in which the characters that could do something to a terminal
// are escaped as in Go: all control characters but line ends and tabs, and with oneLine
// these, too. What it says may be from strangers.
func printable(s string, oneLine bool) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsControl(c) && (oneLine || c != '\n' && c != '\t') {
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}
