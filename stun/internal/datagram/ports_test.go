package datagram

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// Every port of a range is found, then none, and then those that were closed.
func TestPortsFull(t *testing.T) {
	within := within4(t, 40)
	var ports Ports
	open := make(map[uint16]*Socket)
	for range 40 {
		s, err := ports.Open(loopback4, within)
		if err != nil {
			t.Fatal(err)
		}
		port := s.LocalAddr().Port()
		if open[port] != nil || port < within.Min || port > within.Max {
			t.Errorf("got port %d again, or not of %v", port, within)
		}
		open[port] = s
	}
	if _, err := ports.Open(loopback4, within); !errors.Is(err, ErrNoPort) {
		t.Errorf("full range: got %v, want ErrNoPort", err)
	}
	for _, port := range []uint16{within.Min, within.Max, within.Min + 20} {
		_ = open[port].Close()
		s, err := ports.Open(loopback4, within)
		if err != nil {
			t.Fatalf("one port free: %v", err)
		}
		if got := s.LocalAddr().Port(); got != port {
			t.Errorf("got port %d, want %d", got, port)
		}
		open[port] = s
	}
	for _, s := range open {
		_ = s.Close()
	}
	if got := *ports.used[loopback4]; got != (portSet{}) {
		t.Errorf("ports after all were closed: got %v, want none", got)
	}
}

// Ports that others have are passed over.
func TestPortsTaken(t *testing.T) {
	within := within4(t, 8)
	free := within.Min + 5
	for port := within.Min; port <= within.Max; port++ {
		if port != free {
			listenUDP(t, "udp4", netip.AddrPortFrom(loopback4, port).String())
		}
	}
	var ports Ports
	if _, _, err := ports.OpenPair(loopback4, within); !errors.Is(err, ErrNoPort) {
		t.Errorf("no pair is free: got %v, want ErrNoPort", err)
	}
	s, err := ports.Open(loopback4, within)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.LocalAddr().Port(); got != free {
		t.Errorf("got port %d, want %d", got, free)
	}
	_ = s.Close()
}

func TestPortsEven(t *testing.T) {
	within := within4(t, 9)
	var even, odd int
	for port := within.Min; port <= within.Max; port++ {
		even += int(1 - port&1)
		odd += int(port & 1)
	}
	t.Run("even", func(t *testing.T) {
		var ports Ports
		for range even {
			s, err := ports.OpenEven(loopback4, within)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.LocalAddr().Port()&1 != 0 {
				t.Errorf("got %v, want an even port", s.LocalAddr())
			}
		}
		if _, err := ports.OpenEven(loopback4, within); !errors.Is(err, ErrNoPort) {
			t.Errorf("got %v, want ErrNoPort", err)
		}
		for range odd {
			s, err := ports.Open(loopback4, within)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
		}
	})
	t.Run("pairs", func(t *testing.T) {
		var ports Ports
		for range (int(within.Max) - int(within.Min+within.Min&1) + 1) / 2 {
			a, b, err := ports.OpenPair(loopback4, within)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			defer b.Close()
			if p := a.LocalAddr().Port(); p&1 != 0 || b.LocalAddr().Port() != p+1 {
				t.Errorf("got %v and %v, want an even port and the next", a.LocalAddr(), b.LocalAddr())
			}
		}
		if _, _, err := ports.OpenPair(loopback4, within); !errors.Is(err, ErrNoPort) {
			t.Errorf("got %v, want ErrNoPort", err)
		}
	})
}

func TestPortsErrors(t *testing.T) {
	var ports Ports
	for _, c := range []struct {
		name   string
		addr   netip.Addr
		within PortRange
		full   bool
	}{
		{"empty range", loopback4, PortRange{3000, 2999}, true},
		{"no range", loopback4, PortRange{}, true},
		{"foreign address", netip.MustParseAddr("192.0.2.1"), PortRange{30000, 30100}, false},
	} {
		if s, err := ports.Open(c.addr, c.within); err == nil {
			_ = s.Close()
			t.Errorf("%s: got nil, want an error", c.name)
		} else if errors.Is(err, ErrNoPort) != c.full {
			t.Errorf("%s: got %v, want ErrNoPort: %v", c.name, err, c.full)
		}
	}
	if _, _, err := ports.OpenPair(loopback4, PortRange{3001, 3002}); !errors.Is(err, ErrNoPort) {
		t.Errorf("pair in an odd and an even port: got %v, want ErrNoPort", err)
	}
}

// Goroutines that open and close at a time get each port once.
func TestPortsConcurrent(t *testing.T) {
	within := within4(t, 16)
	var ports Ports
	var openers sync.WaitGroup
	for range 4 {
		openers.Go(func() {
			for range 200 {
				a, b, err := ports.OpenPair(loopback4, within)
				if err != nil {
					t.Error(err)
					return
				}
				_ = a.Close()
				_ = b.Close()
			}
		})
	}
	openers.Wait()
	if s, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, within.Min))); err != nil {
		t.Errorf("a port after closing: %v", err)
	} else {
		_ = s.Close()
	}
}

func BenchmarkOpenClose(b *testing.B) {
	var ports Ports
	b.ReportAllocs()
	for b.Loop() {
		s, err := ports.Open(loopback4, PortRange{49152, 65535})
		if err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}
