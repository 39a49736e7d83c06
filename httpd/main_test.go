package httpd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errEnd = errors.New("the test ends")

// rig is a server in memory.
type rig struct {
	t    testing.TB
	ln   *listentest.Listener
	stop context.CancelCauseFunc
	done chan error
}

// domains are a.test, which is the default, and b.test.
type domains struct{}

func (domains) IsLocal(d string) bool {
	return d == "a.test" || d == "b.test" || d == "[2001:db8::8]"
}
func (domains) Default() string { return "a.test" }

// tell answers with what a handler hears.
func tell(w http.ResponseWriter, r *http.Request) {
	i := InfoOf(r)
	client := "none"
	if i.Client.IsValid() {
		client = i.Client.String()
		if (i.ClientPort == 5000) != (client == "198.51.100.7") { // that of the connection, of no other
			client = i.Peer().String()
		}
	}
	secure := "plain"
	if i.Secure {
		secure = "secure"
	}
	w.Header().Set("X-Own", "handler's")
	_, _ = io.WriteString(w, strings.Join([]string{i.Host, client, secure, i.Mount, i.Rest, i.Tag}, " "))
}

func newRig(t testing.TB, o Options, handlers map[string]http.Handler) *rig {
	return newRigOn(t, o, handlers, func(ln net.Listener) net.Listener { return ln })
}

// newRigOn is newRig with something around the listener.
func newRigOn(t testing.TB, o Options, handlers map[string]http.Handler, wrap func(net.Listener) net.Listener) *rig {
	r := &rig{t: t, ln: listentest.NewListenerAt(netip.MustParseAddrPort("192.0.2.1:80")), done: make(chan error, 1)}
	if handlers == nil {
		handlers = map[string]http.Handler{"tell": http.HandlerFunc(tell)}
	}
	if o.RequestHandlers == nil {
		o.RequestHandlers = make(map[string]string)
		for name := range handlers {
			o.RequestHandlers["/"] = name
		}
	}
	s := New(Host{Handlers: handlers, Domains: domains{}})
	ctx, stop := context.WithCancelCause(context.Background())
	r.stop = stop
	go func() { r.done <- s.Listen(ctx, wrap(r.ln), o) }()
	return r
}

func (r *rig) end() {
	r.t.Helper()
	r.stop(errEnd)
	if err := <-r.done; err != errEnd {
		r.t.Errorf("Listen: got %v, want %v", err, errEnd)
	}
}

// raw sends bytes on a connection of its own and returns the answer; nil if there is none.
func (r *rig) raw(request string) *http.Response {
	r.t.Helper()
	c := r.ln.DialFrom(netip.MustParseAddrPort("198.51.100.7:5000"))
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, request); err != nil {
		return nil
	}
	return answerOn(c)
}

func answerOn(c net.Conn) *http.Response {
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil
	}
	return a
}

func (r *rig) get(path string, fields ...string) (status int, body string) {
	r.t.Helper()
	a := r.raw("GET " + path + " HTTP/1.1\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n")
	if a == nil {
		return 0, ""
	}
	b, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.StatusCode, string(b)
}
