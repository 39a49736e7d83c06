//go:build !race

package s2s

const outRace = false
