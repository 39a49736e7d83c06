package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// bench is a side-by-side run.
type bench struct {
	scale  scale
	peers  []*peer
	rows   []row
	rounds int
	store  string    // lines of Tidewaiter's configuration
	out    io.Writer // gets each result as a line; may be nil
	log    io.Writer // for people

	dir  string // for everything that is written
	bin  string // programs, in it
	root string // of the module
	load string // the load generator
	cert string // PEM file with the certificate of all servers and its key
	ca   string // PEM file with the CA that has signed it

	names *nameServer     // knows the domains of servers that have a port for servers
	twins map[*peer]*peer // second servers of a kind, where a row needs them

	results  map[string]map[string][]meter.Result // by row and peer
	notes    []string                             // what the reader of the table should know
	failures int                                  // runs that failed, or in which a server did wrong
}

// line is one line of the file with the results.
type line struct {
	Row    string       `json:"row"`
	Peer   string       `json:"peer"`
	Round  int          `json:"round"`
	Result meter.Result `json:"result"`
}

func (b *bench) peer(name string) *peer {
	for _, p := range b.peers {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (b *bench) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintln(b.log, text)
	if text, _, _ = strings.Cut(text, "\n"); !slices.Contains(b.notes, text) {
		b.notes = append(b.notes, text)
	}
}

// run prepares everything, measures and ends what it has started.
func (b *bench) run(ctx context.Context) error {
	var err error
	if b.names, err = serveNames(); err != nil {
		return err
	}
	defer b.names.close()
	defer func() {
		for _, p := range b.peers {
			p.stop()
		}
		for _, p := range b.twins {
			p.stop()
		}
	}()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	b.results = make(map[string]map[string][]meter.Result)
	for i := range b.rows {
		r := &b.rows[i]
		b.results[r.name] = make(map[string][]meter.Result)
		given := make(map[*peer]bool) // up, for this row

		// The peers take turns, so that what disturbs the machine hits all alike.
		for round := range b.rounds {
			for _, p := range b.peers {
				if given[p] || !b.concerns(r, p) {
					continue
				}
				again, err := b.measure(ctx, r, p, round)
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err != nil {
					b.note("%s, %s: %v", r.title, p.title, err)
				}
				given[p] = !again
			}
		}
	}
	return nil
}

// prepare builds and finds the programs. Peers that are not on this machine are
// left out.
func (b *bench) prepare(ctx context.Context) error {
	if err := b.findRoot(ctx); err != nil {
		return err
	}
	b.bin = filepath.Join(b.dir, "bin")
	b.load = filepath.Join(b.bin, "load")
	if err := b.build(ctx, b.load, "./internal/load"); err != nil {
		return err
	}
	if err := b.certify(); err != nil {
		return err
	}
	var there []*peer
	for _, p := range b.peers {
		if !b.needs(p) {
			continue
		}
		p.dir = filepath.Join(b.dir, p.name)
		err := p.prepare(ctx, b)
		switch {
		case errors.Is(err, errNotInstalled):
			b.note("%s was left out: %v", p.title, err)
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", p.title, err)
		}
		there = append(there, p)
	}
	b.peers = there
	if len(there) == 0 {
		return errors.New("none of the servers is on this machine")
	}
	return nil
}

// certify makes the certificate.
func (b *bench) certify() error {
	names := []string{"localhost"}
	for _, p := range allPeers() {
		names = append(names, p.domain(), p.twin().domain())
	}
	ca, cert, err := issue(names)
	if err != nil {
		return err
	}
	b.ca, b.cert = filepath.Join(b.dir, "ca.pem"), filepath.Join(b.dir, "cert.pem")
	return errors.Join(os.WriteFile(b.ca, ca, 0o600), os.WriteFile(b.cert, cert, 0o600))
}

// findRoot finds the module that this command belongs to.
func (b *bench) findRoot(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Module.Dir}}", "github.com/tidewaiter/tidewaiter/internal/bench").Output()
	if err != nil {
		return fmt.Errorf("run this within the module: %w", err)
	}
	b.root = strings.TrimSpace(string(out))
	return nil
}

func (b *bench) build(ctx context.Context, to, pkg string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", to}, flags, []string{pkg})...)
	cmd.Dir = b.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// commit returns the commit of the module, and whether it was changed.
func (b *bench) commit(ctx context.Context) string {
	git := func(args ...string) string {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = b.root
		out, _ := cmd.Output() // without git there is nothing to tell
		return strings.TrimSpace(string(out))
	}
	hash := git("rev-parse", "--short=10", "HEAD")
	if hash != "" && git("status", "--porcelain", "--untracked-files=no") != "" {
		hash += " and changes"
	}
	return hash
}

// needs reports whether there is a row for servers of a peer's kind.
func (b *bench) needs(p *peer) bool {
	return slices.ContainsFunc(b.rows, func(r row) bool { return r.profile.kind()&p.kinds != 0 })
}

// concerns reports whether a row measures a peer. A row of two kinds of servers
// is Tidewaiter's.
func (b *bench) concerns(r *row, p *peer) bool {
	if r.profile.kind()&p.kinds == 0 {
		return false
	}
	if r.by == byCalls && !p.calls {
		return false
	}
	switch r.with {
	case "":
		return !p.bare || !r.pure
	case sameKind:
		return !p.bare
	}
	return p.name == "tidewaiter" && b.peer(r.with) != nil
}

// other returns the second server of a row for a peer, nil if there is none.
func (b *bench) other(r *row, p *peer) *peer {
	switch r.with {
	case "":
		return nil
	case sameKind:
		if b.twins[p] == nil {
			if b.twins == nil {
				b.twins = make(map[*peer]*peer)
			}
			b.twins[p] = p.twin()
		}
		return b.twins[p]
	}
	return b.peer(r.with)
}

// measure makes one run of a row. again is false when there is no point in
// another one.
func (b *bench) measure(ctx context.Context, r *row, p *peer, round int) (again bool, err error) {
	other := b.other(r, p)
	for _, one := range []*peer{p, other} {
		if one == nil {
			continue
		}
		if err := b.ready(ctx, r, one); err != nil {
			b.failures++
			return false, err
		}
	}
	args, err := b.arguments(r, p, other)
	if err != nil {
		return false, err
	}
	result, code, err := b.generate(ctx, p, r.command, args...)
	switch code {
	case 0:
	case exitFaults:
		b.failures++
		b.note("%s, %s: faults: %+v", r.title, p.title, result.Faults)
	case exitNotOffered, exitNoRoom:
		return false, err
	default:
		b.failures++
		return !p.running.ended(), err
	}
	if err := b.record(r, p, round, result); err != nil {
		return false, err
	}
	if other != nil && r.with != sameKind {
		return true, b.record(r, other, round, result.Swapped())
	}
	return true, nil
}

// record notes the result of one server.
func (b *bench) record(r *row, p *peer, round int, result meter.Result) error {
	result.Label = p.name
	if n := result.Settings["skipped"]; n != "" {
		b.note("%s, %s: the rate was not kept in a run: there was no room for %s requests", r.title, p.title, n)
	}
	b.results[r.name][p.name] = append(b.results[r.name][p.name], result)
	fmt.Fprintf(b.log, "%-14s %-10s round %d: %s %s\n", r.name, p.name, round+1, figure(r.value(&result)), r.unit)
	if b.out == nil {
		return nil
	}
	text, err := json.Marshal(line{r.name, p.name, round + 1, result})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(b.out, "%s\n", text)
	return err
}

// ready has a peer run as a row needs it, with its accounts.
func (b *bench) ready(ctx context.Context, r *row, p *peer) error {
	before := p.running
	if err := p.start(ctx, b, r.profile, r.fresh); err != nil {
		return err
	}
	if p.bare || r.nobody || p.kinds&forXMPP == 0 {
		return nil
	}
	accounts := []string{"-accounts", strconv.Itoa(b.accounts(r))}
	if r.profile.turn {
		accounts = []string{"-user", turnPrefix, "-password", turnPassword, "-accounts", "1"}
	}
	if p.running != before {
		if err := b.register(ctx, p, accounts); err != nil {
			return err
		}
	}
	if r.fresh {
		// Making accounts leaves its traces in the memory of a process. A server that
		// keeps them starts anew; another one gets them again.
		if err := p.start(ctx, b, r.profile, true); err != nil {
			return err
		}
		if err := b.register(ctx, p, accounts); err != nil {
			return err
		}
	}
	if r.own > 0 {
		return b.register(ctx, p, []string{"-user", r.name, "-accounts", strconv.Itoa(r.own)})
	}
	return nil
}

// accounts returns how many accounts the rows of a profile need. Those with a
// second port have few users.
func (b *bench) accounts(r *row) int {
	if r.profile.component || r.profile.servers {
		return max(b.scale.pairs, b.scale.clients)
	}
	return b.scale.accounts
}

func (b *bench) register(ctx context.Context, p *peer, args []string) error {
	_, code, err := b.generate(ctx, p, "register", append(b.target(p), args...)...)
	if code != 0 && err == nil {
		err = fmt.Errorf("exit status %d", code)
	}
	if err != nil {
		return fmt.Errorf("creating accounts: %w", err)
	}
	return nil
}
