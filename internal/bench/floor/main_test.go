package main

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/stun"
	"github.com/tidewaiter/tidewaiter/internal/load/xmpp"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestForwards has the load generator check what arrives.
func TestForwards(t *testing.T) {
	cert, _ := listentest.Certificate(t, "localhost")
	s := &server{tls: &tls.Config{Certificates: []tls.Certificate{cert}}}
	ln := listentest.NewListener()
	s.conns.Go(func() {
		if err := s.accept(ln); err != nil {
			t.Errorf("accept: %v", err)
		}
	})
	defer func() {
		ln.Close()
		s.conns.Wait()
	}()
	for _, encrypted := range []bool{false, true} {
		target := &xmpp.Target{
			Dial:   func(context.Context) (net.Conn, error) { return ln.Dial(), nil },
			Domain: "localhost", User: "u", Password: "pass", Accounts: 8, TLS: encrypted, NoFrom: true, Errors: t.Output(),
		}
		r, err := xmpp.Chat{Pairs: 4, Window: 32, Body: 2000, Messages: 500, Duration: time.Minute}.Run(t.Context(), target)
		if err != nil || r.Count != 2000 || r.Faults.Sum() != 0 {
			t.Errorf("TLS %v: got %d messages, %+v, %v; want 2000 and no faults", encrypted, r.Count, r.Faults, err)
		}
		r, err = xmpp.Component{
			Chat: xmpp.Chat{Window: 16, Body: 100, Messages: 501, Duration: time.Minute}, Clients: 4,
			Dial: target.Dial, Domain: "echo.localhost", Secret: "secret",
		}.Run(t.Context(), target)
		if err != nil || r.Count != 2003 || r.Faults.Sum() != 0 {
			t.Errorf("TLS %v: got %d round trips, %+v, %v; want 2003 and no faults", encrypted, r.Count, r.Faults, err)
		}
	}
}

// TestAnswersBinding has it check the answers.
func TestAnswersBinding(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("datagrams in batches are for Linux")
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- answerBinding(conn) }()
	target := &stun.Target{Addr: conn.LocalAddr().String()}
	r, err := stun.Binding{Sockets: 4, Window: 64, Duration: 100 * time.Millisecond}.Run(t.Context(), target)
	if err != nil || r.Count == 0 || r.Faults.Sum() != r.Faults.Lost {
		t.Errorf("got %d answers, %+v, %v; want some and no faults", r.Count, r.Faults, err)
	}
	conn.Close()
	if err := <-ended; err != nil {
		t.Errorf("after the end: got %v", err)
	}
}
