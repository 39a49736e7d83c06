package bosh_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// sink is an answer that nobody looks at.
type sink struct {
	header http.Header
	n      int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(b []byte) (int, error) { s.n += len(b); return len(b), nil }
func (s *sink) Flush()                      {}

// echo serves streams that return what comes.
func echo(ctx context.Context, s stanza.Transport) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close(nil) })
	defer stop()
	h, err := s.Open()
	if err == nil {
		err = s.Header(h, batch("<f/>"))
	}
	for b := batch(chat); err == nil; err = s.Write(b) {
		if _, err = s.Read(); err != nil {
			break
		}
	}
	return s.Close(nil)
}

const chat = "<message xmlns='jabber:client' to='bob@example.com/phone' type='chat' id='a1b2c3'><body>How are you today?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>"

// requester makes requests with as little as that takes.
type requester struct {
	h    http.Handler
	r    *http.Request
	body bytes.Reader
	text []byte
	w    sink
	sid  string
	rid  int64
}

func newRequester(b testing.TB, h *bosh.Handler) *requester {
	q := &requester{h: h, r: httptest.NewRequest(http.MethodPost, "/bosh", nil), w: sink{header: make(http.Header)}, rid: ridBefore}
	r := &rig{t: b, handler: h}
	q.sid = r.post(creation("ver='1.6' wait='60' hold='1'")).attributes()["sid"]
	q.r.Body = io.NopCloser(&q.body)
	return q
}

func (q *requester) ask(payload string) {
	q.rid++
	q.text = append(q.text[:0], "<body xmlns='http://jabber.org/protocol/httpbind' rid='"...)
	q.text = strconv.AppendInt(q.text, q.rid, 10)
	q.text = append(q.text, "' sid='"...)
	q.text = append(q.text, q.sid...)
	q.text = append(q.text, "'>"...)
	q.text = append(q.text, payload...)
	q.text = append(q.text, "</body>"...)
	q.body.Reset(q.text)
	q.w.n = 0
	q.h.ServeHTTP(&q.w, q.r)
}

// BenchmarkRoundTrip is a request with a message, and its answer with another one.
func BenchmarkRoundTrip(b *testing.B) {
	h := bosh.New(bosh.Host{Serve: echo})
	q := newRequester(b, h)
	b.ReportAllocs()
	for b.Loop() {
		q.ask(chat)
		if q.w.n < len(chat) {
			b.Fatalf("got %d bytes, want the message", q.w.n)
		}
	}
	b.StopTimer()
	_ = h.Shutdown(context.Background())
}

// A round trip costs the stanza, the request, and the answer.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := bosh.New(bosh.Host{Serve: echo})
	q := newRequester(t, h)
	got := testing.AllocsPerRun(1000, func() { q.ask(chat) })
	if most := 14.0; got > most {
		t.Errorf("got %v allocations, want at most %v", got, most)
	}
	_ = h.Shutdown(context.Background())
}

// BenchmarkIdleSession shows what a session of c2s holds, heap and stack, whose client is
// between two requests.
func BenchmarkIdleSession(b *testing.B) {
	const sessions = 1000
	for b.Loop() {
		r := newServer(b)
		r.login()
		before := inUse()
		for range sessions {
			c, _ := r.login()
			c.ask("pause='120'", "")
		}
		b.ReportMetric(float64(inUse()-before)/sessions, "B/session")
		r.end()
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
