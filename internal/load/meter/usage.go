package meter

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc: USER_HZ is 100 wherever Go runs.
const tick = 10 * time.Millisecond

// Usage is a reading of processor time, to the 10 ms.
type Usage struct {
	At      time.Time
	Server  time.Duration // user and system time of the server's process
	Peer    time.Duration // the same of a second server's, 0 where there is none
	Self    time.Duration // the same of this process
	Machine time.Duration // of all processes, on all processors
}

// Read reads the usage of a server's process; 0 stands for no process, and then
// it works on every system.
func Read(pid int) (Usage, error) { return ReadBoth(pid, 0) }

// ReadBoth reads the usage of two servers that talk to one another.
func ReadBoth(pid, peer int) (Usage, error) {
	u := Usage{At: time.Now()}
	var err error
	for _, p := range []struct {
		pid  int
		used *time.Duration
	}{{pid, &u.Server}, {peer, &u.Peer}} {
		if p.pid == 0 {
			continue
		}
		if *p.used, err = processTime(strconv.Itoa(p.pid)); err != nil {
			return u, err
		}
	}
	if u.Self, err = processTime("self"); err == nil {
		u.Machine, err = machineTime()
	}
	if pid == 0 && peer == 0 {
		err = nil // all that is lost is what nobody asked for
	}
	return u, err
}

// Since returns what was used since an earlier reading.
func (u Usage) Since(earlier Usage) Spent {
	s := Spent{
		Wall:   u.At.Sub(earlier.At),
		Server: u.Server - earlier.Server,
		Peer:   u.Peer - earlier.Peer,
		Self:   u.Self - earlier.Self,
	}
	s.Others = max(0, u.Machine-earlier.Machine-s.Server-s.Peer-s.Self)
	return s
}

// Spent is what was used between two readings.
type Spent struct {
	Wall, Server, Peer, Self time.Duration
	// Others is the processor time of everything else on the machine: the figure
	// by which to distrust a run.
	Others time.Duration
}

// Add returns the sum of two spans.
func (s Spent) Add(o Spent) Spent {
	return Spent{s.Wall + o.Wall, s.Server + o.Server, s.Peer + o.Peer, s.Self + o.Self, s.Others + o.Others}
}

// processTime reads utime and stime, the 14th and 15th field of proc_pid_stat(5).
func processTime(pid string) (time.Duration, error) {
	path := "/proc/" + pid + "/stat"
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	// The name of the program, which may hold anything, ends with the last ')'.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("processor time: %s has %d fields", path, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("processor time: %s: %q and %q are no numbers", path, fields[11], fields[12])
	}
	return time.Duration(user+system) * tick, nil
}

// machineTime sums what proc_stat(5) says of all processors, but for idle and
// iowait.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var sum int64
	for i, f := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time: /proc/stat: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// RSS returns the resident memory of a process in KiB, 0 for process 0.
func RSS(pid int) (float64, error) {
	if pid == 0 {
		return 0, nil
	}
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kib float64
			if _, err := fmt.Sscan(v, &kib); err != nil {
				return 0, fmt.Errorf("memory: %s: %w", path, err)
			}
			return kib, nil
		}
	}
	return 0, fmt.Errorf("memory: %s has no VmRSS: the process has ended", path)
}

// Descriptors returns how many files a process may have open, 0 for itself; ok
// is false where that cannot be told.
func Descriptors(pid int) (n int, ok bool) {
	name := "self"
	if pid != 0 {
		name = strconv.Itoa(pid)
	}
	text, err := os.ReadFile("/proc/" + name + "/limits")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if v, is := strings.CutPrefix(line, "Max open files"); is {
			_, err := fmt.Sscan(v, &n) // the soft limit; "unlimited" is no number
			return n, err == nil
		}
	}
	return 0, false
}
