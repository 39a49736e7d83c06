//go:build !unix

package main

import "errors"

// canRestart is false: a process cannot put another one in its place.
const canRestart = false

func restart() error { return errors.ErrUnsupported }
