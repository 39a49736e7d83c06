package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// blockSize is the unit in which images are kept.
const blockSize = 4096

// image is the content of a file.
type image struct {
	size   int64
	blocks map[int64][]byte // never changed once they are here
}

func (m *image) clone() *image { return &image{m.size, maps.Clone(m.blocks)} }

// apply does what a process did, as far as it reached the disk.
func (m *image) apply(e event) {
	if e.kind == truncated {
		m.size = e.size
		return
	}
	m.size = max(m.size, e.offset+int64(len(e.data)))
	for offset, data := e.offset, e.data; len(data) > 0; {
		block := make([]byte, blockSize)
		copy(block, m.blocks[offset/blockSize])
		n := copy(block[offset%blockSize:], data)
		m.blocks[offset/blockSize] = block
		offset, data = offset+int64(n), data[n:]
	}
}

// write writes the image to a new file. What is behind the size is not written:
// a file that was made shorter is only one whose making began again.
func (m *image) write(t testing.TB, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n, block := range m.blocks {
		if n*blockSize < m.size {
			if _, err := f.WriteAt(block, n*blockSize); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Truncate(m.size); err != nil {
		t.Fatal(err)
	}
}

// loss is one way in which a crash may treat writes that were not synced.
type loss struct {
	name string
	kept func(pending []event) []event
}

// losses are all ways for a number of writes: none, all, each alone, all but
// each, the last ones, and each torn at a sector or a page.
func losses(pending []event) []loss {
	list := []loss{
		{"none", func([]event) []event { return nil }},
		{"all", func(p []event) []event { return p }},
	}
	for i := range pending {
		list = append(list,
			loss{fmt.Sprint("only ", i), func(p []event) []event { return p[i : i+1] }},
			loss{fmt.Sprint("all but ", i), func(p []event) []event { return slices.Concat(p[:i], p[i+1:]) }},
			loss{fmt.Sprint("from the end to ", i), func(p []event) []event { return p[i:] }},
		)
		for _, cut := range []int{512, 2048, 4096, 8192, 12288} {
			if cut < len(pending[i].data) {
				list = append(list,
					loss{fmt.Sprintf("all, %d cut at %d", i, cut), func(p []event) []event {
						return slices.Concat(p[:i], []event{head(p[i], cut)}, p[i+1:])
					}},
					loss{fmt.Sprintf("all, %d without the first %d", i, cut), func(p []event) []event {
						return slices.Concat(p[:i], []event{tail(p[i], cut)}, p[i+1:])
					}})
			}
		}
	}
	return list
}

func head(e event, n int) event { e.data = e.data[:n]; return e }

func tail(e event, n int) event { e.offset += int64(n); e.data = e.data[n:]; return e }

// point is a moment at which the machine may stop.
type point struct {
	at           int // events before it
	durable      *image
	pending      []event
	acknowledged acks
}

// points returns all moments after something has changed.
func points(events []event, workers int) []point {
	var list []point
	durable := &image{blocks: make(map[int64][]byte)}
	var pending []event
	covered := 0 // of pending, by the sync that has begun
	acknowledged := make(acks, workers)
	for i, e := range events {
		switch e.kind {
		case wrote, truncated:
			pending = append(pending, e)
		case syncBegun:
			covered = len(pending)
			continue
		case synced:
			durable = durable.clone()
			for _, p := range pending[:covered] {
				durable.apply(p)
			}
			pending = pending[covered:]
		case said:
			acknowledged = slices.Clone(acknowledged)
			for line := range strings.Lines(string(e.data)) {
				acknowledged.note(line)
			}
		}
		list = append(list, point{i + 1, durable, slices.Clone(pending), acknowledged})
	}
	return list
}

const replayWorkers = 3

// The machine stops at any moment of a load, and the disk has kept of the writes
// that were not synced whatever it liked. What was acknowledged is there.
func TestLostWrites(t *testing.T) {
	steps := fromEnv(t, "TIDEWAITER_REPLAY_STEPS", 60)
	images := fromEnv(t, "TIDEWAITER_REPLAY_IMAGES", 600)
	if testing.Short() {
		images = 60
	}
	path := filepath.Join(t.TempDir(), "store.db")
	events := traced(t, path, "", "load", path, 0, replayWorkers, steps)
	countSyncs(t, events, replayWorkers*steps)
	list := points(events, replayWorkers)
	if last := list[len(list)-1].acknowledged; slices.Min(last) != steps {
		t.Fatalf("acknowledged %v, want all %d", last, steps)
	}
	replay(t, list, images)
}

// replay opens what crashes may leave behind: every moment with none and with
// all of its writes, and a sample of the rest.
func replay(t *testing.T, list []point, images int) {
	t.Helper()
	type try struct {
		point
		loss
	}
	var first, rest []try
	for _, p := range list {
		for n, l := range losses(p.pending) {
			if n < 2 {
				first = append(first, try{p, l})
			} else {
				rest = append(rest, try{p, l})
			}
		}
	}
	seed := uint64(fromEnv(t, "TIDEWAITER_SEED", int(time.Now().UnixNano()%1e9)))
	r := rand.New(rand.NewPCG(seed, 0))
	for _, tries := range [][]try{first, rest} {
		r.Shuffle(len(tries), func(i, j int) { tries[i], tries[j] = tries[j], tries[i] })
	}
	sample := slices.Concat(first[:min(len(first), images/2)], rest[:min(len(rest), images-images/2)])
	t.Logf("TIDEWAITER_SEED=%d: %d moments, %d of %d images", seed, len(list), len(sample), len(first)+len(rest))
	path := filepath.Join(t.TempDir(), "image.db")
	for _, s := range sample {
		m := s.durable.clone()
		for _, e := range s.kept(s.pending) {
			m.apply(e)
		}
		m.write(t, path)
		wantReached(t, path, 0, s.acknowledged)
		wantSound(t, path)
		if t.Failed() {
			t.Fatalf("after %d events, unsynced writes: %s of %d", s.at, s.name, len(s.pending))
		}
	}
}

// countSyncs checks that every acknowledgement follows a sync of the page that
// commits, and that batches share syncs.
func countSyncs(t *testing.T, events []event, steps int) {
	t.Helper()
	commits, syncs, acknowledged := 0, 0, 0
	committing, covered := false, false // a page that commits is not synced; a sync of it has begun
	for i, e := range events {
		switch e.kind {
		case wrote:
			if e.offset < 2*int64(os.Getpagesize()) && len(e.data) == os.Getpagesize() {
				commits++
				committing, covered = true, false
			}
		case syncBegun:
			covered = committing
		case synced:
			syncs++
			committing = committing && !covered
		case said:
			n := bytes.Count(e.data, []byte("ack "))
			acknowledged += n
			if n > 0 && commits == 0 {
				t.Errorf("event %d: acknowledged before anything was committed", i)
			}
		}
	}
	if committing {
		t.Error("the last commit was not synced")
	}
	if acknowledged < steps || commits > acknowledged || syncs < 2*commits {
		t.Errorf("%d steps acknowledged, %d commits, %d syncs; want all %d, no more commits than that, two syncs for each", acknowledged, commits, syncs, steps)
	}
	t.Logf("%d steps acknowledged, %d commits, %d syncs", acknowledged, commits, syncs)
}

// A sync that fails acknowledges nothing, and what was acknowledged before stays
// whatever the disk has lost.
func TestFailedSync(t *testing.T) {
	for _, tt := range []struct {
		name   string
		when   int // number of the sync that fails
		failed []int
	}{
		// The first three syncs make the file, then each commit takes two.
		{"of the pages", 6, []int{1}},
		{"of the page that commits", 7, []int{1, 2, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			events := traced(t, path, fmt.Sprintf("inject=fdatasync:error=EIO:when=%d", tt.when), "sets", path)
			var failed []int
			for _, e := range events {
				var n int
				if k, _ := fmt.Sscanf(string(e.data), "failed 0 %d", &n); k == 1 {
					failed = append(failed, n)
					if !strings.Contains(string(e.data), "input/output error") {
						t.Errorf("got %q, want the system's error", e.data)
					}
				}
			}
			if !slices.Equal(failed, tt.failed) {
				t.Errorf("sets %v failed, want %v", failed, tt.failed)
			}
			image := filepath.Join(t.TempDir(), "image.db")
			for _, p := range points(events, 1) {
				for _, l := range losses(p.pending) {
					m := p.durable.clone()
					for _, e := range l.kept(p.pending) {
						m.apply(e)
					}
					m.write(t, image)
					wantSet(t, image, p.acknowledged[0])
					if t.Failed() {
						t.Fatalf("after %d events, unsynced writes: %s of %d", p.at, l.name, len(p.pending))
					}
				}
			}
		})
	}
}

// setsJob sets a vCard four times, each with a number, and says which it could.
// All that it syncs is by one thread, because strace counts calls by thread.
func setsJob(args []string) error {
	runtime.LockOSThread()
	s := newStore(args[0], Defaults())
	if err := s.open(migrations()); err != nil {
		return err
	}
	go func() {
		defer s.queue.close()
		for n := range 4 {
			if err := s.VCard().Set(context.Background(), newScript(0, 0).user, fmt.Sprint(n)); err != nil {
				fmt.Printf("failed 0 %d %v\n", n, err)
			} else {
				fmt.Printf("ack 0 %d\n", n)
			}
		}
	}()
	s.write()
	return s.db.Close()
}

// wantSet wants the number of an acknowledged set, or a later one.
func wantSet(t *testing.T, path string, acknowledged int) {
	t.Helper()
	s, err := Open(path, Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Error(err)
		return
	}
	xml, err := s.VCard().Get(t.Context(), newScript(0, 0).user)
	if err != nil || acknowledged > 0 && xml < fmt.Sprint(acknowledged) {
		t.Errorf("got %q, %v; want %d or later", xml, err, acknowledged)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantSound(t, path)
}
