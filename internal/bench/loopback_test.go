package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// BenchmarkLoopback serves the load generator, which runs as a process of its
// own, over TCP: with -cpuprofile it shows what the server alone spends its time
// on. One run is one operation.
func BenchmarkLoopback(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("what a server uses is known on Linux only")
	}
	generator := buildGenerator(b)
	for _, c := range []struct{ name, args string }{
		{"W32", "chat -d 5s"},
		{"W1", "chat -d 5s -window 1"},
		{"B1000", "chat -d 5s -body 1000"},
		{"TLS", "chat -d 5s -tls"},
		{"login", "login -n 100 -passes 100"},
		{"login-TLS", "login -n 100 -passes 50 -tls"},
	} {
		b.Run(c.name, func(b *testing.B) {
			addr := serveLoopback(b)
			for b.Loop() {
				args := append(strings.Fields(c.args), "-addr", addr, "-pid", fmt.Sprint(os.Getpid()), "-accounts", "100")
				report(b, generate(b, generator, args...))
			}
		})
	}
}

func buildGenerator(b *testing.B) (path string) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "load")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/tidewaiter/tidewaiter/internal/load").CombinedOutput(); err != nil {
		b.Fatalf("building the load generator: %v\n%s", err, out)
	}
	return path
}

// generate runs the load generator.
func generate(b *testing.B, generator string, args ...string) (r meter.Result) {
	b.Helper()
	cmd := exec.Command(generator, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v\n%s", err, &said)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		b.Fatal(err)
	}
	return r
}

func report(b *testing.B, r meter.Result) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(r.PerSecond, strings.ReplaceAll(r.Unit, " ", "-")+"/s")
	b.ReportMetric(r.PerServerCPU, strings.ReplaceAll(r.Unit, " ", "-")+"/cpu-s")
}

// oneKey is the key of every account: making one for each would fill the profile.
type oneKey struct{ key stanza.SCRAMKeys }

func (k oneKey) SCRAMKeys(context.Context, string, stanza.JID) (stanza.SCRAMKeys, error) {
	return k.key, nil
}

// serveLoopback serves on a port of 127.0.0.1 until the benchmark ends.
func serveLoopback(b *testing.B) (addr string) {
	h, err := host.New(host.Config{})
	if err != nil {
		b.Fatal(err)
	}
	var accounts oneKey
	if accounts.key, err = sasl.DeriveKeys(sasl.SHA1, "pass", sasl.NewSalt(), sasl.DefaultIterations); err != nil {
		b.Fatal(err)
	}
	cert, _ := listentest.Certificate(b, "localhost")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	o := c2s.Defaults()
	o.TLS, o.StartTLS = &tls.Config{Certificates: []tls.Certificate{cert}}, true
	module := c2s.New(c2s.Host{Domains: h.Local, Router: h.Local, Session: h.Local, IQ: h.IQ, SCRAM: accounts})
	ended := make(chan error, 1)
	go func() { ended <- module.Listen(context.Background(), ln, o) }()
	b.Cleanup(func() {
		ln.Close()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return ln.Addr().String()
}
