package main

import (
	"context"
	"errors"
	"net"
	"testing"
)

// TestNameServer asks as a server would.
func TestNameServer(t *testing.T) {
	s, err := serveNames()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.set("one.example", 5269)
	s.set("*.idle.example", 7777)
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.addr().String())
	}}
	for domain, port := range map[string]uint16{"one.example": 5269, "ONE.example": 5269, "d7.idle.example": 7777, "two.example": 0, "a.d7.idle.example": 0} {
		_, records, err := r.LookupSRV(t.Context(), "xmpp-server", "tcp", domain+".")
		var unknown *net.DNSError
		switch {
		case port == 0:
			if !errors.As(err, &unknown) || !unknown.IsNotFound {
				t.Errorf("%s: got %v, %v; want no such host", domain, records, err)
			}
			continue
		case err != nil || len(records) != 1 || records[0].Port != port:
			t.Errorf("%s: got %v, %v; want port %d", domain, records, err, port)
			continue
		}
		addrs, err := r.LookupNetIP(t.Context(), "ip4", records[0].Target)
		if err != nil || len(addrs) != 1 || addrs[0].String() != "127.0.0.1" {
			t.Errorf("%s: got %v, %v; want 127.0.0.1", domain, addrs, err)
		}
		if _, records, err := r.LookupSRV(t.Context(), "xmpps-server", "tcp", domain+"."); err == nil {
			t.Errorf("%s: got %v for another service, want none", domain, records)
		}
	}
}

func TestNameServerTakesAnything(t *testing.T) {
	s := &nameServer{ports: map[string]int{"one.example": 1}}
	for _, query := range []string{"", "x", "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x3fone"} {
		if answer, err := s.answer([]byte(query)); err == nil {
			t.Errorf("%q: got %q, want an error", query, answer)
		}
	}
}
