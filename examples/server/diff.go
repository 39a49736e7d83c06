package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/tidewaiter/tidewaiter/listen"
)

// diff prints what a reload from one configuration to another would do, and
// returns the exit status: 0 if it would change nothing, else 3. Certificates
// are compared as their files are now.
func diff(w io.Writer, old, c *listen.Config) (int, error) {
	steps, rest, err := c.Compare(old)
	if err != nil {
		return statusError, err
	}
	changes, kept := len(rest), 0
	for _, s := range steps {
		if s.Change == listen.Kept {
			kept++
			continue
		}
		changes++
		fmt.Fprintf(w, "%-9s  %s %s %s\n", s.Change, s.Entry.Address, strings.TrimRight(s.Entry.Network, "46"), s.Entry.Module)
		for _, d := range s.Differences {
			fmt.Fprintf(w, "           %s\n", d)
		}
	}
	for _, d := range rest {
		fmt.Fprintf(w, "changed    %s\n", d)
	}
	if changes == 0 {
		fmt.Fprintf(w, "a reload would change nothing (%s)\n", count(kept, "listener"))
		return statusOK, nil
	}
	fmt.Fprintf(w, "a reload would make %s and keep %s\n", count(changes, "change"), count(kept, "listener"))
	return statusChanges, nil
}
