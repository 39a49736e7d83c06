package s2s

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// outRig is a server whose outgoing streams lead to scripted peers. It serves
// here.test and also.test; there.test is found at 192.0.2.7:5269.
type outRig struct {
	t     testing.TB
	srv   *Server
	set   Settings
	dns   *outDNS
	conns chan *outPeer // that it has connected to

	mu     sync.Mutex
	log    bytes.Buffer
	got    []*stanza.Stanza // by the router
	refuse map[string]error // of Dial, by address
	onDial func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)
	route  func(ctx context.Context, st *stanza.Stanza)
}

func outStart(t testing.TB, prepare ...func(r *outRig)) *outRig {
	r := &outRig{t: t, set: DefaultSettings(), conns: make(chan *outPeer, 100), refuse: make(map[string]error)}
	r.dns = &outDNS{
		srv:   map[string][]*net.SRV{},
		addrs: map[string][]netip.Addr{"there.test": {netip.MustParseAddr("192.0.2.7")}},
	}
	for _, p := range prepare {
		p(r)
	}
	h := Host{Domains: r, Router: r, Resolver: r.dns, Dial: r.dial, Secret: []byte("sixteen bytes or more"),
		Log: slog.New(slog.NewTextHandler(outWriter{r}, &slog.HandlerOptions{Level: slog.LevelInfo}))}
	r.srv = New(h)
	r.srv.Configure(r.set)
	r.srv.out.random = func() float64 { return 0 }
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = r.srv.Shutdown(ctx)
		for {
			select {
			case p := <-r.conns:
				_ = p.raw.Close()
				continue
			default:
			}
			break
		}
	})
	return r
}

// outWriter collects the log.
type outWriter struct{ r *outRig }

func (w outWriter) Write(b []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	return w.r.log.Write(b)
}

// lines returns the lines of the log that contain a text.
func (r *outRig) lines(text string) (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, text) {
			list = append(list, line)
		}
	}
	return list
}

func (r *outRig) Serves(domain string) bool { return domain == "here.test" || domain == "also.test" }

func (r *outRig) Route(ctx context.Context, st *stanza.Stanza) error {
	if r.route != nil {
		r.route(ctx, st)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, st)
	return nil
}

// routed returns what the router has got since the last call.
func (r *outRig) routed() []*stanza.Stanza {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.got
	r.got = nil
	return list
}

func (r *outRig) dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	if r.onDial != nil {
		return r.onDial(ctx, from, to)
	}
	r.mu.Lock()
	err := r.refuse[to.Addr().String()]
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return r.connect(to), nil
}

// connect makes a connection to a peer.
func (r *outRig) connect(to netip.AddrPort) net.Conn {
	ours, theirs := listentest.NewConn(netip.MustParseAddrPort("192.0.2.1:40000"), to)
	r.conns <- &outPeer{Client: listentest.NewClient(r.t, theirs), r: r, raw: theirs, to: to, domain: "there.test"}
	return ours
}

// send sends a message with a text to there.test.
func (r *outRig) send(text string) { r.sendTo("x@there.test", text) }

func (r *outRig) sendTo(to, text string) {
	r.t.Helper()
	r.put(fmt.Sprintf("<message from='a@here.test/r' to='%s' id='%s'><body>%s</body></message>", to, text, text))
}

func (r *outRig) put(xml string) {
	r.t.Helper()
	if err := r.srv.Route(context.Background(), inStanza(r.t, xml)); err != nil {
		r.t.Errorf("Route(%s): %v", xml, err)
	}
}

// peer waits for a connection.
func (r *outRig) peer() *outPeer {
	r.t.Helper()
	select {
	case p := <-r.conns:
		return p
	case <-time.After(time.Hour):
		r.t.Fatal("no connection was made")
		return nil
	}
}

// noPeer fails the test if a connection was made.
func (r *outRig) noPeer() {
	r.t.Helper()
	synctest.Wait()
	select {
	case p := <-r.conns:
		r.t.Fatalf("a connection to %v was made", p.to)
	default:
	}
}

// returned checks that stanzas came back, by id, with a condition and a part of the
// text.
func (r *outRig) returned(condition stanza.Condition, text string, ids ...string) {
	r.t.Helper()
	synctest.Wait()
	var got []string
	for _, st := range r.routed() {
		got = append(got, st.ID)
		if st.Type != stanza.TypeError || !strings.Contains(st.Inner, "<"+string(condition)+" ") || !strings.Contains(st.Inner, text) {
			r.t.Errorf("got back %v, want the error %s with the text %q", st, condition, text)
		}
	}
	if strings.Join(got, " ") != strings.Join(ids, " ") {
		r.t.Errorf("got back %q, want %q", got, ids)
	}
}

// outPeer plays a server.
type outPeer struct {
	*listentest.Client
	r      *outRig
	raw    net.Conn
	to     netip.AddrPort
	domain string
	id     string // of the last stream
}

const (
	outTLS       = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	outMustTLS   = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	outProceed   = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	outDialback  = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
	outBidi      = "<bidi xmlns='urn:xmpp:features:bidi'/>"
	outSM        = "<sm xmlns='urn:xmpp:sm:3'/>"
	outExternal  = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
	outAuth      = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>aGVyZS50ZXN0</auth>"
	outSuccess   = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
	outSASLError = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
)

// header is what a server answers to a stream header.
func (p *outPeer) header(version string) string {
	p.id += "s"
	return fmt.Sprintf("<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "+
		"xmlns:db='jabber:server:dialback' id='%s' from='%s' to='here.test'%s>", p.id, p.domain, version)
}

// open waits for a stream header and answers it with features.
func (p *outPeer) open(features ...string) *outPeer {
	p.r.t.Helper()
	p.ExpectMatch(`<stream:stream [^>]*from='here.test' to='` + p.domain + `' version='1.0'>`)
	p.Send(p.header(" version='1.0'") + "<stream:features>" + strings.Join(features, "") + "</stream:features>")
	return p
}

// startTLS plays STARTTLS with a certificate.
func (p *outPeer) startTLS(config *tls.Config) *outPeer {
	p.r.t.Helper()
	p.open(outMustTLS)
	p.Expect(outTLS)
	p.Send(outProceed)
	return p.tls(config)
}

// tls makes the server's side of a handshake.
func (p *outPeer) tls(config *tls.Config) *outPeer {
	p.r.t.Helper()
	conn := tls.Server(p.raw, config)
	_ = conn.SetDeadline(time.Now().Add(listentest.Timeout))
	if err := conn.Handshake(); err != nil {
		p.r.t.Fatalf("TLS handshake: %v", err)
	}
	_ = conn.SetDeadline(time.Time{})
	p.Client = listentest.NewClient(p.r.t, conn)
	return p
}

// dialback takes a key for valid.
func (p *outPeer) dialback() *outPeer {
	p.r.t.Helper()
	key := dialbackKey(p.r.srv.h.Secret, p.domain, "here.test", p.id)
	p.Expect("<db:result from='here.test' to='" + p.domain + "'>" + key + "</db:result>")
	p.Send("<db:result from='" + p.domain + "' to='here.test' type='valid'/>")
	return p
}

// close ends the stream in order.
func (p *outPeer) close() {
	p.r.t.Helper()
	p.Send("</stream:stream>")
	p.Expect("</stream:stream>")
	p.Close()
}

// messages reads messages until n of them have come, and returns their ids.
func (p *outPeer) messages(n int) (ids []string) {
	p.r.t.Helper()
	for range n {
		ids = append(ids, p.ExpectMatch(`(?s)<message [^>]*id='([^']*)'[^>]*?(?:/>|>.*?</message>)`)[1])
	}
	return ids
}

// outDNS is a resolver in memory.
type outDNS struct {
	mu    sync.Mutex
	srv   map[string][]*net.SRV // by service and name: _xmpp-server._tcp.there.test
	addrs map[string][]netip.Addr
	fail  map[string]error // by service and name, or host
	hang  map[string]int   // how often a name is not answered
	asked []string
}

var errOutNone = &net.DNSError{Err: "no such host", IsNotFound: true}

func (d *outDNS) ask(ctx context.Context, name string) error {
	d.mu.Lock()
	d.asked = append(d.asked, name)
	hang := d.hang[name] > 0
	if hang {
		d.hang[name]--
	}
	err := d.fail[name]
	d.mu.Unlock()
	if hang {
		<-ctx.Done()
		return &net.DNSError{Err: "timeout", IsTimeout: true}
	}
	return err
}

func (d *outDNS) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	full := "_" + service + "._" + proto + "." + name
	if err := d.ask(ctx, full); err != nil {
		return "", nil, err
	}
	list := d.srv[full]
	if len(list) == 0 {
		return "", nil, errOutNone
	}
	return full, list, nil
}

func (d *outDNS) LookupNetIP(ctx context.Context, network, host string) (list []netip.Addr, err error) {
	if err := d.ask(ctx, host); err != nil {
		return nil, err
	}
	for _, a := range d.addrs[host] {
		if a.Is4() == (network == "ip4") {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return nil, errOutNone
	}
	return list, nil
}

// outWithTLS gives the rig a certificate, and CAs that vouch for pool.
func outWithTLS(pool *x509.CertPool, certs ...tls.Certificate) func(r *outRig) {
	return func(r *outRig) { r.set.TLS = &tls.Config{Certificates: certs, RootCAs: pool} }
}

// outPolicy sets the option s2s_use_starttls.
func outPolicy(use StartTLS) func(r *outRig) {
	return func(r *outRig) { r.set.UseStartTLS = all(use) }
}

var errOutRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
