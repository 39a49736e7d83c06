package prom

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options of an Exporter. The zero Options are useful.
type Options struct {
	// Process adds the numbers of the Go runtime and of the process (go_…,
	// process_…) to what the handler shows. The Collector does not have them:
	// the registry of a program most often has its own. Default: false.
	Process bool
	// Concurrency is how many scrapes are answered at a time; more are refused
	// with 503. Default: 0, which means 4.
	Concurrency int
}

const defaultConcurrency = 4

// Exporter shows sources to Prometheus. It is safe for concurrent use.
type Exporter struct {
	sources []Source
	handler http.Handler
}

var (
	_ prometheus.Collector = (*Exporter)(nil)
	_ http.Handler         = (*Exporter)(nil)
)

// New makes an exporter. It panics when a name is not valid or there twice,
// which is a mistake of the program.
func New(o Options, sources ...Source) *Exporter {
	e := &Exporter{sources: sources}
	own := prometheus.NewRegistry()
	own.MustRegister(e)
	if o.Process {
		own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency
	}
	e.handler = promhttp.HandlerFor(own, promhttp.HandlerOpts{MaxRequestsInFlight: o.Concurrency})
	return e
}

// ServeHTTP answers a scrape with the text format of Prometheus. It asks all
// sources, and has no authentication: see that only those can reach it who may.
func (e *Exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// Describe implements prometheus.Collector.
func (e *Exporter) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range e.sources {
		for _, m := range s.metrics {
			ch <- m.desc
		}
	}
}

// Collect implements prometheus.Collector.
func (e *Exporter) Collect(ch chan<- prometheus.Metric) {
	for _, s := range e.sources {
		s.collect(func(m *Metric, value float64, labels ...string) {
			c, err := prometheus.NewConstMetric(m.desc, m.kind, value, labels...)
			if err != nil { // the scrape fails, and says why
				c = prometheus.NewInvalidMetric(m.desc, err)
			}
			ch <- c
		})
	}
}
