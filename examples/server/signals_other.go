//go:build !unix

package main

import "os"

// backupSignals are the signals that ask for a backup: this system has none.
func backupSignals() []os.Signal { return nil }
