package main

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/stun"
	"github.com/pion/turn/v2"

	"github.com/tidewaiter/tidewaiter/stun"
)

// dialSTUN connects to the i-th listener.
func dialSTUN(t *testing.T, s *server, i int) net.Conn {
	t.Helper()
	e := s.config.Entries[i]
	conn, err := net.Dial(strings.TrimRight(e.Network, "46"), s.listen.Stats()[i].Bound)
	if err != nil {
		t.Fatal(err)
	}
	if e.TLS != nil {
		conn = tls.Client(conn, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true})
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(bound)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// binding sends a Binding request and wants the own address in the answer.
func binding(t *testing.T, conn net.Conn) {
	t.Helper()
	request := pion.MustBuild(pion.TransactionID, pion.BindingRequest)
	if _, err := conn.Write(request.Raw); err != nil {
		t.Fatal(err)
	}
	answer := &pion.Message{Raw: make([]byte, 0, 1500)}
	if _, err := answer.ReadFrom(conn); err != nil {
		t.Fatalf("%s: %v", conn.RemoteAddr(), err)
	}
	var got pion.XORMappedAddress
	if err := got.GetFrom(answer); err != nil || got.String() != conn.LocalAddr().String() {
		t.Errorf("%s: got %v and %v, want %s", conn.RemoteAddr(), got, err, conn.LocalAddr())
	}
}

// allocate opens a relay over a connection that is one of streams or datagrams.
func allocate(t *testing.T, conn net.Conn, user, password string) (net.PacketConn, error) {
	t.Helper()
	pc, ok := conn.(net.PacketConn)
	if ok { // not a connected socket: the client says where each packet goes
		own, err := net.ListenPacket("udp", net.JoinHostPort(conn.LocalAddr().(*net.UDPAddr).IP.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		pc = own
	} else {
		pc = turn.NewSTUNConn(conn)
	}
	t.Cleanup(func() { pc.Close() })
	at := conn.RemoteAddr().String()
	c, err := turn.NewClient(&turn.ClientConfig{Conn: pc, STUNServerAddr: at, TURNServerAddr: at, Username: user, Password: password, Realm: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	return c.Allocate()
}

// The built-in configuration answers everybody, relays for those with an account,
// and reaches other relays alone.
func TestBuiltInRelays(t *testing.T) {
	s := startServer(t, builtIn(t))
	for i, e := range s.config.Entries {
		if e.Module != "ejabberd_stun" {
			continue
		}
		t.Run(s.listen.Stats()[i].Bound+" "+e.Network, func(t *testing.T) {
			if o := e.Options.(stun.Options); o.Grace != s.drain || !o.UseTURN {
				t.Errorf("got options %+v", o)
			}
			binding(t, dialSTUN(t, s, i))
			if strings.HasSuffix(e.Network, "6") {
				return // the client is one of IPv4
			}
			if r, err := allocate(t, dialSTUN(t, s, i), "ana", "guess"); err == nil {
				t.Errorf("got a relay at %v by a wrong password", r.LocalAddr())
			}
			ana, err := allocate(t, dialSTUN(t, s, i), "ana", "anchor")
			if err != nil {
				t.Fatal(err)
			}
			defer ana.Close()
			bo, err := allocate(t, dialSTUN(t, s, i), "bo", "bollard")
			if err != nil {
				t.Fatal(err)
			}
			defer bo.Close()
			for _, r := range []net.PacketConn{ana, bo} {
				if !r.LocalAddr().(*net.UDPAddr).IP.IsLoopback() {
					t.Errorf("the relay is at %v, want loopback", r.LocalAddr())
				}
			}
			talk(t, ana, bo)
			unreached(t, ana)
		})
	}
}

// talk sends a packet in each direction: the first makes the permission of its
// sender. The client does not see frames of less than nine bytes on a stream until
// the next one comes.
func talk(t *testing.T, a, b net.PacketConn) {
	t.Helper()
	for _, r := range []net.PacketConn{a, b} {
		if err := r.SetReadDeadline(time.Now().Add(bound)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.WriteTo([]byte("lost"), b.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteTo([]byte("ahoy there"), a.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, from, err := a.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "ahoy there" || from.String() != b.LocalAddr().String() {
		t.Fatalf("got %q from %v, error %v", buf[:n], from, err)
	}
}

// unreached sees that a relay does not send to other ports of this machine, nor to
// other machines.
func unreached(t *testing.T, relay net.PacketConn) {
	t.Helper()
	ip := relay.LocalAddr().(*net.UDPAddr).IP
	for _, other := range []net.IP{net.IPv4(192, 0, 2, 1), net.IPv4(10, 0, 0, 1), net.IPv4(127, 0, 0, 2)} {
		if _, err := relay.WriteTo([]byte("ahoy"), &net.UDPAddr{IP: other, Port: 9}); err == nil {
			t.Errorf("the relay sends to %v", other)
		}
	}
	own, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	// The address has a permission, as relays have it.
	if _, err := relay.WriteTo([]byte("ahoy"), own.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, err := own.WriteTo([]byte("own"), own.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if err := own.SetReadDeadline(time.Now().Add(bound)); err != nil {
		t.Fatal(err)
	}
	if n, from, err := own.ReadFrom(buf); err != nil || string(buf[:n]) != "own" {
		t.Errorf("got %q from %v, error %v: the relay reaches other ports of this machine", buf[:n], from, err)
	}
}
