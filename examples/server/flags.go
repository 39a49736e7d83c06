package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Exit statuses.
const (
	statusOK      = 0 // stopped in order; the configuration is valid; a reload would change nothing
	statusError   = 1
	statusUsage   = 2
	statusChanges = 3 // -check -diff: a reload would change something
)

// flags are the command line.
type flags struct {
	config     string
	data       string
	check      bool
	diff       string
	dns        dnsMode
	checkStore string
	drain      time.Duration
	metrics    string
	logFormat  string
	accounts   []account

	badAccount error // of -register
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
	set := f.set()
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(help, "usage: server [flags]\n       server ctl [-data DIR] COMMAND [ARGUMENT]...   has the server that runs do something; ctl -h says more")
			set.SetOutput(help)
			set.PrintDefaults()
		}
		return f, err
	}
	switch {
	case f.badAccount != nil:
		return f, fmt.Errorf("-register: %w", f.badAccount)
	case set.NArg() > 0:
		return f, fmt.Errorf("unexpected argument %q: a configuration file goes with -config", set.Arg(0))
	case f.diff != "" && (!f.check || f.config == ""):
		return f, errors.New("-diff OLD goes with -check and -config NEW")
	case f.dns != "" && (!f.check || f.diff != ""):
		return f, errors.New("-dns goes with -check, and not with -diff")
	case f.drain < 0:
		return f, fmt.Errorf("-drain %v: want no negative duration", f.drain)
	case f.logFormat != "text" && f.logFormat != "json":
		return f, fmt.Errorf("-log-format %q: want text or json", f.logFormat)
	}
	return f, nil
}

// set returns the flags, which write to f.
func (f *flags) set() *flag.FlagSet {
	set := flag.NewFlagSet("server", flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are the caller's to print
	set.StringVar(&f.config, "config", "", "configuration `FILE` in the format of ejabberd.yml (default: a built-in one, on loopback only)")
	set.StringVar(&f.data, "data", "data", "`DIR` for what the server keeps")
	set.BoolVar(&f.check, "check", false, "validate the configuration, print every problem, start nothing; exit status 1 if there is an error")
	set.StringVar(&f.diff, "diff", "", "with -check: print what a reload from the configuration `OLD` would change; exit status 3 if anything")
	set.Var(&f.dns, "dns", "with -check: print the DNS records that belong to the listeners; -dns=verify compares the DNS with them; exit status 1 if it differs")
	set.StringVar(&f.checkStore, "check-store", "", "examine the store `FILE` (tidewaiter.db in the data directory of a server that is stopped, or a backup), start nothing; exit status 1 if it is damaged")
	set.DurationVar(&f.drain, "drain", 5*time.Second, "how long sessions may take to end, when the server stops and when a reload removes their listener")
	set.StringVar(&f.metrics, "metrics", "", "`ADDR` for Prometheus to ask for /metrics, such as 127.0.0.1:9180; it has no authentication (default: none)")
	set.StringVar(&f.logFormat, "log-format", "text", "`FORMAT` of the log on standard error: text or json")
	set.Func("register", "`user@host:password` of an account to create if it is missing; may be repeated", f.register)
	return set
}

// register reads the value of a -register flag. It leaves the error for later:
// package flag would print the value, with the password in it.
func (f *flags) register(s string) error {
	a, err := parseAccount(s)
	if err != nil {
		f.badAccount = err
		return nil
	}
	f.accounts = append(f.accounts, a)
	return nil
}

func parseAccount(s string) (account, error) {
	jid, password, ok := strings.Cut(s, ":")
	if !ok || password == "" {
		return account{}, errors.New("want user@host:password")
	}
	user, err := stanza.ParseJID(jid)
	switch {
	case err != nil:
		return account{}, err
	case user.Local() == "" || user.IsFull():
		return account{}, fmt.Errorf("%q is not of the form user@host", jid)
	}
	return account{user, password}, nil
}
