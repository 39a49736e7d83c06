package bosh_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a handler that is called without a network.
type rig struct {
	t       testing.TB
	handler *bosh.Handler
	streams chan *stream // those that Serve has got
	backend *backend
}

// stream is one that a test serves itself.
type stream struct {
	stanza.Transport
	ctx  context.Context
	over chan error // what Serve returns
}

// newRig returns a handler whose streams the test serves.
func newRig(t testing.TB, o bosh.Options) *rig {
	r := &rig{t: t, streams: make(chan *stream, 10)}
	r.handler = bosh.New(bosh.Host{Serve: func(ctx context.Context, t stanza.Transport) error {
		s := &stream{t, ctx, make(chan error, 1)}
		r.streams <- s
		select {
		case err := <-s.over:
			return err
		case <-ctx.Done():
			return t.Close(&stanza.StreamError{Condition: stanza.StreamSystemShutdown})
		}
	}})
	r.handler.Configure(stanza.PerHost[*bosh.Options]{Value: &o})
	return r
}

// newServer returns a handler with c2s on top.
func newServer(t testing.TB) *rig {
	b := new(backend)
	clients := c2s.New(c2s.Host{Domains: b, Router: b, Password: b, Session: b})
	managed := c2s.StreamManagementDefaults()
	clients.SetStreamManagement(stanza.PerHost[*c2s.StreamManagement]{Value: &managed})
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true
	r := &rig{t: t, backend: b}
	r.handler = bosh.New(bosh.Host{Serve: func(ctx context.Context, t stanza.Transport) error { return clients.ServeTransport(ctx, t, o) }})
	return r
}

// end ends the sessions.
func (r *rig) end() {
	r.t.Helper()
	if err := r.handler.Shutdown(context.Background()); err != nil {
		r.t.Errorf("Shutdown: got %v", err)
	}
}

// reply is an answer to a request.
type reply struct {
	status int
	header http.Header
	text   string
}

// do makes a request.
func (r *rig) do(ctx context.Context, body string, fields ...string) reply {
	q := httptest.NewRequestWithContext(ctx, http.MethodPost, "/bosh", strings.NewReader(body))
	for i := 0; i < len(fields); i += 2 {
		q.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	return reply{w.Code, w.Header(), w.Body.String()}
}

func (r *rig) post(body string) reply { return r.do(context.Background(), body) }

// pending is a request that was made.
type pending struct {
	t      testing.TB
	answer chan reply
	hangUp context.CancelFunc
}

// start makes a request in the background.
func (r *rig) start(body string) *pending {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pending{r.t, make(chan reply, 1), cancel}
	go func() { p.answer <- r.do(ctx, body) }()
	return p
}

// wait waits for the answer.
func (p *pending) wait() reply {
	p.t.Helper()
	select {
	case a := <-p.answer:
		p.hangUp()
		return a
	case <-time.After(time.Hour):
		p.t.Fatal("there is no answer")
	}
	return reply{}
}

// waits reports whether there is no answer yet.
func (p *pending) waits() bool { return len(p.answer) == 0 }

// is checks the text of an answer.
func (a reply) is(t testing.TB, want string) {
	t.Helper()
	if a.text != want {
		t.Fatalf("got %d %q, want %q", a.status, a.text, want)
	}
}

// has checks pieces of an answer.
func (a reply) has(t testing.TB, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if !strings.Contains(a.text, p) {
			t.Fatalf("got %d %q, want %q in it", a.status, a.text, p)
		}
	}
}

// ends checks that an answer ends the session with a condition.
func (a reply) ends(t testing.TB, condition string) {
	t.Helper()
	a.is(t, "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate' condition='"+condition+"'/>")
}

var attribute = regexp.MustCompile(` ([a-z:]+)='([^']*)'`)

// attributes returns those of the body.
func (a reply) attributes() map[string]string {
	tag, _, _ := strings.Cut(a.text, ">")
	list := make(map[string]string)
	for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
		list[m[1]] = m[2]
	}
	return list
}

const empty = "<body xmlns='http://jabber.org/protocol/httpbind'/>"

// client makes the requests of a session.
type client struct {
	*rig
	sid string
	rid int64
}

const ridBefore = 1000

// body returns one with attributes and a payload.
func body(rid int64, attrs, payload string) string {
	return "<body xmlns='http://jabber.org/protocol/httpbind' rid='" + strconv.FormatInt(rid, 10) + "' " + attrs + ">" + payload + "</body>"
}

// creation asks for a session with further attributes.
func creation(attrs string) string {
	return body(ridBefore, "xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' to='a.test' "+attrs, "")
}

// open makes a session whose stream the test serves; the creation was answered.
func (r *rig) open(attrs string) (*client, *stream) {
	r.t.Helper()
	p := r.start(creation("ver='1.11' " + attrs))
	s := <-r.streams
	h, err := s.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := s.Header(stanza.Header{From: h.To, ID: "id", Version: "1.0"}, batch("<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>")); err != nil {
		r.t.Fatal(err)
	}
	a := p.wait()
	return &client{r, a.attributes()["sid"], ridBefore}, s
}

// end closes a stream.
func (s *stream) end() error {
	err := s.Close(nil)
	s.over <- nil
	return err
}

func batch(elements ...string) stanza.Batch {
	var b stanza.Batch
	for _, e := range elements {
		b.Bytes = append(b.Bytes, e...)
		b.Ends = append(b.Ends, len(b.Bytes))
	}
	return b
}

// next returns the body of the next request.
func (c *client) next(attrs, payload string) string {
	c.rid++
	return c.body(c.rid, attrs, payload)
}

func (c *client) body(rid int64, attrs, payload string) string {
	return body(rid, "sid='"+c.sid+"' "+attrs, payload)
}

// send makes the next request in the background.
func (c *client) send(attrs, payload string) *pending { return c.start(c.next(attrs, payload)) }

// ask makes the next request.
func (c *client) ask(attrs, payload string) reply { return c.post(c.next(attrs, payload)) }

const message = "<message xmlns='jabber:client'><body>ahoy</body></message>"

func withBody(payload string) string {
	return "<body xmlns='http://jabber.org/protocol/httpbind'>" + payload + "</body>"
}

// backend is a host of ana@a.test, whose password is anchor.
type backend struct {
	sessions sync.Map

	mu      sync.Mutex
	offline []string // bodies of messages that nobody has got
}

func (*backend) IsLocal(domain string) bool { return domain == "a.test" }
func (*backend) Default() string            { return "a.test" }

func (*backend) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if user.Local() != "ana" || password != "anchor" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (b *backend) Bind(_ context.Context, want stanza.Binding) (stanza.JID, error) {
	full, err := want.JID.WithResource(rand.Text())
	b.sessions.Store(full, want.Sink)
	return full, err
}

func (*backend) Admit(stanza.Binding) error { return nil }

func (b *backend) Release(_ context.Context, full stanza.JID, _ stanza.Sink) { b.sessions.Delete(full) }

func (b *backend) Route(_ context.Context, st *stanza.Stanza) error {
	if to, online := b.sessions.Load(st.To); online {
		return to.(stanza.Sink).Deliver(st)
	}
	return nil
}

func (*backend) Bound(context.Context, stanza.SessionInfo)    {}
func (*backend) Detached(context.Context, stanza.SessionInfo) {}
func (*backend) Resumed(context.Context, stanza.SessionInfo)  {}
func (*backend) Arrived(stanza.SessionInfo, []uint64)         {}
func (*backend) Keep(_ context.Context, _ stanza.SessionInfo, waiting []stanza.Queued) (list []*stanza.Stanza) {
	for _, q := range waiting {
		list = append(list, q.Stanza)
	}
	return list
}

func (b *backend) Ended(_ context.Context, _ stanza.SessionInfo, undelivered []stanza.Queued, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range undelivered {
		b.offline = append(b.offline, q.Stanza.Inner)
	}
}

// kept returns what nobody has got.
func (b *backend) kept() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.offline, "")
}

// deliver sends messages to the one session that there is.
func (b *backend) deliver(t testing.TB, texts ...string) {
	t.Helper()
	b.sessions.Range(func(_, sink any) bool {
		for _, text := range texts {
			st, err := stanza.Parse("<message><body>" + text + "</body></message>")
			if err == nil {
				err = sink.(stanza.Sink).Deliver(st)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
}

// authenticate logs ana in, as far as the features that follow.
func (r *rig) authenticate() *client {
	r.t.Helper()
	return r.authenticateOn(r.post(creation("ver='1.6' wait='60' hold='1'")))
}

// authenticateOn does so for who has got the answer to a creation.
func (r *rig) authenticateOn(a reply) *client {
	r.t.Helper()
	a.has(r.t, "<stream:features ")
	c := &client{r, a.attributes()["sid"], ridBefore}
	c.ask("", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"+base64.StdEncoding.EncodeToString([]byte("\x00ana\x00anchor"))+"</auth>").has(r.t, "<success ")
	c.ask("xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", "").has(r.t, "<stream:features ")
	return c
}

// login logs ana in.
func (r *rig) login() (*client, string) {
	r.t.Helper()
	return r.authenticate().bind()
}

// bind binds a resource, and returns the address.
func (c *client) bind() (*client, string) {
	r := c.rig
	r.t.Helper()
	a := c.ask("", "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	_, rest, _ := strings.Cut(a.text, "<jid>")
	jid, _, ok := strings.Cut(rest, "</jid>")
	if !ok {
		r.t.Fatalf("got %q, want a JID", a.text)
	}
	return c, jid
}

// bubble runs a part of a test in a bubble of its own.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

var errTest = errors.New("of the test")
