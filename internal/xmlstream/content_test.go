package xmlstream

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Eight bytes at once find what one at a time do, whatever stands beside it.
func TestLongText(t *testing.T) {
	slowly := func(b []byte, i int) int {
		for i < len(b) && class[b[i]]&cText != 0 {
			i++
		}
		return i
	}
	check := func(b []byte) {
		t.Helper()
		for i := range len(b) + 1 {
			if got, want := longText(b, i), slowly(b, i); got != want {
				t.Fatalf("longText(%q, %d) = %d, want %d", b, i, got, want)
			}
		}
	}
	for x := range 256 {
		for at := range 20 {
			for _, filler := range []byte{'a', '\n', 0x7f, '='} {
				b := bytes.Repeat([]byte{filler}, 20)
				b[at] = byte(x)
				check(b)
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	const odd = "<&]\t\n\x1f\x20\x00\x7f\x80\xffabc;=%'\\^"
	for range 20000 {
		b := make([]byte, random.IntN(100))
		for i := range b {
			b[i] = odd[random.IntN(len(odd))]
			if random.IntN(20) > 0 {
				b[i] = 'x'
			}
		}
		check(b)
	}
}
