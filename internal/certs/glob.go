package certs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxAlternatives bounds how many patterns the braces of one may stand for.
const maxAlternatives = 1000

var errBraces = errors.New("too many {…} alternatives in the pattern")

// expand returns the files that a pattern names, sorted. A path that exists
// as it stands is taken as it stands, whatever its letters.
func expand(pattern string) (paths []string, globbed bool, err error) {
	if pattern == "" {
		return nil, false, errors.New("empty path")
	}
	if !strings.ContainsAny(pattern, "*?[{") {
		return []string{filepath.Clean(pattern)}, false, nil
	}
	if _, err := os.Lstat(pattern); err == nil {
		return []string{filepath.Clean(pattern)}, false, nil
	}
	globs, err := braces([]string{pattern})
	if err != nil {
		return nil, true, err
	}
	for _, g := range globs {
		found, err := filepath.Glob(g)
		if err != nil {
			return nil, true, errors.New("malformed pattern")
		}
		for _, p := range found {
			if info, err := os.Stat(p); err == nil && info.IsDir() {
				continue
			}
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	if len(paths) == 0 {
		return nil, true, errors.New("no file matches")
	}
	return slices.Compact(paths), true, nil
}

// braces replaces {a,b} by its alternatives, from left to right. Braces within
// braces have no meaning.
func braces(in []string) ([]string, error) {
	for {
		var out []string
		done := true
		for _, p := range in {
			i := strings.IndexByte(p, '{')
			n := -1
			if i >= 0 {
				n = strings.IndexByte(p[i:], '}')
			}
			if n < 0 {
				out = append(out, p)
				continue
			}
			done = false
			for alt := range strings.SplitSeq(p[i+1:i+n], ",") {
				out = append(out, p[:i]+alt+p[i+n+1:])
			}
		}
		if len(out) > maxAlternatives {
			return nil, errBraces
		}
		if in = out; done {
			return in, nil
		}
	}
}
