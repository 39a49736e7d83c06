// Command load puts load on an XMPP server, or on one of STUN and TURN, checks
// everything that it does with it, and prints what it has measured as one line of
// JSON. It connects to
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

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"github.com/tidewaiter/tidewaiter/internal/load/xmpp"
)

const usage = `usage: load WORKLOAD [flags]

XMPP:
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

HTTP:
  api        clients run a command by the HTTP API
  xmlrpc     clients run a command by XML-RPC
  (and all those of XMPP with -websocket or -bosh)

STUN and TURN:
  stun       clients ask for their address (Binding), over UDP or, with -tcp, TCP
  turn       clients send to a peer by relays, and get it back
  allocations      allocations are made and given back
  idle-allocations memory of allocations with a permission and a channel

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

// workload is what runs against a server, which T describes.
type workload[T any] interface {
	Run(ctx context.Context, target *T) (meter.Result, error)
}

// job is a workload with its server.
type job interface {
	Run(ctx context.Context) (meter.Result, error)
}

// against is the job of a workload for servers of one kind.
type against[T any] struct {
	workload workload[T]
	target   *T
}

func (a against[T]) Run(ctx context.Context) (meter.Result, error) {
	return a.workload.Run(ctx, a.target)
}

// command is a parsed command line.
type command struct {
	job      func() job // of the flags, once they are parsed
	errors   io.Writer
	pid      int
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
	r, err := c.job().Run(ctx)
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
	case errors.Is(err, crowd.ErrNoRoom):
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
	c := &command{errors: help}
	set := flag.NewFlagSet("load "+args[0], flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.BoolVar(&c.anywhere, "anywhere", false, "connect to an address that is not loopback, too")
	set.IntVar(&c.pid, "pid", 0, "the server's process, to measure it")
	set.StringVar(&c.label, "label", "", "label of the result")
	set.DurationVar(&c.limit, "limit", 10*time.Minute, "how long the run may take")
	set.StringVar(&c.profile, "cpuprofile", "", "write a profile of this client to a `file`")
	var ok bool
	if c.job, ok = c.xmpp(set, args[0]); !ok {
		c.job, ok = c.stun(set, args[0])
	}
	if !ok {
		c.job, ok = c.calls(set, args[0])
	}
	if !ok {
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
