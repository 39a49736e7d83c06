package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// table writes the results as Markdown.
func (b *bench) table(w io.Writer, m machine, now time.Time) {
	fmt.Fprintf(w, "By `go run ./internal/bench` on %s: %s. Servers and clients share it.\n", now.Format(time.DateOnly), m)
	var versions []string
	for _, p := range b.peers {
		versions = append(versions, strings.TrimSpace(p.title+" "+p.version))
	}
	fmt.Fprintf(w, "%s. Rounds: %d, the servers by turns; cells are the median (lowest–highest).\n", strings.Join(versions, ", "), b.rounds)
	fmt.Fprintf(w, "The servers have what the row needs and nothing else, one certificate (P-256), TLS 1.3 with X25519.\n")
	fmt.Fprintf(w, "Bare sockets is a Go program that forwards bytes and checks nothing, passwords included.\n")
	if slices.ContainsFunc(b.rows, func(r row) bool { return r.with != "" }) {
		fmt.Fprintf(w, "Messages between servers go over TLS all the way, half of them in each direction; where the servers differ, the figures are of one run.\n")
	}
	if share := b.others(m.cores); share > 0 {
		fmt.Fprintf(w, "Other programs took %.0f %% of the processors meanwhile (median of all runs).\n", 100*share)
	}
	fmt.Fprintln(w)
	b.head(w)
	for i := range b.rows {
		b.row(w, &b.rows[i])
	}
	fmt.Fprintln(w)
	if b.compares() {
		fmt.Fprintln(w, "The last columns hold Tidewaiter against the others by the medians: above 1 it is better.")
	}
	if shares := b.federated(); len(shares) > 0 {
		fmt.Fprintf(w, "A processor second brings so many times as many messages between two servers of one kind as within one server, both over TLS: %s.\n",
			strings.Join(shares, ", "))
	}
	for _, n := range b.notes {
		fmt.Fprintf(w, "- %s\n", n)
	}
}

// federated holds messages between servers against those within one.
func (b *bench) federated() (shares []string) {
	for _, p := range b.peers {
		var v [2]float64
		for i := range b.rows {
			switch r := &b.rows[i]; r.name {
			case federationSame:
				v[0] = b.median(r, p)
			case "chat-tls":
				v[1] = b.median(r, p)
			}
		}
		if v[0] > 0 && v[1] > 0 {
			shares = append(shares, p.title+" "+figure(v[0]/v[1]))
		}
	}
	return shares
}

// median returns that of a row's runs, 0 when there are none.
func (b *bench) median(r *row, p *peer) float64 {
	if v := b.values(r, p); len(v) > 0 {
		return median(v)
	}
	return 0
}

// others returns the share of the processors that nobody of ours has used, but
// that was used: by it one knows how much to believe of the rest.
func (b *bench) others(cores int) float64 {
	var shares []float64
	for _, byPeer := range b.results {
		for _, list := range byPeer {
			for _, r := range list {
				if r.Seconds > 0 {
					shares = append(shares, r.OtherCPU/r.Seconds/float64(cores))
				}
			}
		}
	}
	if len(shares) == 0 {
		return 0
	}
	slices.Sort(shares)
	return median(shares)
}

// references are the peers that Tidewaiter is held against.
func (b *bench) references() (list []*peer) {
	for _, name := range []string{"ejabberd", "floor"} {
		if p := b.peer(name); p != nil {
			list = append(list, p)
		}
	}
	return list
}

func (b *bench) compares() bool { return b.peer("tidewaiter") != nil && len(b.references()) > 0 }

func (b *bench) head(w io.Writer) {
	cells := []string{"", "unit"}
	for _, p := range b.peers {
		cells = append(cells, p.title)
	}
	if b.compares() {
		for _, p := range b.references() {
			cells = append(cells, "to "+p.title)
		}
	}
	writeCells(w, cells)
	for i := range cells {
		if cells[i] = "--:"; i < 2 {
			cells[i] = "---"
		}
	}
	writeCells(w, cells)
}

func writeCells(w io.Writer, cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }

func (b *bench) row(w io.Writer, r *row) {
	cells := []string{r.title, r.unit}
	medians := make(map[string]float64)
	for _, p := range b.peers {
		v := b.values(r, p)
		if len(v) == 0 {
			cells = append(cells, "–")
			continue
		}
		medians[p.name] = median(v)
		cell := "**" + figure(median(v)) + "**"
		if len(v) > 1 {
			cell += " (" + figure(v[0]) + "–" + figure(v[len(v)-1]) + ")"
		}
		cells = append(cells, cell)
	}
	if b.compares() {
		for _, p := range b.references() {
			cells = append(cells, ratio(medians["tidewaiter"], medians[p.name], r.lower))
		}
	}
	writeCells(w, cells)
}

// values returns the values of a row's runs that are known, ascending.
func (b *bench) values(r *row, p *peer) (list []float64) {
	for _, result := range b.results[r.name][p.name] {
		if v := r.value(&result); v > 0 {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return list
}

// median returns the middle of values in ascending order.
func median(v []float64) float64 {
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// ratio says how many times better ours is than theirs.
func ratio(ours, theirs float64, lower bool) string {
	if ours <= 0 || theirs <= 0 {
		return "–"
	}
	if lower {
		ours, theirs = theirs, ours
	}
	return figure(ours / theirs)
}

// figure writes a number with three digits that count.
func figure(v float64) string {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return "–"
	}
	digits := 2 - int(math.Floor(math.Log10(v)))
	if digits > 0 {
		return strconv.FormatFloat(v, 'f', min(digits, 3), 64)
	}
	unit := math.Pow10(-digits)
	return group(math.Round(v/unit) * unit)
}

// group writes a whole number with a comma between thousands.
func group(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
