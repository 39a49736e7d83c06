//go:build race

package datagram

// raceDetector says that allocations are not those of the code alone.
const raceDetector = true
