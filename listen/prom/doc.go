// Package prom shows the numbers of a server to Prometheus.
//
// An [Exporter] is made of sources: [Listeners] for those of a listen.Server,
// [Values] for any struct of numbers. It is an http.Handler that answers
// scrapes, and a prometheus.Collector for programs with a registry of their own.
//
//	exporter := prom.New(prom.Options{Process: true},
//		prom.Listeners(server.Stats),
//		prom.Values(store.Stats,
//			prom.Counter("tidewaiter_store_commits_total", "Transactions written.", func(s boltstore.Stats) float64 { return float64(s.Commits) }),
//			prom.Gauge("tidewaiter_store_size_bytes", "Size of the file.", func(s boltstore.Stats) float64 { return float64(s.Size) }),
//		),
//	)
//	mux.Handle("GET /metrics", exporter)
//
// Names follow the conventions of Prometheus: base units (seconds, bytes), and
// _total behind counters. Labels are for what a configuration bounds, such as
// listeners, and never for what peers choose, such as users or addresses.
package prom
