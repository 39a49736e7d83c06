package conf

import (
	"slices"
	"strings"
)

// Nearest returns the name that word may have been meant to be, or "". Among
// names of equal distance the first in alphabetical order wins.
func Nearest(word string, names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	best, bestDist := "", len(word)/2+1 // more changes than that are no typing mistake
	for _, name := range names {
		d := distance(word, name)
		if len(word) >= 3 && strings.HasPrefix(name, word) {
			d = 1 // not finished
		}
		if d < bestDist {
			best, bestDist = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two strings in bytes.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 { // no option name is longer
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
