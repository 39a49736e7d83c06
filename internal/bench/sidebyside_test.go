package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// tiny is a scale at which nothing is measured, only run.
func tiny() scale {
	return scale{
		accounts: 20, pairs: 4, warm: 50 * time.Millisecond, measured: 100 * time.Millisecond,
		logins: 20, passes: 1, idle: 20, settle: 10 * time.Millisecond,
		users: 8, contacts: 4, each: 20, sessions: []int{12, 30},
		clients: 4, domains: 10, quiet: 10 * time.Millisecond, relays: 20,
	}
}

// runTiny runs rows with real servers, once.
func runTiny(t *testing.T, peers string, names string) (*bench, *bytes.Buffer) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("what a server uses is known on Linux only")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to build the servers with")
	}
	var out bytes.Buffer
	b := &bench{scale: tiny(), rounds: 1, out: &out, log: t.Output(), dir: t.TempDir()}
	var err error
	if b.peers, err = choosePeers(peers); err != nil {
		t.Fatal(err)
	}
	if b.rows, err = chooseRows(rows(b.scale), names); err != nil {
		t.Fatal(err)
	}
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b, &out
}

// TestEveryRow runs each workload with the server of this module and with the
// bare forwarder. What the server does not offer is left out, and says so.
func TestEveryRow(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts servers")
	}
	b, out := runTiny(t, "tidewaiter,floor", "")
	for _, r := range b.rows {
		for _, p := range b.peers {
			t.Run(r.name+" "+p.name, func(t *testing.T) { b.checkOne(t, &r, p) })
		}
	}
	if b.failures != 0 {
		t.Errorf("got %d failed runs: %q", b.failures, b.notes)
	}
	checkLines(t, b, out.String())
	for _, p := range b.peers {
		if p.running != nil {
			t.Errorf("%s still runs", p.name)
		}
	}
	var table strings.Builder
	b.table(&table, thisMachine(), time.Now())
	t.Log("\n" + table.String())
}

// checkOne checks the one result of a row and peer.
func (b *bench) checkOne(t *testing.T, r *row, p *peer) {
	results := b.results[r.name][p.name]
	if len(results) == 0 {
		for _, n := range b.notes {
			if strings.HasPrefix(n, r.title+", "+p.title) {
				t.Skip(n)
			}
		}
		if !b.concerns(r, p) {
			t.Skip("the row does not concern it")
		}
		t.Fatalf("got no result and no reason: %q", b.notes)
	}
	if got := results[0]; got.Count == 0 || got.Faults.Sum() != 0 {
		t.Errorf("got %+v, want something done and no faults", got)
	}
}

// checkLines checks the file with the results.
func checkLines(t *testing.T, b *bench, text string) {
	t.Helper()
	n := 0
	for _, byPeer := range b.results {
		for _, list := range byPeer {
			n += len(list)
		}
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != n {
		t.Errorf("got %d lines, want %d", len(lines), n)
	}
	for _, l := range lines {
		var one line
		if err := json.Unmarshal([]byte(l), &one); err != nil || one.Row == "" || one.Peer == "" || one.Round != 1 || one.Result.Workload == "" {
			t.Errorf("got %s, %v", l, err)
		}
	}
}
