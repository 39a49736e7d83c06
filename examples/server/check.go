package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/host"
)

// check validates the configuration for -check and returns the exit status.
func check(f flags, w io.Writer) int {
	if f.config == "" { // the certificate that this makes is nobody's to keep
		dir, err := os.MkdirTemp("", "tidewaiter-check")
		if err != nil {
			fmt.Fprintln(w, "error:", err)
			return statusError
		}
		defer os.RemoveAll(dir)
		f.data = dir
	}
	s := newServer(f, slog.DiscardHandler)
	err := s.assemble(host.Stores{}, nil)
	if err != nil {
		fmt.Fprintln(w, "error:", err)
		return statusError
	}
	var old *listen.Config
	if f.diff != "" {
		if old, err = listen.Load(f.diff, s.reg); err != nil {
			return report(w, nil, err)
		}
	}
	c, err := s.load()
	status := report(w, c, err)
	if status != statusOK {
		return status
	}
	switch f.dns {
	case dnsPrint:
		newZone(c).print(w)
	case dnsVerify:
		return newZone(c).verify(context.Background(), w, net.DefaultResolver)
	}
	if old == nil {
		return status
	}
	if status, err = diff(w, old, c); err != nil {
		fmt.Fprintln(w, "error:", err)
	}
	return status
}

// report prints the problems of a configuration, in the order of the file, and
// returns the exit status.
func report(w io.Writer, c *listen.Config, err error) int {
	var bad *listen.ParseError
	switch {
	case err == nil:
		for _, p := range c.Warnings {
			fmt.Fprintln(w, "warning:", p)
		}
		fmt.Fprintf(w, "%s, %s\n", count(len(c.Entries), "listener"), count(len(c.Warnings), "warning"))
		return statusOK
	case errors.As(err, &bad):
		for _, p := range bad.Warnings {
			fmt.Fprintln(w, "warning:", p)
		}
		for _, p := range bad.Errors {
			fmt.Fprintln(w, "error:", p)
		}
		fmt.Fprintf(w, "%s, %s\n", count(len(bad.Errors), "error"), count(len(bad.Warnings), "warning"))
	default:
		fmt.Fprintln(w, "error:", err)
	}
	return statusError
}

// count says how many there are of something.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
