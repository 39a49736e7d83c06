package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/prom"
)

// exporter returns what -metrics shows.
func (s *server) exporter() *prom.Exporter {
	sources := []prom.Source{
		prom.Listeners(s.listen.Stats), s.loaded.source(), buildInfo(),
		routerSource(s.host.Local.Stats), offlineSource(s.host.Offline.Stats), c2sSource(s.modules.C2S.Stats), s2sSource(s.modules.S2S),
		stunSource(s.modules.STUN.Stats),
	}
	return prom.New(prom.Options{Process: true}, append(sources, storeSources(s.store.Stats)...)...)
}

// loaded is what is known of the configuration and its reloads. The zero value
// is ready for use; it is safe for concurrent use.
type loaded struct {
	mu           sync.Mutex
	successes    int64 // the start is one
	failures     int64
	failed       bool // the last one
	last         time.Time
	certificates []listen.Certificate
}

// note says that a configuration is in effect.
func (l *loaded) note(c *listen.Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.successes++
	l.failed, l.last, l.certificates = false, time.Now(), c.Certificates()
}

// fail says that one is not, or only in part.
func (l *loaded) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures++
	l.failed = true
}

// source shows it to Prometheus.
func (l *loaded) source() prom.Source {
	loads := prom.NewCounter("tidewaiter_config_loads_total", "Configurations that were read, at the start and by SIGHUP.", "result")
	ok := prom.NewGauge("tidewaiter_config_last_load_successful", "1 if the configuration that was read last is in effect as a whole.")
	at := prom.NewGauge("tidewaiter_config_last_load_success_timestamp_seconds", "When the configuration was last read with success.")
	ends := prom.NewGauge("tidewaiter_certificate_expiry_timestamp_seconds", "When the certificate for a name in certfiles expires; of several the first.", "name")
	return prom.NewSource(func(emit prom.Emit) {
		l.mu.Lock()
		defer l.mu.Unlock()
		emit(loads, float64(l.successes), "success")
		emit(loads, float64(l.failures), "failure")
		good := 1.0
		if l.failed {
			good = 0
		}
		emit(ok, good)
		if !l.last.IsZero() {
			emit(at, float64(l.last.Unix()))
		}
		first := make(map[string]time.Time)
		for _, c := range l.certificates {
			for _, name := range c.Names {
				if t, there := first[name]; !there || c.NotAfter.Before(t) {
					first[name] = c.NotAfter
				}
			}
		}
		for name, t := range first {
			emit(ends, float64(t.Unix()), name)
		}
	}, loads, ok, at, ends)
}

// buildInfo shows the version that runs.
func buildInfo() prom.Source {
	version, goVersion := "unknown", "unknown"
	if b, ok := debug.ReadBuildInfo(); ok {
		version, goVersion = b.Main.Version, b.GoVersion
	}
	m := prom.NewGauge("tidewaiter_build_info", "1, with the version of the program and of Go.", "version", "go_version")
	return prom.NewSource(func(emit prom.Emit) { emit(m, 1, version, goVersion) }, m)
}

// metricsServer answers for -metrics.
type metricsServer struct {
	addr net.Addr
	http http.Server
	done chan struct{}
}

// serveMetrics starts to answer scrapes.
func serveMetrics(ctx context.Context, addr string, h http.Handler, log *slog.Logger) (*metricsServer, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("-metrics: %w", err)
	}
	if a, ok := ln.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		log.Warn("everybody who reaches this address can read the metrics; bind -metrics to 127.0.0.1 or keep others out", netserve.KeyListener, a.String())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	m := &metricsServer{addr: ln.Addr(), done: make(chan struct{})}
	m.http = http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(m.done)
		if err := m.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", netserve.KeyErr, err)
		}
	}()
	log.Info("serving metrics", netserve.KeyListener, m.addr.String())
	return m, nil
}

// stop answers the scrapes that are under way and ends, within a second.
func (m *metricsServer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if m.http.Shutdown(ctx) != nil {
		_ = m.http.Close()
	}
	<-m.done
}
