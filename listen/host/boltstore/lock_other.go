//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package boltstore

import "os"

// lock does nothing where bbolt could not take the lock again.
func lock(*os.File) bool { return false }

// unlock leaves the lock to the end of the process.
func unlock(*os.File) {}

// claim leaves it to the system to let nobody remove a file that is open.
func claim(*os.File) bool { return true }

// openPart opens a file to claim it.
func openPart(name string) (*os.File, error) { return os.OpenFile(name, os.O_RDWR, 0) }

// movesOpen says that files can be moved and removed while they are open.
const movesOpen = false
