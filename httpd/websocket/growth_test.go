package websocket

import (
	"bytes"
	"compress/flate"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
)

// packed is a message of size bytes, compressed, as a client sends it.
func packed(t testing.TB, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, "<message><body>"+strings.Repeat("x", size-32)+"</body></message>")
	_ = w.Flush()
	out := masked(strings.TrimSuffix(b.String(), "\x00\x00\xff\xff"))
	out[0] |= 0x40
	return out
}

// A shaper counts messages at the size that they have decompressed.
func TestGrowth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := over(t, bytes.NewReader(bytes.Repeat(packed(t, 10_000), 4)), io.Discard, "permessage-deflate")
		s.SetRate(shaper.Rate{BytesPerSecond: 1000})
		began := time.Now()
		for range 3 {
			if _, err := s.Read(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 15*time.Second || took > 25*time.Second {
			t.Errorf("three messages took %v, want some 20 s", took)
		}
		_ = s.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := s.Read(); err != os.ErrDeadlineExceeded {
			t.Errorf("got %v, want the deadline", err)
		}
		_ = s.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			_ = s.Close(nil)
		}()
		if _, err := s.Read(); err == nil {
			t.Error("a message was read after Close")
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("it took %v, want a read that waits to end with Close", took)
		}
	})
}
