package c2s_test

import (
	"bufio"
	"encoding/xml"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a client sees besides elements.
const (
	rfcEnd = "</stream:stream>"
	rfcEOF = "the end of the connection"
)

// rfcElement is what came from the server: an element, a stream header (which
// has no children), or one of rfcEnd, rfcEOF and broken XML, which are names.
type rfcElement struct {
	name     xml.Name
	attrs    map[xml.Name]string
	children []*rfcElement
	text     string
	raw      string
}

// rfcMark is one of the things that are no element.
func rfcMark(what string) *rfcElement {
	return &rfcElement{name: xml.Name{Local: what}, raw: what}
}

func newRFCElement(s xml.StartElement) *rfcElement {
	e := &rfcElement{name: s.Name, attrs: map[xml.Name]string{}}
	for _, a := range s.Attr {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			e.attrs[a.Name] = a.Value
		}
	}
	return e
}

// readInto reads the content of e and its end tag.
func (e *rfcElement) readInto(d *xml.Decoder) error {
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			child := newRFCElement(t)
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

// child returns the first child with this local name, nil without.
func (e *rfcElement) child(local string) *rfcElement {
	i := slices.IndexFunc(e.children, func(c *rfcElement) bool { return c.name.Local == local })
	if i < 0 {
		return nil
	}
	return e.children[i]
}

// attr returns an attribute without prefix.
func (e *rfcElement) attr(local string) string { return e.attrs[xml.Name{Local: local}] }

// matches reports whether e has everything that a pattern says: its name, its
// attributes, a child for each child, and its text. The value * stands for any
// but the empty one, absent for none, and one after ~ is a regular expression.
// The attribute only of a pattern says that there are no further children.
func (e *rfcElement) matches(pattern *rfcElement) bool {
	if e.name != pattern.name || !rfcValue(e.text, e.text != "", strings.TrimSpace(pattern.text)) {
		return false
	}
	for name, want := range pattern.attrs {
		if name.Local == "only" {
			if len(e.children) != len(pattern.children) {
				return false
			}
			continue
		}
		if got, ok := e.attrs[name]; !rfcValue(got, ok, want) {
			return false
		}
	}
	rest := slices.Clone(e.children)
	for _, p := range pattern.children {
		i := slices.IndexFunc(rest, func(c *rfcElement) bool { return c.matches(p) })
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return true
}

func rfcValue(got string, present bool, want string) bool {
	switch {
	case want == "":
		return true
	case want == "*":
		return got != ""
	case want == "absent":
		return !present
	case want[0] == '~':
		return regexp.MustCompile("^(?:" + want[1:] + ")$").MatchString(got)
	}
	return got == want
}

// rfcPatterns reads alternatives, separated by " | ".
func rfcPatterns(t testing.TB, text string) []*rfcElement {
	t.Helper()
	var patterns []*rfcElement
	for alternative := range strings.SplitSeq(text, " | ") {
		if !strings.HasPrefix(alternative, "<") || alternative == rfcEnd {
			patterns = append(patterns, rfcMark(alternative))
			continue
		}
		root := &rfcElement{}
		d := xml.NewDecoder(strings.NewReader("<x xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>" + alternative + "</x>"))
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		if err := root.readInto(d); err != nil || len(root.children) != 1 {
			t.Fatalf("pattern %q: %v", alternative, err)
		}
		patterns = append(patterns, root.children[0])
	}
	return patterns
}

// rfcSame reports whether what came is what was wanted: all of it, in order. An
// entry after ? may be missing.
func rfcSame(t testing.TB, got []*rfcElement, want []string) bool {
	t.Helper()
	for _, w := range want {
		text, optional := strings.CutPrefix(w, "?")
		fits := len(got) > 0 && slices.ContainsFunc(rfcPatterns(t, text), got[0].matches)
		if fits {
			got = got[1:]
		} else if !optional {
			return false
		}
	}
	return len(got) == 0
}

// rfcCheck fails the test unless what came is one of the lists.
func rfcCheck(t testing.TB, sent string, got []*rfcElement, want ...[]string) {
	t.Helper()
	for _, list := range want {
		if rfcSame(t, got, list) {
			return
		}
	}
	var lists []string
	for _, list := range want {
		lists = append(lists, "\n\t"+strings.Join(list, "\n\t"))
	}
	t.Errorf("sent %q\ngot\n\t%s\nwant%s", rfcShort(sent), rfcShort(rfcRaw(got)), strings.Join(lists, "\nor"))
}

// rfcRaw is everything as it came, a line for each.
func rfcRaw(got []*rfcElement) string {
	var lines []string
	for _, e := range got {
		lines = append(lines, e.raw)
	}
	if lines == nil {
		return "nothing"
	}
	return strings.Join(lines, "\n\t")
}

func rfcShort(s string) string {
	const most = 1500
	if len(s) > most {
		return s[:most/2] + "…" + s[len(s)-most/2:]
	}
	return s
}

// rfcWire gives bytes to an XML decoder, never more than it asks for, and
// records them.
type rfcWire struct {
	r   *bufio.Reader
	raw []byte
	err error
}

func (w *rfcWire) ReadByte() (byte, error) {
	b, err := w.r.ReadByte()
	if err != nil {
		w.err = err
		return 0, err
	}
	w.raw = append(w.raw, b)
	return b, nil
}

func (w *rfcWire) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := w.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// What a condition looks like. Several are separated by |.
func rfcConditions(format, conditions string) string {
	var all []string
	for c := range strings.SplitSeq(conditions, "|") {
		all = append(all, strings.ReplaceAll(format, "CONDITION", c))
	}
	return strings.Join(all, " | ")
}

// rfcStreamError is a stream error and what follows it.
// See RFC 6120, section 4.9.1.1.
func rfcStreamError(conditions string) []string {
	return []string{rfcConditions("<stream:error><CONDITION xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", conditions), rfcEnd, rfcEOF}
}

// rfcFailure is a failure of SASL.
func rfcFailure(conditions string) string {
	return rfcConditions("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><CONDITION/></failure>", conditions)
}

// rfcError is a stanza error; attrs are those of the stanza besides its type.
func rfcError(kind, attrs, conditions string) string {
	return rfcConditions("<"+kind+" type='error' "+attrs+"><error type='*'><CONDITION xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></"+kind+">", conditions)
}

// TestRFCMatcher checks what the other tests stand on.
func TestRFCMatcher(t *testing.T) {
	const got = "<iq type='result' id='1'><q xmlns='urn:q' a='1'>text</q><r/></iq>"
	for pattern, want := range map[string]bool{
		"<iq/>": true, "<iq type='result'/>": true, "<iq id='*'/>": true, "<iq id='~[0-9]'/>": true, "<iq to='absent'/>": true,
		"<iq><q xmlns='urn:q'/></iq>": true, "<iq only=''><q xmlns='urn:q'/><r/></iq>": true, "<x/> | <iq/>": true,
		"<iq><q xmlns='urn:q'>text</q></iq>": true,
		"<message/>":                         false, "<iq type='get'/>": false, "<iq to='*'/>": false, "<iq id='absent'/>": false,
		"<iq><q/></iq>": false, "<iq only=''><r/></iq>": false, "<iq><r/><r/></iq>": false, "<iq><q xmlns='urn:q'>tex</q></iq>": false,
		rfcEnd: false, rfcEOF: false,
	} {
		if same := rfcSame(t, rfcPatterns(t, got), []string{pattern}); same != want {
			t.Errorf("%s: got %v, want %v", pattern, same, want)
		}
	}
}

// rfcSorted are the keys of a map, for failures that read the same each time.
func rfcSorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
