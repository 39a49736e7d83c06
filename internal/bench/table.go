package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// table writes the results as Markdown: a table for each kind of servers.
func (b *bench) table(w io.Writer, m machine, now time.Time) {
	fmt.Fprintf(w, "By `go run ./internal/bench` on %s: %s. Servers and clients share it.\n", now.Format(time.DateOnly), m)
	var versions []string
	for _, p := range b.peers {
		if b.needs(p) {
			versions = append(versions, strings.TrimSpace(p.title+" "+p.version))
		}
	}
	fmt.Fprintf(w, "%s. Rounds: %d, the servers by turns; cells are the median (lowest–highest).\n", strings.Join(versions, ", "), b.rounds)
	if share := b.others(m.cores); share > 0 {
		fmt.Fprintf(w, "Other programs took %.0f %% of the processors meanwhile (median of all runs).\n", 100*share)
	}
	for _, k := range []kind{forXMPP, forSTUN} {
		s := b.section(k)
		if len(s.rows) == 0 {
			continue
		}
		fmt.Fprintln(w)
		if k == forXMPP {
			b.aboutXMPP(w)
		} else {
			b.aboutSTUN(w)
		}
		fmt.Fprintln(w)
		b.write(w, s)
	}
	if shares := b.federated(); len(shares) > 0 {
		fmt.Fprintf(w, "A processor second brings so many times as many messages between two servers of one kind as within one server, both over TLS: %s.\n",
			strings.Join(shares, ", "))
	}
	for _, n := range b.notes {
		fmt.Fprintf(w, "- %s\n", n)
	}
}

// aboutXMPP says what the reader of that table should know.
func (b *bench) aboutXMPP(w io.Writer) {
	fmt.Fprintf(w, "XMPP. The servers have what the row needs and nothing else, one certificate (P-256), TLS 1.3 with X25519.\n")
	fmt.Fprintf(w, "Bare sockets is a Go program that forwards bytes and checks nothing, passwords included.\n")
	if slices.ContainsFunc(b.rows, func(r row) bool { return r.with != "" }) {
		fmt.Fprintf(w, "Messages between servers go over TLS all the way, half of them in each direction; where the servers differ, the figures are of one run.\n")
	}
}

// aboutSTUN is aboutXMPP for the other table.
func (b *bench) aboutSTUN(w io.Writer) {
	fmt.Fprintf(w, "STUN and TURN. The servers have one account with the same long-term credentials, no quotas, and leave to relay to loopback, which they refuse otherwise.\n")
	fmt.Fprintf(w, "For a server, a round trip by a relay is four datagrams; an allocation is a challenge, the allocation and its end, from an address of its own.\n")
	fmt.Fprintf(w, "Memory is that of the process: what the kernel needs for sockets is not in it. Bare sockets is a Go program that answers datagrams with a Binding answer, whatever they say.\n")
	if list := b.unanswered(); len(list) > 0 {
		fmt.Fprintf(w, "Requests by datagrams that were not answered, in the worst run: %s.\n", strings.Join(list, ", "))
	}
}

// unanswered says for each peer how many requests got lost in its worst run, and how
// many datagrams the kernel has dropped meanwhile.
func (b *bench) unanswered() (list []string) {
	for _, p := range b.peers {
		var worst meter.Result
		share := 0.0
		for _, byPeer := range b.results {
			for _, r := range byPeer[p.name] {
				if s := float64(r.Unanswered) / float64(max(r.Unanswered+r.Count, 1)); s > share {
					share, worst = s, r
				}
			}
		}
		if share > 0 {
			list = append(list, fmt.Sprintf("%s %s %% (%s datagrams were dropped by the kernel)", p.title, figure(100*share), group(float64(worst.Drops.Sum()))))
		}
	}
	return list
}

// section is the table for one kind of servers.
type section struct {
	rows   []row
	peers  []*peer
	versus []*peer // that Tidewaiter is held against
}

func (b *bench) section(k kind) (s section) {
	for _, r := range b.rows {
		if r.profile.kind() != k {
			continue
		}
		s.rows = append(s.rows, r)
		if r.also != nil {
			further := r
			further.title, further.unit, further.value, further.lower = r.also.title, r.also.unit, r.also.value, r.also.lower
			s.rows = append(s.rows, further)
		}
	}
	ours := b.peer("tidewaiter") != nil
	for _, p := range b.peers {
		if p.kinds&k == 0 {
			continue
		}
		s.peers = append(s.peers, p)
		if p.versus && ours {
			s.versus = append(s.versus, p)
		}
	}
	return s
}

// write writes the table itself.
func (b *bench) write(w io.Writer, s section) {
	s.head(w)
	for i := range s.rows {
		b.row(w, s, &s.rows[i])
	}
	fmt.Fprintln(w)
	if len(s.versus) > 0 {
		fmt.Fprintln(w, "The last columns hold Tidewaiter against the others by the medians: above 1 it is better.")
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

func (s section) head(w io.Writer) {
	cells := []string{"", "unit"}
	for _, p := range s.peers {
		cells = append(cells, p.title)
	}
	for _, p := range s.versus {
		cells = append(cells, "to "+p.title)
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

func (b *bench) row(w io.Writer, s section, r *row) {
	cells := []string{r.title, r.unit}
	medians := make(map[string]float64)
	for _, p := range s.peers {
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
	for _, p := range s.versus {
		cells = append(cells, ratio(medians["tidewaiter"], medians[p.name], r.lower))
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
