//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

const canRestart = true

// restart puts a new server in the place of this one, which has stopped. It returns
// only if that is impossible.
func restart() error {
	program, err := os.Executable()
	if err == nil {
		err = syscall.Exec(program, os.Args, os.Environ())
	}
	return fmt.Errorf("cannot start again: %w", err)
}
