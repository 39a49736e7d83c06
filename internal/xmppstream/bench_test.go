package xmppstream

import (
	"runtime"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const chat = "<message to='bob@example.com/phone' type='chat' id='a1b2c3'><body>How are you today?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>"

// endless repeats a text for ever.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

// head is a header, and then a reader.
type head struct {
	first *strings.Reader
	then  endless
}

func (h *head) Read(p []byte) (int, error) {
	if h.first.Len() > 0 {
		return h.first.Read(p)
	}
	return h.then.Read(p)
}

func opened(t testing.TB) *TCP {
	t.Helper()
	s := NewTCP(&canned{in: &head{strings.NewReader(clientHeader), endless{text: chat}}}, TCPOptions{})
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	return s
}

// What a read costs is the stanza itself.
func TestReadAllocs(t *testing.T) {
	s := opened(t)
	got := testing.AllocsPerRun(1000, func() {
		if _, err := s.Read(); err != nil {
			t.Fatal(err)
		}
	})
	if got > 2 && !raceEnabled {
		t.Errorf("Read: got %v allocations, want at most 2", got)
	}
}

func BenchmarkRead(b *testing.B) {
	s := opened(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(chat)))
	for b.Loop() {
		if _, err := s.Read(); err != nil {
			b.Fatal(err)
		}
	}
}

// What an idle stream holds: the transport and its outbox.
func BenchmarkIdleMemory(b *testing.B) {
	var before, after runtime.MemStats
	streams := make([]any, 0, 2*b.N)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range b.N {
		s := NewTCP(&canned{}, TCPOptions{})
		streams = append(streams, s, attached(s, OutboxOptions{}))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(b.N), "heap-B/stream")
	runtime.KeepAlive(streams)
}

func BenchmarkHeader(b *testing.B) {
	h := stanza.Header{From: "example.com", ID: NewStreamID(), Version: "1.0", Lang: "en", Namespace: stanza.NSClient}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendHeader(buf[:0], h)
	}
}
