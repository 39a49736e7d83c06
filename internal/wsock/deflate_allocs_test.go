//go:build !race

package wsock

import (
	"bytes"
	"strings"
	"testing"
)

// Compression works with what is pooled; the race detector drops some of that.
func TestDeflateAllocs(t *testing.T) {
	message := []byte(strings.Repeat("<message/>", 100))
	sent := frame(1, true, compress(t, string(message), 1))
	sent[0] |= packed
	in := bytes.NewReader(sent)
	conn := newConn(&fakeConn{in: in, out: new(bytes.Buffer), most: 1 << 20}, nil, "")
	conn.deflate = true
	dst := make([]byte, 0, 4096)
	allocs := testing.AllocsPerRun(500, func() {
		in.Reset(sent)
		if _, _, err := conn.Next(1<<20, nothing); err != nil {
			t.Fatal(err)
		}
		dst = conn.AppendMessage(dst[:0], Text, message)
	})
	if allocs > 0 {
		t.Errorf("got %v allocations for a message in and one out, want none", allocs)
	}
}
