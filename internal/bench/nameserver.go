package main

import (
	"errors"
	"net"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers questions of the DNS for the domains of the servers: SRV
// records with their ports for other servers. All of them are at localhost, a
// name that is known without a name server, as ejabberd may look addresses up in
// its own ways. It knows nothing else.
type nameServer struct {
	conn net.PacketConn
	done chan struct{}

	mu    sync.Mutex
	ports map[string]int // by domain; below one that begins with "*." all have its port
}

// xmppServer is what SRV records of a domain are found under.
// See RFC 6120, section 3.2.1.
const xmppServer = "_xmpp-server._tcp."

// serveNames answers on a port of 127.0.0.1 until close.
func serveNames() (*nameServer, error) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &nameServer{conn: conn, done: make(chan struct{}), ports: make(map[string]int)}
	go s.serve()
	return s, nil
}

func (s *nameServer) addr() *net.UDPAddr { return s.conn.LocalAddr().(*net.UDPAddr) }

func (s *nameServer) close() {
	_ = s.conn.Close()
	<-s.done
}

// set says at which port the server of a domain is.
func (s *nameServer) set(domain string, port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports[domain] = port
}

// port returns the port for a domain, 0 if it is not known.
func (s *nameServer) port(domain string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.ports[domain]; p != 0 {
		return p
	}
	_, parent, _ := strings.Cut(domain, ".")
	return s.ports["*."+parent]
}

func (s *nameServer) serve() {
	defer close(s.done)
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of an answer that nobody waited for
		}
		if answer, err := s.answer(buf[:n]); err == nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

// answer answers one message.
func (s *nameServer) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	domain, isService := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")), xmppServer)
	known := domain == "localhost" && !isService
	port := 0
	if isService {
		port = s.port(domain)
		known = port != 0
	}
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{q},
	}
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
	switch {
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case isService && q.Type == dnsmessage.TypeSRV:
		body := &dnsmessage.SRVResource{Port: uint16(port), Target: dnsmessage.MustNewName("localhost.")}
		m.Answers = []dnsmessage.Resource{{Header: header, Body: body}}
	case !isService && q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
	}
	return m.Pack()
}
