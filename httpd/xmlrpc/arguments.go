package xmlrpc

import "github.com/tidewaiter/tidewaiter/listen/command"

// shapeArguments turns the values for a command into what command.Type takes, as far as
// they are lists and structures: those have forms in XML-RPC that are found nowhere else.
// Scalars stay what they are.
func shapeArguments(c *command.Command, values map[string]any) *fault {
	for _, f := range c.Args {
		for _, name := range []string{f.Name, f.Old} {
			v, ok := values[name]
			if !ok {
				continue
			}
			v, repeated := shape(f.Type, v)
			if repeated != nil {
				return repeated
			}
			values[name] = v
		}
	}
	return nil
}

// shape returns a value as a type has it, if it can be of the type.
//
// A List is an array of its elements; older clients of ejabberd send arrays of structures
// whose members all have the name of the element and are the elements. A Tuple is a
// structure; older clients send an array of one structure.
func shape(t command.Type, v any) (any, *fault) {
	switch t := t.(type) {
	case command.List:
		if array, ok := v.([]any); ok {
			return shapeList(t, array)
		}
	case command.Tuple:
		if array, ok := v.([]any); ok && len(array) == 1 {
			v = array[0]
		}
	}
	s, ok := v.(structure)
	if !ok {
		return v, nil
	}
	values, again := s.byName()
	if again != nil {
		return nil, twice(*again)
	}
	if tuple, ok := t.(command.Tuple); ok {
		for _, f := range tuple {
			part, ok := values[f.Name]
			if !ok {
				continue // which Value will say
			}
			part, repeated := shape(f.Type, part)
			if repeated != nil {
				return nil, repeated
			}
			values[f.Name] = part
		}
	}
	return values, nil
}

func shapeList(t command.List, array []any) (any, *fault) {
	list := make([]any, 0, len(array))
	add := func(v any) (f *fault) {
		if v, f = shape(t.Of.Type, v); f == nil {
			list = append(list, v)
		}
		return f
	}
	for _, item := range array {
		s, ok := item.(structure)
		if !ok || !isOldList(t.Of, s) {
			if f := add(item); f != nil {
				return nil, f
			}
			continue
		}
		for _, m := range s {
			if f := add(m.value); f != nil {
				return nil, f
			}
		}
	}
	return list, nil
}

// isOldList reports whether a structure in an array is elements of a list, rather than
// one element that is a structure.
func isOldList(of command.Field, s structure) bool {
	if tuple, ok := of.Type.(command.Tuple); ok && len(tuple) == 1 && tuple[0].Name == of.Name {
		return false
	}
	for _, m := range s {
		if m.name != of.Name {
			return false
		}
	}
	return true
}
