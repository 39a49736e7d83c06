//go:build darwin || dragonfly || freebsd || linux

package boltstore

import "syscall"

// freeBytes returns how much this user may still write to the disk of a folder,
// if the system tells.
func freeBytes(dir string) (n int64, known bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
