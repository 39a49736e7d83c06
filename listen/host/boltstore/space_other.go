//go:build !(darwin || dragonfly || freebsd || linux)

package boltstore

// freeBytes does not know.
func freeBytes(string) (n int64, known bool) { return 0, false }
