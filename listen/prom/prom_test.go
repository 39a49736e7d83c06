package prom_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/prom"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape asks a handler and returns what the official parser makes of the
// answer.
func scrape(t *testing.T, h http.Handler) (families map[string]*dto.MetricFamily, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d, %v:\n%s", w.Code, err, body)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err = p.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("the parser says %v of:\n%s", err, body)
	}
	return families, string(body)
}

// lint says what the official linter thinks of a text.
func lint(t *testing.T, text string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func listeners() []listen.Stats {
	return []listen.Stats{
		{
			Module: "ejabberd_c2s", Network: "tcp", Address: "[::]:0", Bound: "[::]:5222", Backlog: 128,
			Drains: 1, Restarts: 2, Accepted: 30, Active: 7, Rejected: map[string]int64{"proxy_header": 3, "unserved": 0},
			HandshakeFailures: 4, Panics: 1, BytesIn: 1 << 40, BytesOut: 5,
		},
		{Module: "ejabberd_stun", Network: "udp", Address: "[::]:5222", Bound: "[::]:5222", State: listen.Lost},
		{ // removed, and there again as the first
			Module: "ejabberd_c2s", Network: "tcp", Address: "[::]:5222", Bound: "[::]:5222", State: listen.Draining,
			Accepted: 5, Active: 2, Rejected: map[string]int64{"proxy_header": 1}, BytesIn: 1,
		},
		{Module: `odd"\` + "\n", Network: "unix", Address: "/run/a", Bound: "/run/a"},
	}
}

func TestListeners(t *testing.T) {
	_, text := scrape(t, prom.New(prom.Options{}, prom.Listeners(listeners)))
	lint(t, text)
	const c2s = `{address="[::]:5222",module="ejabberd_c2s",network="tcp"} `
	for _, want := range []string{
		"tidewaiter_listener_up" + c2s + "1",
		`tidewaiter_listener_up{address="[::]:5222",module="ejabberd_stun",network="udp"} 0`,
		`tidewaiter_listener_up{address="/run/a",module="odd\"\\\n",network="unix"} 1`,
		"tidewaiter_listener_connections_active" + c2s + "9",
		"tidewaiter_listener_connections_accepted_total" + c2s + "35",
		`tidewaiter_listener_connections_rejected_total{address="[::]:5222",module="ejabberd_c2s",network="tcp",reason="proxy_header"} 4`,
		`tidewaiter_listener_connections_rejected_total{address="[::]:5222",module="ejabberd_c2s",network="tcp",reason="unserved"} 0`,
		"tidewaiter_listener_handshake_failures_total" + c2s + "4",
		"tidewaiter_listener_panics_total" + c2s + "1",
		"tidewaiter_listener_received_bytes_total" + c2s + "1.099511627777e+12",
		"tidewaiter_listener_sent_bytes_total" + c2s + "5",
		"tidewaiter_listener_restarts_total" + c2s + "2",
		"tidewaiter_listener_draining_generations" + c2s + "1",
		"tidewaiter_listener_backlog_connections" + c2s + "128",
		"# TYPE tidewaiter_listener_connections_accepted_total counter",
		"# TYPE tidewaiter_listener_connections_active gauge",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the answer lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// The number of series depends on the listeners alone, whatever their numbers.
func TestSeriesAreBounded(t *testing.T) {
	var list []listen.Stats
	count := func() (n int) {
		families, _ := scrape(t, prom.New(prom.Options{}, prom.Listeners(func() []listen.Stats { return list })))
		for _, f := range families {
			n += len(f.GetMetric())
		}
		return n
	}
	list = listeners()[:1]
	want := count()
	for i := range 1000 { // versions of one listener that drain
		s := listeners()[2]
		s.Accepted = int64(i)
		list = append(list, s)
	}
	if got := count(); got != want {
		t.Errorf("got %d series for one address, want %d", got, want)
	}
}

// router is what packages have for statistics.
type router struct {
	Sessions int64         // open now
	Messages int64         // routed
	Age      time.Duration // of the oldest session
}

func TestValues(t *testing.T) {
	calls := 0
	e := prom.New(prom.Options{}, prom.Values(
		func() router { calls++; return router{3, 1000, 90 * time.Second} },
		prom.Gauge("tidewaiter_sessions", "Sessions that are open.", func(r router) float64 { return float64(r.Sessions) }),
		prom.Counter("tidewaiter_messages_total", "Messages routed.", func(r router) float64 { return float64(r.Messages) }),
		prom.Gauge("tidewaiter_oldest_session_seconds", "Age of the oldest session.", func(r router) float64 { return r.Age.Seconds() }),
	))
	_, text := scrape(t, e)
	lint(t, text)
	for _, want := range []string{"tidewaiter_sessions 3", "tidewaiter_messages_total 1000", "tidewaiter_oldest_session_seconds 90"} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("got:\n%s\nwant a line %s", text, want)
		}
	}
	if calls != 1 {
		t.Errorf("the function was called %d times, want once a scrape", calls)
	}
}

// The runtime and the process show in the handler, and not in a registry that
// most likely has them.
func TestProcess(t *testing.T) {
	e := prom.New(prom.Options{Process: true}, prom.Listeners(listeners))
	families, _ := scrape(t, e)
	for _, want := range []string{"go_goroutines", "tidewaiter_listener_up"} {
		if families[want] == nil {
			t.Errorf("the answer lacks %s", want)
		}
	}
	own := prometheus.NewPedanticRegistry()
	if err := own.Register(e); err != nil {
		t.Fatal(err)
	}
	found, err := own.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.GetName())
	}
	if !slices.Contains(names, "tidewaiter_listener_up") || slices.Contains(names, "go_goroutines") {
		t.Errorf("got %v, want ours alone", names)
	}
	if err := own.Register(prom.New(prom.Options{}, prom.Listeners(listeners))); err == nil {
		t.Error("the same source in one registry twice: got no error")
	}
}

// A source that does not do what it says fails the scrape and nothing else.
func TestWrongSource(t *testing.T) {
	m := prom.NewGauge("tidewaiter_x", "X.", "label")
	for name, collect := range map[string]func(prom.Emit){
		"label missing": func(emit prom.Emit) { emit(m, 1) },
		"twice":         func(emit prom.Emit) { emit(m, 1, "a"); emit(m, 2, "a") },
		"not UTF-8":     func(emit prom.Emit) { emit(m, 1, "\xff") },
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			prom.New(prom.Options{}, prom.NewSource(collect, m)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			if w.Code != http.StatusInternalServerError {
				t.Errorf("got status %d, want 500", w.Code)
			}
		})
	}
}

// Only so many scrapes are answered at a time.
func TestConcurrency(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	e := prom.New(prom.Options{Concurrency: 1}, prom.NewSource(func(prom.Emit) {
		inside <- struct{}{}
		<-leave
	}, prom.NewGauge("tidewaiter_x", "X.")))
	done := make(chan int)
	ask := func() int {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Code
	}
	go func() { done <- ask() }()
	<-inside
	if got := ask(); got != http.StatusServiceUnavailable {
		t.Errorf("second scrape: got status %d, want 503", got)
	}
	close(leave)
	if got := <-done; got != http.StatusOK {
		t.Errorf("first scrape: got status %d, want 200", got)
	}
}

func ExampleValues() {
	type stats struct{ Commits, Size int64 }
	store := func() stats { return stats{Commits: 12, Size: 4096} }
	exporter := prom.New(prom.Options{}, prom.Values(store,
		prom.Counter("tidewaiter_store_commits_total", "Transactions written.", func(s stats) float64 { return float64(s.Commits) }),
		prom.Gauge("tidewaiter_store_size_bytes", "Size of the file.", func(s stats) float64 { return float64(s.Size) }),
	))
	w := httptest.NewRecorder()
	exporter.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	fmt.Print(w.Body)
	// Output:
	// # HELP tidewaiter_store_commits_total Transactions written.
	// # TYPE tidewaiter_store_commits_total counter
	// tidewaiter_store_commits_total 12
	// # HELP tidewaiter_store_size_bytes Size of the file.
	// # TYPE tidewaiter_store_size_bytes gauge
	// tidewaiter_store_size_bytes 4096
}
