package websocket_test

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"testing"
)

// marker ends what is compressed, and is left out. See RFC 7692, section 7.2.1.
const marker = "\x00\x00\xff\xff"

// inflated is what a compressed message stands for. It refers to none before it.
func inflated(t testing.TB, s string) string {
	t.Helper()
	b, err := io.ReadAll(flate.NewReader(strings.NewReader(s + marker + "\x01\x00\x00\xff\xff")))
	if err != nil {
		t.Fatalf("%v in a compressed message", err)
	}
	return string(b)
}

// deflated compresses pieces, each in blocks of its own.
func deflated(level int, pieces ...string) string {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err != nil {
		panic(err)
	}
	for _, p := range pieces {
		_, _ = io.WriteString(w, p)
		_ = w.Flush()
	}
	return strings.TrimSuffix(out.String(), marker)
}

// deflatedLast compresses into a last block, and what has to be behind it.
// See RFC 7692, section 7.2.3.4.
func deflatedLast(s string) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.DefaultCompression)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return out.String() + "\x00"
}

// compressed is a text message that is compressed already.
func compressed(payload string) frame { return frame{op: opText, rsv: 4, payload: payload} }

// deflating is a site with compression.
func deflating(t testing.TB, change ...func(*terms)) *site {
	t.Helper()
	return newSite(t, append(change, func(o *terms) { o.ws.Compression = true })...)
}

const extensions = "Sec-WebSocket-Extensions"

// compressing is a session of a client that compresses.
func (s *site) compressing(t testing.TB, user string) *wire {
	t.Helper()
	w := s.dial(t)
	if a := w.wantAnswer(request(extensions+": permessage-deflate"), switches); a.Header.Get(extensions) == "" {
		t.Fatal("compression was not agreed on")
	}
	w.deflate = true
	w.open()
	w.scram("SHA-1", user, "anchor")
	w.open()
	w.bind()
	return w
}
