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
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
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
	address  string
	anywhere bool
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
	set.StringVar(&c.address, "addr", "127.0.0.1:5222", "`host:port` of the server")
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
	if c.workload, ok = flags(set, args[0]); !ok {
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
	return c, c.dialer()
}

// flags defines those of a workload.
func flags(set *flag.FlagSet, name string) (func() workload, bool) {
	switch name {
	case "register":
		return func() workload { return xmpp.Register{} }, true
	case "login":
		w := bounded(set, "n", 1000, "clients that log in in one pass")
		passes := bounded(set, "passes", 1, "measured passes; one that is not measured comes before")
		return func() workload { return xmpp.Logins{Clients: *w, Passes: *passes} }, true
	case "idle":
		n := bounded(set, "n", 1000, "idle sessions")
		settle := set.Duration("settle", 5*time.Second, "wait before the memory is read")
		return func() workload { return xmpp.Idle{Clients: *n, Settle: *settle} }, true
	case "presence":
		return presence(set), true
	case "offline":
		return offline(set), true
	case "chat", "sessions":
		return chat(set, name == "sessions"), true
	}
	return nil, false
}

func chat(set *flag.FlagSet, sessions bool) func() workload {
	var w xmpp.Chat
	pairs := bounded(set, "pairs", 50, "pairs of clients")
	set.IntVar(&w.Body, "body", 100, "bytes of a message's body, at least 50")
	window := bounded(set, "window", 32, "messages of a pair that may be on the way at once")
	set.Float64Var(&w.Rate, "rate", 0, "messages a second, of all pairs together, evenly paced (0: as fast as possible)")
	set.DurationVar(&w.Warm, "warm", 2*time.Second, "time before measuring")
	set.DurationVar(&w.Duration, "d", 10*time.Second, "time of measuring")
	messages := bounded(set, "messages", 0, "end when each pair has had so many (0: by time alone)")
	set.BoolVar(&w.Rich, "rich", false, "bodies with references, quotes and characters of several bytes")
	set.BoolVar(&w.Bare, "bare", false, "send to the account rather than to the resource")
	set.BoolVar(&w.Managed, "sm", false, "use stream management")
	every := bounded(set, "every", 10, "stanzas after which a client with -sm asks for an acknowledgement")
	n := new(int)
	if sessions {
		n = bounded(set, "n", 1000, "sessions in all")
	}
	return func() workload {
		w.Pairs, w.Window, w.Messages, w.Every = *pairs, *window, int64(*messages), *every
		w.Idle = max(0, *n-2*w.Pairs)
		return w
	}
}

func presence(set *flag.FlagSet) func() workload {
	var w xmpp.Presence
	users := bounded(set, "n", 200, "users")
	contacts := bounded(set, "contacts", 20, "contacts of each user, an even number")
	window := bounded(set, "window", 2, "changes of a user that have not reached all contacts")
	set.DurationVar(&w.Warm, "warm", 2*time.Second, "time before measuring")
	set.DurationVar(&w.Duration, "d", 10*time.Second, "time of measuring")
	return func() workload {
		w.Users, w.Contacts, w.Window = *users, *contacts, *window
		return w
	}
}

func offline(set *flag.FlagSet) func() workload {
	pairs := bounded(set, "pairs", 50, "senders, each with a recipient that is not there")
	each := bounded(set, "messages", 200, "messages to each recipient")
	body := bounded(set, "body", 100, "bytes of a message's body, at least 50")
	window := bounded(set, "window", 16, "messages of a sender that are not acknowledged yet")
	every := bounded(set, "every", 1, "messages after which an acknowledgement is asked for")
	return func() workload {
		return xmpp.Offline{Pairs: *pairs, Messages: *each, Body: *body, Window: *window, Every: *every}
	}
}

// maxNumber bounds all numbers of things.
const maxNumber = 10_000_000

// bounded defines a flag for a number of things.
func bounded(set *flag.FlagSet, name string, value int, usage string) *int {
	set.Func(name, fmt.Sprintf("`number`: %s (default %d)", usage, value), func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > maxNumber {
			return fmt.Errorf("want a number up to %d", maxNumber)
		}
		value = n
		return nil
	})
	return &value
}

// dialer makes the connections, to loopback unless anything else is allowed.
func (c *command) dialer() error {
	host, _, err := net.SplitHostPort(c.address)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	ip, err := netip.ParseAddr(host)
	if !c.anywhere && host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("-addr: %q is not a loopback address: say -anywhere if you mean it and may", host)
	}
	c.target.Dial = func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", c.address)
	}
	return nil
}
