package meter

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Drops are datagrams that the kernel has dropped on the whole machine, since it
// was started or within a run, because a buffer was full: for receiving
// (RcvbufErrors) and for sending (SndbufErrors). IPv6 is not counted.
type Drops struct {
	Receive int64 `json:"receive"`
	Send    int64 `json:"send"`
}

// ReadDrops reads the counters. Like processor time, they are known on Linux only.
func ReadDrops() (Drops, error) {
	const path = "/proc/net/snmp"
	text, err := os.ReadFile(path)
	if err != nil {
		return Drops{}, fmt.Errorf("dropped datagrams: %w", err)
	}
	d, err := parseDrops(string(text))
	if err != nil {
		return d, fmt.Errorf("dropped datagrams: %s: %w", path, err)
	}
	return d, nil
}

// parseDrops reads the two lines on UDP: the names of the counters, and what they
// say.
func parseDrops(text string) (d Drops, err error) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		if len(fields) != len(names) {
			break
		}
		for i, name := range names {
			switch name {
			case "RcvbufErrors":
				d.Receive, err = strconv.ParseInt(fields[i], 10, 64)
			case "SndbufErrors":
				d.Send, err = strconv.ParseInt(fields[i], 10, 64)
			}
			if err != nil {
				return d, err
			}
		}
		return d, nil
	}
	return d, fmt.Errorf("want two lines on UDP with as many fields")
}

// Since returns what was dropped since an earlier reading.
func (d Drops) Since(earlier Drops) Drops {
	return Drops{Receive: d.Receive - earlier.Receive, Send: d.Send - earlier.Send}
}

// Sum returns the number of all drops.
func (d Drops) Sum() int64 { return d.Receive + d.Send }
