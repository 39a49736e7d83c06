package command

// Args are values by name: the arguments of a call, and the parts of a Tuple. They
// have the Go types that Type.Value gives them. The methods panic for a name or a
// type that the command has not declared, which Command.Do makes an error of.
type Args map[string]any

// Int returns an Integer.
func (a Args) Int(name string) int { return a[name].(int) }

// Text returns a String.
func (a Args) Text(name string) string { return a[name].(string) }

// List returns a List.
func (a Args) List(name string) []any { return a[name].([]any) }

// Texts returns a List of Strings.
func (a Args) Texts(name string) []string {
	list := a.List(name)
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = v.(string)
	}
	return texts
}

// Tuple returns a Tuple.
func (a Args) Tuple(name string) Args { return a[name].(Args) }
