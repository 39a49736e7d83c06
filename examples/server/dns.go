package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// resolver is what *net.Resolver has.
type resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

const (
	lookupTimeout = 10 * time.Second // for one question with its retries
	lookups       = 8                // at the same time
)

// verify compares the DNS with the zone, prints what differs, and returns the exit
// status. Names of targets, priorities and weights are the administrator's to
// choose; ports are compared, and targets need an address.
func (z *zone) verify(ctx context.Context, w io.Writer, r resolver) int {
	answers := make([][]string, len(z.names))
	var running sync.WaitGroup
	free := make(chan struct{}, lookups)
	for i, name := range z.names {
		free <- struct{}{}
		running.Go(func() {
			answers[i] = z.compare(ctx, name, r)
			<-free
		})
	}
	running.Wait()
	lines := slices.Concat(answers...)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	for _, note := range z.notes {
		fmt.Fprintln(w, "note:", note)
	}
	records := 0
	for _, ports := range z.ports {
		records += len(ports)
	}
	fmt.Fprintf(w, "%s, %s\n", count(records, "DNS record"), count(len(lines), "difference"))
	if len(lines) > 0 {
		return statusError
	}
	return statusOK
}

// compare asks for the records of a name and returns a line for each difference.
func (z *zone) compare(ctx context.Context, name srv, r resolver) (lines []string) {
	say := func(format string, args ...any) {
		lines = append(lines, strings.ReplaceAll(fmt.Sprintf(format, args...), "\t", " "))
	}
	found, err := ask(ctx, func(ctx context.Context) ([]*net.SRV, error) {
		_, list, err := r.LookupSRV(ctx, name.service, name.proto, name.domain+".")
		return list, err
	})
	if err != nil {
		say("error: %s: %v", name, err)
		return lines
	}
	// A lone root says that there is no such service (RFC 2782).
	found = slices.DeleteFunc(found, func(s *net.SRV) bool { return s.Target == "." })
	missing := slices.Clone(z.ports[name])
	var others, right []*net.SRV
	for _, s := range found {
		if !slices.Contains(z.ports[name], s.Port) {
			others = append(others, s)
			continue
		}
		right = append(right, s)
		missing = slices.DeleteFunc(missing, func(port uint16) bool { return port == s.Port })
	}
	for i, port := range missing {
		if i < len(others) {
			say("differs: %s, want port %d", published(name, others[i]), port)
		} else {
			say("missing: %s", record(name, port, z.targets[name]))
		}
	}
	for _, s := range others[min(len(missing), len(others)):] {
		say("extra: %s: there is no such listener", published(name, s))
	}
	return append(lines, targets(ctx, name, right, r)...)
}

// targets returns a line for each target of right records that has no address.
func targets(ctx context.Context, name srv, right []*net.SRV, r resolver) (lines []string) {
	seen := make(map[string]bool)
	for _, s := range right {
		if seen[s.Target] {
			continue
		}
		seen[s.Target] = true
		addrs, err := ask(ctx, func(ctx context.Context) ([]netip.Addr, error) { return r.LookupNetIP(ctx, "ip", s.Target) })
		switch {
		case err != nil:
			lines = append(lines, fmt.Sprintf("error: %s: %s: %v", name, s.Target, err))
		case len(addrs) == 0:
			lines = append(lines, fmt.Sprintf("missing: %s IN A or AAAA, the target of %s", s.Target, name))
		}
	}
	return lines
}

// published is a record that the DNS has.
func published(name srv, s *net.SRV) string {
	return fmt.Sprintf("%s IN SRV %d %d %d %s", name, s.Priority, s.Weight, s.Port, s.Target)
}

// ask asks the DNS. That there is nothing is no error.
func ask[T any](ctx context.Context, lookup func(context.Context) ([]T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	list, err := lookup(ctx)
	var e *net.DNSError
	if errors.As(err, &e) && e.IsNotFound {
		return nil, nil
	}
	if len(list) > 0 {
		return list, nil // besides others that are malformed
	}
	return nil, err
}
