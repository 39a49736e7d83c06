package ctl

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// help lists the commands.
func (h *Handler) help() string {
	var b strings.Builder
	b.WriteString("usage: ctl [-data DIR] COMMAND [ARGUMENT]...\n\n" +
		"A list is one word, a,b, and so is a tuple, a:b; or either is JSON, [...] and {...}.\n" +
		"An argument that is - is read from standard input: a password, for one.\n\n")
	var t table
	t.row("help COMMAND", "what its arguments and its result are")
	for _, c := range h.commands.List() {
		t.row(c.Name, summary(c.Description))
	}
	return b.String() + t.String()
}

// summary returns the first sentence of a description, or as much of it as a line of the
// list has room for.
func summary(s string) string {
	s, _, _ = strings.Cut(s, ". ")
	first, _, more := strings.Cut(wrap(s, 70), "\n")
	if more {
		return first + "…"
	}
	return strings.TrimSuffix(first, ".")
}

// synopsis returns a command with its arguments.
func synopsis(c *command.Command) string {
	words := []string{c.Name}
	for _, f := range c.Args {
		words = append(words, strings.ToUpper(f.Name))
	}
	return strings.Join(words, " ")
}

// describe returns all that there is to say of a command.
func describe(c *command.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", synopsis(c))
	if c.Description != "" {
		fmt.Fprintf(&b, "%s\n\n", wrap(c.Description, 80))
	}
	var t table
	for _, f := range c.Args {
		t.row(strings.ToUpper(f.Name), form(f.Type), f.Description)
	}
	result := c.Result
	switch r := result.Type.(type) {
	case command.List:
		parts, tuples := r.Of.Type.(command.Tuple)
		if !tuples {
			t.row("result", "a line for each "+r.Of.Name, result.Description)
			break
		}
		t.row("result", "a line for each "+r.Of.Name+":", result.Description)
		t.parts(parts)
	case command.Tuple:
		t.row("result", "a line:", result.Description)
		t.parts(r)
	case command.Scalar:
		t.row("result", form(r), result.Description)
	}
	b.WriteString(t.String())
	if len(c.Tags) > 0 {
		fmt.Fprintf(&b, "\ntags: %s\n", strings.Join(c.Tags, ", "))
	}
	return b.String()
}

// table is text in columns.
type table []string

func (t *table) row(cells ...string) { *t = append(*t, "  "+strings.Join(cells, "\t")) }

// parts describes the parts of a result.
func (t *table) parts(list command.Tuple) {
	for _, f := range list {
		t.row("  "+f.Name, form(f.Type), f.Description)
	}
}

// String returns the rows, without blanks at their ends.
func (t *table) String() string {
	var b, trimmed strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(*t, "\n"))
	_ = w.Flush() // to a Builder, which does not fail
	for line := range strings.Lines(b.String()) {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return trimmed.String()
}

// form says how a value is written.
func form(t command.Type) string {
	switch t := t.(type) {
	case command.List:
		return "list of " + form(t.Of.Type)
	case command.Tuple:
		var names []string
		for _, f := range t {
			names = append(names, f.Name)
		}
		return strings.Join(names, ":")
	case command.Scalar:
		switch t {
		case command.ResCode:
			return "the exit status: 1 if it was not successful"
		case command.ResTuple:
			return "text"
		}
	}
	return t.String()
}

// wrap breaks a text between words into lines of at most so many bytes.
func wrap(s string, width int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, line), "\n")
}

// unknown is the answer to the name of a command that is none.
func (h *Handler) unknown(name string) string {
	text := fmt.Sprintf("error: there is no command %.64q", name)
	if near := h.similar(name); near != "" {
		text += ", did you mean " + near + "?"
	} else {
		text += "; help lists them"
	}
	return text + "\n"
}

// similar returns the first command whose name has all words of another one in it, ""
// if there is none.
func (h *Handler) similar(name string) string {
	words := strings.FieldsFunc(name, func(c rune) bool { return c == '_' || c == '-' })
	for _, c := range h.commands.List() {
		has := func(word string) bool { return strings.Contains(c.Name, word) }
		if len(words) > 0 && !slices.ContainsFunc(words, func(word string) bool { return !has(word) }) {
			return c.Name
		}
	}
	return ""
}

// count says how many there are of something.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
