package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
)

// address is the value of a flag.
type address struct {
	flag  string
	value *string
}

// addr defines a flag for an address, which checkAddresses checks.
func (c *command) addr(set *flag.FlagSet, name, value, usage string) *string {
	v := set.String(name, value, "`host:port` "+usage)
	c.address = append(c.address, address{name, v})
	return v
}

// dial defines a flag for an address and returns what connects to it.
func (c *command) dial(set *flag.FlagSet, name, value, usage string) func(context.Context) (net.Conn, error) {
	v := c.addr(set, name, value, usage)
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", *v)
	}
}

// listen defines a flag for an address and returns what listens on it.
func (c *command) listen(set *flag.FlagSet, name, value, usage string) func(context.Context) (net.Listener, error) {
	v := c.addr(set, name, value, usage)
	return func(ctx context.Context) (net.Listener, error) {
		return new(net.ListenConfig).Listen(ctx, "tcp", *v)
	}
}

// checkAddresses wants loopback addresses, unless anything else is allowed.
func (c *command) checkAddresses() error {
	for _, a := range c.address {
		host, _, err := net.SplitHostPort(*a.value)
		if err != nil {
			return fmt.Errorf("-%s: %w", a.flag, err)
		}
		ip, err := netip.ParseAddr(host)
		if !c.anywhere && host != "localhost" && (err != nil || !ip.IsLoopback()) {
			return fmt.Errorf("-%s: %q is not a loopback address: say -anywhere if you mean it and may", a.flag, host)
		}
	}
	return nil
}
