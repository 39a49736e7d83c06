//go:build !race

package stanzaid

const raceEnabled = false
