package wsock

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// compress is what a client makes of a message.
func compress(t testing.TB, message string, level int) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, message)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), marker)
}

// payloadOf returns what is in a frame of the server.
func payloadOf(sent []byte) string {
	switch sent[1] {
	case 126:
		return string(sent[4:])
	case 127:
		return string(sent[10:])
	}
	return string(sent[2:])
}

func TestInflate(t *testing.T) {
	const limit = 1000
	full := strings.Repeat("x", limit)
	for _, c := range []struct {
		name, sent, want string
		code             int // 0: none
	}{
		{"the example", "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", 0},
		{"the example with a last block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", 0},
		{"the example without compression", "\x00\x05\x00\xfa\xffHello\x00", "Hello", 0},
		{"the example in two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", 0},
		{"nothing", "\x00", "", 0},
		{"as large as can be", compress(t, full, 9), full, 0},
		{"too large", compress(t, full+"x", 9), "", StatusTooBig},
		{"much too large", compress(t, strings.Repeat(full, 10_000), 9), "", StatusTooBig},
		{"no data", "", "", StatusInvalidData},
		{"garbage", "Hello", "", StatusInvalidData},
		{"something behind the end", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x00", "", StatusInvalidData},
		{"context of another message", "\xf2\x00\x11\x00\x00", "", StatusInvalidData},
	} {
		got, err := inflate(nil, []byte(c.sent), limit)
		var e *Error
		if errors.As(err, &e) != (c.code != 0) || e != nil && e.Code != c.code || err == nil && string(got) != c.want {
			t.Errorf("%s: got %.40q, %v, want %.40q and code %d", c.name, got, err, c.want, c.code)
		}
		if cap(got) > 2*limit {
			t.Errorf("%s: %d bytes were set aside, want some %d at most", c.name, cap(got), limit)
		}
	}
}

// Messages come and go compressed, in fragments too, where it was agreed on; what does not
// get smaller goes as it is.
func TestDeflate(t *testing.T) {
	noise := make([]byte, 2000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for _, c := range []struct {
		name, message string
		packed        bool
	}{
		{"empty", "", false},
		{"small", strings.Repeat("x", minDeflate-1), false},
		{"large", strings.Repeat("x", minDeflate), true},
		{"larger than a buffer", strings.Repeat("0123456789", 10_000), true},
		{"noise", string(noise), false},
	} {
		conn, out := pipe(nil, 0)
		conn.deflate = true
		if err := conn.Write(func(dst []byte) []byte { return conn.AppendMessage(dst, Binary, []byte(c.message)) }); err != nil {
			t.Fatal(err)
		}
		sent := out.Bytes()
		if got := sent[0] == final|packed|byte(Binary); got != c.packed || got && len(sent) >= len(c.message) {
			t.Errorf("%s: got %x…, %d bytes, want them compressed: %t", c.name, sent[0], len(sent), c.packed)
		}
		payload := payloadOf(sent)
		first := frame(2, false, payload[:len(payload)/2])
		first[0] |= sent[0] & packed
		back, _ := pipe(append(first, frame(0, true, payload[len(payload)/2:])...), 100)
		back.deflate = true
		if _, got, err := back.Next(len(c.message), nothing); err != nil || string(got) != c.message {
			t.Errorf("%s: got back %.40q, %v", c.name, got, err)
		}
		if want := max(len(c.message)-len(payload), 0); c.packed && back.Grown() != want {
			t.Errorf("%s: got %d bytes more, want %d", c.name, back.Grown(), want)
		}
		if err := back.Rest(); err != nil || back.plain != nil || back.Grown() != 0 {
			t.Errorf("%s: the message is kept: %v", c.name, err)
		}
	}
}

// Limits may be as large as numbers are: a message may be no larger than a frame can be.
func TestLargestLimit(t *testing.T) {
	sent := frame(2, true, compress(t, "ahoy", 9))
	sent[0] |= packed
	conn, _ := pipe(append(sent, 0x82, masked|127, 0, 0, 0, 0, 0x80, 0, 0, 0, 1, 2, 3, 4), 100)
	conn.deflate = true
	if _, got, err := conn.Next(math.MaxInt, nothing); err != nil || string(got) != "ahoy" {
		t.Errorf("got %q, %v, want ahoy", got, err)
	}
	var e *Error
	if _, _, err := conn.Next(math.MaxInt, nothing); !errors.As(err, &e) || e.Code != StatusTooBig {
		t.Errorf("2 GiB: got %v, want %d", err, StatusTooBig)
	}
}

// Whatever is inflated is what compress/flate says, and within the limit; whatever is
// deflated comes back.
func FuzzInflate(f *testing.F) {
	for _, s := range []string{"\xf2\x48\xcd\xc9\xc9\x07\x00", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "\x00", "", "Hello", strings.Repeat("\x00\x00\x00\xff\xff", 20)} {
		f.Add([]byte(s), 100)
	}
	f.Add([]byte(compress(f, strings.Repeat("<message/>", 1000), 9)), 9999)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		limit = max(limit, 0) % (1 << 17)
		got, err := inflate(nil, b, limit)
		if len(got) > limit+1 || cap(got) > 2*limit+1024 {
			t.Fatalf("got %d bytes (%d set aside), limit %d", len(got), cap(got), limit)
		}
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(io.MultiReader(bytes.NewReader(b), strings.NewReader(tail))), int64(limit)+1))
		switch {
		case err == nil && (wantErr != nil || !bytes.Equal(got, want)):
			t.Fatalf("got %q, want %q, %v", got, want, wantErr)
		case err != nil && !isError(err):
			t.Fatalf("got %v, want an *Error", err)
		case wantErr == nil && len(want) > limit && err == nil:
			t.Fatalf("got %d bytes, want an error above %d", len(got), limit)
		}
		if sent, ok := deflate(nil, Text, b); ok {
			if back, err := inflate(nil, []byte(payloadOf(sent)), len(b)); err != nil || !bytes.Equal(back, b) {
				t.Fatalf("deflated and back: got %q, %v, want %q", back, err, b)
			}
		}
	})
}

func BenchmarkDeflate(b *testing.B) {
	stanza := "<message xmlns='jabber:client' from='ana@example.com/tab1' to='bo@example.com/phone' type='chat' id='a1b2c3'>"
	for _, size := range []int{500, 2000, 20000} {
		message := []byte(stanza + "<body>")
		for i := 0; len(message) < size; i++ {
			message = append(message, "some words of which most come more than once, "[i%7:]...)
		}
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				dst, _ = deflate(dst[:0], Text, message)
			}
			b.ReportMetric(float64(len(dst))/float64(len(message)), "ratio")
		})
	}
}
