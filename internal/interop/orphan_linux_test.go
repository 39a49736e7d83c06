//go:build interop && linux

package interop

import "syscall"

// noOrphan has a process end with this one, also where a test that takes too long
// ends it. The thread that starts the process must stay: those of Go do.
func noOrphan() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
