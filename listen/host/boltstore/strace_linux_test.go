package boltstore

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// eventKind is something that a process did to the store's file, or said.
type eventKind uint8

const (
	wrote     eventKind = iota // data at offset
	truncated                  // to size
	syncBegun
	synced
	syncFailed
	said // data on standard output
)

type event struct {
	kind   eventKind
	offset int64
	size   int64
	data   []byte
}

// traced runs a job of a child under strace and returns what it did to the file
// of path, in order. inject is an argument for strace that makes calls fail, or
// "".
func traced(t *testing.T, path, inject, job string, args ...any) []event {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("TIDEWAITER_CI") != "" {
			t.Fatal("strace is missing: install it")
		}
		t.Skip("strace is missing: install it to run this test")
	}
	log := filepath.Join(t.TempDir(), "strace.log")
	cmd := child(t, job, args...)
	options := []string{"strace", "-f", "-xx", "-s", "9999999", "-o", log,
		"-e", "trace=openat,close,pwrite64,write,fdatasync,fsync,ftruncate,fallocate"}
	if inject != "" {
		options = append(options, "-e", inject)
	}
	cmd.Path, cmd.Args = strace, append(append(options, cmd.Path), cmd.Args[1:]...)
	if out, err := cmd.Output(); err != nil {
		if strings.Contains(err.Error(), "operation not permitted") && os.Getenv("TIDEWAITER_CI") == "" {
			t.Skipf("strace may not trace here: %v", err)
		}
		t.Fatalf("%v: %v\n%s", cmd.Args[len(options):], err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events, err := parseTrace(f, path)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// tracer reads the log of strace.
type tracer struct {
	path    string
	fd      string            // the store's; "" when it is not open
	pending map[string]string // by thread: a call that has not ended
	events  []event
}

func parseTrace(r io.Reader, path string) ([]event, error) {
	tr := &tracer{path: path, pending: make(map[string]string)}
	lines := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return tr.events, nil
		}
		if err != nil {
			return nil, err
		}
		if err := tr.line(strings.TrimSuffix(line, "\n")); err != nil {
			return nil, fmt.Errorf("line %d: %w: %.200s", n, err, line)
		}
	}
}

// line reads one line: a call, or its beginning, or its end.
func (tr *tracer) line(line string) error {
	thread, call, ok := strings.Cut(line, " ")
	call = strings.TrimLeft(call, " ")
	if !ok || strings.HasPrefix(call, "+++") || strings.HasPrefix(call, "---") {
		return nil
	}
	if begin, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
		tr.pending[thread] = begin
		return tr.begin(begin)
	}
	if strings.HasPrefix(call, "<... ") {
		_, end, ok := strings.Cut(call, " resumed>")
		if !ok {
			return errors.New("no end of a call")
		}
		begin := tr.pending[thread]
		delete(tr.pending, thread)
		return tr.end(begin + end)
	}
	if err := tr.begin(call); err != nil {
		return err
	}
	return tr.end(call)
}

// begin notes what counts from the beginning of a call: what is said may be
// heard, and only what is written before is synced.
func (tr *tracer) begin(call string) error {
	name, args, _ := strings.Cut(call, "(")
	fd, rest, _ := strings.Cut(args, ", ")
	switch {
	case name == "write" && fd == "1":
		data, _, err := text(rest)
		tr.events = append(tr.events, event{kind: said, data: data})
		return err
	case (name == "fdatasync" || name == "fsync") && tr.fd != "" && strings.TrimSuffix(strings.Fields(fd)[0], ")") == tr.fd:
		tr.events = append(tr.events, event{kind: syncBegun})
	}
	return nil
}

// end notes what a call has done.
func (tr *tracer) end(call string) error {
	at := strings.LastIndex(call, " = ")
	if at < 0 {
		return errors.New("no result")
	}
	args := strings.TrimRight(call[:at], " ")
	result, _, _ := strings.Cut(call[at+3:], " ")
	name, args, _ := strings.Cut(args, "(")
	args = strings.TrimSuffix(args, ")")
	failed := strings.HasPrefix(result, "-")
	if name == "openat" {
		_, rest, _ := strings.Cut(args, ", ")
		opened, flags, err := text(rest)
		if err == nil && string(opened) == tr.path && !failed && strings.Contains(flags, "O_RDWR") {
			tr.fd = result
		}
		return err
	}
	fd, rest, _ := strings.Cut(args, ", ")
	if tr.fd == "" || fd != tr.fd {
		return nil
	}
	switch name {
	case "close":
		tr.fd = ""
	case "fdatasync", "fsync":
		kind := synced
		if failed {
			kind = syncFailed
		}
		tr.events = append(tr.events, event{kind: kind})
	case "pwrite64":
		return tr.pwrite(rest, result)
	case "ftruncate":
		size, err := strconv.ParseInt(rest, 10, 64)
		if !failed {
			tr.events = append(tr.events, event{kind: truncated, size: size})
		}
		return err
	default:
		return fmt.Errorf("the store's file is changed by %s, which this test does not know", name)
	}
	return nil
}

func (tr *tracer) pwrite(args, result string) error {
	data, rest, err := text(args)
	if err != nil {
		return err
	}
	numbers := strings.Split(strings.TrimPrefix(rest, ", "), ", ")
	offset, err := strconv.ParseInt(numbers[len(numbers)-1], 10, 64)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(result)
	if n > 0 {
		tr.events = append(tr.events, event{kind: wrote, offset: offset, data: data[:n]})
	}
	return err
}

// text reads a string that strace has written in hexadecimal.
func text(s string) (data []byte, rest string, err error) {
	quoted, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return nil, s, errors.New("no string")
	}
	quoted, rest, ok = strings.Cut(quoted, `"`)
	if !ok || strings.HasPrefix(rest, "...") {
		return nil, s, errors.New("a string that is cut")
	}
	data, err = hex.DecodeString(strings.ReplaceAll(quoted, `\x`, ""))
	return data, rest, err
}

func TestParseTrace(t *testing.T) {
	log := strings.Join([]string{
		`10 openat(AT_FDCWD, "\x2f\x73", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 7`,
		`10 pwrite64(7, "\x61\x62", 2, 4096) = 2`,
		`11 write(1, "\x68\x69", 2 <unfinished ...>`,
		`10 fdatasync(7 <unfinished ...>`,
		`11 <... write resumed>) = 2`,
		`12 pwrite64(7, "\x63", 1, 0 <unfinished ...>`,
		`10 <... fdatasync resumed>) = 0`,
		`12 <... pwrite64 resumed>) = 1`,
		`10 pwrite64(8, "\x61", 1, 4096) = 1`,
		`10 fdatasync(7) = -1 EIO (Input/output error) (INJECTED)`,
		`10 ftruncate(7, 65536)              = 0`,
		`10 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL} ---`,
		`10 close(7) = 0`,
		`10 fsync(7) = 0`,
		`10 +++ exited with 0 +++`,
	}, "\n") + "\n"
	events, err := parseTrace(strings.NewReader(log), "/s")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprintf("%d %d %d %s", e.kind, e.offset, e.size, e.data))
	}
	want := []string{"0 4096 0 ab", "5 0 0 hi", "2 0 0 ", "3 0 0 ", "0 0 0 c", "2 0 0 ", "4 0 0 ", "1 0 65536 "}
	if strings.Join(got, ";") != strings.Join(want, ";") {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{`10 pwrite64(7, "\x61"..., 100, 0) = 100`, `10 fallocate(7, 0, 0, 5) = 0`} {
		if _, err := parseTrace(strings.NewReader(`10 openat(AT_FDCWD, "\x2f\x73", O_RDWR) = 7`+"\n"+bad+"\n"), "/s"); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
