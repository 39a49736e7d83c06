package conformance

import (
	"encoding/xml"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What a client sees besides elements.
const (
	streamEnd = "</stream:stream>"
	eof       = "eof"
)

// element is what came from the server: an element, a stream header (without its
// children), or one of streamEnd, eof and broken XML, which are names.
type element struct {
	name     xml.Name
	attrs    map[xml.Name]string
	children []*element
	text     string
	raw      string
}

func mark(what string) *element { return &element{name: xml.Name{Local: what}, raw: what} }

func newElement(s xml.StartElement) *element {
	e := &element{name: s.Name, attrs: map[xml.Name]string{}}
	for _, a := range s.Attr {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			e.attrs[a.Name] = a.Value
		}
	}
	return e
}

// readInto reads the content of e and its end tag.
func (e *element) readInto(d *xml.Decoder) error {
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			child := newElement(t)
			if err := child.readInto(d); err != nil {
				return err
			}
			e.children = append(e.children, child)
		case xml.CharData:
			e.text += string(t)
		case xml.EndElement:
			return nil
		default:
			return errors.New("restricted XML")
		}
	}
}

// attr returns an attribute without prefix.
func (e *element) attr(local string) string { return e.attrs[xml.Name{Local: local}] }

// child returns the first child with this name, nil without.
func (e *element) child(local string) *element {
	i := slices.IndexFunc(e.children, func(c *element) bool { return c.name.Local == local })
	if i < 0 {
		return nil
	}
	return e.children[i]
}

// isStanza reports whether e counts for stream management.
func (e *element) isStanza() bool {
	spaces := []string{stanza.NSClient, stanza.NSServer, stanza.NSComponent}
	return slices.Contains(spaces, e.name.Space) && slices.Contains([]string{"message", "presence", "iq"}, e.name.Local)
}

// matches reports whether e has everything that a pattern says: its name, its
// attributes, a child for each child, and its text. The value * stands for any
// but the empty one, absent for none, ~ begins a regular expression, and = puts
// the value into the variable of the name that follows. The attribute only of a
// pattern says that there are no further children; a child with the attribute
// no says that there is none like it.
func (e *element) matches(pattern *element, vars map[string]string) bool {
	if e.name != pattern.name || !fits(e.text, e.text != "", strings.TrimSpace(pattern.text), vars) {
		return false
	}
	for name, want := range pattern.attrs {
		if name.Local == "only" || name.Local == "no" {
			continue
		}
		if got, ok := e.attrs[name]; !fits(got, ok, want, vars) {
			return false
		}
	}
	rest := slices.Clone(e.children)
	for _, p := range pattern.children {
		i := slices.IndexFunc(rest, func(c *element) bool { return c.matches(p, vars) })
		_, not := p.attrs[xml.Name{Local: "no"}]
		switch {
		case not && i >= 0, !not && i < 0:
			return false
		case i >= 0:
			rest = slices.Delete(rest, i, i+1)
		}
	}
	_, only := pattern.attrs[xml.Name{Local: "only"}]
	return !only || len(rest) == 0
}

func fits(got string, present bool, want string, vars map[string]string) bool {
	switch {
	case want == "":
		return true
	case want == "*":
		return got != ""
	case want == "absent":
		return !present
	case want[0] == '~':
		return regexp.MustCompile("^(?:" + want[1:] + ")$").MatchString(got)
	case want[0] == '=':
		if got != "" && vars != nil {
			vars[want[1:]] = got
		}
		return got != ""
	}
	return got == want
}

// expectation is one thing that a client is to get.
type expectation struct {
	text     string
	any      []*element // one of these
	optional bool
	ordered  bool // after the ordered ones before it
}

// patterns reads alternatives, separated by " | ", of elements in a content
// namespace.
func patterns(text, space string) ([]*element, error) {
	var all []*element
	for alternative := range strings.SplitSeq(text, " | ") {
		if !strings.HasPrefix(alternative, "<") || alternative == streamEnd {
			all = append(all, mark(alternative))
			continue
		}
		root := &element{}
		d := xml.NewDecoder(strings.NewReader("<x xmlns='" + space + "' xmlns:db='jabber:server:dialback' xmlns:stream='" + stanza.NSStream + "'>" + alternative + "</x>"))
		if _, err := d.Token(); err != nil {
			return nil, err
		}
		if err := root.readInto(d); err != nil {
			return nil, err
		}
		if len(root.children) != 1 {
			return nil, errors.New("a pattern is one element")
		}
		all = append(all, root.children[0])
	}
	return all, nil
}

// same reports whether what came is what was wanted, all of it: each element
// fits one expectation, and each expectation one element.
func same(got []*element, want []expectation, vars map[string]string) bool {
	return assign(got, want, make([]bool, len(got)), -1, vars)
}

func assign(got []*element, want []expectation, used []bool, last int, vars map[string]string) bool {
	if len(want) == 0 {
		return !slices.Contains(used, false)
	}
	w := want[0]
	for i, e := range got {
		if used[i] || w.ordered && i < last || !slices.ContainsFunc(w.any, func(p *element) bool { return e.matches(p, nil) }) {
			continue
		}
		used[i] = true
		next := last
		if w.ordered {
			next = i
		}
		if assign(got, want[1:], used, next, vars) {
			_ = slices.ContainsFunc(w.any, func(p *element) bool { return e.matches(p, vars) }) // sets them
			return true
		}
		used[i] = false
	}
	return w.optional && assign(got, want[1:], used, last, vars)
}

// raw is everything as it came, a line for each.
func raw(got []*element) string {
	var lines []string
	for _, e := range got {
		lines = append(lines, e.raw)
	}
	if lines == nil {
		return "nothing"
	}
	return strings.Join(lines, "\n\t\t")
}

// TestMatcher checks what the other tests stand on.
func TestMatcher(t *testing.T) {
	const got = "<iq type='result' id='1'><q xmlns='urn:q' a='1'>text</q><r/></iq>"
	for pattern, want := range map[string]bool{
		"<iq/>": true, "<iq type='result'/>": true, "<iq id='*'/>": true, "<iq id='~[0-9]'/>": true, "<iq to='absent'/>": true,
		"<iq><q xmlns='urn:q'/></iq>": true, "<iq only=''><q xmlns='urn:q'/><r/></iq>": true, "<x/> | <iq/>": true,
		"<iq><q xmlns='urn:q'>text</q></iq>": true, "<iq><s no=''/></iq>": true, "<iq id='=v'/>": true,
		"<message/>": false, "<iq type='get'/>": false, "<iq to='*'/>": false, "<iq id='absent'/>": false,
		"<iq><q/></iq>": false, "<iq only=''><r/></iq>": false, "<iq><r/><r/></iq>": false, "<iq><q xmlns='urn:q'>tex</q></iq>": false,
		"<iq><r no=''/></iq>": false, streamEnd: false, eof: false,
	} {
		gots, err := patterns(got, stanza.NSClient)
		if err != nil {
			t.Fatal(err)
		}
		wants, err := patterns(pattern, stanza.NSClient)
		if err != nil {
			t.Fatal(err)
		}
		if fit := same(gots, []expectation{{any: wants}}, map[string]string{}); fit != want {
			t.Errorf("%s: got %v, want %v", pattern, fit, want)
		}
	}
}
