package main

import (
	"flag"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/stun"
)

// stun defines the flags of a workload for servers of STUN and TURN; ok is false when
// there is none of that name.
func (c *command) stun(set *flag.FlagSet, name string) (of func() job, ok bool) {
	workload, ok := stunWorkload(set, name)
	if !ok {
		return nil, false
	}
	t := new(stun.Target)
	addr := c.addr(set, "addr", "127.0.0.1:3478", "of the server")
	set.StringVar(&t.User, "user", "bench", "`name` of the account for relays")
	set.StringVar(&t.Password, "password", "secret", "of that account")
	set.DurationVar(&t.Timeout, "timeout", time.Second, "how long an answer may take until it counts as lost")
	set.Float64Var(&t.Loss, "loss", 0.001, "`share` of datagrams that may get lost before that is a fault")
	return func() job {
		t.Addr, t.PID = *addr, c.pid
		return against[stun.Target]{workload(), t}
	}, true
}

// stunWorkload defines the flags that a workload alone has.
func stunWorkload(set *flag.FlagSet, name string) (func() workload[stun.Target], bool) {
	switch name {
	case "stun":
		return binding(set), true
	case "turn":
		return relay(set), true
	case "allocations":
		var w stun.Allocations
		n := bounded(set, "at-a-time", 16, "clients at a time")
		timing(set, &w.Warm, &w.Duration)
		return func() workload[stun.Target] {
			w.AtATime = *n
			return w
		}, true
	case "idle-allocations":
		n := bounded(set, "n", 1000, "idle allocations")
		settle := set.Duration("settle", 5*time.Second, "wait before the memory is read")
		return func() workload[stun.Target] { return stun.IdleAllocations{Clients: *n, Settle: *settle} }, true
	}
	return nil, false
}

func binding(set *flag.FlagSet) func() workload[stun.Target] {
	var w stun.Binding
	sockets := bounded(set, "sockets", 16, "sockets or connections")
	window := bounded(set, "window", 16, "requests of each that may be under way at once")
	set.Float64Var(&w.Rate, "rate", 0, "requests a second, of all sockets together, evenly paced (0: as fast as possible)")
	set.BoolVar(&w.TCP, "tcp", false, "over TCP")
	timing(set, &w.Warm, &w.Duration)
	return func() workload[stun.Target] {
		w.Sockets, w.Window = *sockets, *window
		return w
	}
}

func relay(set *flag.FlagSet) func() workload[stun.Target] {
	var w stun.Relay
	clients := bounded(set, "n", 16, "clients with an allocation")
	window := bounded(set, "window", 8, "datagrams of a client that may be under way at once")
	size := bounded(set, "size", 200, "bytes of data, at least 16")
	set.Float64Var(&w.Rate, "rate", 0, "round trips a second, of all clients together, evenly paced (0: as fast as possible)")
	set.BoolVar(&w.Send, "indications", false, "by Send and Data indications instead of a channel")
	timing(set, &w.Warm, &w.Duration)
	return func() workload[stun.Target] {
		w.Clients, w.Window, w.Size = *clients, *window, *size
		return w
	}
}

// timing defines how long a run takes.
func timing(set *flag.FlagSet, warm, measured *time.Duration) {
	set.DurationVar(warm, "warm", 2*time.Second, "time before measuring")
	set.DurationVar(measured, "d", 10*time.Second, "time of measuring")
}
