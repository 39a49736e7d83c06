package main

import (
	"time"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/boltstore"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/prom"
	"github.com/tidewaiter/tidewaiter/s2s"
	"github.com/tidewaiter/tidewaiter/stun"
)

// routerSource shows what the router holds.
func routerSource(stats func() host.Stats) prom.Source {
	gauge := func(name, help string, value func(host.Stats) int) prom.Field[host.Stats] {
		return prom.Gauge("tidewaiter_router_"+name, help, func(s host.Stats) float64 { return float64(value(s)) })
	}
	return prom.Values(stats,
		gauge("sessions", "Sessions that are bound.", func(s host.Stats) int { return s.Sessions }),
		gauge("accounts", "Accounts with sessions.", func(s host.Stats) int { return s.Accounts }),
		gauge("available_sessions", "Sessions that have sent available presence.", func(s host.Stats) int { return s.Available }),
		gauge("detached_sessions", "Sessions without a connection, which can be resumed.", func(s host.Stats) int { return s.Detached }),
		gauge("carbons_sessions", "Sessions that want message carbons.", func(s host.Stats) int { return s.Carbons }),
		gauge("blocking_accounts", "Accounts with sessions that block somebody.", func(s host.Stats) int { return s.Blocking }),
		gauge("directed_presences", "Addresses that sessions have sent directed presence to.", func(s host.Stats) int { return s.Directed }),
		gauge("held_messages", "Messages that wait for the store, or behind others that do.", func(s host.Stats) int { return s.Held }),
		gauge("registered_domains", "Domains that components have registered.", func(s host.Stats) int { return s.Domains }),
	)
}

// offlineSource shows what is under way to and from the offline messages.
func offlineSource(stats func() offline.Stats) prom.Source {
	return prom.Values(stats,
		prom.Gauge("tidewaiter_offline_keeping_messages", "Messages on their way to the store.", func(s offline.Stats) float64 { return float64(s.Keeping) }),
		prom.Gauge("tidewaiter_offline_busy_accounts", "Accounts with messages on their way to or from the store.", func(s offline.Stats) float64 { return float64(s.Accounts) }),
	)
}

// c2sSource shows what the client sessions hold.
func c2sSource(stats func() c2s.Stats) prom.Source {
	gauge := func(name, help string, value func(c2s.Stats) int) prom.Field[c2s.Stats] {
		return prom.Gauge("tidewaiter_c2s_"+name, help, func(s c2s.Stats) float64 { return float64(value(s)) })
	}
	counter := func(name, help string, value func(c2s.Stats) uint64) prom.Field[c2s.Stats] {
		return prom.Counter("tidewaiter_c2s_"+name, help, func(s c2s.Stats) float64 { return float64(value(s)) })
	}
	return prom.Values(stats,
		gauge("sessions", "Client sessions.", func(s c2s.Stats) int { return s.Sessions }),
		gauge("detached_sessions", "Client sessions without a connection.", func(s c2s.Stats) int { return s.Detached }),
		gauge("queued_stanzas", "Stanzas that wait to be written to clients.", func(s c2s.Stats) int { return s.Queued }),
		gauge("queued_bytes", "Size of the stanzas that wait to be written to clients.", func(s c2s.Stats) int { return s.QueuedBytes }),
		gauge("unacknowledged_stanzas", "Stanzas that clients have not acknowledged.", func(s c2s.Stats) int { return s.Unacked }),
		gauge("unacknowledged_bytes", "Size of the stanzas that clients have not acknowledged.", func(s c2s.Stats) int { return s.UnackedBytes }),
		counter("acknowledgement_requests_total", "Acknowledgements that clients were asked for.", func(s c2s.Stats) uint64 { return s.AckRequests }),
		counter("resumed_sessions_total", "Sessions that were resumed.", func(s c2s.Stats) uint64 { return s.Resumed }),
		counter("refused_resumptions_total", "Requests to resume a session that were refused.", func(s c2s.Stats) uint64 { return s.ResumesFailed }),
	)
}

// s2sSource shows the streams with other servers.
func s2sSource(m *s2s.Server) prom.Source {
	type stats struct {
		in               s2s.IncomingStats
		outgoing, queued int
	}
	gauge := func(name, help string, value func(stats) int) prom.Field[stats] {
		return prom.Gauge("tidewaiter_s2s_"+name, help, func(s stats) float64 { return float64(value(s)) })
	}
	return prom.Values(func() stats { return stats{m.IncomingStats(), m.Outgoing(), m.Queued()} },
		gauge("incoming_streams", "Connections of other servers.", func(s stats) int { return s.in.Streams }),
		gauge("authenticated_streams", "Connections of other servers that have proved a domain.", func(s stats) int { return s.in.Authenticated }),
		gauge("incoming_pairs", "Pairs of domains that may send.", func(s stats) int { return s.in.Pairs }),
		gauge("dialback_verifications", "Dialback keys that are being checked.", func(s stats) int { return s.in.Verifying }),
		gauge("outgoing_streams", "Streams to other servers that take stanzas.", func(s stats) int { return s.outgoing }),
		gauge("queued_stanzas", "Stanzas that wait to be sent to other servers.", func(s stats) int { return s.queued }),
	)
}

// stunSource shows the relays.
func stunSource(stats func() stun.Stats) prom.Source {
	gauge := func(name, help string, value func(stun.Stats) int64) prom.Field[stun.Stats] {
		return prom.Gauge("tidewaiter_stun_"+name, help, func(s stun.Stats) float64 { return float64(value(s)) })
	}
	counter := func(name, help string, value func(stun.Stats) uint64) prom.Field[stun.Stats] {
		return prom.Counter("tidewaiter_stun_"+name, help, func(s stun.Stats) float64 { return float64(value(s)) })
	}
	return prom.Values(stats,
		gauge("allocations", "Relays of clients.", func(s stun.Stats) int64 { return s.Allocations }),
		gauge("reservations", "Ports that are reserved for relays.", func(s stun.Stats) int64 { return s.Reservations }),
		counter("relayed_packets_total", "Packets that were relayed, in both directions.", func(s stun.Stats) uint64 { return s.RelayedPackets }),
		counter("relayed_bytes_total", "Data in the packets that were relayed.", func(s stun.Stats) uint64 { return s.RelayedBytes }),
		counter("dropped_packets_total", "Packets that were neither relayed nor answered.", func(s stun.Stats) uint64 { return s.Dropped }),
		counter("refused_requests_total", "Requests that were answered by an error, but for challenges.", func(s stun.Stats) uint64 { return s.Refused }),
		counter("receive_drops_total", "Datagrams that the system had no room for.", func(s stun.Stats) uint64 { return s.ReceiveDrops }),
		counter("send_drops_total", "Datagrams that the system did not take.", func(s stun.Stats) uint64 { return s.SendDrops }),
	)
}

// storeSources show what the store holds and does.
func storeSources(stats func() boltstore.Stats) []prom.Source {
	gauge := func(name, help string, value func(boltstore.Stats) float64) prom.Field[boltstore.Stats] {
		return prom.Gauge("tidewaiter_store_"+name, help, value)
	}
	counter := func(name, help string, value func(boltstore.Stats) float64) prom.Field[boltstore.Stats] {
		return prom.Counter("tidewaiter_store_"+name, help, value)
	}
	records := prom.NewGauge("tidewaiter_store_records", "Records in the store.", "table")
	return []prom.Source{
		prom.Values(stats,
			gauge("file_bytes", "Size of the store's file.", func(s boltstore.Stats) float64 { return float64(s.FileBytes) }),
			gauge("free_bytes", "Part of the file that is used again before it grows.", func(s boltstore.Stats) float64 { return float64(s.FreeBytes) }),
			gauge("queued_operations", "Changes that are taken and not yet on stable storage.", func(s boltstore.Stats) float64 { return float64(s.QueueOperations) }),
			gauge("queued_bytes", "Size of the changes that are not yet on stable storage.", func(s boltstore.Stats) float64 { return float64(s.QueueBytes) }),
			gauge("largest_batch_operations", "Most changes that one commit has held.", func(s boltstore.Stats) float64 { return float64(s.LargestBatch) }),
			gauge("last_commit_seconds", "How long the last commit took.", func(s boltstore.Stats) float64 { return seconds(s.LastCommit) }),
			counter("commits_total", "Commits that succeeded.", func(s boltstore.Stats) float64 { return float64(s.Commits) }),
			counter("failed_commits_total", "Commits that failed.", func(s boltstore.Stats) float64 { return float64(s.FailedCommits) }),
			counter("operations_total", "Changes in commits that succeeded.", func(s boltstore.Stats) float64 { return float64(s.Operations) }),
			counter("commit_seconds_total", "Time that commits took together.", func(s boltstore.Stats) float64 { return seconds(s.CommitTime) }),
		),
		prom.NewSource(func(emit prom.Emit) {
			for table, n := range stats().Records {
				emit(records, float64(n), table)
			}
		}, records),
	}
}

func seconds(d time.Duration) float64 { return d.Seconds() }
