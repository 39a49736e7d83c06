package prom

import (
	"maps"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen"
)

// Listeners is the source for the statistics of a listen.Server, by module,
// network and address of the socket. stats is its method Stats.
//
// A listener that is gone from the configuration is there until its last
// session has ended. If another one has its address by then, the numbers are
// those of both.
func Listeners(stats func() []listen.Stats) Source {
	names := listenerMetrics()
	all := []*Metric{names.rejected}
	for _, f := range names.fields {
		all = append(all, f.metric)
	}
	return NewSource(func(emit Emit) {
		for _, s := range merged(stats()) {
			labels := []string{s.Module, s.Network, s.Bound}
			for _, f := range names.fields {
				emit(f.metric, f.value(s), labels...)
			}
			for _, reason := range slices.Sorted(maps.Keys(s.Rejected)) {
				emit(names.rejected, float64(s.Rejected[reason]), append(labels, reason)...)
			}
		}
	}, all...)
}

// merged adds up what has the same labels, in the order of the first.
func merged(list []listen.Stats) []listen.Stats {
	type key struct{ module, network, bound string }
	at := make(map[key]int)
	var out []listen.Stats
	for _, s := range list {
		k := key{s.Module, s.Network, s.Bound}
		i, there := at[k]
		if !there {
			at[k] = len(out)
			rejected := make(map[string]int64, len(s.Rejected))
			maps.Copy(rejected, s.Rejected)
			s.Rejected = rejected
			out = append(out, s)
			continue
		}
		o := &out[i]
		o.Drains += s.Drains
		o.Restarts += s.Restarts
		o.Accepted += s.Accepted
		o.Active += s.Active
		o.HandshakeFailures += s.HandshakeFailures
		o.Panics += s.Panics
		o.BytesIn += s.BytesIn
		o.BytesOut += s.BytesOut
		for reason, n := range s.Rejected {
			o.Rejected[reason] += n
		}
	}
	return out
}

type metricsOfListeners struct {
	fields   []Field[listen.Stats]
	rejected *Metric
}

func listenerMetrics() metricsOfListeners {
	labels := []string{"module", "network", "address"}
	counter := func(name, help string, value func(listen.Stats) int64) Field[listen.Stats] {
		return Field[listen.Stats]{NewCounter("tidewaiter_listener_"+name, help, labels...), func(s listen.Stats) float64 { return float64(value(s)) }}
	}
	gauge := func(name, help string, value func(listen.Stats) int64) Field[listen.Stats] {
		return Field[listen.Stats]{NewGauge("tidewaiter_listener_"+name, help, labels...), func(s listen.Stats) float64 { return float64(value(s)) }}
	}
	return metricsOfListeners{
		rejected: NewCounter("tidewaiter_listener_connections_rejected_total",
			"Connections that were closed before the module saw them.", append(labels, "reason")...),
		fields: []Field[listen.Stats]{
			gauge("up", "1 if the listener serves; 0 if its module waits to be started again, its socket is lost, or it only has sessions left.", func(s listen.Stats) int64 {
				if s.State == listen.Running {
					return 1
				}
				return 0
			}),
			gauge("connections_active", "Connections that are open.", func(s listen.Stats) int64 { return s.Active }),
			counter("connections_accepted_total", "Connections that were accepted, with those rejected.", func(s listen.Stats) int64 { return s.Accepted }),
			counter("handshake_failures_total", "Connections that ended before their TLS handshake.", func(s listen.Stats) int64 { return s.HandshakeFailures }),
			counter("panics_total", "Connections that ended by a panic of their handler.", func(s listen.Stats) int64 { return s.Panics }),
			counter("received_bytes_total", "Bytes received, below TLS.", func(s listen.Stats) int64 { return s.BytesIn }),
			counter("sent_bytes_total", "Bytes sent, below TLS.", func(s listen.Stats) int64 { return s.BytesOut }),
			counter("restarts_total", "How often the module returned unexpectedly and was started again.", func(s listen.Stats) int64 { return s.Restarts }),
			gauge("draining_generations", "Earlier versions of the listener that have sessions left.", func(s listen.Stats) int64 { return int64(s.Drains) }),
			gauge("backlog_connections", "Length of the system's queue of connections to accept; 0 if it is not known.", func(s listen.Stats) int64 { return int64(s.Backlog) }),
		},
	}
}
