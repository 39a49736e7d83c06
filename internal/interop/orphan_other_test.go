//go:build interop && !linux

package interop

import "syscall"

func noOrphan() *syscall.SysProcAttr { return nil }
