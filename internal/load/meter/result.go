package meter

import (
	"fmt"
	"io"
	"time"
)

// Result is what one run of a workload has measured: one line of JSON.
type Result struct {
	Workload string            `json:"workload"`
	Label    string            `json:"label,omitempty"` // of the caller's choice
	Settings map[string]string `json:"settings,omitempty"`
	Note     string            `json:"note,omitempty"` // what the reader should know

	Count     int64   `json:"count"`      // of what the workload counts, while it measured
	Unit      string  `json:"unit"`       // what that is
	Seconds   float64 `json:"seconds"`    // that it measured
	PerSecond float64 `json:"per_second"` // Count per second

	// Processor seconds while it measured, of the server's process, of this one
	// and of everything else but PeerCPU. 0 where they are not known.
	ServerCPU    float64 `json:"server_cpu_s"`
	ClientCPU    float64 `json:"client_cpu_s"`
	OtherCPU     float64 `json:"other_cpu_s"`
	PerServerCPU float64 `json:"per_server_cpu_s"` // Count per processor second of the server

	// The same of the second server, where two talk to one another.
	PeerCPU    float64 `json:"peer_cpu_s,omitempty"`
	PerPeerCPU float64 `json:"per_peer_cpu_s,omitempty"`

	// Latencies in milliseconds.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`

	// Resident memory of the server in KiB before the first connection and at
	// the end, and the growth for each connection.
	RSSBefore float64 `json:"rss_before_kib"`
	RSSAfter  float64 `json:"rss_after_kib"`
	KiBEach   float64 `json:"kib_each"`

	// Of datagrams, which may get lost: how many things were not answered, and
	// what the kernel has dropped meanwhile.
	Unanswered int64 `json:"unanswered,omitempty"`
	Drops      Drops `json:"drops,omitzero"`

	Faults Faults `json:"faults"`
}

// Faults are what must not happen.
type Faults struct {
	Lost      int64 `json:"lost"`
	Duplicate int64 `json:"duplicate"`
	Reordered int64 `json:"reordered"`
	Corrupt   int64 `json:"corrupt"`
	WrongFrom int64 `json:"wrong_from"`
	Bounced   int64 `json:"bounced"`
	WrongAck  int64 `json:"wrong_ack"` // of stream management
	Broken    int64 `json:"broken"`    // connections
}

// Sum returns the number of all faults.
func (f Faults) Sum() int64 {
	return f.Lost + f.Duplicate + f.Reordered + f.Corrupt + f.WrongFrom + f.Bounced + f.WrongAck + f.Broken
}

// Add returns the sum of two counts.
func (f Faults) Add(o Faults) Faults {
	return Faults{
		Lost: f.Lost + o.Lost, Duplicate: f.Duplicate + o.Duplicate, Reordered: f.Reordered + o.Reordered,
		Corrupt: f.Corrupt + o.Corrupt, WrongFrom: f.WrongFrom + o.WrongFrom, Bounced: f.Bounced + o.Bounced,
		WrongAck: f.WrongAck + o.WrongAck, Broken: f.Broken + o.Broken,
	}
}

// Counted notes how many things were done, and what that took.
func (r *Result) Counted(n int64, unit string, s Spent) {
	r.Count, r.Unit, r.Seconds = n, unit, s.Wall.Seconds()
	r.ServerCPU, r.ClientCPU, r.OtherCPU = s.Server.Seconds(), s.Self.Seconds(), s.Others.Seconds()
	if r.Seconds > 0 {
		r.PerSecond = float64(n) / r.Seconds
	}
	if r.ServerCPU > 0 {
		r.PerServerCPU = float64(n) / r.ServerCPU
	}
	if r.PeerCPU = s.Peer.Seconds(); r.PeerCPU > 0 {
		r.PerPeerCPU = float64(n) / r.PeerCPU
	}
}

// Swapped returns the result as the second server sees it.
func (r Result) Swapped() Result {
	r.ServerCPU, r.PeerCPU = r.PeerCPU, r.ServerCPU
	r.PerServerCPU, r.PerPeerCPU = r.PerPeerCPU, r.PerServerCPU
	return r
}

// Latencies notes how long the single things took.
func (r *Result) Latencies(h *Histogram) {
	r.P50, r.P99, r.Max = ms(h.Quantile(0.5)), ms(h.Quantile(0.99)), ms(h.Max())
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Before notes the memory of the server's process before the first connection;
// 0 stands for no process.
func (r *Result) Before(pid int) (err error) {
	r.RSSBefore, err = RSS(pid)
	return err
}

// After notes it at the end, while a number of connections are still there.
func (r *Result) After(pid, connections int) (err error) {
	r.RSSAfter, err = RSS(pid)
	if connections > 0 {
		r.KiBEach = (r.RSSAfter - r.RSSBefore) / float64(connections)
	}
	return err
}

// Set notes a setting of the run.
func (r *Result) Set(name string, value any) {
	if r.Settings == nil {
		r.Settings = make(map[string]string)
	}
	r.Settings[name] = fmt.Sprint(value)
}

// Print writes the result in a few words for people.
func (r *Result) Print(w io.Writer) {
	fmt.Fprintf(w, "%s: %d %s in %.2f s, %.0f per second", r.Workload, r.Count, r.Unit, r.Seconds, r.PerSecond)
	if r.PerServerCPU > 0 {
		fmt.Fprintf(w, ", %.0f per processor second of the server", r.PerServerCPU)
	}
	if r.PerPeerCPU > 0 {
		fmt.Fprintf(w, ", %.0f of the other server", r.PerPeerCPU)
	}
	fmt.Fprintln(w)
	if r.Max > 0 {
		fmt.Fprintf(w, "  latency p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", r.P50, r.P99, r.Max)
	}
	if r.RSSAfter > 0 {
		fmt.Fprintf(w, "  memory of the server %.1f MiB, then %.1f MiB; %.2f KiB each\n", r.RSSBefore/1024, r.RSSAfter/1024, r.KiBEach)
	}
	fmt.Fprintf(w, "  processor: server %.2f s, ", r.ServerCPU)
	if r.PeerCPU > 0 {
		fmt.Fprintf(w, "other server %.2f s, ", r.PeerCPU)
	}
	fmt.Fprintf(w, "client %.2f s, others %.2f s\n", r.ClientCPU, r.OtherCPU)
	if r.Unanswered > 0 || r.Drops.Sum() > 0 {
		fmt.Fprintf(w, "  unanswered %d; the kernel has dropped %d when receiving and %d when sending\n", r.Unanswered, r.Drops.Receive, r.Drops.Send)
	}
	if r.Note != "" {
		fmt.Fprintf(w, "  %s\n", r.Note)
	}
	if r.Faults.Sum() > 0 {
		fmt.Fprintf(w, "  FAULTS: %+v\n", r.Faults)
	}
}
