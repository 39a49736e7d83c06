// Command load puts load on an XMPP server, checks everything that it does with
// it, and prints what it has measured as one line of JSON. It connects to
// loopback addresses only, unless it is told otherwise.
//
// Exit status: 0 all is well, 1 the run failed, 2 wrong usage, 3 the server did
// something wrong, 4 it does not offer what the workload needs, 5 the system
// does not allow as many connections.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"github.com/tidewaiter/tidewaiter/internal/load/xmpp"
)

const usage = `usage: load WORKLOAD [flags]

  register   creates the accounts in-band
  login      logins: connection, TLS, SASL, resource, presence
  chat       pairs of clients exchange messages, with -sm by stream management
  sessions   the same, while many more sessions are idle
  idle       memory of idle sessions
  component  clients send messages to a component (XEP-0114), which returns them
  federation users of two servers exchange messages
  domains    memory of idle streams with the servers of many domains
  presence   users with rosters log in and change their presence
  offline    messages are stored for users that are not there, and fetched

load WORKLOAD -h lists the flags.
`

// Exit statuses.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitFaults     = 3
	exitNotOffered = 4
	exitNoRoom     = 5
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// workload is what runs.
type workload interface {
	Run(ctx context.Context, t *xmpp.Target) (meter.Result, error)
}

// command is a parsed command line.
type command struct {
	target   xmpp.Target
	workload func() workload // of the flags, once they are parsed
	anywhere bool
	address  []address // of all flags that have one
	label    string
	limit    time.Duration
	profile  string
}

// run runs a command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	c, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	// The client's garbage must not cost more than its work.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	if c.profile != "" {
		stop, err := startProfile(c.profile)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return exitFailed
		}
		defer stop()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.limit, errLimit)
	defer cancel()
	r, err := c.workload().Run(ctx, &c.target)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", args[0], errors.Join(err, context.Cause(ctx)))
		return failure(err)
	}
	return report(r, c.label, stdout, stderr)
}

var errLimit = errors.New("the run took too long: see -limit")

// failure returns the exit status of an error.
func failure(err error) int {
	switch {
	case errors.Is(err, xmpp.ErrNotOffered):
		return exitNotOffered
	case errors.Is(err, xmpp.ErrNoRoom):
		return exitNoRoom
	}
	return exitFailed
}

// report prints a result and returns the exit status.
func report(r meter.Result, label string, stdout, stderr io.Writer) int {
	r.Label = label
	line, err := json.Marshal(r)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s\n", line)
	r.Print(stderr)
	if r.Faults.Sum() > 0 {
		return exitFaults
	}
	return 0
}

func startProfile(path string) (stop func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// parse reads a command line. With -h it prints the flags and returns
// flag.ErrHelp.
func parse(args []string, help io.Writer) (*command, error) {
	c := &command{target: xmpp.Target{Errors: help}}
	set := flag.NewFlagSet("load "+args[0], flag.ContinueOnError)
	set.SetOutput(io.Discard)
	t := &c.target
	t.Dial = c.dial(set, "addr", "127.0.0.1:5222", "of the server")
	set.BoolVar(&c.anywhere, "anywhere", false, "connect to an address that is not loopback, too")
	set.IntVar(&t.PID, "pid", 0, "the server's process, to measure it")
	set.StringVar(&c.label, "label", "", "label of the result")
	set.DurationVar(&c.limit, "limit", 10*time.Minute, "how long the run may take")
	set.StringVar(&c.profile, "cpuprofile", "", "write a profile of this client to a `file`")
	set.StringVar(&t.Domain, "domain", "localhost", "virtual host")
	set.StringVar(&t.User, "user", "u", "accounts are called `prefix`0, prefix1, …")
	set.StringVar(&t.Password, "password", "pass", "of all accounts")
	set.IntVar(&t.Accounts, "accounts", 1000, "number of accounts")
	set.StringVar(&t.Mechanism, "mechanism", "", "PLAIN or SCRAM-SHA-1 (default: the latter, where it is offered)")
	set.BoolVar(&t.TLS, "tls", false, "use STARTTLS")
	set.BoolVar(&t.AnyKeyExchange, "any-key-exchange", false, "do not hold TLS to X25519")
	set.BoolVar(&t.NoEcho, "no-echo", false, "a login ends when the presence was written, not when it comes back")
	set.BoolVar(&t.NoFrom, "no-from", false, "do not check the senders of messages")
	set.DurationVar(&t.LoginTimeout, "login-timeout", time.Minute, "how long one login may take")
	set.DurationVar(&t.Patience, "patience", 5*time.Second, "how long nothing may arrive until what is missing counts as lost")
	set.IntVar(&t.Logins, "at-a-time", 20, "clients that log in at a time")
	var ok bool
	if c.workload, ok = c.flags(set, args[0]); !ok {
		return nil, fmt.Errorf("unknown workload %q\n\n%s", args[0], usage)
	}
	if err := set.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			set.SetOutput(help)
			set.PrintDefaults()
		}
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	return c, c.checkAddresses()
}
