package main

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// hideInput makes a terminal show nothing of what is typed, until show is called or the
// process is interrupted. terminal is false if f is something else.
func hideInput(f *os.File) (show func(), terminal bool) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, false
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
		return nil, false
	}
	restore := sync.OnceFunc(func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) })
	interrupts, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupts, os.Interrupt, unix.SIGTERM)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-interrupts:
			restore()
			os.Exit(statusError) // it waits for a line that does not come
		case <-done:
		}
	})
	return func() {
		close(done)
		watch.Wait()
		signal.Stop(interrupts)
		restore()
	}, true
}
