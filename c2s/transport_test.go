package c2s

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream/streamtest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// fakeTransport is a transport that frames each element, as RFC 7395 does. What
// the client sends is read from in, a header as an empty string.
type fakeTransport struct {
	in     chan string
	peer   stanza.Peer
	closed chan struct{}

	mu     sync.Mutex
	header stanza.Header // of the client
	sent   chan string
	reason *stanza.StreamError
	once   sync.Once
}

func newFakeTransport(secure bool) *fakeTransport {
	return &fakeTransport{
		in: make(chan string), closed: make(chan struct{}), sent: make(chan string, 100),
		peer:   stanza.Peer{Name: "websocket", Secure: secure, Addr: netip.MustParseAddrPort("198.51.100.7:4711")},
		header: stanza.Header{To: "one.test", Version: "1.0", Namespace: stanza.NSClient},
	}
}

func (f *fakeTransport) next() (string, error) {
	select {
	case s, ok := <-f.in:
		if !ok {
			return "", io.EOF
		}
		return s, nil
	case <-f.closed:
		return "", os.ErrClosed
	}
}

func (f *fakeTransport) Open() (stanza.Header, error) {
	_, err := f.next()
	return f.header, err
}

func (f *fakeTransport) Read() (stanza.Incoming, error) {
	text, err := f.next()
	if err != nil {
		return stanza.Incoming{}, err
	}
	in := stanza.Incoming{Size: len(text)}
	if strings.HasPrefix(text, "<iq") || strings.HasPrefix(text, "<message") {
		in.Stanza, err = stanza.Parse(text)
	} else {
		in.Nonza, err = stanza.ParseElement(text)
	}
	return in, err
}

func (f *fakeTransport) Header(h stanza.Header, b stanza.Batch) error {
	f.sent <- "<open from='" + h.From + "'/>"
	return f.Write(b)
}

func (f *fakeTransport) Write(b stanza.Batch) error {
	from := 0
	for _, end := range b.Ends {
		f.sent <- string(b.Bytes[from:end])
		from = end
	}
	return nil
}

func (f *fakeTransport) Close(reason *stanza.StreamError) error {
	f.once.Do(func() {
		f.mu.Lock()
		f.reason = reason
		f.mu.Unlock()
		close(f.closed)
	})
	return nil
}

func (f *fakeTransport) SetReadDeadline(time.Time) error  { return nil }
func (f *fakeTransport) SetWriteDeadline(time.Time) error { return nil }
func (f *fakeTransport) SetLimits(stanza.Limits)          {}
func (f *fakeTransport) SetRate(shaper.Rate)              {}
func (f *fakeTransport) Standalone() bool                 { return true }
func (f *fakeTransport) Peer() stanza.Peer                { return f.peer }

// serveFake runs ServeTransport; the function that it returns waits for the end.
func serveFake(t *testing.T, ctx context.Context, f *fakeTransport, h Host, o Options) (wait func() error) {
	result := make(chan error, 1)
	go func() { result <- New(h).ServeTransport(ctx, f, o) }()
	return func() error { return receive(t, "result", result) }
}

// TestServeTransport goes through a whole session on a transport that is no
// TCP: each element stands alone, STARTTLS is no matter.
func TestServeTransport(t *testing.T) {
	host := newFakeHost()
	f := newFakeTransport(true)
	o := Defaults()
	o.StartTLSRequired = true
	wait := serveFake(t, t.Context(), f, Host{Domains: host, Router: host, Password: host, Session: host}, o)
	const stream = " xmlns:stream='http://etherx.jabber.org/streams'"
	steps := []struct{ send, want string }{
		{"", "<open from='one.test'/>"},
		{"", "<stream:features" + stream + "><mechanisms xmlns='" + nsSASL + "'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"},
		{auth("PLAIN", "\x00ana\x00anchor"), "<success xmlns='" + nsSASL + "'/>"},
		{"", "<open from='one.test'/>"},
		{"", "<stream:features" + stream + "><bind xmlns='" + nsBind + "'/><session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session></stream:features>"},
		{bindRequest("boat"), "<iq xmlns='jabber:client' type='result' id='b'><bind xmlns='" + nsBind + "'><jid>ana@one.test/boat</jid></bind></iq>"},
		{message("ana@one.test/boat", "x"), "<message xmlns='jabber:client' from='ana@one.test/boat' to='ana@one.test/boat'><body>x</body></message>"},
	}
	for i, s := range steps {
		if s.send != "" || strings.HasPrefix(s.want, "<open") {
			f.in <- s.send
		}
		if got := receive(t, "element", f.sent); got != s.want {
			t.Fatalf("step %d: got %s, want %s", i, got, s.want)
		}
	}
	if info := receive(t, "session", host.bound); info.Peer.Name != "websocket" {
		t.Errorf("got %+v, want a session over websocket", info)
	}
	close(f.in)
	if err := wait(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if f.reason != nil {
		t.Errorf("got the stream closed with %v, want it closed in order", f.reason)
	}
	if end := receive(t, "end", host.ended); end.reason != nil {
		t.Errorf("got reason %v, want nil", end.reason)
	}
}

// TestPlainNeedsSecureTransport checks that PLAIN is offered where the
// transport is secure, as a unix socket is, and elsewhere only on demand.
func TestPlainNeedsSecureTransport(t *testing.T) {
	for _, tt := range []struct{ secure, allow, want bool }{{false, false, false}, {false, true, true}, {true, false, true}} {
		host := newFakeHost()
		f := newFakeTransport(tt.secure)
		o := Defaults()
		o.AllowPlainWithoutTLS = tt.allow
		wait := serveFake(t, t.Context(), f, Host{Domains: host, Router: host, Password: host, SCRAM: host}, o)
		f.in <- ""
		receive(t, "header", f.sent)
		if got := receive(t, "features", f.sent); strings.Contains(got, "PLAIN") != tt.want {
			t.Errorf("secure %v, allowed %v: got %s, want PLAIN: %v", tt.secure, tt.allow, got, tt.want)
		}
		f.in <- auth("PLAIN", "\x00ana\x00anchor")
		if got := receive(t, "verdict", f.sent); strings.Contains(got, "<success") != tt.want || !tt.want && !strings.Contains(got, "<encryption-required/>") {
			t.Errorf("secure %v, allowed %v: got %s, want success: %v", tt.secure, tt.allow, got, tt.want)
		}
		close(f.in)
		_ = wait()
	}
}

func TestServeTransportShutdown(t *testing.T) {
	host := newFakeHost()
	f := newFakeTransport(true)
	ctx, cancel := context.WithCancel(t.Context())
	wait := serveFake(t, ctx, f, Host{Domains: host, Router: host}, Defaults())
	cancel()
	want := &stanza.StreamError{Condition: stanza.StreamSystemShutdown}
	if err := wait(); !errors.Is(err, want) || f.reason == nil || !errors.Is(f.reason, want) {
		t.Errorf("got %v, and the stream closed with %v, want system-shutdown", err, f.reason)
	}
}

func TestServeTransportPanic(t *testing.T) {
	log := new(streamtest.Recorder)
	host := newFakeHost()
	f := newFakeTransport(true)
	wait := serveFake(t, t.Context(), f, Host{
		Domains: host, Router: host,
		PreAuthIQ: iqFunc(func(context.Context, *stanza.Stanza, stanza.Peer) (*stanza.Stanza, error) { panic("oh no") }),
		Log:       slog.New(slog.NewTextHandler(log, nil)),
	}, Defaults())
	f.in <- ""
	f.in <- "<iq id='1' type='get'><q xmlns='urn:x'/></iq>"
	if err := wait(); err == nil || !strings.Contains(err.Error(), "oh no") {
		t.Errorf("got %v, want the panic", err)
	}
	if f.reason == nil || f.reason.Condition != stanza.StreamInternalServerError {
		t.Errorf("got the stream closed with %v, want internal-server-error", f.reason)
	}
	log.Expect(t, "(*stream).request")
}
