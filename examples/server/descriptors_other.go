//go:build !unix

package main

// descriptorLimit: these systems have no such limit.
func descriptorLimit() (n uint64, ok bool) { return 0, false }
