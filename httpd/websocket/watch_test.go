package websocket

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/shaper"
)

// A client that is read slowly is not silent: neither within a large message, nor while
// what it has sent waits for its turn.
func TestWatchOfSlowReads(t *testing.T) {
	message := masked("<message><body>" + strings.Repeat("x", 60_000) + "</body></message>")
	for _, c := range []struct {
		name     string
		sent     []byte
		handling time.Duration // of a message by who reads
		limited  bool
	}{
		{"large messages", bytes.Repeat(message, 3), 0, true},
		{"messages that were decompressed", bytes.Repeat(packed(t, 60_000), 3), 0, true},
		{"messages that are not taken", bytes.Repeat(message, 3), time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := over(t, bytes.NewReader(c.sent), io.Discard, "permessage-deflate")
				s.watch.stop()
				s.watch = newWatch(s.conn, &settings{Options: Options{PingInterval: 10 * time.Second, Timeout: 30 * time.Second}})
				if c.limited {
					s.SetRate(shaper.Rate{BytesPerSecond: 1000})
				}
				for i := range 3 {
					if _, err := s.Read(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(c.handling)
					if s.shaped.NetConn().(*scripted).closed.Load() {
						t.Fatalf("after %d messages the connection was closed", i+1)
					}
				}
			})
		})
	}
}
