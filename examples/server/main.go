// Command server runs every listener of the library, from a configuration file
// in ejabberd's format or from one that is built in. Started without arguments
// it is a chat server on loopback with an account that it prints.
//
// SIGHUP reads the configuration again. SIGUSR1 writes a backup of what is kept,
// to tidewaiter.db.backup in the data directory. SIGINT and SIGTERM stop the server: it
// takes no more connections and tells its sessions, which have the time of
// -drain to end. The exit status is 0 then, and 1 if something could not be
// ended. A second signal ends the process at once.
//
// server ctl runs a command of the server that runs: ctl help lists them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "ctl" {
		c := ctlClient{program: filepath.Base(os.Args[0]), in: os.Stdin, out: os.Stdout, err: os.Stderr}
		os.Exit(c.main(context.Background(), os.Args[2:]))
	}
	f, err := parseFlags(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v (-h lists the flags)\n", err)
		os.Exit(statusUsage)
	}
	if f.checkStore != "" {
		os.Exit(checkStore(context.Background(), f.checkStore, os.Stdout))
	}
	if f.check {
		os.Exit(check(f, os.Stdout))
	}
	err = run(f)
	if errors.Is(err, errRestart) {
		err = restart()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(statusError)
	}
}

// logHandler writes the lines of the log. Which are written is not its
// business.
func logHandler(w io.Writer, format string) slog.Handler {
	all := &slog.HandlerOptions{Level: slog.LevelDebug}
	if format == "json" {
		return slog.NewJSONHandler(w, all)
	}
	return slog.NewTextHandler(w, all)
}

// run serves until a signal says to stop.
func run(f flags) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, append(backupSignals(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)...)

	ctx := context.Background()
	s, err := start(ctx, f, logHandler(os.Stderr, f.logFormat))
	if err != nil {
		return err
	}
	s.printStart(os.Stdout)
	if tuneMemory() {
		s.background.begin(returnMemory)
	}
	end := s.obey(ctx, signals)
	if end == haltOrder {
		return errHalted
	}
	// The next one ends the process. One that came during a reload does it, too.
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	for len(signals) > 0 {
		if sig := <-signals; sig == os.Interrupt || sig == syscall.SIGTERM {
			return errors.New("stopped at once by a second signal")
		}
	}
	fmt.Printf("stopping: sessions have %v to end, another Ctrl-C stops at once\n", f.drain)
	if err := within(f.drain+overtime, s.stop); err != nil || end != restartOrder {
		return err
	}
	return errRestart
}

// obey does what signals and commands ask for, until one asks for the end.
func (s *server) obey(ctx context.Context, signals <-chan os.Signal) orderKind {
	for {
		select {
		case sig := <-signals:
			switch {
			case slices.Contains(backupSignals(), sig):
				s.beginBackup()
			case sig == syscall.SIGHUP:
				_ = s.reload(ctx) // it is in the log
			default:
				return stopOrder
			}
		case o := <-s.orders:
			if o.what != reloadOrder {
				return o.what
			}
			o.done <- s.reload(ctx)
		}
	}
}

// overtime is what the server may take to stop after its sessions were cut.
const overtime = 5 * time.Second

// within runs f, and does not wait for it longer than d.
func within(d time.Duration, f func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return fmt.Errorf("the server did not stop within %v: something hangs", d)
	}
}
