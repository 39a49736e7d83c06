// Command floor is not an XMPP server. It answers the handshake of the load
// generator with what it expects and then forwards each message as raw bytes to
// the connection that its to attribute names, or to the component of its domain:
// it parses no XML, checks nothing, has no passwords and stamps no sender. It
// shows what the sockets alone cost a Go program on a machine, which is the limit
// for every server that does work.
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
	cert := flag.String("cert", "", "PEM `file` with certificate and key, for STARTTLS")
	flag.Parse()
	if err := run(*addr, *components, *cert); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until the process is ended.
func run(addr, components, cert string) error {
	s := new(server)
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, cert)
		if err != nil {
			return err
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("ready", ln.Addr())
	if components == "" {
		return s.accept(ln)
	}
	other, err := net.Listen("tcp", components)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	for _, l := range []net.Listener{ln, other} { // which it is the stream header says
		go func() { ended <- s.accept(l) }()
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
