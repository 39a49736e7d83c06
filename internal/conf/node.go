package conf

import (
	"strconv"
	"strings"
)

// Kind is the kind of a Node.
type Kind uint8

// The kinds of nodes. Words such as yes are strings; whether they are a bool
// is decided by the option.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Map
)

// Node is a value of a configuration with its position and its place in the
// tree.
type Node struct {
	Kind Kind
	Text string  // of a scalar
	List []*Node // of a list
	Map  []Pair  // of a map, in file order

	File         string
	Line, Column int // from 1; 0 in trees that are not YAML

	unordered bool // a map from a Go map: its order says nothing
	parent    *Node
	key       string // in a map
	index     int    // in a list
}

// Pair is a key of a map with its value.
type Pair struct{ Key, Value *Node }

// Get returns the value of a key, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for _, p := range n.Map {
		if p.Key.Text == key {
			return p.Value
		}
	}
	return nil
}

// Path returns the way to n from the top: listen[0].hosts["a.example"].password.
func (n *Node) Path() string {
	if n == nil || n.parent == nil {
		return ""
	}
	up := n.parent.Path()
	switch {
	case n.parent.Kind == List:
		return up + "[" + strconv.Itoa(n.index) + "]"
	case !plainKey(n.key):
		return up + "[" + strconv.Quote(n.key) + "]"
	case up == "":
		return n.key
	}
	return up + "." + n.key
}

// join returns the path of a key of n that n may not have.
func (n *Node) join(key string) string {
	return (&Node{parent: n, key: key}).Path()
}

func plainKey(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

// empty reports whether n has nothing to say: no value, {} or [].
func (n *Node) empty() bool {
	switch n.Kind {
	case Null:
		return true
	case List:
		return len(n.List) == 0
	case Map:
		return len(n.Map) == 0
	}
	return false
}

// items returns the elements of a list; of a single value that value.
func (n *Node) items() []*Node {
	switch {
	case n.Kind == List:
		return n.List
	case n.empty():
		return nil
	}
	return []*Node{n}
}

// What names the kind of n for messages.
func (n *Node) What() string {
	secret := n.secret()
	switch n.Kind {
	case Null:
		return "nothing"
	case Bool, String:
		if secret {
			return "a string"
		}
		return strconv.Quote(n.Text)
	case Int, Float:
		if secret {
			return "a number"
		}
		return "the number " + n.Text
	case List:
		return "a list"
	}
	return "a map"
}

// secret reports whether n is a value to keep out of logs.
func (n *Node) secret() bool { return secretName(n.key) }

// secretName reports whether an option of this name may be a secret.
func secretName(option string) bool {
	for _, word := range []string{"password", "secret", "token"} {
		if strings.Contains(option, word) {
			return true
		}
	}
	return false
}

// scalar reports whether n is neither a list nor a map.
func (n *Node) scalar() bool { return n.Kind < List }

// add appends a value to a list.
func (n *Node) add(v *Node) {
	v.parent, v.index = n, len(n.List)
	n.List = append(n.List, v)
}

// set appends a pair to a map. It does not look for the key.
func (n *Node) set(key, v *Node) {
	key.parent, key.key = n, key.Text
	v.parent, v.key = n, key.Text
	n.Map = append(n.Map, Pair{key, v})
}

// With returns a copy of a map in which a key has another value, or is new. The
// values keep their places in the tree; a value without one gets it.
func (n *Node) With(key string, v *Node) *Node {
	c := n.Without(key)
	k := &Node{Kind: String, Text: key, File: v.File, Line: v.Line, Column: v.Column, parent: c, key: key}
	if v.parent == nil {
		v.parent, v.key = c, key
	}
	c.Map = append(c.Map, Pair{k, v})
	return c
}

// Without returns a copy of a map that lacks a key.
func (n *Node) Without(key string) *Node {
	c := *n
	c.Map = nil
	for _, p := range n.Map {
		if p.Key.Text != key {
			c.Map = append(c.Map, p)
		}
	}
	return &c
}

// NewString returns a text that stands at the position of another node.
func NewString(at *Node, text string) *Node {
	return &Node{Kind: String, Text: text, File: at.File, Line: at.Line, Column: at.Column}
}

// NewMap returns a map that stands at the position of another node.
func NewMap(at *Node) *Node {
	return &Node{Kind: Map, File: at.File, Line: at.Line, Column: at.Column}
}

// copy returns a copy of n and all below it, without a parent.
func (n *Node) copy(b *budget) *Node {
	b.spend(1, len(n.Text))
	c := *n
	c.List, c.Map, c.parent = nil, nil, nil
	if b.spent() {
		return &c
	}
	for _, v := range n.List {
		c.add(v.copy(b))
	}
	for _, p := range n.Map {
		c.set(p.Key.copy(b), p.Value.copy(b))
	}
	return &c
}

// budget bounds what aliases, macros and keywords may add to a configuration.
type budget struct{ nodes, bytes int }

func newBudget() *budget { return &budget{nodes: 200_000, bytes: 16 << 20} }

func (b *budget) spend(nodes, bytes int) { b.nodes -= nodes; b.bytes -= bytes }
func (b *budget) spent() bool            { return b.nodes < 0 || b.bytes < 0 }
