package boltstore

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// child returns a command that runs a job of this test binary.
func child(t testing.TB, job string, args ...any) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	for _, a := range args {
		cmd.Args = append(cmd.Args, fmt.Sprint(a))
	}
	cmd.Env = append(os.Environ(), childEnv+"="+job)
	cmd.Stderr = t.Output()
	return cmd
}

// fromEnv is a number that may be changed from outside.
func fromEnv(t testing.TB, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

const crashWorkers = 4

// A process is killed at any moment, many times with the same file: what it had
// acknowledged is there, and each operation as a whole or not at all.
func TestKill(t *testing.T) {
	rounds := fromEnv(t, "TIDEWAITER_KILL_ROUNDS", 60)
	if testing.Short() {
		rounds = 3
	}
	seed := uint64(fromEnv(t, "TIDEWAITER_SEED", int(time.Now().UnixNano()%1e9)))
	t.Logf("TIDEWAITER_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "store.db")
	var history []acks
	total := 0
	for round := range rounds {
		acknowledged := killOnce(t, path, round, time.Duration(r.IntN(200))*time.Millisecond)
		history = append(history, acknowledged)
		for _, n := range acknowledged {
			total += n
		}
		wantReached(t, path, round, acknowledged)
		wantSound(t, path)
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	for round, acknowledged := range history { // no later round has hurt it
		wantReached(t, path, round, acknowledged)
	}
	t.Logf("%d rounds, %d acknowledged steps", rounds, total)
}

// killOnce starts a load, kills it some time after its first acknowledgement and
// returns what it had acknowledged.
func killOnce(t *testing.T, path string, round int, after time.Duration) acks {
	t.Helper()
	cmd := child(t, "load", path, round, crashWorkers, 0)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := make(acks, crashWorkers)
	lines := bufio.NewReader(out)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		if err != nil { // also of a line that the kill has cut
			if err != io.EOF {
				t.Errorf("reading acknowledgements: %v", err)
			}
			break
		}
		acknowledged.note(line)
		if strings.HasPrefix(line, "failed") {
			t.Error(line)
		}
		if first {
			kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			defer kill.Stop()
		}
	}
	_ = cmd.Wait() // it was killed
	return acknowledged
}

// wantReached opens a store and compares what is there with what was
// acknowledged.
func wantReached(t testing.TB, path string, round int, acknowledged acks) {
	t.Helper()
	o := Defaults()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := Open(path, o)
	if err != nil {
		t.Errorf("Open: %v", err)
		return
	}
	for w, steps := range acknowledged {
		if err := reaches(s, round, w, steps); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
