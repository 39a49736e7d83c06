package conf

import (
	"io"
	"os"
	"path/filepath"
	"slices"
)

// maxFiles bounds what include_config_file may add to one configuration.
const maxFiles = 256

// reader reads a configuration file with all that it includes.
type reader struct {
	problems *problems
	budget   *budget
	open     []string // files that are being read, outermost first
	files    int
}

// file parses src and puts included files in place of include_config_file.
// The result is a map, or nil.
func (r *reader) file(path string, src []byte) *Node {
	top := parseYAML(path, src, r.budget, r.problems)
	if top == nil {
		return nil
	}
	return r.top(top)
}

// top does the same for a tree that is parsed already.
func (r *reader) top(n *Node) *Node {
	switch {
	case n.Kind == Null:
		n.Kind, n.Text = Map, ""
		return n
	case n.Kind != Map:
		r.problems.errorf(n, "want a map of options at the top, got %s", n.What())
		return nil
	}
	abs, err := filepath.Abs(n.File)
	if err != nil {
		abs = n.File
	}
	r.open = append(r.open, abs)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	out := *n
	out.Map = nil
	for _, pair := range n.Map {
		if pair.Key.Text == "include_config_file" {
			r.includes(&out, pair.Value)
			continue
		}
		r.merge(&out, pair)
	}
	return &out
}

// includes reads the forms of include_config_file: a path, a map of paths with
// their limits, or a list of both.
func (r *reader) includes(out, n *Node) {
	switch n.Kind {
	case String:
		r.include(out, n, n.Text, nil)
	case List:
		for _, item := range n.List {
			if item.Kind == List {
				r.problems.errorf(item, "want the path of a file, got a list")
				continue
			}
			r.includes(out, item)
		}
	case Map:
		for _, pair := range n.Map {
			r.include(out, pair.Value, pair.Key.Text, pair.Value)
		}
	default:
		r.problems.errorf(n, "want the path of a file, got %s", n.What())
	}
}

// include reads one file and adds its options to out. Paths are relative to
// the file that names them.
func (r *reader) include(out, n *Node, path string, limits *Node) {
	takes, ok := r.limits(limits)
	if !ok {
		return
	}
	path = n.abs(path)
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	if slices.Contains(r.open, abs) {
		r.problems.errorf(n, "%q includes itself", path)
		return
	}
	if r.files++; r.files > maxFiles {
		if r.files == maxFiles+1 {
			r.problems.errorf(n, "more than %d files are included", maxFiles)
		}
		return
	}
	src, err := ReadFile(path)
	if err != nil {
		r.problems.errorf(n, "cannot read the included file: %v", err).because(err)
		return
	}
	in := r.file(path, src)
	if in == nil {
		return
	}
	for _, pair := range in.Map {
		if !takes(pair.Key.Text) {
			r.problems.warnf(pair.Key, "not taken from this file, by include_config_file on line %d of %s", n.Line, n.File)
			continue
		}
		r.merge(out, pair)
	}
}

// limits returns a function that says which options of a file are taken.
func (r *reader) limits(n *Node) (takes func(string) bool, ok bool) {
	all := func(string) bool { return true }
	if n == nil || n.empty() {
		return all, true
	}
	if n.Kind != Map || len(n.Map) != 1 {
		r.problems.errorf(n, "want allow_only or disallow with a list of options, got %s", n.What())
		return nil, false
	}
	names, ok := r.names(n.Map[0].Value)
	if !ok {
		return nil, false
	}
	switch key := n.Map[0].Key; key.Text {
	case "allow_only":
		return func(name string) bool { return slices.Contains(names, name) }, true
	case "disallow":
		return func(name string) bool { return !slices.Contains(names, name) }, true
	default:
		r.problems.errorf(key, "unknown option of include_config_file").meant(key.Text, []string{"allow_only", "disallow"})
		return nil, false
	}
}

func (r *reader) names(n *Node) (names []string, ok bool) {
	if n.Kind != List {
		r.problems.errorf(n, "want a list of options, got %s", n.What())
		return nil, false
	}
	for _, item := range n.List {
		if item.Kind != String {
			r.problems.errorf(item, "want the name of an option, got %s", item.What())
			return nil, false
		}
		names = append(names, item.Text)
	}
	return names, true
}

// merge adds an option to out. Lists and maps that are there already are
// joined; other options may be set once.
func (r *reader) merge(out *Node, pair Pair) {
	old, v := out.Get(pair.Key.Text), pair.Value
	switch {
	case old == nil:
		out.set(pair.Key, v)
	case v.empty():
	case old.Kind == List && v.Kind == List:
		for _, item := range v.List {
			old.add(item)
		}
	case old.Kind == Map && v.Kind == Map:
		for _, p := range v.Map {
			if first := old.Get(p.Key.Text); first != nil {
				r.problems.errorf(p.Key, "already set in %s", first.position())
				continue
			}
			old.set(p.Key, p.Value)
		}
	default:
		r.problems.errorf(pair.Key, "already set in %s", old.position())
	}
}

// position returns file:line of n, for messages about another place.
func (n *Node) position() string {
	return (&Error{File: n.File, Line: n.Line}).Position()
}

// ReadFile reads a file of bounded size.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(src) > maxFileSize {
		err = &os.PathError{Op: "read", Path: path, Err: errTooLarge}
	}
	return src, err
}

// abs returns a path that stands in n's file, relative to the working
// directory or absolute.
func (n *Node) abs(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(n.File), path)
}
