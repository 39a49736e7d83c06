package xmpp

import (
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// fake is a server in memory for the workloads. It does what they need, or
// something else if a test wants it to.
type fake struct {
	domain   string                          // "": localhost
	peer     *fake                           // the server of all other domains; may be nil
	secret   string                          // of components; "": there are none
	bare     bool                            // offers nothing that is optional
	ackMore  uint32                          // is added to what it acknowledges
	message  func(n int, el string) []string // what becomes of the n-th message; nil: it arrives
	presence func(n int) bool                // whether the n-th presence arrives; nil: it does
	keepAll  bool                            // offline messages come at each login
	tls      *tls.Config

	mu       sync.Mutex
	sessions map[string]*fakeSession // by full JID
	rosters  map[string]map[string]bool
	stored   map[string][]string
	messages int
	spread   int
	foreign  int // messages for users of the peer
	wrongAck int // acknowledgements of clients for what they were not sent, or not enough of it
}

type fakeSession struct {
	f    *fake
	conn net.Conn
	scan *xmlstream.Scanner
	user string // bare JID
	jid  string // of a component its domain

	component bool

	received, sent uint32 // since stream management is on
	managed        bool
	present        bool
	mu             sync.Mutex // held while writing
}

// startFake runs the server until the test ends.
func startFake(t *testing.T, f *fake) *Target {
	f.sessions = make(map[string]*fakeSession)
	f.rosters = make(map[string]map[string]bool)
	f.stored = make(map[string][]string)
	ln := listentest.NewListener()
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		conns.Wait()
	})
	if f.domain == "" {
		f.domain = "localhost"
	}
	return &Target{Dial: dialer(ln), Domain: f.domain, User: "u", Password: "pass", Accounts: 40, Errors: t.Output()}
}

func (f *fake) serve(conn net.Conn) {
	s := &fakeSession{f: f, conn: conn}
	defer func() {
		_ = s.conn.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		if s.jid != "" {
			delete(f.sessions, s.jid)
		}
	}()
	s.scan = xmlstream.NewScanner(conn, xmlstream.Limits{})
	for s.open() {
		for {
			e, err := s.scan.Next()
			if err != nil {
				s.write("</stream:stream>")
				return
			}
			if again := s.handle(e); again {
				break
			}
		}
	}
}

// open answers a stream header.
func (s *fakeSession) open() bool {
	header, err := s.scan.Header()
	if err != nil {
		return false
	}
	if s.component = len(header.Decls) > 0 && string(header.Decls[0].URI) == "jabber:component:accept"; s.component {
		to, _ := header.Attr("", "to")
		s.jid = string(to)
		s.write("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1&amp;2' from='" + s.jid + "'>")
		return true
	}
	features := "<mechanisms xmlns='" + nsSASL + "'><mechanism>PLAIN</mechanism></mechanisms>"
	if _, secure := s.conn.(*tls.Conn); s.f.tls != nil && !secure {
		features += "<starttls xmlns='" + nsTLS + "'/>"
	}
	if s.user != "" {
		features = "<bind xmlns='" + nsBind + "'/>"
		if !s.f.bare {
			features += "<sm xmlns='" + nsSM + "'/>"
		}
	}
	s.write("<?xml version='1.0'?>\n<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='>' version='1.0'>" +
		"<stream:features>" + features + "</stream:features>")
	return true
}

func (s *fakeSession) write(xml string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.conn.Write([]byte(xml))
}

// deliver writes a stanza, and asks for an acknowledgement.
func (s *fakeSession) deliver(xml string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.managed {
		s.sent++
		xml += "<r xmlns='" + nsSM + "'/>"
	}
	_, _ = s.conn.Write([]byte(xml))
}

// handle takes an element; again says that a new stream follows.
func (s *fakeSession) handle(e *xmlstream.Element) (again bool) {
	switch kind := string(e.Name.Local); kind {
	case "starttls":
		s.write("<proceed xmlns='" + nsTLS + "'/>")
		s.conn = tls.Server(s.conn, s.f.tls)
		s.scan = xmlstream.NewScanner(s.conn, xmlstream.Limits{})
		return true
	case "auth":
		plain, _ := base64.StdEncoding.DecodeString(string(e.Inner))
		s.user = string(bytes.Split(plain, []byte{0})[1]) + "@" + s.f.domain
		s.write("<success xmlns='" + nsSASL + "'/>")
		return true
	case "handshake":
		sum := sha1.Sum([]byte("1&2" + s.f.secret))
		if s.f.secret == "" || string(e.Inner) != hex.EncodeToString(sum[:]) {
			_ = s.conn.Close()
			return false
		}
		s.f.mu.Lock()
		s.f.sessions[s.jid] = s
		s.f.mu.Unlock()
		s.write("<handshake/>")
	case "enable":
		s.managed, s.received = true, 0
		s.write("<enabled xmlns='" + nsSM + "'/>")
	case "r":
		s.write(fmt.Sprintf("<a xmlns='%s' h='%d'/>", nsSM, s.received+s.f.ackMore))
	case "a":
		s.acknowledged(attr(e, "h"))
	default:
		s.received++
		s.stanza(kind, e)
	}
	return false
}

// acknowledged checks what a client acknowledges: after each <r/> it must be
// all that was sent before.
func (s *fakeSession) acknowledged(h string) {
	s.mu.Lock()
	sent := s.sent
	s.mu.Unlock()
	var n uint32
	if _, err := fmt.Sscan(h, &n); err != nil || n > sent {
		s.f.mu.Lock()
		s.f.wrongAck++
		s.f.mu.Unlock()
	}
}

func attr(e *xmlstream.Element, name string) string {
	v, _ := e.Attr("", name)
	return string(v)
}

func (s *fakeSession) stanza(kind string, e *xmlstream.Element) {
	switch kind {
	case "iq":
		s.request(e)
	case "presence":
		s.f.present(s, attr(e, "type"), attr(e, "to"), string(e.Inner))
	case "message":
		s.f.route(s, attr(e, "to"), attr(e, "id"), string(e.Raw))
	}
}

func (s *fakeSession) request(e *xmlstream.Element) {
	id, answer := attr(e, "id"), ""
	switch string(e.Child.Space) {
	case nsBind:
		s.jid = s.user + "/" + string(child(e.Inner, "<resource", "</resource>"))
		s.f.mu.Lock()
		s.f.sessions[s.jid] = s
		s.f.mu.Unlock()
		answer = "<bind xmlns='" + nsBind + "'><jid>" + s.jid + "</jid></bind>"
	case "jabber:iq:roster":
		if s.f.bare {
			s.deliver("<iq type='error' id='" + id + "'/>")
			return
		}
		s.f.mu.Lock()
		for friend := range s.f.rosters[s.user] {
			answer += "<item jid='" + friend + "' subscription='both'/>"
		}
		s.f.mu.Unlock()
		answer = "<query xmlns='jabber:iq:roster'>" + answer + "</query>"
	case "http://jabber.org/protocol/disco#info":
		if !s.f.bare {
			answer = "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='msgoffline'/></query>"
		}
	case "jabber:iq:register":
		s.write("<iq type='result' id='" + id + "'/>")
		return
	}
	s.deliver("<iq type='result' id='" + id + "'>" + answer + "</iq>")
}

// present takes presence of all types that the workloads send.
func (f *fake) present(s *fakeSession, kind, to, inner string) {
	f.mu.Lock()
	var all []*fakeSession
	var queued []string
	out := "<presence from='" + s.jid + "'>" + inner + "</presence>"
	switch kind {
	case "":
		if !s.present {
			s.present = true
			if queued = f.stored[s.user]; !f.keepAll {
				delete(f.stored, s.user)
			}
			for _, o := range f.sessions { // who is there already
				if o.present && f.rosters[s.user][bareOf(o.jid)] {
					queued = append(queued, "<presence from='"+o.jid+"'/>")
				}
			}
		}
		for _, o := range f.sessions {
			if o == s || o.present && f.rosters[bareOf(o.jid)][s.user] {
				all = append(all, o)
			}
		}
	case "subscribed":
		for _, p := range [][2]string{{s.user, to}, {to, s.user}} {
			if f.rosters[p[0]] == nil {
				f.rosters[p[0]] = make(map[string]bool)
			}
			f.rosters[p[0]][p[1]] = true
		}
		fallthrough
	case "subscribe":
		out = "<presence type='" + kind + "' from='" + s.user + "'/>"
		for _, o := range f.sessions {
			if o.present && bareOf(o.jid) == to {
				all = append(all, o)
			}
		}
		if len(all) == 0 {
			f.stored[to] = append(f.stored[to], out)
		}
	}
	f.mu.Unlock()
	for _, o := range all {
		if o == s || kind != "" || inner == "" || f.spreads() {
			o.deliver(out)
		}
	}
	for _, xml := range queued {
		s.deliver(xml)
	}
}

// spreads reports whether the next change of presence arrives.
func (f *fake) spreads() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spread++
	return f.presence == nil || f.presence(f.spread)
}

func bareOf(jid string) string {
	bare, _, _ := strings.Cut(jid, "/")
	return bare
}

// route delivers a message, or stores it.
func (f *fake) route(s *fakeSession, to, id, raw string) {
	if !s.component {
		raw = strings.Replace(raw, "<message ", "<message from='"+s.jid+"' ", 1)
	}
	f.mu.Lock()
	f.messages++
	out := []string{raw}
	if f.message != nil {
		out = f.message(f.messages, raw)
	}
	f.mu.Unlock()
	o := f.find(to)
	if o == nil && f.peer != nil {
		if o = f.peer.find(to); o != nil {
			f.mu.Lock()
			f.foreign++
			f.mu.Unlock()
		}
	}
	if o == nil {
		f.mu.Lock()
		f.stored[to] = append(f.stored[to], out...)
		f.mu.Unlock()
		return
	}
	for _, xml := range out {
		switch xml {
		case "bounce":
			s.deliver("<message type='error' from='" + to + "' id='" + id + "'><error/></message>")
		case "cut":
			_ = o.conn.Close()
		default:
			o.deliver(xml)
		}
	}
}

// find returns the session of an address, or the component of its domain.
func (f *fake) find(to string) *fakeSession {
	f.mu.Lock()
	defer f.mu.Unlock()
	for jid, o := range f.sessions {
		if jid == to || o.present && bareOf(jid) == to || o.component && strings.HasSuffix(to, "@"+jid) {
			return o
		}
	}
	return nil
}
