// Command server runs every listener of the library, from a configuration file
// in ejabberd's format or from one that is built in. Started without arguments
// it is a chat server on loopback with an account that it prints.
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
	"strings"
	"syscall"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// flags are the command line.
type flags struct {
	config   string
	data     string
	check    bool
	accounts []account
}

// account is the value of a -register flag.
type account struct {
	user     stanza.JID
	password string
}

// parseFlags reads the command line. With -h it writes the usage to help and
// returns flag.ErrHelp.
func parseFlags(args []string, help io.Writer) (flags, error) {
	f := flags{}
	set := flag.NewFlagSet("server", flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are the caller's to print
	set.StringVar(&f.config, "config", "", "configuration `FILE` in the format of ejabberd.yml (default: a built-in one, on loopback only)")
	set.StringVar(&f.data, "data", "data", "`DIR` for what the server keeps")
	set.BoolVar(&f.check, "check", false, "validate the configuration, print every problem, start nothing; exit status 1 if there is an error")
	set.Func("register", "`user@host:password` of an account to create if it is missing; may be repeated", func(s string) error {
		jid, password, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("want user@host:password")
		}
		user, err := stanza.ParseJID(jid)
		if err != nil {
			return err
		}
		if user.Local() == "" || user.IsFull() {
			return fmt.Errorf("%q is not of the form user@host", jid)
		}
		f.accounts = append(f.accounts, account{user, password})
		return nil
	})
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(help, "usage: server [flags]")
			set.SetOutput(help)
			set.PrintDefaults()
		}
		return f, err
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("unexpected argument %q: a configuration file goes with -config", set.Arg(0))
	}
	return f, nil
}

func main() {
	f, err := parseFlags(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v (-h lists the flags)\n", err)
		os.Exit(2)
	}
	if f.check {
		os.Exit(check(f))
	}
	if err := run(f); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// drain is how long sessions may take to end when the server stops.
const drain = 5 * time.Second

// run serves until a signal says to stop: SIGHUP reads the configuration again,
// SIGINT and SIGTERM drain; a second one of these ends the process at once.
func run(f flags) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	ctx := context.Background()
	s, err := start(ctx, f, log)
	if err != nil {
		return err
	}
	s.printStart(os.Stdout)
	for sig := range signals {
		if sig != syscall.SIGHUP {
			break
		}
		s.reload(ctx)
	}
	signal.Stop(signals) // the next one has its usual effect
	fmt.Printf("stopping: sessions have %v to end, another Ctrl-C stops at once\n", drain)
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	s.stop(ctx)
	return nil
}
