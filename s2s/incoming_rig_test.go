package s2s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream/streamtest"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// inHost is what a listener needs: domains, a router, and those who open streams
// of ours.
type inHost struct {
	mu      sync.Mutex
	domains []string
	adopted []pair
	over    []pair // released
	out     *xmppstream.Outbox

	routed   chan *stanza.Stanza
	returned chan *stanza.Stanza // by route
	asked    chan inQuestion     // by verify

	onRoute  func(ctx context.Context, s *stanza.Stanza) error
	onVerify func(ctx context.Context, q inQuestion) error
	onAdopt  func(p pair, out *xmppstream.Outbox) bool
	onOver   func(out *xmppstream.Outbox)
}

type inQuestion struct {
	pair
	id, key string
}

func inNewHost() *inHost {
	return &inHost{
		domains:  []string{"one.test", "two.test"},
		routed:   make(chan *stanza.Stanza, 1000),
		returned: make(chan *stanza.Stanza, 1000),
		asked:    make(chan inQuestion, 10_000),
	}
}

func (f *inHost) Serves(domain string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.domains, domain)
}

func (f *inHost) Route(ctx context.Context, s *stanza.Stanza) error {
	if f.onRoute != nil {
		return f.onRoute(ctx, s)
	}
	f.routed <- s
	return nil
}

// verify takes the key "good" for right.
func (f *inHost) verify(ctx context.Context, p pair, id, key string) error {
	q := inQuestion{p, id, key}
	f.asked <- q
	if f.onVerify != nil {
		return f.onVerify(ctx, q)
	}
	if key != "good" {
		return errInvalidKey
	}
	return nil
}

func (f *inHost) adopt(p pair, out *xmppstream.Outbox) (func(), bool) {
	if f.onAdopt != nil && !f.onAdopt(p, out) {
		return nil, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.adopted, f.out = append(f.adopted, p), out
	return func() {
		if f.onOver != nil {
			f.onOver(out)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.over = append(f.over, p)
	}, true
}

func (f *inHost) route(_ context.Context, st *stanza.Stanza) error {
	f.returned <- st
	return nil
}

// inRig is a running listener.
type inRig struct {
	t      testing.TB
	fake   *inHost
	host   Host
	o      Options
	set    Settings
	server *Server
	wrap   func(net.Listener) net.Listener
	ln     *listentest.Listener
	log    *streamtest.Recorder
	cancel context.CancelCauseFunc
	result chan error

	pool *x509.CertPool             // that vouches for us
	cert map[string]tls.Certificate // of other servers, if they are asked for
}

// inStart runs a listener, after prepare has changed what it wants.
func inStart(t testing.TB, prepare ...func(r *inRig)) *inRig {
	t.Helper()
	f := inNewHost()
	r := &inRig{t: t, fake: f, o: Defaults(), set: DefaultSettings(), ln: listentest.NewListener(), log: new(streamtest.Recorder), result: make(chan error, 1)}
	r.host = Host{Domains: f, Router: f, Log: slog.New(slog.NewTextHandler(r.log, nil))}
	for _, p := range prepare {
		p(r)
	}
	r.server = New(r.host)
	r.server.Configure(r.set)
	ctx, cancel := context.WithCancelCause(t.Context())
	r.cancel = cancel
	var ln net.Listener = r.ln
	if r.wrap != nil {
		ln = r.wrap(ln)
	}
	go func() { r.result <- r.server.listen(ctx, ln, r.o, f) }()
	t.Cleanup(func() { r.stop(errors.New("end of test")) })
	return r
}

// stop cancels the listener and returns what Listen does.
func (r *inRig) stop(cause error) error {
	r.cancel(cause)
	return r.wait()
}

// wait returns what Listen does, once it has.
func (r *inRig) wait() error {
	err := <-r.result
	r.result <- err
	return err
}

// drain closes the listener and waits for the streams to end.
func (r *inRig) drain() {
	r.t.Helper()
	_ = r.ln.Close()
	if err := r.wait(); err != nil {
		r.t.Errorf("got %v from Listen, want nil", err)
	}
}

// inTLS gives a listener a certificate for its domains, and CAs that vouch for
// peer.test, other.test and *.wild.test.
func inTLS(r *inRig) {
	cert, pool := listentest.Certificate(r.t, "one.test", "two.test")
	r.pool = pool
	r.cert = make(map[string]tls.Certificate)
	cas := x509.NewCertPool()
	for _, names := range [][]string{{"peer.test", "other.test"}, {"*.wild.test"}} {
		c, _ := listentest.Certificate(r.t, names...)
		r.cert[names[0]] = c
		cas.AddCert(c.Leaf)
	}
	c, _ := listentest.Certificate(r.t, "peer.test")
	r.cert["selfmade"] = c
	r.o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: cas}
}

func inUse(u StartTLS) func(*inRig) { return func(r *inRig) { r.set.UseStartTLS.Value = u } }

// client returns the configuration of a server that shows one of the
// certificates, "" for none.
func (r *inRig) client(cert string) *tls.Config {
	c := &tls.Config{RootCAs: r.pool, ServerName: "one.test"}
	if cert != "" {
		c.Certificates = []tls.Certificate{r.cert[cert]}
	}
	return c
}

// inPeer is a scripted server that connects to us.
type inPeer struct {
	*listentest.Client
	t    testing.TB
	conn net.Conn
	seen *streamtest.Recorder // what came by conn
	id   string               // of our last header
}

func (r *inRig) dial() *inPeer {
	c := &inPeer{t: r.t}
	c.use(r.ln.Dial())
	return c
}

// use goes on with another connection.
func (c *inPeer) use(conn net.Conn) {
	c.conn, c.seen = conn, new(streamtest.Recorder)
	c.Client = listentest.NewClient(c.t, c.seen.Conn(conn))
}

const (
	inStartTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	inProceed  = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	inBidi     = "<bidi xmlns='urn:xmpp:bidi'/>"
	inEnable   = "<enable xmlns='urn:xmpp:sm:3'/>"
)

// inHeader returns a stream header with more attributes.
func inHeader(attrs string) string {
	return "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' " + attrs + ">"
}

var inID = regexp.MustCompile(` id='([^']+)'`)

// header sends a stream header and returns ours.
func (c *inPeer) header(attrs string) string {
	c.t.Helper()
	c.Send(inHeader(attrs))
	h := c.ExpectMatch(`<stream:stream[^>]*>`)[0]
	m := inID.FindStringSubmatch(h)
	if m == nil {
		c.t.Fatalf("got the header %s, want an id", h)
	}
	c.id = m[1]
	return h
}

// open sends the header of a stream from one domain to another and returns the
// features.
func (c *inPeer) open(from, to string) string {
	c.t.Helper()
	c.header("version='1.0' from='" + from + "' to='" + to + "'")
	return c.Expect("</stream:features>")
}

// open dials and goes as far as the features.
func (r *inRig) open(from, to string) *inPeer {
	r.t.Helper()
	c := r.dial()
	c.open(from, to)
	return c
}

// startTLS negotiates TLS, on a stream that is open.
func (c *inPeer) startTLS(cfg *tls.Config) {
	c.t.Helper()
	c.Send(inStartTLS)
	c.Expect(inProceed)
	c.handshake(cfg)
}

func (c *inPeer) handshake(cfg *tls.Config) {
	c.t.Helper()
	conn := tls.Client(c.conn, cfg)
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("TLS handshake: %v", err)
	}
	c.use(conn)
}

// secure dials, negotiates TLS and returns the stream and its features.
func (r *inRig) secure(cert, from, to string) (*inPeer, string) {
	r.t.Helper()
	c := r.open(from, to)
	cfg := r.client(cert)
	cfg.ServerName = to
	c.startTLS(cfg)
	return c, c.open(from, to)
}

func inAuth(authzid string) string {
	if authzid != "=" {
		authzid = base64.StdEncoding.EncodeToString([]byte(authzid))
	}
	return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>" + authzid + "</auth>"
}

// external makes a stream that is authenticated by a certificate.
func (r *inRig) external(from, to string) *inPeer {
	r.t.Helper()
	c, _ := r.secure("peer.test", from, to)
	c.Send(inAuth("="))
	c.Expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.open(from, to)
	return c
}

func inResult(from, to, key string) string {
	return "<db:result from='" + from + "' to='" + to + "'>" + key + "</db:result>"
}

func inValid(from, to string) string {
	return "<db:result from='" + to + "' to='" + from + "' type='valid'/>"
}

// dialback makes a stream that has proved a pair by dialback.
func (r *inRig) dialback(from, to string) *inPeer {
	r.t.Helper()
	c := r.open(from, to)
	c.prove(from, to)
	return c
}

// prove proves another pair.
func (c *inPeer) prove(from, to string) {
	c.t.Helper()
	c.Send(inResult(from, to, "good"))
	c.Expect(inValid(from, to))
}

// inMessage returns a message with an id.
func inMessage(from, to, id string) string {
	return "<message from='" + from + "' to='" + to + "' id='" + id + "'><body>x</body></message>"
}

// routes wants the next stanza that is routed to have an id.
func (r *inRig) routes(id string) *stanza.Stanza {
	r.t.Helper()
	st := inReceive(r.t, "stanza "+id, r.fake.routed)
	if st.ID != id {
		r.t.Fatalf("got %s routed, want id %s", st, id)
	}
	return st
}

// routesNothing wants that nothing was routed.
func (r *inRig) routesNothing() {
	r.t.Helper()
	select {
	case st := <-r.fake.routed:
		r.t.Errorf("got %s routed, want nothing", st)
	default:
	}
}

func inReceive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(listentest.Timeout):
		t.Fatalf("got no %s", what)
	}
	panic("not reached")
}

// expectError waits for the end of the connection, which is to come with a stream
// error and in well-formed XML.
func (c *inPeer) expectError(condition string) string {
	c.t.Helper()
	rest := c.ExpectEOF()
	streamtest.EndsWithError(c.t, rest, condition)
	streamtest.WellFormed(c.t, c.seen.String())
	c.Close()
	return rest
}

// expectEnd waits for the end of the connection, which is to come in order.
func (c *inPeer) expectEnd() {
	c.t.Helper()
	if rest := c.ExpectEOF(); rest != "</stream:stream>" {
		c.t.Errorf("got %q, want the end of the stream", rest)
	}
	streamtest.WellFormed(c.t, c.seen.String())
	c.Close()
}
