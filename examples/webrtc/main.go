// Command webrtc has two tabs of a browser exchange text over a data channel that goes
// through a TURN relay and nowhere else.
//
//	go run ./examples/webrtc
//
// Then open the address that it prints in two tabs. The program serves the page, passes
// on what the tabs have to tell each other before they are connected, makes credentials
// that are good for a while, and is the relay.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/tidewaiter/tidewaiter/stun"
)

func main() {
	log.SetFlags(0)
	page := flag.String("http", "127.0.0.1:8080", "`host:port` of the page")
	relay := flag.String("turn", "127.0.0.1:3478", "`host:port` of the relay, on UDP and TCP")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := open(*page, *relay)
	if err == nil {
		log.Printf("open http://%s in two tabs", s.page.Addr())
		err = s.run(ctx)
	}
	if err != nil {
		log.Fatal("webrtc: ", err)
	}
}

// sockets are what the program listens on.
type sockets struct {
	page, tcp net.Listener
	udp       net.PacketConn
}

func open(page, relay string) (*sockets, error) {
	var s sockets
	var err error
	if s.page, err = net.Listen("tcp", page); err != nil {
		return nil, fmt.Errorf("%w: take another address with -http", err)
	}
	if s.udp, err = net.ListenPacket("udp", relay); err == nil {
		s.tcp, err = net.Listen("tcp", s.udp.LocalAddr().String()) // the same port, if relay has none
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%w: take another address with -turn", err)
	}
	return &s, nil
}

func (s *sockets) close() {
	s.page.Close()
	if s.udp != nil {
		s.udp.Close()
	}
	if s.tcp != nil {
		s.tcp.Close()
	}
}

// run is the program until ctx is cancelled or one of its parts fails.
func (s *sockets) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.close()

	secret := []byte(rand.Text())
	relay := stun.New(stun.Host{Secret: secret})
	o := stun.Defaults()
	o.UseTURN = true
	o.ServerName = "Tidewaiter's example"
	parts := []func() error{
		func() error { return relay.ListenPacket(ctx, s.udp, o) },
		func() error { return relay.Listen(ctx, s.tcp, o) },
		func() error { return serve(ctx, s.page, handler(s.udp.LocalAddr().String(), secret)) },
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part() }()
	}
	var first error
	for range parts {
		if err := <-ended; first == nil && !errors.Is(err, context.Canceled) {
			first = err
		}
		cancel()
	}
	return first
}
