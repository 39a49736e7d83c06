// Command bench measures Tidewaiter side by side with ejabberd, Prosody, coturn and
// a program that only forwards bytes, on this machine and by loopback, and prints
// Markdown tables. It starts the servers itself, in a temporary folder, and ends
// only what it has started. A server that is not installed is left out.
//
// The rows for XMPP, all with messages of 100 bytes unless they say otherwise. What counts
// is the processor time of the server's process; every message is checked for
// loss, duplicates, order, content and sender.
//
//	chat, chat-w1, chat-1000, chat-tls, chat-sm   pairs of users of one server
//	paced                 latency at a rate that all servers can bear
//	sessions-N            pairs of users, while the other sessions are idle
//	login, login-tls      connection, TLS, SASL, resource, presence
//	presence              changes of presence that reach all contacts
//	offline               messages that are stored and acknowledged (XEP-0198)
//	component             users send to a component (XEP-0114), which is part of the
//	                      load generator and returns what it gets
//	federation-ejabberd, federation-prosody
//	                      users of Tidewaiter and of another server send to one
//	                      another, half of the pairs in each direction; each server
//	                      has its own figure, of the same run
//	federation-same       the same between two servers of one kind, whose
//	                      processor times are added up
//	idle, idle-tls        memory of users who do nothing
//	domains               memory of the servers of other domains that do nothing,
//	                      with a stream in each direction for each domain, over
//	                      TLS: growth in all. The load generator plays them, by
//	                      dialback (XEP-0220), each with its own certificate
//
// In the rows of federation users and servers speak TLS. The servers have one
// certificate, of a CA that is made for the run and that all trust, and prove
// their domains by it (SASL EXTERNAL). Nothing else is asked of them: Tidewaiter
// uses one stream in both directions with servers that do (XEP-0288), and
// acknowledgements (XEP-0198). The names of the servers, which end with
// ".example", are known to a name server that this command runs: ejabberd is
// told by ERL_INETRC, Prosody by the option unbound, for which it needs the
// package lua-unbound, and Tidewaiter, which is examples/server, by one more file
// that it is built with.
//
// The rows for STUN and TURN. Every answer and every relayed byte is checked. What is
// lost by datagrams is told below the table; more than one in a thousand is a failure
// of Tidewaiter.
//
//	stun-udp              Binding over UDP
//	stun-udp-paced        the same, 20,000 a second: processor time, and latency
//	stun-tcp, stun-tcp-w1 Binding over TCP, 16 under way on each connection, or 1
//	turn-200, turn-1000   data to a peer, by channels, and back, in datagrams
//	turn-paced            the same, 10,000 round trips of 200 bytes a second
//	turn-alloc            a challenge, an allocation, and its end
//	turn-idle             memory of allocations with a permission and a channel
//
// The servers have one account for relays, with the same long-term credentials, no
// quotas, and leave to relay to loopback. Tidewaiter's account is made in-band, and
// auth_password_format is plain, without which it has no digest for TURN.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	bench  bench
	out    string
	readme string
	keep   bool
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{bench: bench{scale: usualScale(), log: stderr}}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	peers := set.String("peers", "tidewaiter,ejabberd,prosody,coturn,floor", "servers to measure")
	workloads := set.String("workloads", "", "rows of the table, by name or the start of it (default: all)")
	set.IntVar(&o.bench.rounds, "rounds", 3, "runs of each row and server")
	set.StringVar(&o.out, "out", "", "append each result to a `file`, as a line of JSON")
	set.StringVar(&o.readme, "readme", "", "put the table into a `file`, between "+beginMark+" and "+endMark)
	set.StringVar(&o.bench.store, "store", "", "`lines` for Tidewaiter's configuration that say where it stores")
	set.BoolVar(&o.keep, "keep", false, "leave the folder with the servers' data")
	set.DurationVar(&o.bench.scale.measured, "d", o.bench.scale.measured, "measured time of a run")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if o.bench.rounds < 1 || o.bench.scale.measured <= 0 {
		return nil, errors.New("-rounds and -d must be more than 0")
	}
	var err error
	if o.bench.peers, err = choosePeers(*peers); err != nil {
		return nil, err
	}
	o.bench.rows, err = chooseRows(rows(o.bench.scale), *workloads)
	return o, err
}

func choosePeers(names string) (list []*peer, err error) {
	want := strings.Split(names, ",")
	for _, p := range allPeers() {
		if i := slices.Index(want, p.name); i >= 0 {
			want = slices.Delete(want, i, i+1)
			list = append(list, p)
		}
	}
	if len(want) > 0 {
		return nil, fmt.Errorf("-peers: unknown: %q", want)
	}
	return list, nil
}

func chooseRows(all []row, names string) (list []row, err error) {
	if names == "" {
		return all, nil
	}
	for _, name := range strings.Split(names, ",") {
		found := false
		for _, r := range all {
			// A whole name is not the start of others.
			exact := slices.ContainsFunc(all, func(o row) bool { return o.name == name })
			if r.name == name || !exact && strings.HasPrefix(r.name, name) {
				list, found = append(list, r), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-workloads: unknown: %q", name)
		}
	}
	return list, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	b := &o.bench
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(stderr, "everything is in", b.dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	}
	if o.out != "" {
		f, err := os.OpenFile(o.out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		b.out = f
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	var table bytes.Buffer
	b.table(&table, thisMachine(), time.Now())
	if _, err := stdout.Write(table.Bytes()); err != nil {
		return err
	}
	if b.failures > 0 {
		return fmt.Errorf("%d runs failed, see above", b.failures)
	}
	if o.readme != "" {
		return insertFile(o.readme, table.String())
	}
	return nil
}
