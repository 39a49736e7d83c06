package main

import (
	"fmt"
	"os"
	"strings"
)

// What the table stands between.
const (
	beginMark = "<!-- bench:begin -->"
	endMark   = "<!-- bench:end -->"
)

// insert puts text between the marks of a document.
func insert(document, text string) (string, error) {
	before, rest, ok := strings.Cut(document, beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !ok || !ended || strings.Contains(after, beginMark) || strings.Contains(before, endMark) {
		return "", fmt.Errorf("want %s and %s after it, each once", beginMark, endMark)
	}
	return before + beginMark + "\n" + strings.TrimSpace(text) + "\n" + endMark + after, nil
}

// insertFile does the same with a file.
func insertFile(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed, err := insert(string(old), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(changed), 0o644)
}
