package main

import (
	"context"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/internal/load/xmpp"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// everybody lets everybody in without a hash, which would take most of the time
// that a hundred thousand logins take.
type everybody struct{}

func (everybody) VerifyPassword(context.Context, stanza.JID, string) error { return nil }

// BenchmarkSessions has 50 pairs exchange messages among many idle sessions,
// over connections in memory, so that no limit of descriptors stands in the way.
// One run is one operation. cpu-ns/msg is the processor time of this process for
// a message, the client's side included; it should not grow with the sessions.
// bytes/session is what the process has got from the system for each session,
// both ends included.
func BenchmarkSessions(b *testing.B) {
	for _, n := range []int{100, 1000, 10000, 100000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchmarkSessions(b, n) })
	}
}

func benchmarkSessions(b *testing.B, n int) {
	h, err := host.New(host.Config{})
	if err != nil {
		b.Fatal(err)
	}
	ln := listentest.NewListener()
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true
	module := c2s.New(c2s.Host{Domains: h.Local, Router: h.Local, Session: h.Local, IQ: h.IQ, Password: everybody{}})
	ended := make(chan error, 1)
	go func() { ended <- module.Listen(context.Background(), ln, o) }()
	defer func() {
		ln.Close()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	target := &xmpp.Target{
		Dial:   func(context.Context) (net.Conn, error) { return ln.Dial(), nil },
		Domain: "localhost", User: "u", Password: "pass", Accounts: n, InMemory: true, Errors: b.Output(),
	}
	if runtime.GOOS == "linux" {
		target.PID = os.Getpid()
	}
	for b.Loop() {
		const pairs = 50
		// Long enough for several collections of the garbage, which are rare in a
		// large heap.
		measured := 4*time.Second + time.Duration(n)*200*time.Microsecond
		r, err := xmpp.Chat{
			Pairs: pairs, Window: 32, Body: 100, Idle: n - 2*pairs, Warm: time.Second, Duration: measured,
		}.Run(b.Context(), target)
		if err != nil || r.Faults.Sum() > 0 {
			b.Fatalf("got %+v, %v", r, err)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(r.PerSecond, "msg/s")
		if r.PerServerCPU > 0 {
			b.ReportMetric(1e9/r.PerServerCPU, "cpu-ns/msg")
			b.ReportMetric(1024*r.KiBEach, "bytes/session")
		}
	}
}
