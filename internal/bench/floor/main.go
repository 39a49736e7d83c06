// Command floor is not an XMPP server, and none of STUN. It answers the handshake of the load
// generator with what it expects and then forwards each message as raw bytes to
// the connection that its to attribute names, or to the component of its domain:
// it parses no XML, checks nothing, has no passwords and stamps no sender. It
// shows what the sockets alone cost a Go program on a machine, which is the limit
// for every server that does work. For the same reason it answers datagrams with
// Binding answers.
package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "`address` to listen on")
	components := flag.String("component-addr", "", "`address` to listen on for components (default: none)")
	stun := flag.String("stun-addr", "", "`address` of IPv4 for datagrams (default: none)")
	cert := flag.String("cert", "", "PEM `file` with certificate and key, for STARTTLS")
	flag.Parse()
	if err := run(*addr, *components, *stun, *cert); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until the process is ended.
func run(addr, components, stun, cert string) error {
	s := new(server)
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, cert)
		if err != nil {
			return err
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	ended := make(chan error, 3)
	if stun != "" {
		pc, err := net.ListenPacket("udp4", stun)
		if err != nil {
			return err
		}
		conn := pc.(*net.UDPConn)
		_ = conn.SetReadBuffer(receiveBuffer) // the system may grant less
		go func() { ended <- answerBinding(conn) }()
	}
	for _, a := range []string{addr, components} { // which it is the stream header says
		if a == "" {
			continue
		}
		ln, err := net.Listen("tcp", a)
		if err != nil {
			return err
		}
		fmt.Println("ready", ln.Addr())
		go func() { ended <- s.accept(ln) }()
	}
	return <-ended
}

// accept serves the connections of ln until it is closed.
func (s *server) accept(ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		s.conns.Go(func() { s.serve(c) })
	}
}
