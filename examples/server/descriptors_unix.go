//go:build unix

package main

import "syscall"

// descriptorLimit returns how many descriptors the process may have open.
func descriptorLimit() (n uint64, ok bool) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true
}
