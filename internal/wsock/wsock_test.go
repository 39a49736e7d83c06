package wsock

//lint:file-ignore SA1019 the library goes on under another path

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"nhooyr.io/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const none = -1

// frame returns one of a client.
func frame(op byte, isFinal bool, payload string) []byte {
	b := []byte{op, masked}
	if isFinal {
		b[0] |= final
	}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	key := [4]byte{byte(rand.Uint32()), 2, 3, 4}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// pipe returns a connection on which a client has sent something and gone.
func pipe(sent []byte, most int) (*Conn, *bytes.Buffer) {
	out := new(bytes.Buffer)
	return newConn(&fakeConn{in: bytes.NewReader(sent), out: out, most: most}, nil, ""), out
}

// fakeConn hands out at most so many bytes at a time.
type fakeConn struct {
	net.Conn
	in   *bytes.Reader
	out  *bytes.Buffer
	most int
}

func (f *fakeConn) Read(b []byte) (int, error)       { return f.in.Read(b[:min(len(b), f.most)]) }
func (f *fakeConn) Write(b []byte) (int, error)      { return f.out.Write(b) }
func (f *fakeConn) SetWriteDeadline(time.Time) error { return nil }
func (f *fakeConn) Close() error                     { return nil }

func nothing() {}

func TestNext(t *testing.T) {
	long := strings.Repeat("0123456789", 3000)
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	for _, c := range []struct {
		name string
		sent []byte
		want []string // messages
		code int      // of the *Error in the end; none: closed in order; 0: cut off
	}{
		{"text", join(frame(1, true, "hello"), frame(8, true, "")), []string{"hello"}, none},
		{"empty", join(frame(1, true, ""), frame(1, true, "x"), frame(8, true, "\x03\xe8bye")), []string{"", "x"}, none},
		{"long", join(frame(1, true, long), frame(1, true, long[:200]), frame(8, true, "")), []string{long, long[:200]}, none},
		{"fragments", join(frame(1, false, "a"), frame(0, false, ""), frame(9, true, "p"), frame(0, true, "b"), frame(1, true, "c"), frame(8, true, "")), []string{"ab", "c"}, none},
		{"character in two fragments", join(frame(1, false, "\xc3"), frame(0, true, "\xbc"), frame(8, true, "")), []string{"ü"}, none},
		{"pong", join(frame(10, true, "p"), frame(8, true, "")), nil, none},
		{"no end", frame(1, true, "a"), []string{"a"}, 0},
		{"half a frame", frame(1, true, "abc")[:5], nil, 0},
		{"no mask", []byte{0x81, 1, 'a'}, nil, StatusProtocolError},
		{"reserved bit", append([]byte{0xC1}, frame(1, true, "a")[1:]...), nil, StatusProtocolError},
		{"unknown opcode", frame(3, true, "a"), nil, StatusProtocolError},
		{"unknown control opcode", frame(11, true, ""), nil, StatusProtocolError},
		{"fragmented ping", frame(9, false, ""), nil, StatusProtocolError},
		{"long ping", frame(9, true, long[:126]), nil, StatusProtocolError},
		{"continuation of nothing", frame(0, true, "a"), nil, StatusProtocolError},
		{"message within a message", join(frame(1, false, "a"), frame(1, true, "b")), nil, StatusProtocolError},
		{"long length of a short frame", []byte{0x81, masked | 126, 0, 5, 1, 2, 3, 4}, nil, StatusProtocolError},
		{"longer length of a short frame", append([]byte{0x81, masked | 127}, make([]byte, 12)...), nil, StatusProtocolError},
		{"no UTF-8", frame(1, true, "\xff"), nil, StatusInvalidData},
		{"half a character", frame(1, true, "\xc3"), nil, StatusInvalidData},
		{"100 MB", []byte{0x81, masked | 127, 0, 0, 0, 0, 5, 0xf5, 0xe1, 0, 1, 2, 3, 4}, nil, StatusTooBig},
		{"2^63 bytes", []byte{0x81, masked | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, nil, StatusProtocolError},
		{"too large", frame(1, true, long+long), nil, StatusTooBig},
		{"too large in fragments", join(frame(1, false, long), frame(0, true, long)), nil, StatusTooBig},
		{"close of one byte", frame(8, true, "a"), nil, StatusProtocolError},
		{"close with 1005", frame(8, true, "\x03\xed"), nil, StatusProtocolError},
		{"close with 999", frame(8, true, "\x03\xe7"), nil, StatusProtocolError},
		{"close with 4999", frame(8, true, "\x13\x87"), nil, none},
		{"close with another text", frame(8, true, "\x03\xe8\xff"), nil, StatusInvalidData},
	} {
		for _, most := range []int{1, 3, 1 << 20} {
			conn, _ := pipe(c.sent, most)
			var got []string
			var err error
			for err == nil {
				var b []byte
				if _, b, err = conn.Next(40_000, nothing); err == nil {
					got = append(got, string(b))
				}
			}
			code := 0
			var e *Error
			if errors.As(err, &e) {
				code = e.Code
			} else if err == io.EOF {
				code = none
			}
			if code != c.code || len(got) != len(c.want) {
				t.Errorf("%s, %d at a time: got %d messages and %v, want %d and code %d", c.name, most, len(got), err, len(c.want), c.code)
				continue
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("%s, message %d: got %.40q, want %.40q", c.name, i, got[i], c.want[i])
				}
			}
		}
	}
}

func TestPing(t *testing.T) {
	conn, out := pipe(bytes.Join([][]byte{frame(9, true, "are you there"), frame(8, true, "")}, nil), 100)
	if _, _, err := conn.Next(10, nothing); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
	if want := "\x8a\x0dare you there"; out.String() != want {
		t.Errorf("got %q, want a pong with the same text", out)
	}
}

// A server that echoes, and a client that others wrote.
func TestRealClient(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, Terms{Subprotocols: []string{"one", "two"}})
		if err != nil {
			return
		}
		for {
			if err := c.Rest(); err != nil {
				break
			}
			op, b, err := c.Next(1<<20, nothing)
			if err != nil {
				break
			}
			if err := c.Write(func(dst []byte) []byte { return AppendFrame(AppendFrame(dst, op, b), op, []byte(c.Subprotocol())) }); err != nil {
				t.Error(err)
			}
		}
		_ = c.WriteClose(StatusNormal, "bye")
		c.Drain(1 << 16)
		_ = c.Close()
	}))
	defer srv.Close()
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 300_000} {
		c, _, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{Subprotocols: []string{"three", "two"}})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(1 << 20)
		text := bytes.Repeat([]byte("x"), n)
		if err := c.Write(t.Context(), websocket.MessageText, text); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{string(text), "two"} {
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != want {
				t.Errorf("%d bytes: got %d, %v, want %d", n, len(got), err, len(want))
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("%d bytes: closing: %v", n, err)
		}
	}
	if _, a, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{Subprotocols: []string{"three"}}); err == nil || a.StatusCode != http.StatusBadRequest {
		t.Errorf("another subprotocol: got %v, want 400", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// What is read is what others read.
func FuzzFrames(f *testing.F) {
	for _, b := range [][]byte{frame(1, true, "hello"), append(frame(1, false, "a"), frame(0, true, "b")...), frame(9, true, "p"), frame(8, true, "\x03\xe8")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		whole, wholeErr := readAll(sent, 1<<20)
		bits, bitsErr := readAll(sent, 1)
		if len(whole) != len(bits) || (wholeErr == nil) != (bitsErr == nil) || wholeErr != nil && wholeErr.Error() != bitsErr.Error() {
			t.Fatalf("at once: %q, %v; byte by byte: %q, %v", whole, wholeErr, bits, bitsErr)
		}
		var again []byte
		for i, m := range whole {
			if m != bits[i] {
				t.Fatalf("message %d: got %q at once and %q byte by byte", i, m, bits[i])
			}
			again = append(again, frame(2, true, m)...)
		}
		got, err := readAll(append(again, frame(8, true, "")...), 7)
		if err != io.EOF || len(got) != len(whole) {
			t.Fatalf("sent again: got %d messages and %v, want %d", len(got), err, len(whole))
		}
	})
}

func readAll(sent []byte, most int) (list []string, err error) {
	conn, _ := pipe(sent, most)
	for {
		_, b, err := conn.Next(1<<16, nothing)
		if err != nil {
			return list, err
		}
		list = append(list, string(b))
	}
}

func BenchmarkNext(b *testing.B) {
	sent := bytes.Repeat(frame(1, true, strings.Repeat("x", 200)), 50)
	in := bytes.NewReader(sent)
	conn := newConn(&fakeConn{in: in, most: 1 << 20}, nil, "")
	b.ReportAllocs()
	for b.Loop() {
		if in.Len() == 0 && conn.r == conn.w {
			in.Reset(sent)
		}
		if _, _, err := conn.Next(1000, nothing); err != nil {
			b.Fatal(err)
		}
	}
}
