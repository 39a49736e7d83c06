package websocket_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/httpd/websocket"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// harbour is a host of a.test, where the password of ana and of bo is anchor.
type harbour struct {
	mu       sync.Mutex
	sessions map[stanza.JID]stanza.Sink
	changed  sync.Cond // a session has ended
}

func (*harbour) IsLocal(domain string) bool { return domain == "a.test" }
func (*harbour) Default() string            { return "a.test" }

func known(user stanza.JID) bool { return user.Local() == "ana" || user.Local() == "bo" }

func (*harbour) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if !known(user) || password != "anchor" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (*harbour) SCRAMKeys(_ context.Context, name string, user stanza.JID) (stanza.SCRAMKeys, error) {
	h, ok := hashes[name]
	if !ok || !known(user) {
		return stanza.SCRAMKeys{}, stanza.ErrNotSupported
	}
	salt := []byte("salt of " + user.Local())
	salted, err := pbkdf2.Key(h, "anchor", salt, 4096, h().Size())
	stored := h()
	stored.Write(keyed(h, salted, "Client Key"))
	return stanza.SCRAMKeys{Salt: salt, Iterations: 4096, StoredKey: stored.Sum(nil), ServerKey: keyed(h, salted, "Server Key")}, err
}

func (p *harbour) Bind(_ context.Context, want stanza.Binding) (stanza.JID, error) {
	full, err := want.JID, error(nil)
	if !full.IsFull() {
		full, err = full.WithResource(rand.Text())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[full] = want.Sink
	return full, err
}

func (*harbour) Admit(stanza.Binding) error { return nil }

func (p *harbour) Release(_ context.Context, full stanza.JID, _ stanza.Sink) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, full)
	p.changed.Broadcast()
}

// session returns what takes the stanzas for an address, nil when that is not online.
func (p *harbour) session(full stanza.JID) stanza.Sink {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[full]
}

func (p *harbour) Route(_ context.Context, st *stanza.Stanza) error {
	if to := p.session(st.To); to != nil {
		return to.Deliver(st)
	}
	if from := p.session(st.From); from != nil && st.MayBounce() {
		return from.Deliver(st.ErrorReply(&stanza.Error{Condition: stanza.ServiceUnavailable}))
	}
	return nil
}

// terms are the options of a site.
type terms struct {
	ws   websocket.Options
	web  httpd.Options
	xmpp c2s.Options
	tls  *tls.Config // nil: none
}

// site is a server on a port of the loopback interface.
type site struct {
	t       testing.TB
	addr    string
	trusted *x509.CertPool // for TLS; nil: none
	handler *websocket.Handler
	port    *harbour
	stop    context.CancelCauseFunc
	done    chan error
}

// newSite starts a server, which ends with the test.
func newSite(t testing.TB, change ...func(*terms)) *site {
	t.Helper()
	o := terms{ws: websocket.Defaults(), web: httpd.Defaults(), xmpp: c2s.Defaults()}
	o.web.RequestHandlers = map[string]string{"/ws": "ws"}
	o.xmpp.AllowPlainWithoutTLS = true
	for _, f := range change {
		f(&o)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.tls != nil {
		ln = tls.NewListener(ln, o.tls)
	}
	s := &site{t: t, addr: ln.Addr().String(), port: &harbour{sessions: make(map[stanza.JID]stanza.Sink)}, done: make(chan error, 1)}
	s.port.changed.L = &s.port.mu
	clients := c2s.New(c2s.Host{Domains: s.port, Router: s.port, Password: s.port, SCRAM: s.port})
	managed := c2s.StreamManagementDefaults()
	clients.SetStreamManagement(stanza.PerHost[*c2s.StreamManagement]{Value: &managed})
	s.handler = websocket.New(websocket.Host{Serve: func(ctx context.Context, tr stanza.Transport) error {
		return clients.ServeTransport(ctx, tr, o.xmpp)
	}})
	s.handler.Configure(o.ws)
	server := httpd.New(httpd.Host{Handlers: map[string]http.Handler{"ws": s.handler}, Domains: s.port})
	ctx, stop := context.WithCancelCause(context.Background())
	s.stop = stop
	go func() { s.done <- server.Listen(ctx, ln, o.web) }()
	t.Cleanup(s.end)
	return s
}

func (s *site) end() {
	s.stop(errEnd)
	if err := <-s.done; err != errEnd {
		s.t.Errorf("Listen: got %v, want %v", err, errEnd)
	}
	s.done <- errEnd
}

// dial connects.
func (s *site) dial(t testing.TB) *wire {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, c: c, tcp: c.(*net.TCPConn)}
	if s.trusted != nil {
		w.c = tls.Client(c, &tls.Config{ServerName: "a.test", RootCAs: s.trusted})
	}
	w.in = bufio.NewReader(w.c)
	t.Cleanup(func() { _ = w.c.Close() })
	return w
}

// upgraded is after the handshake.
func (s *site) upgraded(t testing.TB) *wire {
	t.Helper()
	w := s.dial(t)
	if got := w.request(request()); got.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %s, want 101", got.Status)
	}
	return w
}

// greeting is the header of a stream.
const greeting = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='a.test' version='1.0'/>"

// opened is after the features of the first stream.
func (s *site) opened(t testing.TB) *wire {
	t.Helper()
	w := s.upgraded(t)
	w.open()
	return w
}

// open opens a stream and returns its id and features.
func (w *wire) open() (id string, features *node) {
	w.t.Helper()
	w.say(greeting)
	return w.want(nsFraming, "open").attr("id"), w.want(nsStream, "features")
}

// authenticated is after the login by PLAIN and the features of the second stream.
func (s *site) authenticated(t testing.TB, user string) *wire {
	t.Helper()
	w := s.opened(t)
	w.say(plain(user, "anchor"))
	w.want(nsSASL, "success")
	w.open()
	return w
}

// login is after the binding of a resource.
func (s *site) login(t testing.TB, user string) *wire {
	t.Helper()
	w := s.authenticated(t, user)
	w.bind()
	return w
}

func (w *wire) bind() {
	w.t.Helper()
	w.say("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	w.jid = w.want(nsClient, "iq").child("bind").child("jid").text
}

// message is a message with an id, which the next wantMessage gets.
func message(to, id string) string {
	return "<message xmlns='jabber:client' to='" + to + "' id='" + id + "'><body>text</body></message>"
}

func (w *wire) wantMessage(id string) *node {
	w.t.Helper()
	n := w.want(nsClient, "message")
	if n.attr("id") != id {
		w.t.Fatalf("got %s, want the message %s", n.raw, id)
	}
	return n
}

// wantAlive has the session send a message to itself.
func (w *wire) wantAlive() {
	w.t.Helper()
	id := rand.Text()
	w.say(message(w.jid, id))
	w.wantMessage(id)
}

// wantOffline waits until a session has ended.
func (s *site) wantOffline(t testing.TB, jid string) {
	t.Helper()
	full, err := stanza.ParseJID(jid)
	if err != nil {
		t.Fatal(err)
	}
	s.port.mu.Lock()
	defer s.port.mu.Unlock()
	for s.port.sessions[full] != nil {
		s.port.changed.Wait()
	}
}

var hashes = map[string]func() hash.Hash{"SHA-1": sha1.New, "SHA-256": sha256.New}

func keyed(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	_, _ = io.WriteString(m, text)
	return m.Sum(nil)
}

// scram logs in by SCRAM and checks the server's signature. See RFC 5802, section 3.
func (w *wire) scram(name, user, password string) {
	w.t.Helper()
	h := hashes[name]
	first := "n=" + user + ",r=" + rand.Text()
	w.say("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-" + name + "'>" + base64.StdEncoding.EncodeToString([]byte("n,,"+first)) + "</auth>")
	challenge := w.decode(w.want(nsSASL, "challenge"))
	var nonce, salt64, count string
	for field := range strings.SplitSeq(challenge, ",") {
		switch key, value, _ := strings.Cut(field, "="); key {
		case "r":
			nonce = value
		case "s":
			salt64 = value
		case "i":
			count = value
		}
	}
	salt, err := base64.StdEncoding.DecodeString(salt64)
	n, err2 := strconv.Atoi(count)
	if err != nil || err2 != nil {
		w.t.Fatalf("got the challenge %q", challenge)
	}
	salted, _ := pbkdf2.Key(h, password, salt, n, h().Size())
	last := "c=biws,r=" + nonce
	all := first + "," + challenge + "," + last
	key, stored := keyed(h, salted, "Client Key"), h()
	stored.Write(key)
	proof := keyed(h, stored.Sum(nil), all)
	for i := range proof {
		proof[i] ^= key[i]
	}
	last += ",p=" + base64.StdEncoding.EncodeToString(proof)
	w.say("<response xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString([]byte(last)) + "</response>")
	want := "v=" + base64.StdEncoding.EncodeToString(keyed(h, keyed(h, salted, "Server Key"), all))
	if got := w.decode(w.want(nsSASL, "success")); got != want {
		w.t.Fatalf("got %q, want %q", got, want)
	}
}

func (w *wire) decode(n *node) string {
	w.t.Helper()
	b, err := base64.StdEncoding.DecodeString(n.text)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// request is the handshake of RFC 7395, section 3.1, with changes: a field takes the place
// of that of its name, one without a value leaves it out, and one with + comes besides. The
// first line is known by the version.
func request(changes ...string) string {
	line := "GET /ws HTTP/1.1"
	fields := []string{"Host: a.test", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: xmpp"}
	for _, c := range changes {
		if strings.Contains(c, " HTTP/") {
			line = c
			continue
		}
		name, value, _ := strings.Cut(c, ":")
		var kept []string
		for _, f := range fields {
			if old, _, _ := strings.Cut(f, ":"); !strings.EqualFold(old, name) {
				kept = append(kept, f)
			}
		}
		if fields = kept; strings.HasPrefix(name, "+") {
			c = c[1:]
		}
		if value != "" {
			fields = append(fields, c)
		}
	}
	return line + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
}

// request sends a request and returns the answer, whose body is read if the connection
// does not become a WebSocket.
func (w *wire) request(text string) *http.Response {
	w.t.Helper()
	w.write([]byte(text))
	method, _, _ := strings.Cut(text, " ")
	a, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		w.t.Fatalf("%v, want an answer to %q", err, text)
	}
	if a.StatusCode != http.StatusSwitchingProtocols {
		if _, err = io.Copy(io.Discard, a.Body); err != nil {
			w.t.Fatal(fmt.Errorf("body of the answer: %w", err))
		}
	}
	_ = a.Body.Close()
	return a
}
