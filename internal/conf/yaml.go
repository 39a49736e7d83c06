package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxFileSize = 16 << 20
	maxDepth    = 64
)

var errTooLarge = fmt.Errorf("larger than %d MiB", maxFileSize>>20)

// parseYAML turns one file into a tree. Errors go to p; the tree that comes
// back is nil when there is none.
//
// It keeps to what ejabberd reads: one document, no merge keys, no tags.
func parseYAML(file string, src []byte, b *budget, p *problems) *Node {
	whole := &Node{File: file}
	if len(src) > maxFileSize {
		p.errorf(whole, "%v", errTooLarge).because(errTooLarge)
		return nil
	}
	if off := badByte(src); off >= 0 {
		line, col := lineColumn(src, off)
		p.errors = append(p.errors, &Error{File: file, Line: line, Column: col, Msg: "control character or invalid UTF-8"})
		return nil
	}
	var doc, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(src))
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return &Node{Kind: Null, File: file, Line: 1, Column: 1}
	}
	if err == nil {
		switch err = dec.Decode(&second); {
		case err == nil:
			p.errors = append(p.errors, &Error{File: file, Line: second.Line, Column: max(second.Column, 1),
				Msg: "a second YAML document: only one is read"})
			return nil
		case errors.Is(err, io.EOF):
			err = nil
		}
	}
	if err != nil {
		p.errors = append(p.errors, syntaxError(file, src, err))
		return nil
	}
	c := &converter{file: file, budget: b, problems: p, open: make(map[*yaml.Node]bool)}
	if len(doc.Content) == 0 {
		return &Node{Kind: Null, File: file, Line: 1, Column: 1}
	}
	top := c.node(doc.Content[0], 0)
	if c.gaveUp {
		return nil
	}
	return top
}

// badByte returns the offset of the first byte that YAML does not allow, or -1.
func badByte(src []byte) int {
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f {
			return i
		}
		i += n
	}
	return -1
}

func lineColumn(src []byte, off int) (line, column int) {
	before := src[:off]
	return bytes.Count(before, []byte("\n")) + 1, off - bytes.LastIndexByte(before, '\n')
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntaxError gives the line in which the parser gave up. The line in its own
// text is that of the beginning of a block, and wrong by one at times, so we
// look for the shortest run of lines that shows the same error.
func syntaxError(file string, src []byte, err error) *Error {
	msg := yamlLine.ReplaceAllString(err.Error(), "")
	e := &Error{File: file, Msg: "YAML: " + msg, Err: err}
	lines := bytes.SplitAfter(src, []byte("\n"))
	if len(src) > 1<<20 { // twenty parses would take long
		e.Line, _ = strconv.Atoi(yamlLine.FindStringSubmatch(err.Error())[1])
		e.Line, e.Column = max(e.Line, 1), 1
		return e
	}
	end := 0
	ends := make([]int, len(lines))
	for i, l := range lines {
		end += len(l)
		ends[i] = end
	}
	at := sort.Search(len(lines)-1, func(i int) bool {
		var n yaml.Node
		dec := yaml.NewDecoder(bytes.NewReader(src[:ends[i]]))
		err := dec.Decode(&n)
		if err == nil {
			err = dec.Decode(&n)
		}
		return err != nil && yamlLine.ReplaceAllString(err.Error(), "") == msg
	})
	e.Line = at + 1
	e.Column = len(lines[at]) - len(bytes.TrimLeft(lines[at], " \t-")) + 1
	return e
}

// converter turns the nodes of the YAML library into ours.
type converter struct {
	file     string
	budget   *budget
	problems *problems
	open     map[*yaml.Node]bool // aliases that are being expanded
	aliased  int                 // depth of these
	outer    *Node               // where the outermost stands
	gaveUp   bool
}

// giveUp reports what makes the rest of the file not worth reading.
func (c *converter) giveUp(n *Node, msg string) {
	c.problems.errorf(n, "%s", msg).in(nil)
	c.gaveUp = true
}

func (c *converter) node(y *yaml.Node, depth int) *Node {
	n := &Node{File: c.file, Line: y.Line, Column: y.Column}
	if c.aliased > 0 {
		c.budget.spend(1, len(y.Value))
	}
	switch {
	case c.gaveUp:
		return n
	case depth > maxDepth:
		c.giveUp(n, fmt.Sprintf("nested deeper than %d", maxDepth))
		return n
	case c.budget.spent():
		c.giveUp(c.outer, "aliases make the configuration too large")
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		return c.alias(y, n, depth)
	case yaml.ScalarNode:
		c.scalar(y, n)
	case yaml.SequenceNode:
		n.Kind = List
		c.tag(y, n, "!!seq")
		for _, item := range y.Content {
			n.add(c.node(item, depth+1))
		}
	case yaml.MappingNode:
		n.Kind = Map
		c.tag(y, n, "!!map")
		c.pairs(y, n, depth+1)
	}
	return n
}

func (c *converter) alias(y *yaml.Node, n *Node, depth int) *Node {
	target := y.Alias
	if c.open[target] {
		c.problems.errorf(n, "the anchor %s contains itself", y.Value)
		return n
	}
	c.open[target] = true
	if c.aliased++; c.aliased == 1 {
		c.outer = n
	}
	v := c.node(target, depth)
	c.aliased--
	delete(c.open, target)
	v.Line, v.Column = n.Line, n.Column
	return v
}

// tag refuses tags that are not the one of the value's own kind.
func (c *converter) tag(y *yaml.Node, n *Node, own string) {
	if y.Style&yaml.TaggedStyle != 0 && y.Tag != own {
		c.problems.errorf(n, "the tag %s is not supported", y.Tag)
	}
}

func (c *converter) scalar(y *yaml.Node, n *Node) {
	n.Text = y.Value
	switch tag := y.ShortTag(); tag {
	case "!!null":
		n.Kind = Null
	case "!!bool":
		n.Kind = Bool
	case "!!int":
		n.Kind = Int
	case "!!float":
		n.Kind = Float
	case "!!str", "!!timestamp", "!!merge":
		n.Kind = String
	default:
		n.Kind = String
		c.problems.errorf(n, "the tag %s is not supported", tag)
	}
}

func (c *converter) pairs(y *yaml.Node, n *Node, depth int) {
	lines := make(map[string]int, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := c.node(y.Content[i], depth)
		key.parent, key.key = n, key.Text
		value := c.node(y.Content[i+1], depth)
		line, dup := lines[key.Text]
		switch {
		case c.gaveUp:
			return
		case !key.scalar() || key.Kind == Null:
			c.problems.errorf(key, "a key must be a word, not %s", key.What()).in(n)
		case y.Content[i].ShortTag() == "!!merge":
			c.problems.errorf(key, "merge keys are not supported: write the options out, or use define_macro")
		case dup:
			c.problems.errorf(key, "already set on line %d", line)
		default:
			lines[key.Text] = key.Line
			n.set(key, value)
		}
	}
}
