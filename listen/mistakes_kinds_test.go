package listen

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestWrongKindsEverywhere puts values of all kinds, in turn, in the place of
// each value and each key of a configuration that has everything. Whatever comes
// of it, problems have a position, and there is no panic.
func TestWrongKindsEverywhere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "full.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := workspace(t)
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	wrong := []yaml.Node{
		{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"},
		{Kind: yaml.ScalarNode, Tag: "!!int", Value: "-1"},
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: "", Style: yaml.DoubleQuotedStyle},
		{Kind: yaml.SequenceNode, Style: yaml.FlowStyle},
		{Kind: yaml.MappingNode, Style: yaml.FlowStyle},
		{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{{Kind: yaml.SequenceNode}, {Kind: yaml.MappingNode}}},
	}
	var nodes []*yaml.Node
	var collect func(n *yaml.Node)
	collect = func(n *yaml.Node) {
		nodes = append(nodes, n)
		for _, c := range n.Content {
			collect(c)
		}
	}
	collect(doc.Content[0])
	reg := testRegistry()
	for i, n := range nodes {
		old := *n
		*n = wrong[i%len(wrong)]
		src, err := yaml.Marshal(&doc)
		if err != nil {
			t.Fatal(err)
		}
		*n = old
		c, err := Parse(filepath.Join(dir, "main.yml"), src, reg)
		var bad *ParseError
		switch {
		case err == nil:
			checkPositions(t, c.Warnings, src)
		case errors.As(err, &bad):
			checkPositions(t, bad.Errors, src)
			checkPositions(t, bad.Warnings, src)
		default:
			t.Fatalf("got %T, want a *ParseError", err)
		}
	}
}

func checkPositions(t *testing.T, list []*Error, src []byte) {
	t.Helper()
	for _, e := range list {
		if e.File == "" || e.Line < 1 || e.Column < 1 || e.Msg == "" {
			t.Errorf("%v has no position; configuration:\n%s", e, src)
		}
	}
}
