//go:build !race

package acl

const raceDetector = false
