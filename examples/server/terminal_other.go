//go:build !linux

package main

import "os"

// hideInput: what is typed is shown on these systems.
func hideInput(*os.File) (show func(), terminal bool) { return nil, false }
