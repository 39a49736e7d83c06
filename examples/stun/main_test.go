package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/pion/turn/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the server until the test ends, and returns its address.
func start(t *testing.T) string {
	t.Helper()
	pc := listenPacket(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- serve(ctx, pc) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve: got %v, want %v", err, context.Canceled)
		}
	})
	return pc.LocalAddr().String()
}

func listenPacket(t *testing.T) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

// dial returns a client of the server that is there until the test ends.
func dial(t *testing.T, server, user, password string) *turn.Client {
	t.Helper()
	pc := listenPacket(t)
	c, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: server, TURNServerAddr: server, Conn: pc, Username: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// allocate returns the relay of a new client.
func allocate(t *testing.T, server string) (*turn.Client, net.PacketConn) {
	t.Helper()
	c := dial(t, server, "ana", "anchor")
	relay, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	return c, relay
}

func TestBinding(t *testing.T) {
	c := dial(t, start(t), "", "")
	addr, err := c.SendBindingRequest()
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(addr.String()); host != "127.0.0.1" {
		t.Errorf("reflexive address: got %v, want one of 127.0.0.1", addr)
	}
}

// Two clients talk by their relays.
func TestRelay(t *testing.T) {
	server := start(t)
	_, ana := allocate(t, server)
	client, other := allocate(t, server)
	if err := client.CreatePermission(ana.LocalAddr()); err != nil { // sending has one made, too
		t.Fatal(err)
	}
	send(t, ana, other, "ahoy")
	expect(t, other, ana, "ahoy")
	send(t, other, ana, "ahoy yourself")
	expect(t, ana, other, "ahoy yourself")
}

func send(t *testing.T, from, to net.PacketConn, text string) {
	t.Helper()
	if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, at, from net.PacketConn, want string) {
	t.Helper()
	if err := at.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	n, addr, err := at.ReadFrom(b)
	if err != nil {
		t.Fatalf("waiting for %q: %v", want, err)
	}
	if got := string(b[:n]); got != want || addr.String() != from.LocalAddr().String() {
		t.Errorf("got %q from %v, want %q from %v", got, addr, want, from.LocalAddr())
	}
}

func TestRefused(t *testing.T) {
	server := start(t)
	for _, c := range []struct{ name, user, password string }{
		{"wrong password", "ana", "ankle"},
		{"no such user", "bo", "anchor"},
		{"no credentials", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if relay, err := dial(t, server, c.user, c.password).Allocate(); err == nil {
				relay.Close()
				t.Error("got a relay, want an error")
			}
		})
	}
}
