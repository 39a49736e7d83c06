package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// scale says how large everything is.
type scale struct {
	accounts int
	pairs    int
	warm     time.Duration
	measured time.Duration
	logins   int
	passes   int
	idle     int
	settle   time.Duration
	users    int // of presence
	contacts int
	each     int           // offline messages to each recipient
	sessions []int         // rows of that many
	clients  int           // of a component
	domains  int           // idle ones
	quiet    time.Duration // before their memory is read
	relays   int           // idle ones
}

func usualScale() scale {
	return scale{
		accounts: 2000, pairs: 50, warm: time.Second, measured: 4 * time.Second,
		logins: 1000, passes: 3, idle: 2000, settle: 5 * time.Second,
		users: 200, contacts: 20, each: 500, sessions: []int{100, 1000, 5000, 15000},
		clients: 20, domains: 1000, quiet: 3 * time.Second, relays: 2000,
	}
}

// row is one row of the table, or several of the same runs.
type row struct {
	name    string // for -workloads
	title   string
	unit    string
	also    *row // title, unit, value and lower of a further row
	profile profile
	fresh   bool // each run has a newly started server
	command string
	args    []string
	value   func(*meter.Result) float64 // 0: not known
	lower   bool                        // less is better
	pure    bool                        // needs a real server: the bare forwarder is left out
	own     int                         // accounts of its own, so that nothing of it is left to other rows
	nobody  bool                        // needs no accounts
	by      way                         // clients come by the port for HTTP
	with    string                      // name of the peer of a second server, or sameKind; "": there is one
}

// sameKind has two servers of one kind in a row.
const sameKind = "its kind"

func perServerCPU(r *meter.Result) float64 { return r.PerServerCPU }
func perSecond(r *meter.Result) float64    { return r.PerSecond }
func p99(r *meter.Result) float64          { return r.P99 }
func kibEach(r *meter.Result) float64      { return r.KiBEach }

// mebibytes is what the memory of the server has grown by.
func mebibytes(r *meter.Result) float64 { return (r.RSSAfter - r.RSSBefore) / 1024 }

// perBothCPU is for a processor second of both servers.
func perBothCPU(r *meter.Result) float64 {
	if r.ServerCPU+r.PeerCPU == 0 {
		return 0
	}
	return float64(r.Count) / (r.ServerCPU + r.PeerCPU)
}

// microseconds is the server's processor time for one thing.
func microseconds(r *meter.Result) float64 {
	if r.PerServerCPU == 0 {
		return 0
	}
	return 1e6 / r.PerServerCPU
}

// rows returns all rows in the order of the table.
func rows(s scale) []row {
	chat := func(name, title string, args ...string) row {
		return row{
			name: name, title: title, unit: "messages per processor second", command: "chat", value: perServerCPU,
			args: append([]string{"-pairs", strconv.Itoa(s.pairs), "-warm", s.warm.String(), "-d", s.measured.String()}, args...),
		}
	}
	list := []row{
		chat("chat", "messages of 100 bytes, 32 under way"),
		chat("chat-w1", "messages of 100 bytes, 1 under way", "-window", "1"),
		chat("chat-1000", "messages of 1,000 bytes, 32 under way", "-body", "1000"),
		chat("chat-tls", "messages of 100 bytes over TLS, 32 under way", "-tls"),
		chat("chat-sm", "messages of 100 bytes with stream management, 32 under way", "-sm"),
		chat("paced", "latency (p99) at 5,000 messages a second", "-rate", "5000"),
	}
	sm := &list[4]
	sm.profile, sm.pure = profile{managed: true}, true
	paced := &list[5]
	paced.unit, paced.value, paced.lower = "ms", p99, true
	for _, n := range s.sessions {
		r := chat(fmt.Sprintf("sessions-%d", n), fmt.Sprintf("a message among %s sessions", group(float64(n))), "-n", strconv.Itoa(n))
		r.command, r.unit, r.value, r.lower = "sessions", "µs of the processor", microseconds, true
		list = append(list, r)
	}
	list = append(list, loginRows(s)...)
	list = append(list, serviceRows(s)...)
	list = append(list, secondRows(s)...)
	list = append(list, idleRows(s)...)
	list = append(list, domainRow(s))
	list = append(list, webRows(s)...)
	list = append(list, bindingRows(s)...)
	return append(list, relayRows(s)...)
}

func loginRows(s scale) []row {
	login := row{
		name: "login", title: "logins by SCRAM-SHA-1", unit: "logins per processor second", command: "login", value: perServerCPU,
		args: []string{"-n", strconv.Itoa(s.logins), "-passes", strconv.Itoa(s.passes)},
	}
	encrypted := login
	encrypted.name, encrypted.title = "login-tls", "logins by SCRAM-SHA-1 over TLS"
	encrypted.args = append([]string{"-tls"}, login.args...)
	return []row{login, encrypted}
}

func serviceRows(s scale) []row {
	return []row{
		{
			name: "presence", title: fmt.Sprintf("presence to %d contacts", s.contacts), unit: "deliveries per processor second",
			command: "presence", value: perServerCPU, pure: true, own: s.users,
			args: []string{"-n", strconv.Itoa(s.users), "-contacts", strconv.Itoa(s.contacts), "-warm", s.warm.String(), "-d", s.measured.String()},
		},
		{
			name: "offline", title: "messages stored and acknowledged", unit: "messages per second",
			command: "offline", value: perSecond, pure: true, profile: profile{stored: true},
			args: []string{"-pairs", strconv.Itoa(s.pairs), "-messages", strconv.Itoa(s.each)},
		},
	}
}

// secondRows are those in which there is somebody beside users and their server.
func secondRows(s scale) []row {
	rate := []string{"-warm", s.warm.String(), "-d", s.measured.String()}
	federated := func(name, title, with string) row {
		return row{
			name: name, title: title, unit: "messages per processor second of each", command: "federation", value: perServerCPU,
			pure: true, profile: profile{servers: true}, with: with,
			args: append([]string{"-tls", "-pairs", strconv.Itoa(s.pairs)}, rate...),
		}
	}
	list := []row{
		{
			name: "component", title: "messages to a component and back, 16 under way", unit: "round trips per processor second",
			command: "component", value: perServerCPU, profile: profile{component: true},
			args: append([]string{"-n", strconv.Itoa(s.clients)}, rate...),
		},
		federated("federation-ejabberd", "messages between Tidewaiter and ejabberd", "ejabberd"),
		federated("federation-prosody", "messages between Tidewaiter and Prosody", "prosody"),
		federated(federationSame, "messages between two servers of one kind", sameKind),
	}
	same := &list[3]
	same.unit, same.value = "messages per processor second of both", perBothCPU
	return list
}

const federationSame = "federation-same"

// domainRow has few domains connect at a time: Tidewaiter asks one address about
// 16 of them at once.
func domainRow(s scale) row {
	return row{
		name: "domains", title: fmt.Sprintf("memory of %s idle remote domains over TLS", group(float64(s.domains))), unit: "MiB",
		command: "domains", value: mebibytes, lower: true, fresh: true, pure: true, nobody: true, profile: profile{servers: true},
		args: []string{"-tls", "-n", strconv.Itoa(s.domains), "-settle", s.quiet.String(), "-at-a-time", "10"},
	}
}

func idleRows(s scale) []row {
	idle := row{
		name: "idle", title: "memory of an idle connection", unit: "KiB", command: "idle", value: kibEach, lower: true, fresh: true,
		args: []string{"-n", strconv.Itoa(s.idle), "-settle", s.settle.String()},
	}
	encrypted := idle
	encrypted.name, encrypted.title = "idle-tls", "memory of an idle connection over TLS"
	encrypted.args = append([]string{"-tls"}, idle.args...)
	return []row{idle, encrypted}
}
