package streamtest

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// failures is a test that only counts what is wrong.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.n++ }

func TestChecks(t *testing.T) {
	const (
		header = "<?xml version='1.0'?><stream:stream xmlns:stream='urn:s'>"
		end    = "</stream:stream>"
		fault  = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
	)
	tests := []struct {
		name  string
		check func(t testing.TB)
		fails int
	}{
		{"nothing", func(t testing.TB) { WellFormed(t, "") }, 0},
		{"one stream", func(t testing.TB) { WellFormed(t, header+"<a/>"+end) }, 0},
		{"two streams", func(t testing.TB) { WellFormed(t, header+"<a/>"+header+end) }, 0},
		{"open in the end", func(t testing.TB) { WellFormed(t, header+header+"<a/>") }, 1},
		{"wrong nesting", func(t testing.TB) { WellFormed(t, header+"<a></b>"+header+end) }, 1},
		{"something before", func(t testing.TB) { WellFormed(t, "<a/>"+header+end) }, 1},
		{"error", func(t testing.TB) { EndsWithError(t, "<a/>"+fault+end, "reset") }, 0},
		{"other error", func(t testing.TB) { EndsWithError(t, fault+end, "conflict") }, 1},
		{"error without an end", func(t testing.TB) { EndsWithError(t, fault, "reset") }, 1},
		{"something after the error", func(t testing.TB) { EndsWithError(t, fault+"<a/>"+end, "reset") }, 1},
		{"a line", func(t testing.TB) { written("a b\nc d\n").Expect(t, "d", "c") }, 0},
		{"two lines", func(t testing.TB) { written("a b\nc d\n").Expect(t, "a", "c") }, 1},
		{"no line", func(t testing.TB) { written("").Expect(t, "a") }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &failures{TB: t}
			tt.check(f)
			if f.n != tt.fails {
				t.Errorf("got %d failures, want %d", f.n, tt.fails)
			}
		})
	}
}

func written(text string) *Recorder {
	r := new(Recorder)
	fmt.Fprint(r, text)
	return r
}

// text is a connection by which a text comes.
type text struct {
	net.Conn
	r io.Reader
}

func (t text) Read(b []byte) (int, error) { return t.r.Read(b) }

func TestRecorderConn(t *testing.T) {
	var r Recorder
	got, err := io.ReadAll(r.Conn(text{r: strings.NewReader("abc")}))
	if string(got) != "abc" || err != nil || r.String() != "abc" {
		t.Errorf("got %q, %v, and %q recorded; want abc twice", got, err, r.String())
	}
	if r.Reset(); r.String() != "" {
		t.Errorf("got %q after Reset, want nothing", r.String())
	}
}
