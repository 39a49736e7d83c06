// Package streamtest is for the tests of the listeners for XMPP streams: it records
// what they send and log, and checks it.
package streamtest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Recorder keeps what is written to it. The zero value is ready for use, also by
// several goroutines.
type Recorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (r *Recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

// String returns all that was written.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// Reset forgets what was written, and the memory that it took.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = bytes.Buffer{}
}

// Conn returns a connection of which everything that is read is recorded.
func (r *Recorder) Conn(c net.Conn) net.Conn { return tee{c, r} }

type tee struct {
	net.Conn
	seen *Recorder
}

func (t tee) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	_, _ = t.seen.Write(b[:n])
	return n, err
}

// Expect wants one line with all of texts.
func (r *Recorder) Expect(t testing.TB, texts ...string) {
	t.Helper()
	all := r.String()
	for line := range strings.Lines(all) {
		if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) }) {
			return
		}
	}
	t.Errorf("got %s, want a line with %q", all, texts)
}

// WellFormed checks the streams that a server has sent on one connection: each but
// the last is left open, the last is complete.
func WellFormed(t testing.TB, sent string) {
	t.Helper()
	streams := strings.Split(sent, "<?xml ")
	if streams[0] != "" {
		t.Errorf("got %q before the first stream", streams[0])
	}
	for i, s := range streams[1:] {
		d := xml.NewDecoder(strings.NewReader("<?xml " + s))
		var err error
		for err == nil {
			_, err = d.Token()
		}
		var syntax *xml.SyntaxError
		open := errors.As(err, &syntax) && strings.Contains(syntax.Msg, "unexpected EOF")
		if last := i == len(streams)-2; err != io.EOF && (last || !open) {
			t.Errorf("got %q, which is not well-formed: %v", s, err)
		}
	}
}

// EndsWithError checks the last that a server has sent on a connection: a stream
// error of a condition, and the end of the stream.
func EndsWithError(t testing.TB, rest, condition string) {
	t.Helper()
	want := "<stream:error><" + condition + " xmlns='" + stanza.NSStreams + "'/>"
	if !strings.Contains(rest, want) || !strings.HasSuffix(rest, "</stream:error></stream:stream>") {
		t.Errorf("got %s, want the stream error %s", rest, condition)
	}
}
