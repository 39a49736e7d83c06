package meter

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestReadKnowsThisProcess(t *testing.T) {
	u, err := Read(os.Getpid())
	if runtime.GOOS != "linux" {
		if err == nil {
			t.Error("want an error: processor time comes from /proc")
		}
		t.Skip("processor time is known on Linux only")
	}
	if err != nil {
		t.Fatal(err)
	}
	// The server is this process here, read twice.
	if d := u.Self - u.Server; d < 0 || d > time.Second {
		t.Errorf("got %v for the server and %v for this process, want the same", u.Server, u.Self)
	}
	if both, err := ReadBoth(os.Getpid(), os.Getpid()); err != nil || both.Peer < u.Server {
		t.Errorf("both: got %+v, %v; want the same of the second server", both, err)
	}
	if u.Machine < u.Self {
		t.Errorf("got %v for the machine and %v for this process alone", u.Machine, u.Self)
	}
	kib, err := RSS(os.Getpid())
	if err != nil || kib < 1000 {
		t.Errorf("memory: got %v KiB and %v, want more than 1,000", kib, err)
	}
	if n, ok := Descriptors(0); ok && n < 16 {
		t.Errorf("descriptors: got %d, want some", n)
	}
}

func TestReadOfNoProcess(t *testing.T) {
	if _, err := Read(0); err != nil {
		t.Errorf("process 0 stands for none: got %v", err)
	}
	if kib, err := RSS(0); kib != 0 || err != nil {
		t.Errorf("memory of process 0: got %v, %v; want 0, nil", kib, err)
	}
	const none = 1 << 30 // above every pid_max
	if _, err := Read(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for a process that does not exist", err)
	}
	if _, err := RSS(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("memory: got %v for a process that does not exist", err)
	}
}

func TestSpent(t *testing.T) {
	start := time.Unix(100, 0)
	a := Usage{At: start, Server: time.Second, Self: 2 * time.Second, Machine: 10 * time.Second}
	b := Usage{At: start.Add(4 * time.Second), Server: 3 * time.Second, Peer: time.Second, Self: 3 * time.Second, Machine: 16 * time.Second}
	want := Spent{Wall: 4 * time.Second, Server: 2 * time.Second, Peer: time.Second, Self: time.Second, Others: 2 * time.Second}
	if got := b.Since(a); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := want.Add(want).Server; got != 4*time.Second {
		t.Errorf("sum: got %v, want 4s", got)
	}
	var r Result
	r.Counted(1000, "messages", want)
	if r.PerSecond != 250 || r.PerServerCPU != 500 {
		t.Errorf("got %v per second and %v per processor second, want 250 and 500", r.PerSecond, r.PerServerCPU)
	}
	if s := r.Swapped(); r.PerPeerCPU != 1000 || s.PerServerCPU != 1000 || s.PerPeerCPU != 500 || s.ServerCPU != 1 || s.PeerCPU != 2 {
		t.Errorf("got %+v, and as the second server sees it %+v; want 1000 per processor second of that one", r, s)
	}
}

func TestResultIsOneLine(t *testing.T) {
	r := Result{Workload: "chat", Note: "one\ntwo", Faults: Faults{Lost: 1, WrongAck: 2}}
	r.Set("pairs", 50)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "\n") {
		t.Errorf("got %q, want one line", text)
	}
	var back Result
	if err := json.Unmarshal(text, &back); err != nil || back.Faults != r.Faults || back.Settings["pairs"] != "50" {
		t.Errorf("got %+v and %v back, want %+v", back, err, r)
	}
	var out strings.Builder
	r.Print(&out)
	if got := r.Faults.Add(r.Faults).Sum(); got != 6 || !strings.Contains(out.String(), "FAULTS") {
		t.Errorf("faults: got %d and %q, want 6 and to be told", got, &out)
	}
}
