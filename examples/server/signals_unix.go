//go:build unix

package main

import (
	"os"
	"syscall"
)

// backupSignals are the signals that ask for a backup.
func backupSignals() []os.Signal { return []os.Signal{syscall.SIGUSR1} }
