package xmlrpc

// The Go values of XML-RPC's, which command.Type takes what it can of:
//
//	int, i4, i8        int       string, none      string
//	boolean            bool      base64            []byte
//	double             double    dateTime.iso8601  dateTime
//	array              []any     struct            structure
//	nil                nil
type (
	// double is a type of its own because no command takes one, not even for an
	// integer.
	double float64

	// dateTime is the text of one: it has no zone that could be relied on.
	dateTime string

	// structure has its members in order, and can have one twice.
	structure []member

	member struct {
		name  string
		value any
	}
)

// get returns the value of the first member of a name.
func (s structure) get(name string) (v any, ok bool) {
	for i := range s {
		if s[i].name == name {
			return s[i].value, true
		}
	}
	return nil, false
}

// text returns the value of the first member of a name if it is text.
func (s structure) text(name string) string {
	v, _ := s.get(name)
	text, _ := v.(string)
	return text
}

// byName returns the values by name, and a name that is there twice.
func (s structure) byName() (values map[string]any, twice *string) {
	values = make(map[string]any, len(s))
	for i := range s {
		name := &s[i].name
		if _, ok := values[*name]; ok && twice == nil {
			twice = name
		}
		values[*name] = s[i].value
	}
	return values, twice
}
