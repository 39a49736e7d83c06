package main

import "strconv"

// timing is how long a run of STUN or TURN takes.
func (s scale) timing() []string {
	return []string{"-warm", s.warm.String(), "-d", s.measured.String()}
}

// bindingRows are those of STUN.
func bindingRows(s scale) []row {
	binding := func(name, title string, args ...string) row {
		return row{
			name: name, title: title, unit: "answers per processor second", command: "stun", value: perServerCPU,
			profile: profile{turn: true}, args: append(s.timing(), args...),
		}
	}
	list := []row{
		binding("stun-udp", "Binding over UDP, 256 requests under way"),
		binding("stun-udp-paced", "Binding over UDP, 20,000 requests a second", "-rate", "20000"),
		binding("stun-tcp", "Binding over 16 connections of TCP, 16 requests under way on each", "-tcp"),
		binding("stun-tcp-w1", "Binding over 64 connections of TCP, 1 request under way on each", "-tcp", "-sockets", "64", "-window", "1"),
	}
	paced(&list[1], "latency (p99) of Binding over UDP, 20,000 requests a second")
	for i := range list[2:] {
		list[2+i].pure = true
	}
	return list
}

// relayRows are those of TURN.
func relayRows(s scale) []row {
	relay := func(name, title, unit, command string, args ...string) row {
		return row{
			name: name, title: title, unit: unit, command: command, value: perServerCPU, pure: true,
			profile: profile{turn: true}, args: args,
		}
	}
	const trips = "round trips per processor second"
	list := []row{
		relay("turn-200", "200 bytes to a peer by a relay and back, 128 under way", trips, "turn", s.timing()...),
		relay("turn-1000", "1,000 bytes to a peer by a relay and back, 128 under way", trips, "turn", append(s.timing(), "-size", "1000")...),
		relay("turn-paced", "200 bytes to a peer by a relay and back, 10,000 times a second", trips, "turn", append(s.timing(), "-rate", "10000")...),
		relay("turn-alloc", "allocations made and given back", "allocations per processor second", "allocations", s.timing()...),
		relay("turn-idle", "memory of an idle allocation with a channel", "KiB", "idle-allocations",
			"-n", strconv.Itoa(s.relays), "-settle", s.quiet.String()),
	}
	paced(&list[2], "latency (p99) by a relay and back, 10,000 times a second")
	idle := &list[4]
	idle.value, idle.lower, idle.fresh = kibEach, true, true
	return list
}

// paced makes a row one of a fixed rate: what counts is what each thing costs and, in
// a further row, how long it takes.
func paced(r *row, latency string) {
	r.unit, r.value, r.lower = "µs of the processor", microseconds, true
	r.also = &row{title: latency, unit: "ms", value: p99, lower: true}
}
