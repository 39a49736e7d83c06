//go:build race

package s2s

// outRace says that allocations and memory cannot be counted.
const outRace = true
