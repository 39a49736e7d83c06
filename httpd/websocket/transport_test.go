package websocket

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/wsock"
	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// scripted is a connection on which everything has come already.
type scripted struct {
	net.Conn
	in     io.Reader
	out    io.Writer
	closed atomic.Bool
}

func (s *scripted) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *scripted) Write(b []byte) (int, error)      { return s.out.Write(b) }
func (s *scripted) Close() error                     { s.closed.Store(true); return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// taken is the answer to a request whose connection is taken over.
type taken struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (t taken) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return t.conn, bufio.NewReadWriter(bufio.NewReader(strings.NewReader("")), bufio.NewWriter(io.Discard)), nil
}

// over returns the stream of a connection, on which extensions may be offered.
func over(t testing.TB, in io.Reader, out io.Writer, extensions ...string) *transport {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	for k, v := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "xmpp",
	} {
		r.Header.Set(k, v)
	}
	for _, e := range extensions {
		r.Header.Add("Sec-WebSocket-Extensions", e)
	}
	conn, err := wsock.Accept(taken{httptest.NewRecorder(), &scripted{in: in, out: out}}, r, wsock.Terms{Subprotocols: []string{subprotocol}, Deflate: true})
	if err != nil {
		t.Fatal(err)
	}
	s := newTransport(conn, httpd.Info{}, &settings{Options: Options{Timeout: time.Hour}})
	t.Cleanup(s.end)
	return s
}

func masked(payload string) []byte {
	b := []byte{0x81}
	if n := len(payload); n < 126 {
		b = append(b, 0x80|byte(n))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	}
	b = append(b, 1, 2, 3, 4)
	for i := range len(payload) {
		b = append(b, payload[i]^byte(i%4+1))
	}
	return b
}

const chat = "<message xmlns='jabber:client' to='bob@example.com/phone' type='chat' id='a1b2c3'><body>How are you today?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>"

// endless repeats a text for ever.
type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

// What a read costs is the stanza itself, and a batch costs next to nothing.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := over(t, &endless{text: masked(chat)}, io.Discard)
	read := testing.AllocsPerRun(1000, func() {
		if _, err := s.Read(); err != nil {
			t.Fatal(err)
		}
	})
	if read > 2 {
		t.Errorf("Read: got %v allocations, want at most the 2 of the stanza", read)
	}
	batch := batchOf(100)
	write := testing.AllocsPerRun(1000, func() {
		if err := s.Write(batch); err != nil {
			t.Fatal(err)
		}
	})
	if write > 1 {
		t.Errorf("Write: got %v allocations, want at most 1", write)
	}
}

func batchOf(n int) stanza.Batch {
	var b stanza.Batch
	for range n {
		b.Bytes = append(b.Bytes, chat...)
		b.Ends = append(b.Ends, len(b.Bytes))
	}
	return b
}

// counter counts writes.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c++
	return len(b), nil
}

func TestBatchIsOneWrite(t *testing.T) {
	var writes counter
	s := over(t, strings.NewReader(""), &writes)
	if err := s.Header(stanza.Header{From: "a.test"}, batchOf(200)); err != nil || writes != 1 {
		t.Errorf("got %d writes, %v, want 1", writes, err)
	}
}

// FuzzTransport checks that any message is either refused, or is what the parser says that
// it is.
func FuzzTransport(f *testing.F) {
	for _, s := range []string{
		chat, "<open xmlns='" + nsFraming + "' to='a.test' version='1.0'/>", closeTag, "<message/>", " <message/>", "<?xml version='1.0'?><a/>",
		"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>", "<a/><b/>", "<iq xmlns='jabber:client' type='get' id='1'/>", "<!--x--><a/>", "", "\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) >= 1<<16 {
			return
		}
		s := over(t, bytes.NewReader(masked(text)), io.Discard)
		in, err := s.Read()
		e, perr := xmlstream.ParseElement(withoutDeclaration([]byte(text)), stanza.NSClient, xmlstream.Limits{})
		switch {
		case perr != nil || text[0] != '<':
			if !errors.As(err, new(*stanza.StreamError)) {
				t.Fatalf("got %+v, %v, want a stream error: %v", in, err, perr)
			}
		case err == io.EOF:
			if !e.Name.Is(nsFraming, "close") {
				t.Fatalf("%s has ended the stream", text)
			}
		case err == nil:
			if in.Size != len(e.Raw) || in.Stanza != nil && in.Stanza.Kind.String() != string(e.Name.Local) || in.Nonza != nil && in.Nonza.Name.Local != string(e.Name.Local) {
				t.Fatalf("got %+v, want %s", in, e.Raw)
			}
		case !errors.As(err, new(*stanza.StreamError)) && (in.Stanza == nil || !errors.As(err, new(*stanza.Error))):
			t.Fatalf("got %+v, %v, want an error that is told to the client", in, err)
		}
		if _, err := s.Read(); err == nil {
			t.Fatal("one message was read twice")
		}
	})
}

func BenchmarkRead(b *testing.B) {
	s := over(b, &endless{text: masked(chat)}, io.Discard)
	b.ReportAllocs()
	b.SetBytes(int64(len(chat)))
	for b.Loop() {
		if _, err := s.Read(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	s := over(b, strings.NewReader(""), io.Discard)
	batch := batchOf(100)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Write(batch); err != nil {
			b.Fatal(err)
		}
	}
}
