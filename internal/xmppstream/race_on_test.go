//go:build race

package xmppstream

// raceEnabled says that allocations cannot be counted: under the race detector
// sync.Pool forgets on purpose.
const raceEnabled = true
