package prom

import "github.com/prometheus/client_golang/prometheus"

// Metric is a name under which values are shown.
type Metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// NewCounter returns a metric that only grows; its name ends in _total. help is a
// sentence for humans; labels are the names of labels whose values come with
// each value.
func NewCounter(name, help string, labels ...string) *Metric {
	return &Metric{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

// NewGauge returns a metric that goes up and down.
func NewGauge(name, help string, labels ...string) *Metric {
	return &Metric{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

// Emit takes one value of a metric, with the values of its labels. The same
// metric with the same labels must not come twice in a scrape.
type Emit func(m *Metric, value float64, labels ...string)

// Source tells the values of its metrics when it is asked.
type Source struct {
	metrics []*Metric
	collect func(Emit)
}

// NewSource makes a source of metrics. collect is called for each scrape,
// perhaps by several goroutines at a time, and must not block for long.
func NewSource(collect func(Emit), metrics ...*Metric) Source {
	return Source{metrics: metrics, collect: collect}
}

// Field is a metric and where its value is in an S.
type Field[S any] struct {
	metric *Metric
	value  func(S) float64
}

// Counter is a field that only grows.
func Counter[S any](name, help string, value func(S) float64) Field[S] {
	return Field[S]{NewCounter(name, help), value}
}

// Gauge is a field that goes up and down.
func Gauge[S any](name, help string, value func(S) float64) Field[S] {
	return Field[S]{NewGauge(name, help), value}
}

// Values makes a source of a function that returns a struct of numbers. It is
// called once for each scrape, so the values belong together.
func Values[S any](stats func() S, fields ...Field[S]) Source {
	metrics := make([]*Metric, len(fields))
	for i, f := range fields {
		metrics[i] = f.metric
	}
	return NewSource(func(emit Emit) {
		s := stats()
		for _, f := range fields {
			emit(f.metric, f.value(s))
		}
	}, metrics...)
}
