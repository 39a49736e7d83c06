package conf

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// treeNode turns a value of Go into a node: maps with string keys, slices,
// strings, bools and numbers. It has no positions.
func treeNode(file string, v any, p *problems) *Node {
	return (&treeReader{file: file, problems: p}).node(reflect.ValueOf(v), 0)
}

// maxNodes bounds trees of Go values, which may contain themselves.
const maxNodes = 1_000_000

type treeReader struct {
	file     string
	problems *problems
	nodes    int
}

func (t *treeReader) node(v reflect.Value, depth int) *Node {
	n := &Node{File: t.file}
	for v.IsValid() && (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) {
		if depth++; depth > maxDepth {
			break
		}
		v = v.Elem()
	}
	if t.nodes++; t.nodes > maxNodes {
		if t.nodes == maxNodes+1 {
			t.problems.errorf(n, "the configuration has more than %d values", maxNodes)
		}
		return n
	}
	if depth > maxDepth {
		t.problems.errorf(n, "nested deeper than %d", maxDepth)
		return n
	}
	if !v.IsValid() {
		return n
	}
	switch v.Kind() {
	case reflect.Bool:
		n.Kind, n.Text = Bool, strconv.FormatBool(v.Bool())
	case reflect.String:
		n.Kind, n.Text = String, v.String()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.Kind, n.Text = Int, strconv.FormatInt(v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.Kind, n.Text = Int, strconv.FormatUint(v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		t.float(v.Float(), n)
	case reflect.Slice, reflect.Array:
		n.Kind = List
		for i := range v.Len() {
			n.add(t.node(v.Index(i), depth+1))
		}
	case reflect.Map:
		t.pairs(v, n, depth)
	default:
		t.problems.errorf(n, "a %s cannot be the value of an option", v.Type())
	}
	return n
}

// float takes whole numbers for integers: decoders of JSON have no others.
func (t *treeReader) float(f float64, n *Node) {
	if f == float64(int64(f)) && f >= -1<<53 && f <= 1<<53 {
		n.Kind, n.Text = Int, strconv.FormatInt(int64(f), 10)
		return
	}
	n.Kind, n.Text = Float, strconv.FormatFloat(f, 'g', -1, 64)
}

// pairs adds the pairs of a map in the order of their keys.
func (t *treeReader) pairs(v reflect.Value, n *Node, depth int) {
	n.Kind, n.unordered = Map, true
	keys := make(map[string]reflect.Value, v.Len())
	names := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		for k.Kind() == reflect.Interface {
			k = k.Elem()
		}
		if !k.IsValid() || k.Kind() != reflect.String && !k.CanInt() {
			t.problems.errorf(n, "a key must be a word")
			continue
		}
		name := fmt.Sprint(k.Interface())
		if _, dup := keys[name]; dup {
			t.problems.errorf(n, "the key %s is there twice, as a word and as a number", name)
			continue
		}
		names = append(names, name)
		keys[name] = v.MapIndex(k)
	}
	slices.Sort(names)
	for _, name := range names {
		key := &Node{Kind: String, Text: name, File: t.file}
		if decimal.MatchString(name) {
			key.Kind = Int
		}
		n.set(key, t.node(keys[name], depth+1))
	}
}
