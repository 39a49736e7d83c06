//go:build race

package acl

// raceDetector is on: pools of the standard library then drop what they are
// given at random, so that allocations cannot be counted.
const raceDetector = true
