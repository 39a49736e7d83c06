package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
)

// BenchmarkServers is BenchmarkLoopback for what needs more than one listener:
// with -cpuprofile it shows what a server spends its time on when a component
// returns messages, and what two servers do when their users send messages to one
// another. Both of them are in this process.
func BenchmarkServers(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("what a server uses is known on Linux only")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(200)) // as examples/server has it
	generator := buildGenerator(b)
	for _, c := range []struct {
		name    string
		profile profile
		args    string
	}{
		{"component", profile{component: true}, "component -d 5s"},
		{"federation", profile{servers: true}, "federation -tls -d 5s"},
	} {
		b.Run(c.name, func(b *testing.B) {
			names, err := serveNames()
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(names.close)
			all := &bench{dir: b.TempDir(), names: names}
			if err := all.certify(); err != nil {
				b.Fatal(err)
			}
			one := all.serve(b, c.profile, "tidewaiter.example")
			args := append(strings.Fields(c.args), "-addr", loopback(one.port), "-domain", one.domain, "-pid", fmt.Sprint(os.Getpid()), "-accounts", "50")
			if c.profile.component {
				args = append(args, "-component-addr", loopback(one.second))
			} else {
				other := all.serve(b, c.profile, "tidewaiter-2.example")
				args = append(args, "-peer-addr", loopback(other.port), "-peer-domain", other.domain)
				register(b, generator, other)
			}
			register(b, generator, one)
			for b.Loop() {
				report(b, generate(b, generator, args...))
			}
		})
	}
}

// register creates accounts in-band.
func register(b *testing.B, generator string, at place) {
	generate(b, generator, "register", "-addr", loopback(at.port), "-domain", at.domain, "-accounts", "50")
}

// serve runs the listeners of Tidewaiter's configuration until the benchmark ends.
func (b *bench) serve(tb testing.TB, p profile, domain string) place {
	at := place{profile: p, dir: tb.TempDir(), domain: domain}
	var err error
	for _, port := range []*int{&at.port, &at.second} {
		if *port, err = freePort(); err != nil {
			tb.Fatal(err)
		}
	}
	file, err := configure(b, "tidewaiter.yml", at)
	if err != nil {
		tb.Fatal(err)
	}
	h, err := host.New(host.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	modules := all.New(h, all.Options{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, b.names.addr().String())
	}}})
	reg := modules.Registry()
	config, err := listen.Load(file, reg)
	if err != nil {
		tb.Fatal(err)
	}
	server := listen.New(reg, listen.ServerOptions{})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			tb.Error(err)
		}
		if err := modules.Shutdown(ctx); err != nil {
			tb.Error(err)
		}
	})
	if _, err := server.Apply(tb.Context(), config); err != nil {
		tb.Fatal(err)
	}
	if p.servers {
		b.names.set(domain, at.second)
	}
	return at
}
