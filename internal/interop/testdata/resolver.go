// Takes part in builds of examples/server for the interop tests only.

package main

import (
	"context"
	"net"
	"os"
)

// The names of the tests' domains are known to their DNS server alone.
func init() {
	addr := os.Getenv("TIDEWAITER_INTEROP_DNS")
	if addr == "" {
		return
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
}
